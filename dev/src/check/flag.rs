//! A flag that can be read: its fields, percentages, splits and what they can lead to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::finding::Findings;
use super::rule;
use crate::names::meant;

const FLAG: [&str; 7] =
    ["key", "context", "ruleset", "status", "hash_salt", "experiment_id", "is_experiment_active"];
const RULESET: [&str; 3] = ["variants", "rollout", "test"];
const VARIANT: [&str; 3] = ["key", "value", "split"];
const ROLLOUT: [&str; 5] = [
    "rollout_percentage",
    "variant_override",
    "variant_splits",
    "runtime_evaluation_rule",
    "runtime_evaluation_definition",
];
const STATUS: [&str; 3] = ["enabled", "disabled", "archived"];

/// Buckets are hundredths, so shares that miss less than this change nothing.
const NEGLIGIBLE: f64 = 0.0101;

const ADD_UP: &str = "the splits add up to ";

pub(super) fn check(flag: &Value, usable: bool, findings: &mut Findings) {
    let Some(fields) = flag.as_object() else { return };
    misspelt("", fields, &FLAG, findings);
    if let Some(Value::String(status)) = fields.get("status")
        && !STATUS.contains(&status.as_str())
    {
        let meant = meant(status, STATUS).map_or_else(
            || "\"enabled\", \"disabled\" or \"archived\"".to_owned(),
            |meant| format!("\"{meant}\""),
        );
        findings.error(
            "status",
            format!("{status:?} is not a status, so the flag counts as enabled: write {meant}"),
        );
    }
    let Some(ruleset) = fields.get("ruleset").and_then(Value::as_object) else { return };
    misspelt("ruleset", ruleset, &RULESET, findings);
    let objects = |name| ruleset.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, variant) in objects("variants").iter().enumerate() {
        let Some(variant) = variant.as_object() else { continue };
        misspelt(&format!("ruleset.variants[{index}]"), variant, &VARIANT, findings);
    }
    for (index, rollout) in objects("rollout").iter().enumerate() {
        let Some(rollout) = rollout.as_object() else { continue };
        misspelt(&format!("ruleset.rollout[{index}]"), rollout, &ROLLOUT, findings);
    }
    // The rest takes the types for granted.
    if !usable {
        return;
    }
    let variants = Variants::new(objects("variants"));
    let rollouts: Vec<Rollout<'_>> =
        objects("rollout").iter().enumerate().map(|(index, json)| Rollout::new(index, json)).collect();
    variants.check(findings);
    for rollout in &rollouts {
        rollout.check(&variants, findings);
    }
    let testers = ruleset.get("test").and_then(|test| test.get("users")).and_then(Value::as_object);
    for (user, variant) in testers.into_iter().flatten() {
        if let Some(name) = variant.as_str() {
            variants.known(name, &format!("ruleset.test.users.{user}"), findings, |name| {
                format!("no variant is called {name:?}, so this tester is evaluated like everybody else")
            });
        }
    }
    let salted = fields.get("hash_salt").is_some_and(|salt| !salt.is_null());
    let reached = reached(&rollouts, salted, findings);
    let assigned = testers.into_iter().flatten().filter_map(|(_, name)| name.as_str());
    variants.unreachable(&rollouts, &reached, assigned, findings);
}

/// Fields that nothing reads and that look like one that is missing.
fn misspelt(path: &str, fields: &Map<String, Value>, known: &[&'static str], findings: &mut Findings) {
    let absent = || known.iter().copied().filter(|name| !fields.contains_key(*name));
    // Mixpanel writes these, and they resemble others.
    let ours = ["id", "name", "is_control", "is_sticky"];
    for name in fields.keys().filter(|name| !known.contains(&name.as_str()) && !ours.contains(&name.as_str()))
    {
        let near = meant(name, absent()).or_else(|| {
            let longer = |known: &&str| {
                name.len() > 6 && (known.starts_with(name.as_str()) || name.starts_with(known))
            };
            absent().find(longer)
        });
        if let Some(near) = near {
            let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            findings.error(place, format!("nothing reads this field: did you mean `{near}`?"));
        }
    }
}

struct Variant<'a> {
    index: usize,
    key: &'a str,
    split: f64,
    value: &'a Value,
}

