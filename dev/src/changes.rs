//! What differs between two definitions documents, in the words of the log: `new-checkout: rollout 50 % → 0 %`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document;

/// A flag that differs between two documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The key of the flag.
    pub flag: String,
    /// What is different, such as `rollout 50 % → 0 %`.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag.escape_debug(), self.what)
    }
}

/// The flags that were added, removed or changed, in order of key. Numbers are compared by value: `1` equals `1.0`. Fails
/// if one of the documents is not definitions.
pub fn changes(old: &[u8], new: &[u8]) -> serde_json::Result<Vec<Change>> {
    let (old, new) = (by_key(old)?, by_key(new)?);
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let what = |key| match (old.get(key), new.get(key)) {
        (Some(old), Some(new)) => changed(old, new),
        (None, Some(_)) => Some("added".to_owned()),
        _ => Some("removed".to_owned()),
    };
    Ok(keys.into_iter().filter_map(|key| Some(Change { flag: key.clone(), what: what(key)? })).collect())
}

fn by_key(document: &[u8]) -> serde_json::Result<BTreeMap<String, &str>> {
    let flags = document::flags(document)?.into_iter().enumerate();
    let named =
        |(position, text)| (document::key(text).unwrap_or_else(|| format!("flags[{position}]")), text);
    Ok(flags.map(named).collect())
}

fn changed(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    // What is nested too deeply for this parser is compared as text.
    let (Ok(old), Ok(new)) = (serde_json::from_str(old), serde_json::from_str(new)) else {
        return Some("changed".to_owned());
    };
    if same(&old, &new) {
        return None;
    }
    let mut list = Vec::new();
    fields(&old, &new, &mut list);
    if list.is_empty() {
        list.push("changed".to_owned());
    }
    Some(list.join(", "))
}

/// Equality with numbers compared by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn differs(old: &Value, new: &Value, name: &str) -> bool {
    !same(old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null))
}

fn fields(old: &Value, new: &Value, list: &mut Vec<String>) {
    let status = |flag: &Value| flag.get("status").and_then(Value::as_str).unwrap_or("enabled").to_owned();
    if status(old) != status(new) {
        list.push(format!("{} → {}", status(old), status(new)));
    }
    let empty = Value::Null;
    let (rules, next) = (old.get("ruleset").unwrap_or(&empty), new.get("ruleset").unwrap_or(&empty));
    rollouts(array(rules, "rollout"), array(next, "rollout"), list);
    variants(array(rules, "variants"), array(next, "variants"), list);
    if differs(rules, next, "test") {
        list.push("testers changed".to_owned());
    }
    if differs(old, new, "hash_salt") {
        list.push("hash_salt changed, so users are bucketed anew".to_owned());
    }
    let no_fields = Map::new();
    let (before, after) = (old.as_object().unwrap_or(&no_fields), new.as_object().unwrap_or(&no_fields));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        if !matches!(name.as_str(), "status" | "ruleset" | "hash_salt") && differs(old, new, name) {
            list.push(step(name, before.get(name), after.get(name)));
        }
    }
}

fn array<'a>(ruleset: &'a Value, name: &str) -> &'a [Value] {
    ruleset.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn step(name: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    format!("{} {} → {}", name.escape_debug(), short(old), short(new))
}

/// A value in a few characters.
fn short(value: Option<&Value>) -> String {
    const MOST: usize = 40;
    let text = value.map_or_else(|| "none".to_owned(), Value::to_string);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `0.5` as `50 %`.
pub(crate) fn percent(fraction: f64) -> String {
    let rounded = (fraction * 1e8).round() / 1e6;
    format!("{rounded} %")
}

fn rollouts(old: &[Value], new: &[Value], list: &mut Vec<String>) {
    if old.len() != new.len() {
        list.push(format!("{} → {} rollouts", old.len(), new.len()));
        return;
    }
    let only = new.len() == 1;
    for (index, (old, new)) in old.iter().zip(new).enumerate() {
        let name = if only { "rollout".to_owned() } else { format!("rollout[{index}]") };
        let percentage = |rollout: &Value| rollout.get("rollout_percentage").and_then(Value::as_f64);
        match (percentage(old), percentage(new)) {
            (Some(before), Some(after)) if before != after => {
                list.push(format!("{name} {} → {}", percent(before), percent(after)));
            }
            _ if differs(old, new, "rollout_percentage") => {
                list.push(step(
                    &format!("{name}.rollout_percentage"),
                    old.get("rollout_percentage"),
                    new.get("rollout_percentage"),
                ));
            }
            _ => {}
        }
        for (field, what) in [
            ("runtime_evaluation_rule", "rule"),
            ("runtime_evaluation_definition", "rule"),
            ("variant_override", "variant_override"),
            ("variant_splits", "variant_splits"),
        ] {
            if differs(old, new, field) {
                list.push(format!("{what} of {name} changed"));
            }
        }
    }
}

fn variants(old: &[Value], new: &[Value], list: &mut Vec<String>) {
    let key = |variant: &Value| variant.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
    let index = |variants: &[Value]| -> BTreeMap<String, Value> {
        variants.iter().map(|variant| (key(variant), variant.clone())).collect()
    };
    let (old, new) = (index(old), index(new));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        list.push(format!("variant {} removed", name.escape_debug()));
    }
    for (name, after) in &new {
        let name = name.escape_debug();
        let Some(before) = old.get(&key(after)) else {
            list.push(format!("variant {name} added"));
            continue;
        };
        if differs(before, after, "split") {
            list.push(step(&format!("split of {name}"), before.get("split"), after.get("split")));
        }
        if differs(before, after, "value") {
            list.push(step(&format!("value of {name}"), before.get("value"), after.get("value")));
        }
    }
}
