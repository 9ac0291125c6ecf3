//! One flag: wire model → compiled form. Names become indexes, salts are joined, rules compiled, reasons decided.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::unsupported::{Restriction, unsupported};
use super::wire::{self, Number, Object};
use super::{Choice, Condition, Flag, Group, Rollout, Warning, fault};
use crate::engine::bucket::fraction;
use crate::engine::exposure::{AssignmentId, Experiment};
use crate::engine::reason::Reason;
use crate::engine::rules::{Legacy, Properties, Rule};
use crate::engine::variant::{FlagValue, Variant};
use crate::json::{Pairs, Text, place};

/// Compiles the flag in `json`, with warnings of what cannot be checked locally. The error names the field.
pub(super) fn flag(json: &str) -> Result<(Flag, Vec<Warning>), String> {
    let Object(wire) = match serde_json::from_str::<Object<wire::Flag<'_>>>(json) {
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
    let mut groups = Vec::with_capacity(ruleset.rollout.len());
    let mut names = BTreeSet::new();
    let mut all = false;
    let mut earlier = Earlier::default();
    for (i, Object(rollout)) in ruleset.rollout.into_iter().enumerate() {
        let group_salt = match &salt {
            None => "rollout".into(),
            Some(salt) => format!("{salt}{i}").into_boxed_str(),
        };
        let group = group(i, rollout, group_salt, &variants, &earlier)?;
        earlier.add(&group);
        match group.condition.as_ref().map(Condition::properties) {
            Some(Properties::All) => all = true,
            Some(Properties::Only(read)) => names.extend(read.iter().cloned()),
            None => {}
        }
        groups.push(group);
    }
    let (unsupported, warnings) = unsupported(&wire.key.0, &groups, &restrictions);
    let flag = Flag {
        key: wire.key.0.into(),
        context: wire.context.0.into(),
        enabled: !wire.status.is_some_and(|s| matches!(s.0.as_ref(), "disabled" | "archived")),
        variants: variants.sorted.into_boxed_slice(),
        testers,
        groups: groups.into_boxed_slice(),
        variant_salt: format!("{}variant", salt.unwrap_or_default()).into_boxed_str(),
        experiment: Experiment {
            id: wire.experiment_id.map(|id| id.0.into()),
            is_active: wire.is_experiment_active,
        },
        properties: if all { Properties::All } else { Properties::Only(names.into_iter().collect()) },
        unsupported,
    };
    Ok((flag, warnings))
}

struct Variants {
    sorted: Vec<Variant>,
    /// By index of `sorted`.
    splits: Vec<f64>,
    names: HashMap<String, usize>,
}

fn variants(
    wire: Vec<Object<wire::Variant<'_>>>,
    id: impl Fn(&str) -> AssignmentId,
) -> Result<Variants, String> {
    if wire.is_empty() {
        return Err(fault("ruleset.variants", &"expected at least one variant"));
    }
    let mut pairs = Vec::with_capacity(wire.len());
    for (i, Object(variant)) in wire.into_iter().enumerate() {
        let value = match variant.value {
            None => FlagValue::Null,
            Some(json) => FlagValue::parse(json.get())
                .map_err(|e| fault(format_args!("ruleset.variants[{i}].value"), &e))?,
        };
        let split = variant.split.map_or(0.0, |Number(n)| n);
        let id = id(&variant.key.0);
        pairs.push((Variant { key: variant.key.0.into(), value, id }, split));
    }
    // UTF-8 orders by code point, and the sort is stable, as Python's.
    pairs.sort_by(|a, b| a.0.key.cmp(&b.0.key));
    let (sorted, splits): (Vec<Variant>, Vec<f64>) = pairs.into_iter().unzip();
    let names = names(&sorted);
    Ok(Variants { sorted, splits, names })
}

/// The variants by name, ignoring case; the first in code-point order where several have one.
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
        // An empty name means no tester, even where a variant has the empty key.
        let name = name.filter(|name| !name.0.is_empty());
        testers.push((user.into(), name.and_then(|name| names.get(&name.0.to_lowercase()).copied())));
    }
    // Stable: of a user named twice, the later entry counts, even one that names nothing.
    testers.sort_by(|a, b| a.0.cmp(&b.0));
    testers.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    testers.into_iter().filter_map(|(user, index)| Some((user, index?))).collect()
}