/// The variants in the order in which the split takes them.
struct Variants<'a>(Vec<Variant<'a>>);

impl<'a> Variants<'a> {
    fn new(json: &'a [Value]) -> Self {
        let variant = |(index, json): (usize, &'a Value)| Variant {
            index,
            key: json.get("key").and_then(Value::as_str).unwrap_or_default(),
            split: json.get("split").and_then(Value::as_f64).unwrap_or_default(),
            value: json.get("value").unwrap_or(&Value::Null),
        };
        let mut variants: Vec<Variant<'_>> = json.iter().enumerate().map(variant).collect();
        variants.sort_by(|a, b| a.key.cmp(b.key));
        Self(variants)
    }

    fn place(variant: &Variant<'_>, field: &str) -> String {
        format!("ruleset.variants[{}].{field}", variant.index)
    }

    fn check(&self, findings: &mut Findings) {
        for (first, second) in self.0.iter().zip(self.0.iter().skip(1)) {
            if first.key == second.key {
                let why = format!("two variants are called {:?}: rename or remove one of them", second.key);
                findings.error(Self::place(second, "key"), why);
            }
        }
        let folded = |variant: &Variant<'_>| variant.key.to_lowercase();
        for (position, variant) in self.0.iter().enumerate() {
            let twin = self
                .0
                .iter()
                .take(position)
                .find(|other| other.key != variant.key && folded(other) == folded(variant));
            if let Some(twin) = twin {
                let why = format!(
                    "differs from {:?} only in case, and overrides and testers ignore case: rename one of them",
                    twin.key
                );
                findings.error(Self::place(variant, "key"), why);
            }
        }
        for variant in self.0.iter().filter(|variant| variant.split < 0.0) {
            let why = format!("{} is negative: write a fraction from 0 to 1", variant.split);
            findings.error(Self::place(variant, "split"), why);
        }
        let kinds: BTreeSet<&str> =
            self.0.iter().map(|variant| kind(variant.value)).filter(|kind| *kind != "null").collect();
        if kinds.len() > 1 {
            let kinds: Vec<&str> = kinds.into_iter().collect();
            let why = format!(
                "the values have different types ({}): a typed read returns its default for some of them",
                kinds.join(", ")
            );
            findings.warning("ruleset.variants", why);
        }
    }

