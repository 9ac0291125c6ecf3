//! Rules that can be read but never match, always match, or look at the wrong thing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::core;
use super::finding::Findings;
use crate::names::meant;

const SYMBOLS: [&str; 6] = ["===", "!==", "<", "<=", ">", ">="];

/// Whether the rule is false for everybody, as far as that can be known.
pub(super) fn is_never(rule: &Value) -> bool {
    let mut findings = Findings::default();
    truth(rule, "", &mut findings) == Some(false)
}

/// Reports what is wrong with a rule.
pub(super) fn check(rule: &Value, place: &str, findings: &mut Findings) {
    let before = findings.0.len();
    let truth = truth(rule, place, findings);
    let explained = findings.0.len() > before;
    match truth {
        // A part of it that is never true has been reported.
        Some(false) if !explained => {
            findings.error(place, "never true, so this rollout never matches: remove it, or mend the rule");
        }
        Some(true) if !explained => {
            findings
                .error(place, "always true: remove the rule, or read a property with {\"var\": \"plan\"}");
        }
        _ => {}
    }
    variables(rule, place, findings);
}

/// Whether a rule has the same truth for everybody. Reports the parts that cause it.
fn truth(rule: &Value, place: &str, findings: &mut Findings) -> Option<bool> {
    if let Value::Object(fields) = rule
        && fields.len() > 1
    {
        let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
        findings.error(
            place,
            format!(
                "an object with several operators ({}) is a value, which is always true: write {{\"and\": [ … ]}} around them",
                names.join(", ")
            ),
        );
        return Some(true);
    }
    if !reads(rule) {
        return constant(rule, place, findings);
    }
    let (operator, operands) = operation(rule)?;
    match operator {
        "and" => conjunction(&operands, place, findings),
        "or" => {
            let parts = parts(&operands, operator, place, findings);
            if parts.contains(&Some(true)) {
                return Some(true);
            }
            parts.iter().all(|part| *part == Some(false)).then_some(false)
        }
        "!" => truth(operands.first()?, &format!("{place}.!"), findings).map(|part| !part),
        "semver_compare" | "datetime_compare" => comparison(operator, &operands, place, findings),
        "in" => membership(&operands, place, findings),
        "===" => identity(&operands, place, findings),
        _ => None,
    }
}

/// A rule that reads nothing of the user.
fn constant(rule: &Value, place: &str, findings: &mut Findings) -> Option<bool> {
    let (operator, operands) = operation(rule)?;
    let truth = core::holds(rule, &json!({}))?;
    if findings.0.iter().any(|(_, path, message)| {
        message.starts_with(core::UNKNOWN_OPERATOR) && place.starts_with(path.as_str())
    }) {
        return Some(truth);
    }
    let word = if truth { "always true" } else { "never true" };
    let name = operands.iter().find_map(Value::as_str).filter(|_| operands.len() > 1).unwrap_or("plan");
    findings.error(
        format!("{place}.{operator}"),
        format!("{word}, because it reads no property: write {{\"var\": {:?}}} for the property", name),
    );
    Some(truth)
}

