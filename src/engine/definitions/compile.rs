//! Compiles one flag of the wire model: names become indexes, salts are joined, rules compiled, reasons
//! decided.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use serde_json::value::RawValue;

use super::flag::{Admits, Choice, Condition, Flag, Rollout, Unsupported, chosen};
use super::unsupported::{Restriction, Warning, unsupported};
use super::wire::{self, Number, Strict};
use crate::engine::bucket::fraction;
use crate::engine::exposure::{AssignmentId, Experiment};
use crate::engine::reason::Reason;
use crate::engine::rules::{Legacy, Properties, Rule};
use crate::engine::variant::{FlagValue, Variant};
use crate::json::{
    Pairs, Text, Writer, place, sort_and_dedup, sort_by_text, text_or_number, without_position,
};

/// Compiles the flag in `json`. The warnings are about what cannot be checked locally, the error names the
/// field.
pub(super) fn flag(json: &str) -> Result<(Flag, Vec<Warning>), String> {
    let Strict(wire) = match serde_json::from_str::<Strict<wire::Flag<'_>>>(json) {
        Ok(flag) => flag,
        Err(error) => return Err(fault(place(json, &error).as_deref().unwrap_or("."), &error)),
    };
    let restrictions = restrictions(&wire);
    let (key, context) = (&wire.key.0, &wire.context.0);
    let experiment =
        Experiment { id: wire.experiment_id.as_ref().map(|id| &*id.0), is_active: wire.is_experiment_active };
    let id = |variant: &str| AssignmentId::new(key, Some(variant), Some(context), experiment);
    let ruleset = wire.ruleset.0;
    let variants = variants(ruleset.variants, id)?;
    let testers = testers(ruleset.test.and_then(|test| test.0.users), &variants.names);
    let salt = wire.hash_salt.map(|salt| salt.0);
    let mut rollouts = Vec::with_capacity(ruleset.rollout.len());
    let mut names = BTreeSet::new();
    let mut all = false;
    let mut earlier = Earlier::default();
    for (i, Strict(wire)) in ruleset.rollout.into_iter().enumerate() {
        let rollout_salt = match &salt {
            None => "rollout".into(),
            Some(salt) => format!("{salt}{i}").into_boxed_str(),
        };
        let rollout = rollout(i, wire, rollout_salt, &variants, &earlier)?;
        earlier.add(&rollout);
        match rollout.condition.as_ref().map(Condition::properties) {
            Some(Properties::All) => all = true,
            Some(Properties::Only(read)) => names.extend(read.iter().cloned()),
            None => {}
        }
        rollouts.push(rollout);
    }
    let (unsupported, warnings) = unsupported(&wire.key.0, &rollouts, &restrictions);
    let metadata = metadata(experiment, wire.project_id, unsupported.as_deref());
    let flag = Flag {
        key: wire.key.0.into(),
        context: wire.context.0.into(),
        enabled: !wire.status.is_some_and(|s| matches!(s.0.as_ref(), "disabled" | "archived")),
        variants: variants.sorted.into_boxed_slice(),
        testers,
        rollouts: rollouts.into_boxed_slice(),
        variant_salt: format!("{}variant", salt.unwrap_or_default()).into_boxed_str(),
        experiment: Experiment {
            id: wire.experiment_id.map(|id| id.0.into()),
            is_active: wire.is_experiment_active,
        },
        properties: if all { Properties::All } else { Properties::Only(names.into_iter().collect()) },
        metadata,
        unsupported,
    };
    Ok((flag, warnings))
}

/// The metadata that do not depend on the user, written once instead of by each evaluation. A project's id is a number; of
/// another type than number or string, it is not known, since nothing depends on it.
fn metadata(
    experiment: Experiment<&str>,
    project: Option<&RawValue>,
    unsupported: Option<&Unsupported>,
) -> Box<str> {
    let mut members = String::new();
    let mut json = Writer::new(&mut members);
    experiment.write(&mut json);
    if let Some(unsupported) = unsupported {
        // Joined, because the values of metadata are scalars.
        json.field("unsupported").string(&unsupported.names.join(", "));
    }
    if let Some(id) = project.and_then(|json| text_or_number(json.get())) {
        json.field("flagSetId").string(&id);
    }
    members.into()
}