    /// Reports a variant that does not exist. Case is ignored.
    fn known(
        &self,
        name: &str,
        path: &str,
        findings: &mut Findings,
        consequence: impl FnOnce(&str) -> String,
    ) {
        if self.0.iter().any(|variant| variant.key.to_lowercase() == name.to_lowercase()) {
            return;
        }
        let keys: Vec<&str> = self.0.iter().map(|variant| variant.key).collect();
        let advice = match meant(name, keys.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the variants are {}", keys.join(", ")),
        };
        findings.error(path, format!("{}: {advice}", consequence(name)));
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|variant| variant.key.to_lowercase() == name.to_lowercase())
    }

    /// The splits of a rollout, in order.
    fn splits(&self, rollout: &Rollout<'_>) -> Vec<f64> {
        let own = |variant: &Variant<'_>| {
            rollout.splits().and_then(|splits| splits.get(variant.key)).and_then(Value::as_f64)
        };
        self.0.iter().map(|variant| own(variant).unwrap_or(variant.split)).collect()
    }

    /// The variants that some bucket of a rollout selects.
    fn selected(&self, rollout: &Rollout<'_>) -> BTreeSet<usize> {
        if let Some(fixed) = rollout.fixed().and_then(|name| self.find(name)) {
            return BTreeSet::from([fixed]);
        }
        let splits = self.splits(rollout);
        let choose = |bucket: f64| {
            let mut sum = 0.0;
            let chosen = splits.iter().position(|split| {
                sum += split;
                bucket < sum
            });
            chosen.unwrap_or(splits.len().saturating_sub(1))
        };
        (0..100).map(|hundredth| choose(f64::from(hundredth) / 100.0)).collect()
    }

    fn unreachable<'t>(
        &self,
        rollouts: &[Rollout<'_>],
        reached: &[usize],
        testers: impl Iterator<Item = &'t str>,
        findings: &mut Findings,
    ) {
        let reached: Vec<&Rollout<'_>> =
            rollouts.iter().filter(|rollout| reached.contains(&rollout.index)).collect();
        if reached.is_empty() {
            return;
        }
        let mut got: BTreeSet<usize> = reached.iter().flat_map(|rollout| self.selected(rollout)).collect();
        got.extend(testers.filter_map(|name| self.find(name)));
        // Wrong splits have been reported, and that is why.
        let explained =
            findings.0.iter().any(|(_, _, message)| message.contains(ADD_UP) || message.contains("negative"));
        for (position, variant) in self.0.iter().enumerate() {
            let wanted = reached
                .iter()
                .any(|rollout| self.splits(rollout).get(position).is_some_and(|split| *split > 0.0));
            if !got.contains(&position) && wanted {
                let place = Self::place(variant, "split");
                if reached.iter().all(|rollout| rollout.fixed().is_some()) {
                    let why = "each rollout has a variant_override; if that is meant, its split can be 0";
                    findings.warning(place, format!("nobody gets {:?}: {why}", variant.key));
                } else if !explained {
                    findings.error(
                        place,
                        format!(
                            "nobody gets {:?}: buckets are hundredths, and its share covers none; make it 0, or at \
                             least 0.01",
                            variant.key
                        ),
                    );
                }
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "object",
    }
}

struct Rollout<'a> {
    index: usize,
    json: &'a Value,
    percentage: f64,
    /// Whether its rule can never be true; `None` without a rule.
    never: Option<bool>,
}

impl<'a> Rollout<'a> {
    fn new(index: usize, json: &'a Value) -> Self {
        let percentage = json.get("rollout_percentage").and_then(Value::as_f64).unwrap_or_default();
        let mut rollout = Self { index, json, percentage, never: None };
        rollout.never = match (rollout.rule(), rollout.legacy()) {
            (Some(rule), _) => Some(rule::is_never(rule)),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        };
        rollout
    }

    fn place(&self, field: &str) -> String {
        format!("ruleset.rollout[{}].{field}", self.index)
    }