/// The operator and its operands.
fn operation(rule: &Value) -> Option<(&str, Vec<Value>)> {
    let fields = rule.as_object()?;
    let (name, operands) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let operands = match operands {
        Value::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    Some((name, operands))
}

/// Whether it looks at the user's properties.
fn reads(rule: &Value) -> bool {
    match rule {
        Value::Array(items) => items.iter().any(reads),
        Value::Object(fields) => {
            let reading = |name: &String| matches!(name.as_str(), "var" | "missing" | "missing_some");
            fields.iter().any(|(name, operands)| (fields.len() == 1 && reading(name)) || reads(operands))
        }
        _ => false,
    }
}

fn parts(operands: &[Value], operator: &str, place: &str, findings: &mut Findings) -> Vec<Option<bool>> {
    let part =
        |(index, operand): (usize, &Value)| truth(operand, &format!("{place}.{operator}[{index}]"), findings);
    operands.iter().enumerate().map(part).collect()
}

fn conjunction(operands: &[Value], place: &str, findings: &mut Findings) -> Option<bool> {
    let parts = parts(operands, "and", place, findings);
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    let mut demands = BTreeMap::new();
    collect(operands, &mut demands);
    for (name, demand) in &demands {
        if let Some(why) = demand.contradiction() {
            findings.error(
                format!("{place}.and"),
                format!("never true: {name} cannot be {why}; write `or` where one of several is enough"),
            );
            return Some(false);
        }
    }
    parts.iter().all(|part| *part == Some(true)).then_some(true)
}

/// What a conjunction demands of one property.
#[derive(Default)]
struct Demand {
    /// One list for each `==` and `in`: the property is one of its values.
    any: Vec<Vec<Value>>,
    /// The largest lower bound and the smallest upper bound, and whether they are excluded.
    above: Option<(f64, bool)>,
    below: Option<(f64, bool)>,
}

impl Demand {
    fn contradiction(&self) -> Option<String> {
        if let (Some((low, low_open)), Some((high, high_open))) = (self.above, self.below)
            && (low > high || (low == high && (low_open || high_open)))
        {
            return Some(format!("above {low} and below {high} at once"));
        }
        let first = self.any.first()?;
        let clash = self.any.iter().skip(1).find(|other| !first.iter().any(|value| other.contains(value)))?;
        let list = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
        Some(format!("{} and {} at once", list(first), list(clash)))
    }

    fn lower(&mut self, bound: f64, open: bool) {
        if self.above.is_none_or(|(held, _)| bound > held) {
            self.above = Some((bound, open));
        }
    }

    fn upper(&mut self, bound: f64, open: bool) {
        if self.below.is_none_or(|(held, _)| bound < held) {
            self.below = Some((bound, open));
        }
    }
}

/// Strings are compared in lower case. Values of different types can be equal in JavaScript, so a demand is only noted
/// if it is of strings.
fn text(value: &Value) -> Option<Value> {
    value.as_str().filter(|text| text.parse::<f64>().is_err()).map(|text| Value::from(text.to_lowercase()))
}

fn variable(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    match fields.get("var")? {
        Value::String(name) => Some(name),
        Value::Array(items) => items.first().filter(|_| items.len() == 1)?.as_str(),
        _ => None,
    }
}

fn collect(operands: &[Value], demands: &mut BTreeMap<String, Demand>) {
    for operand in operands {
        let Some((operator, inner)) = operation(operand) else { continue };
        if operator == "and" {
            collect(&inner, demands);
            continue;
        }
        let [left, right] = inner.as_slice() else { continue };
        let (name, literal, flipped) = match (variable(left), variable(right)) {
            (Some(name), None) => (name, right, false),
            (None, Some(name)) => (name, left, true),
            _ => continue,
        };
        let demand = demands.entry(name.to_lowercase()).or_default();
        match (operator, literal) {
            ("==" | "===", Value::String(_)) => demand.any.extend(text(literal).map(|value| vec![value])),
            ("in", Value::Array(items)) if !flipped => {
                let values: Option<Vec<Value>> = items.iter().map(text).collect();
                demand.any.extend(values);
            }
            (">" | ">=" | "<" | "<=", Value::Number(number)) => {
                let Some(bound) = number.as_f64() else { continue };
                let open = operator.len() == 1;
                if operator.starts_with('>') == flipped {
                    demand.upper(bound, open);
                } else {
                    demand.lower(bound, open);
                }
            }
            _ => {}
        }
    }
}

fn comparison(operator: &str, operands: &[Value], place: &str, findings: &mut Findings) -> Option<bool> {
    let place = format!("{place}.{operator}");
    let [_, symbol, target] = operands else {
        findings.error(
            place,
            format!(
                "never true: it takes three operands, such as [{{\"var\": \"version\"}}, \">=\", …], not {}",
                operands.len()
            ),
        );
        return Some(false);
    };
    if let Some(text) = symbol.as_str()
        && !SYMBOLS.contains(&text)
    {
        let advice = match text {
            "==" | "=" => "write \"===\"".to_owned(),
            "!=" | "<>" => "write \"!==\"".to_owned(),
            "=>" => "write \">=\"".to_owned(),
            "=<" => "write \"<=\"".to_owned(),
            _ => format!("write one of {}", SYMBOLS.join(" ")),
        };
        findings
            .error(format!("{place}[1]"), format!("never true, because it does not know {text:?}: {advice}"));
        return Some(false);
    }
    if reads(target) || target.is_object() {
        return None;
    }
    let valid = match operator {
        "semver_compare" => core::holds(&json!({ operator: [target, "===", target] }), &json!({})),
        _ => {
            let one = |symbol| {
                core::holds(&json!({ operator: ["1970-01-01T00:00:00Z", symbol, target] }), &json!({}))
            };
            Some(one("<=")? || one(">")?)
        }
    };
    if valid == Some(false) {
        let advice = match operator {
            "semver_compare" => "write a version such as \"2.3.0\"",
            _ => "write the time in milliseconds since 1970, as a number",
        };
        let what = if operator == "semver_compare" { "a version" } else { "a time" };
        findings
            .error(format!("{place}[2]"), format!("never true, because {target} is not {what}: {advice}"));
        return Some(false);
    }
    None
}

fn membership(operands: &[Value], place: &str, findings: &mut Findings) -> Option<bool> {
    match operands {
        [_, Value::Array(items)] if items.is_empty() => {
            findings.error(
                format!("{place}.in[1]"),
                "never true, because the list is empty: add values, or remove the rollout",
            );
            Some(false)
        }
        [list @ Value::Array(_), property] if variable(property).is_some() => {
            findings.error(
                format!("{place}.in"),
                format!("never true: the property comes first and the list second: write {{\"in\": [{property}, {list}]}}"),
            );
            Some(false)
        }
        _ => None,
    }
}

/// Lists and objects are equal to themselves only.
fn identity(operands: &[Value], place: &str, findings: &mut Findings) -> Option<bool> {
    let [left, right] = operands else { return None };
    let composite = |value: &Value| matches!(value, Value::Array(_));
    if (composite(left) && variable(right).is_some()) || (composite(right) && variable(left).is_some()) {
        findings.error(
            format!("{place}.==="),
            "never true, because lists are compared by identity: use `in`, or compare the elements",
        );
        return Some(false);
    }
    None
}

/// Properties that rules cannot see.
fn variables(rule: &Value, place: &str, findings: &mut Findings) {
    match rule {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                variables(item, &format!("{place}[{index}]"), findings);
            }
        }
        Value::Object(fields) => {
            if let Some(name) = variable(rule) {
                let folded = name.to_lowercase();
                let place = format!("{place}.var");
                if let Some(inner) = folded.strip_prefix("custom_properties.") {
                    findings.error(
                        place,
                        format!("rules see the custom_properties themselves, so this is always missing: write {{\"var\": {inner:?}}}"),
                    );
                } else if meant(&folded, ["custom_properties"]).is_some() || folded == "custom_properties" {
                    findings.error(place, "rules see the custom_properties themselves: name one of them");
                } else if matches!(folded.as_str(), "distinct_id" | "device_id" | "user_id") {
                    findings.warning(
                        place,
                        format!("rules see custom_properties only: {name} must be one of them, too"),
                    );
                }
                return;
            }
            for (name, operands) in fields {
                variables(operands, &format!("{place}.{name}"), findings);
            }
        }
        _ => {}
    }
}