struct Variants {
    sorted: Vec<Variant>,
    /// By index of `sorted`.
    splits: Vec<f64>,
    names: HashMap<String, usize>,
}

fn variants(
    wire: Vec<Strict<wire::Variant<'_>>>,
    id: impl Fn(&str) -> AssignmentId,
) -> Result<Variants, String> {
    if wire.is_empty() {
        return Err(fault("ruleset.variants", &"expected at least one variant"));
    }
    let mut pairs = Vec::with_capacity(wire.len());
    for (i, Strict(variant)) in wire.into_iter().enumerate() {
        let value = match variant.value {
            None => FlagValue::Null,
            Some(json) => FlagValue::parse(json.get())
                .map_err(|e| fault(format_args!("ruleset.variants[{i}].value"), &e))?,
        };
        let split = variant.split.map_or(0.0, |Number(n)| n);
        let id = id(&variant.key.0);
        pairs.push((Variant { key: variant.key.0.into(), value, id }, split));
    }
    // UTF-8 sorts by code point, and the sort is stable, like Python's.
    sort_by_text(&mut pairs, |(variant, _)| &variant.key);
    let (sorted, splits): (Vec<Variant>, Vec<f64>) = pairs.into_iter().unzip();
    let names = names(&sorted);
    Ok(Variants { sorted, splits, names })
}

/// The variants by name in lower case. If names are equal then, the first variant in code-point order counts.
fn names(variants: &[Variant]) -> HashMap<String, usize> {
    let mut names = HashMap::with_capacity(variants.len());
    for (index, variant) in variants.iter().enumerate() {
        names.entry(variant.key.to_lowercase()).or_insert(index);
    }
    names
}

fn testers(
    users: Option<Pairs<'_, Option<Text<'_>>>>,
    names: &HashMap<String, usize>,
) -> Box<[(Box<str>, usize)]> {
    let mut testers: Vec<(Box<str>, Option<usize>)> = Vec::new();
    for (user, name) in users.map_or_else(Vec::new, |pairs| pairs.0) {
        // An empty name means no tester, even if a variant has the empty key.
        let name = name.filter(|name| !name.0.is_empty());
        testers.push((user.into(), name.and_then(|name| names.get(&name.0.to_lowercase()).copied())));
    }
    // Before the filter, because the last entry of a user counts even if it names no variant.
    sort_and_dedup(&mut testers);
    testers.into_iter().filter_map(|(user, index)| Some((user, index?))).collect()
}

fn rollout(
    i: usize,
    wire: wire::Rollout<'_>,
    salt: Box<str>,
    variants: &Variants,
    earlier: &Earlier,
) -> Result<Rollout, String> {
    let admits = admits(wire.rollout_percentage.0);
    let condition = condition(i, &wire)?;
    let over = wire.variant_override.and_then(|over| over.0.key);
    let choice = match over.and_then(|name| variants.names.get(&name.0.to_lowercase()).copied()) {
        Some(index) => Choice::Fixed(index),
        None => split(variants, wire.variant_splits.map_or_else(Vec::new, |pairs| pairs.0)),
    };
    let reason = reason(admits, condition.as_ref(), &choice, *earlier);
    Ok(Rollout { salt, admits, condition, choice, reason })
}

fn admits(percentage: f64) -> Admits {
    if fraction(99) < percentage {
        Admits::All
    } else if fraction(0) < percentage {
        Admits::Below(percentage)
    } else {
        Admits::None
    }
}

fn condition(i: usize, wire: &wire::Rollout<'_>) -> Result<Option<Condition>, String> {
    let rule = match wire.runtime_evaluation_rule {
        None => None,
        Some(json) => Rule::compile(json.get())
            .map_err(|e| fault(format_args!("ruleset.rollout[{i}].runtime_evaluation_rule"), &e))?,
    };
    // Compiled even if there is a rule, which takes precedence: a field of the wrong type makes the flag
    // malformed.
    let legacy = match wire.runtime_evaluation_definition {
        None => None,
        Some(json) => Legacy::compile(json.get())
            .map_err(|e| fault(format_args!("ruleset.rollout[{i}].runtime_evaluation_definition"), &e))?,
    };
    Ok(rule.map(Condition::Rule).or(legacy.map(Condition::Legacy)))
}