    /// The rule, unless it counts as none.
    fn rule(&self) -> Option<&'a Value> {
        let rule = self.json.get("runtime_evaluation_rule")?;
        let none = match rule {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Bool(true) => false,
        };
        (!none).then_some(rule)
    }

    fn legacy(&self) -> Option<&'a Map<String, Value>> {
        let legacy = self.json.get("runtime_evaluation_definition")?.as_object()?;
        (!legacy.is_empty()).then_some(legacy)
    }

    fn splits(&self) -> Option<&'a Map<String, Value>> {
        self.json.get("variant_splits")?.as_object()
    }

    fn fixed(&self) -> Option<&'a str> {
        self.json.get("variant_override")?.get("key")?.as_str()
    }

    fn check(&self, variants: &Variants<'_>, findings: &mut Findings) {
        let percentage = self.percentage;
        if percentage > 1.0 {
            let means = format!("{percentage} means {} %", shown(percentage * 100.0));
            let advice = if percentage <= 100.0 { shown(percentage / 100.0) } else { "1".to_owned() };
            findings.error(
                self.place("rollout_percentage"),
                format!("{means}, so everybody is admitted: write {advice}"),
            );
        } else if percentage < 0.0 {
            findings.error(
                self.place("rollout_percentage"),
                format!("{percentage} is negative, so nobody is admitted: write a fraction from 0 to 1"),
            );
        } else if (percentage * 100.0 - (percentage * 100.0).round()).abs() > 1e-6 {
            let up = (percentage * 100.0).ceil();
            findings.warning(
                self.place("rollout_percentage"),
                format!("buckets are hundredths, so {percentage} admits {} % of users", shown(up)),
            );
        }
        if let Some(name) = self.fixed() {
            variants.known(name, &self.place("variant_override.key"), findings, |name| {
                format!("no variant is called {name:?}, so the split decides")
            });
        }
        for name in self.splits().into_iter().flatten().map(|(name, _)| name) {
            // Unlike an override, this is an exact key.
            if !variants.0.iter().any(|variant| variant.key == name) {
                let near = variants.0.iter().map(|variant| variant.key);
                let advice =
                    meant(name, near).map_or_else(String::new, |near| format!(": did you mean {near:?}?"));
                findings.error(
                    self.place(&format!("variant_splits.{name}")),
                    format!("no variant is called {name:?}, so this share is ignored{advice}"),
                );
            }
        }
        self.check_sum(variants, findings);
        if let Some(rule) = self.rule() {
            let place = self.place("runtime_evaluation_rule");
            rule::check(rule, &place, findings);
            if self.legacy().is_some() {
                findings.warning(
                    self.place("runtime_evaluation_definition"),
                    "ignored, because there is a runtime_evaluation_rule: remove one of them",
                );
            }
        }
    }

    fn check_sum(&self, variants: &Variants<'_>, findings: &mut Findings) {
        if self.fixed().and_then(|name| variants.find(name)).is_some() {
            return;
        }
        let sum: f64 = variants.splits(self).iter().sum();
        let Some(last) = variants.0.last() else { return };
        // A negative split has been reported, and a single variant needs none.
        if variants.0.iter().any(|variant| variant.split < 0.0) || (variants.0.len() == 1 && sum < 1.0) {
            return;
        }
        // The sum of the variants' own splits is reported once.
        let place = match self.splits() {
            Some(splits) if !splits.is_empty() => self.place("variant_splits"),
            _ => "ruleset.variants".to_owned(),
        };
        if findings.0.iter().any(|(_, path, message)| *path == place && message.contains(ADD_UP)) {
            return;
        }
        if sum < 1.0 - NEGLIGIBLE {
            let missing = shown(1.0 - sum);
            findings.error(
                place,
                format!(
                    "{ADD_UP}{}, and {:?}, the last in order, gets the missing {missing}: make them add up to 1",
                    shown(sum),
                    last.key
                ),
            );
        } else if sum > 1.0 + NEGLIGIBLE {
            let advice =
                if sum > 1.5 { "write fractions, such as 0.5 for 50 %" } else { "make them add up to 1" };
            findings.error(
                place,
                format!("{ADD_UP}{}, and the last ones get less than their share: {advice}", shown(sum)),
            );
        }
    }
}

/// A number without the noise of binary fractions.
fn shown(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    rounded.to_string()
}

/// The rollouts that somebody can get, by index. Reports those hidden by an earlier one.
fn reached(rollouts: &[Rollout<'_>], salted: bool, findings: &mut Findings) -> Vec<usize> {
    let mut reached = Vec::new();
    for (position, rollout) in rollouts.iter().enumerate() {
        let earlier = || rollouts.iter().take(position).filter(|earlier| earlier.never.is_none());
        if let Some(hiding) = earlier().find(|earlier| earlier.percentage >= 1.0) {
            findings.error(
                format!("ruleset.rollout[{}]", rollout.index),
                format!(
                    "never reached: ruleset.rollout[{}] admits everybody; move this one before it, or remove it",
                    hiding.index
                ),
            );
        } else if let Some(hiding) = earlier()
            .find(|earlier| !salted && rollout.percentage > 0.0 && earlier.percentage >= rollout.percentage)
        {
            findings.error(
                format!("ruleset.rollout[{}]", rollout.index),
                format!(
                    "never reached: without a hash_salt, all rollouts use the same bucket, and ruleset.rollout[{}] admits \
                     all of these users; move this one before it, or remove it",
                    hiding.index
                ),
            );
        } else if rollout.percentage > 0.0 && rollout.never != Some(true) {
            reached.push(rollout.index);
        }
    }
    reached
}
