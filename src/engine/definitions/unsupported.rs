//! What a flag uses that this library cannot check. Warned about once, when the flag is loaded.

use std::collections::BTreeSet;

use crate::engine::rules::Rule;

use super::flag::{Condition, Rollout, Unsupported};

/// More names are not listed.
const MAX_NAMES: usize = 16;
/// Characters shown of a name.
const MAX_NAME: usize = 64;

/// Logged once per flag and subject.
#[derive(Debug)]
pub(crate) struct Warning {
    /// The names that it is about, which distinguish it from the flag's other warnings.
    pub(crate) about: Box<str>,
    pub(crate) line: String,
}

/// A field that restricts a flag on Mixpanel's servers, and its path.
pub(super) struct Restriction {
    pub(super) field: Box<str>,
    pub(super) place: String,
}

/// What flag `key` uses that cannot be checked, with one warning for each unknown operator and one for all
/// restrictions.
pub(super) fn unsupported(
    key: &str,
    rollouts: &[Rollout],
    restrictions: &[Restriction],
) -> (Option<Box<Unsupported>>, Vec<Warning>) {
    let (mut names, mut warnings): (Vec<Box<str>>, _) = (Vec::new(), Vec::new());
    for operator in operators(rollouts) {
        let name = shown(&operator);
        if names.contains(&name) {
            continue;
        }
        if names.len() == MAX_NAMES {
            names.push("…".into());
            break;
        }
        let line = format!("flag `{key}`: unknown operator `{name}`: {}", consequence(rollouts, &operator));
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
    (Some(Box::new(Unsupported { names: names.into_boxed_slice() })), warnings)
}

fn rules(rollouts: &[Rollout]) -> impl Iterator<Item = (usize, &Rule)> {
    rollouts.iter().enumerate().filter_map(|(index, rollout)| match &rollout.condition {
        Some(Condition::Rule(rule)) => Some((index, rule)),
        _ => None,
    })
}

/// The unknown operators of all rules, sorted.
fn operators(rollouts: &[Rollout]) -> BTreeSet<Box<str>> {
    let mut names = BTreeSet::new();
    rules(rollouts).for_each(|(_, rule)| rule.unknown_operators(&mut |name| _ = names.insert(name.into())));
    names
}

fn uses(rule: &Rule, operator: &str) -> bool {
    let mut found = false;
    rule.unknown_operators(&mut |name| found |= name == operator);
    found
}

/// How `operator` affects the rollouts that use it. They may still match if an operand before it decides the
/// result.
fn consequence(rollouts: &[Rollout], operator: &str) -> String {
    let using: Vec<(usize, &Rule)> = rules(rollouts).filter(|(_, rule)| uses(rule, operator)).collect();
    let never = using.iter().all(|(_, rule)| rule.always_fails());
    let mut places: Vec<String> =
        using.iter().take(MAX_NAMES).map(|(index, _)| format!("ruleset.rollout[{index}]")).collect();
    if using.len() > MAX_NAMES {
        places.push("…".to_owned());
    }
    let what = match (never, using.len()) {
        (true, 1) => "this rollout never matches",
        (true, _) => "these rollouts never match",
        (false, 1) => "this rollout does not match when its rule reaches the operator",
        (false, _) => "these rollouts do not match when their rules reach the operator",
    };
    format!("{what}; a newer mpflags may know it ({})", places.join(", "))
}

/// `name` for a message: bounded, and without control characters.
fn shown(name: &str) -> Box<str> {
    let mut shown: String =
        name.chars().take(MAX_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if name.chars().nth(MAX_NAME).is_some() {
        shown.push('…');
    }
    shown.into()
}