fn split(variants: &Variants, splits: Vec<(Cow<'_, str>, Number)>) -> Choice {
    // If a name is repeated, its last value counts, as in a JavaScript object.
    let splits: HashMap<Cow<'_, str>, f64> = splits.into_iter().map(|(name, Number(n))| (name, n)).collect();
    let mut cumulative = 0.0;
    let mut sums = Vec::with_capacity(variants.sorted.len());
    for (variant, own) in variants.sorted.iter().zip(&variants.splits) {
        cumulative += splits.get(&*variant.key).unwrap_or(own);
        sums.push(cumulative);
    }
    let first = chosen(&sums, 0);
    if (1..100).all(|hundredth| chosen(&sums, hundredth) == first) {
        Choice::Fixed(first)
    } else {
        Choice::Split(sums.into_boxed_slice())
    }
}

/// What the rollouts before one can do to a user.
#[derive(Clone, Copy, Default)]
struct Earlier {
    /// Whether one of them has a rule.
    rule: bool,
    /// Whether one of them could have admitted another bucket. A rollout with a rule counts only if its
    /// percentage splits users: among those its rule matches, the bucket decides who is passed on.
    chance: bool,
}

impl Earlier {
    fn add(&mut self, rollout: &Rollout) {
        self.rule |= rollout.condition.is_some();
        self.chance |= match rollout.admits {
            Admits::None => false,
            Admits::Below(_) => true,
            Admits::All => rollout.condition.is_none(),
        };
    }
}

fn reason(admits: Admits, condition: Option<&Condition>, choice: &Choice, earlier: Earlier) -> Reason {
    if condition.is_some() {
        Reason::TargetingMatch
    } else if admits != Admits::All || matches!(choice, Choice::Split(_)) || earlier.chance {
        // Another bucket could fail this rollout's percentage, get another variant, or be admitted earlier.
        Reason::Split
    } else if earlier.rule {
        Reason::Default
    } else {
        Reason::Static
    }
}

/// The fields that restrict a flag on Mixpanel's servers but not here.
fn restrictions(wire: &wire::Flag<'_>) -> Vec<Restriction> {
    let mut found = Vec::new();
    for (i, Strict(rollout)) in wire.ruleset.0.rollout.iter().enumerate() {
        for (field, json) in &rollout.unknown {
            let restricts = match field.as_ref() {
                "cohort_hash" | "runtime_event_rule" => json.get() != "null",
                field => looks_restrictive(field) && !is_empty(json.get()),
            };
            if restricts {
                let place = format!("ruleset.rollout[{i}].{field}");
                found.push(Restriction { field: field.as_ref().into(), place });
            }
        }
    }
    for (i, Strict(variant)) in wire.ruleset.0.variants.iter().enumerate() {
        if variant.is_sticky.is_some_and(|json| json.get() == "true") {
            let place = format!("ruleset.variants[{i}].is_sticky");
            found.push(Restriction { field: "is_sticky".into(), place });
        }
    }
    found
}

/// `cohort_definition`, and fields that Mixpanel may add under such names.
fn looks_restrictive(field: &str) -> bool {
    let endings = [
        "_rule",
        "_rules",
        "_definition",
        "_definitions",
        "_condition",
        "_conditions",
        "_filter",
        "_filters",
    ];
    field.contains("cohort") || endings.into_iter().any(|ending| field.ends_with(ending))
}

fn is_empty(json: &str) -> bool {
    match json.as_bytes() {
        b"null" | b"false" | b"0" | b"\"\"" => true,
        [b'{' | b'[', inner @ .., _] => inner.iter().all(u8::is_ascii_whitespace),
        _ => false,
    }
}

/// What is wrong with a flag: the field's path and the problem.
fn fault(path: impl Display, problem: &impl Display) -> String {
    let (path, problem) = (path.to_string(), without_position(problem));
    let within = if path == "." { String::new() } else { path };
    if within.is_empty() {
        return problem;
    }
    // serde reports missing and duplicate fields as errors of the object that contains them.
    let of_object = problem.ends_with(": required") || problem.ends_with(": given twice");
    format!("{within}{}{problem}", if of_object { "." } else { ": " })
}
