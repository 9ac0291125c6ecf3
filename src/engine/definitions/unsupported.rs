//! What of a flag this library cannot check, and what follows from that: said when the flag is loaded, since an evaluation
//! comes out the same each time.

use std::collections::BTreeSet;

use crate::engine::rules::Rule;

use super::{Condition, Group, Warning};

/// What a flag uses and this library does not know or cannot check.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsupported {
    /// Names of operators and fields.
    pub(crate) names: Box<[Box<str>]>,
    /// The same in one text, for metadata, whose values are scalars.
    pub(crate) text: Box<str>,
}

/// Names beyond these are not listed.
const MAX_NAMES: usize = 16;
/// Characters of a name.
const MAX_NAME: usize = 64;

/// A field that restricts a flag on Mixpanel's servers, and where it is.
pub(super) struct Restriction {
    pub(super) field: Box<str>,
    pub(super) place: String,
}

/// What cannot be checked of flag `key`, and a warning for each unknown operator and for the restrictions together.
pub(super) fn unsupported(
    key: &str,
    groups: &[Group],
    restrictions: &[Restriction],
) -> (Option<Box<Unsupported>>, Vec<Warning>) {
    let (mut names, mut warnings): (Vec<Box<str>>, _) = (Vec::new(), Vec::new());
    for operator in operators(groups) {
        let name = shown(&operator);
        if names.contains(&name) {
            continue;
        }
        if names.len() == MAX_NAMES {
            names.push("…".into());
            break;
        }
        let line = format!("flag `{key}`: unknown operator `{name}`: {}", consequence(groups, &operator));
        warnings.push(Warning { about: name.clone(), line });
        names.push(name);
    }
    if !restrictions.is_empty() {
        let mut fields = BTreeSet::new();
        restrictions.iter().for_each(|each| _ = fields.insert(shown(&each.field)));
        let fields: Vec<Box<str>> = fields.into_iter().take(MAX_NAMES).collect();
        let mut places: Vec<&str> =
            restrictions.iter().take(MAX_NAMES).map(|each| each.place.as_str()).collect();
        if restrictions.len() > MAX_NAMES {
            places.push("…");
        }
        let line = format!(
            "flag `{key}`: {} cannot be checked locally and does not restrict; remote evaluation honours it",
            places.join(", ")
        );
        warnings.push(Warning { about: fields.join(", ").into(), line });
        names.extend(fields);
    }
    if names.is_empty() {
        return (None, warnings);
    }
    let text = names.join(", ").into();
    (Some(Box::new(Unsupported { names: names.into_boxed_slice(), text })), warnings)
}

fn rules(groups: &[Group]) -> impl Iterator<Item = (usize, &Rule)> {
    groups.iter().enumerate().filter_map(|(index, group)| match &group.condition {
        Some(Condition::Rule(rule)) => Some((index, rule)),
        _ => None,
    })
}

/// The unknown operators of all rules, in order, each once.
fn operators(groups: &[Group]) -> BTreeSet<Box<str>> {
    let mut names = BTreeSet::new();
    rules(groups).for_each(|(_, rule)| rule.unknown_operators(&mut |name| _ = names.insert(name.into())));
    names
}

fn uses(rule: &Rule, operator: &str) -> bool {
    let mut found = false;
    rule.unknown_operators(&mut |name| found |= name == operator);
    found
}

/// What becomes of the rollouts that use `operator`. One behind an operand that decides alone may match all the same.
fn consequence(groups: &[Group], operator: &str) -> String {
    let using: Vec<(usize, &Rule)> = rules(groups).filter(|(_, rule)| uses(rule, operator)).collect();
    let never = using.iter().all(|(_, rule)| rule.always_fails());
    let mut places: Vec<String> =
        using.iter().take(MAX_NAMES).map(|(index, _)| format!("ruleset.rollout[{index}]")).collect();
    if using.len() > MAX_NAMES {
        places.push("…".to_owned());
    }
    let what = match (never, using.len()) {
        (true, 1) => "this rollout never matches",
        (true, _) => "these rollouts never match",
        (false, 1) => "this rollout does not match when its rule comes to the operator",
        (false, _) => "these rollouts do not match when their rules come to the operator",
    };
    format!("{what}; a newer mpflags may know it ({})", places.join(", "))
}

/// A name of bounded length, without control characters.
fn shown(name: &str) -> Box<str> {
    let mut shown: String =
        name.chars().take(MAX_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if name.chars().nth(MAX_NAME).is_some() {
        shown.push('…');
    }
    shown.into()
}