fn group(
    i: usize,
    wire: wire::Rollout<'_>,
    salt: Box<str>,
    variants: &Variants,
    earlier: &Earlier,
) -> Result<Group, String> {
    let rollout = rollout(wire.rollout_percentage.0);
    let condition = condition(i, &wire)?;
    let over = wire.variant_override.and_then(|over| over.0.key);
    let choice = match over.and_then(|name| variants.names.get(&name.0.to_lowercase()).copied()) {
        Some(index) => Choice::Fixed(index),
        None => split(variants, wire.variant_splits.map_or_else(Vec::new, |pairs| pairs.0)),
    };
    let reason = reason(rollout, condition.as_ref(), &choice, *earlier);
    Ok(Group { salt, rollout, condition, choice, reason })
}

fn rollout(percentage: f64) -> Rollout {
    if fraction(99) < percentage {
        Rollout::All
    } else if fraction(0) < percentage {
        Rollout::Below(percentage)
    } else {
        Rollout::None
    }
}

fn condition(i: usize, wire: &wire::Rollout<'_>) -> Result<Option<Condition>, String> {
    let rule = match wire.runtime_evaluation_rule {
        None => None,
        Some(json) => Rule::compile(json.get())
            .map_err(|e| fault(format_args!("ruleset.rollout[{i}].runtime_evaluation_rule"), &e))?,
    };
    // Checked even where a rule stands before it: a field of the wrong type makes the flag malformed.
    let legacy = match wire.runtime_evaluation_definition {
        None => None,
        Some(json) => Legacy::compile(json.get())
            .map_err(|e| fault(format_args!("ruleset.rollout[{i}].runtime_evaluation_definition"), &e))?,
    };
    Ok(rule.map(Condition::Rule).or(legacy.map(Condition::Legacy)))
}

fn split(variants: &Variants, splits: Vec<(Cow<'_, str>, Number)>) -> Choice {
    // The last of equal names counts, as in a JavaScript object.
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

/// The first variant whose sum lies above the bucket; the last where none does.
pub(crate) fn chosen(sums: &[f64], hundredth: u8) -> usize {
    let bucket = fraction(hundredth);
    sums.iter().position(|sum| bucket < *sum).unwrap_or(sums.len().saturating_sub(1))
}

/// What the groups before one have in common.
#[derive(Clone, Copy, Default)]
struct Earlier {
    /// One of them has a rule.
    rule: bool,
    /// Another bucket could have been taken by one. A group with a rule counts when its own percentage divides the
    /// users: whom its rule matches, chance sends on.
    chance: bool,
}

impl Earlier {
    fn add(&mut self, group: &Group) {
        self.rule |= group.condition.is_some();
        self.chance |= match group.rollout {
            Rollout::None => false,
            Rollout::Below(_) => true,
            Rollout::All => group.condition.is_none(),
        };
    }
}

fn reason(rollout: Rollout, condition: Option<&Condition>, choice: &Choice, earlier: Earlier) -> Reason {
    if condition.is_some() {
        Reason::TargetingMatch
    } else if rollout != Rollout::All || matches!(choice, Choice::Split(_)) || earlier.chance {
        // Another bucket would leave this group, give another variant, or be taken earlier.
        Reason::Split
    } else if earlier.rule {
        Reason::Default
    } else {
        Reason::Static
    }
}

/// What restricts a flag on Mixpanel's servers but not here.
fn restrictions(wire: &wire::Flag<'_>) -> Vec<Restriction> {
    let mut found = Vec::new();
    for (i, Object(rollout)) in wire.ruleset.0.rollout.iter().enumerate() {
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
    for (i, Object(variant)) in wire.ruleset.0.variants.iter().enumerate() {
        if variant.is_sticky.is_some_and(|json| json.get() == "true") {
            let place = format!("ruleset.variants[{i}].is_sticky");
            found.push(Restriction { field: "is_sticky".into(), place });
        }
    }
    found
}

/// `cohort_definition`, and what Mixpanel may add by such names.
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
