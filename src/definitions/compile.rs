//! One flag: wire model → compiled form. Names become indexes, salts are joined, rules compiled, reasons decided.

use super::wire::{self, Number, Object, Pairs};
use super::{Choice, Condition, Flag, Group, Rollout, fault};
use crate::bucket::fraction;
use crate::error::place;
use crate::outcome::Reason;
use crate::rules::{Legacy, Properties, Rule};
use crate::value::Text;
use crate::variant::{FlagValue, Variant};

/// Compiles the flag in `json`, and tells what of it cannot be checked locally. The error names the field.
pub(super) fn flag(json: &str) -> Result<(Flag, Vec<String>), String> {
    let Object(wire) = match serde_json::from_str::<Object<wire::Flag<'_>>>(json) {
        Ok(flag) => flag,
        // Following the path costs time, so only a flag that is bad anyway is read a second time for it.
        Err(first) => return Err(path_of_fault(json).unwrap_or_else(|| fault(".", &first))),
    };
    let unchecked = unchecked(&wire);
    let ruleset = wire.ruleset.0;
    let variants = variants(ruleset.variants)?;
    let testers = testers(ruleset.test.and_then(|test| test.0.users), &variants.sorted);
    let salt = wire.hash_salt.map(|salt| salt.0);
    let mut groups = Vec::with_capacity(ruleset.rollout.len());
    let mut properties = Properties::none();
    for (i, Object(rollout)) in ruleset.rollout.into_iter().enumerate() {
        let group_salt = match &salt {
            None => "rollout".into(),
            Some(salt) => format!("{salt}{i}").into_boxed_str(),
        };
        let group = group(i, rollout, group_salt, &variants, &groups)?;
        match &group.condition {
            Some(Condition::Rule(rule)) => properties.include(rule.properties()),
            Some(Condition::Legacy(legacy)) => properties.include(legacy.properties()),
            None => {}
        }
        groups.push(group);
    }
    let flag = Flag {
        key: wire.key.0.into(),
        context: wire.context.0.into(),
        enabled: !wire.status.is_some_and(|s| matches!(s.0.as_ref(), "disabled" | "archived")),
        variants: variants.sorted.into_boxed_slice(),
        testers,
        groups: groups.into_boxed_slice(),
        variant_salt: format!("{}variant", salt.unwrap_or_default()).into_boxed_str(),
        experiment_id: wire.experiment_id.map(|id| id.0.into()),
        is_experiment_active: wire.is_experiment_active,
        properties,
    };
    Ok((flag, unchecked))
}

fn path_of_fault(json: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let error = serde_path_to_error::deserialize::<_, Object<wire::Flag<'_>>>(&mut deserializer).err()?;
    Some(fault(place(error.path()).as_deref().unwrap_or("."), error.inner()))
}

struct Variants {
    sorted: Vec<Variant>,
    /// By index of `sorted`.
    splits: Vec<f64>,
}

fn variants(wire: Vec<Object<wire::Variant<'_>>>) -> Result<Variants, String> {
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
        pairs.push((Variant { key: variant.key.0.into(), value }, split));
    }
    // UTF-8 orders by code point, and the sort is stable, as Python's.
    pairs.sort_by(|a, b| a.0.key.cmp(&b.0.key));
    let (sorted, splits) = pairs.into_iter().unzip();
    Ok(Variants { sorted, splits })
}

/// The variant called `name`, ignoring case; the first in code-point order where several are.
fn named(variants: &[Variant], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    variants.iter().position(|v| v.key.to_lowercase() == name)
}

fn testers(users: Option<Pairs<'_, Option<Text<'_>>>>, variants: &[Variant]) -> Box<[(Box<str>, usize)]> {
    let mut testers: Vec<(Box<str>, Option<usize>)> = Vec::new();
    for (user, name) in users.map_or_else(Vec::new, |pairs| pairs.0) {
        // An empty name means no tester, even where a variant has the empty key.
        let name = name.filter(|name| !name.0.is_empty());
        testers.push((user.into(), name.and_then(|name| named(variants, &name.0))));
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
    earlier: &[Group],
) -> Result<Group, String> {
    let rollout = rollout(wire.rollout_percentage.0);
    let condition = condition(i, &wire)?;
    let over = wire.variant_override.and_then(|over| over.0.key);
    let choice = match over.and_then(|name| named(&variants.sorted, &name.0)) {
        Some(index) => Choice::Fixed(index),
        None => split(variants, wire.variant_splits.map_or_else(Vec::new, |pairs| pairs.0)),
    };
    let reason = reason(rollout, condition.as_ref(), &choice, earlier);
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

fn split(variants: &Variants, splits: Vec<(std::borrow::Cow<'_, str>, Number)>) -> Choice {
    let mut cumulative = 0.0;
    let mut sums = Vec::with_capacity(variants.sorted.len());
    for (variant, own) in variants.sorted.iter().zip(&variants.splits) {
        // The last of equal names counts, as in a JavaScript object.
        let stated = splits.iter().rev().find(|(name, _)| *name == *variant.key).map(|(_, n)| n.0);
        cumulative += stated.unwrap_or(*own);
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

fn reason(rollout: Rollout, condition: Option<&Condition>, choice: &Choice, earlier: &[Group]) -> Reason {
    if condition.is_some() {
        return Reason::TargetingMatch;
    }
    // Another bucket would leave this group, be taken by an earlier one, or give another variant. An earlier group
    // with a rule counts when its own percentage divides the users: whom its rule matches, chance sends here.
    let chance = rollout != Rollout::All
        || matches!(choice, Choice::Split(_))
        || earlier.iter().any(|group| match group.rollout {
            Rollout::None => false,
            Rollout::Below(_) => true,
            Rollout::All => group.condition.is_none(),
        });
    if chance {
        Reason::Split
    } else if earlier.iter().any(|group| group.condition.is_some()) {
        Reason::Default
    } else {
        Reason::Static
    }
}

/// What restricts a flag for Mixpanel's servers but not here.
fn unchecked(wire: &wire::Flag<'_>) -> Vec<String> {
    let mut fields = Vec::new();
    for (i, Object(rollout)) in wire.ruleset.0.rollout.iter().enumerate() {
        if rollout.cohort_hash.is_some() {
            fields.push(format!("ruleset.rollout[{i}].cohort_hash"));
        }
        if rollout.runtime_event_rule.is_some() {
            fields.push(format!("ruleset.rollout[{i}].runtime_event_rule"));
        }
    }
    for (i, Object(variant)) in wire.ruleset.0.variants.iter().enumerate() {
        if variant.is_sticky.is_some_and(|json| json.get() == "true") {
            fields.push(format!("ruleset.variants[{i}].is_sticky"));
        }
    }
    if fields.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "flag `{}`: {} cannot be checked locally and does not restrict; remote evaluation honours it",
        wire.key.0,
        fields.join(", ")
    )]
}
