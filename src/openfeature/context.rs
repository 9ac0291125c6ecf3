//! An OpenFeature context as JSON, for the core.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;

use open_feature::{EvaluationContext, EvaluationContextFieldValue as Field, StructValue, Value};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;

use crate::engine::identity::TARGETING_KEY;
use crate::engine::rules::number_text;
use crate::json::Writer;

/// Bounds the recursion. The core accepts 127 levels.
const DEPTH: usize = 128;

/// Written in place of a value that JSON cannot express. The core reports it if a flag reads the attribute.
const UNUSABLE: &str = "1e999";

/// A value that JSON cannot express. Its path grows while the recursion returns.
#[derive(Debug)]
pub(super) struct Unfit {
    /// Innermost first.
    path: Vec<String>,
    why: String,
}

impl Unfit {
    fn new(why: impl Into<String>) -> Self {
        Unfit { path: Vec::new(), why: why.into() }
    }

    /// The path, for a message.
    fn place(&self) -> String {
        // The beginning is enough to find a value that is nested very deeply.
        const SHOWN: usize = 12;
        let mut place = String::new();
        for (n, step) in self.path.iter().rev().take(SHOWN).enumerate() {
            place.push_str(if n == 0 || step.starts_with('[') { "" } else { "." });
            place.push_str(step);
        }
        if self.path.len() > SHOWN {
            place.push('…');
        }
        place
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context: {}: {}", self.place(), self.why)
    }
}

/// Finds the value that the core's message is about: the core knows the place, and this the original value.
pub(super) fn spoiling<'u>(unfit: &'u [Unfit], message: &str) -> Option<&'u Unfit> {
    let place = message.strip_prefix("context: ")?;
    let begins =
        |begin: &str| place.strip_prefix(begin).is_some_and(|rest| rest.starts_with(['.', '[', ':']));
    let exactly = unfit.iter().find(|unfit| place.starts_with(&format!("{}: ", unfit.place())));
    // The core names a value that is nested too deeply by its attribute.
    exactly.or_else(|| unfit.iter().find(|unfit| unfit.path.last().is_some_and(|key| begins(key))))
}

/// The context as JSON, and the values that JSON cannot express. The targeting key becomes `targetingKey`, and replaces an
/// attribute of that name.
pub(super) fn json(context: &EvaluationContext) -> (String, Vec<Unfit>) {
    let mut text = String::with_capacity(64 + 48 * context.custom_fields.len());
    let mut unfit = Vec::new();
    Writer::new(&mut text).object(|json| {
        if let Some(targeting_key) = &context.targeting_key {
            json.key(TARGETING_KEY).string(targeting_key);
        }
        let attributes = context.custom_fields.iter();
        let attributes =
            attributes.filter(|(key, _)| context.targeting_key.is_none() || *key != TARGETING_KEY);
        members(json, &mut unfit, attributes, |json, unfit, field| push_field(json, unfit, field, 1));
    });
    (text, unfit)
}

/// Writes a part of an object or array, whose place in it is `step`.
fn part(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    push: impl FnOnce(&mut Writer<'_>, &mut Vec<Unfit>) -> Result<(), Unfit>,
    step: impl Fn() -> String,
) {
    let before = unfit.len();
    if let Err(error) = push(json, unfit) {
        json.raw(UNUSABLE);
        unfit.push(error);
    }
    for unfit in unfit.iter_mut().skip(before) {
        unfit.path.push(step());
    }
}

/// Sorted, because maps have no order, and of two keys that differ only in case the later one counts.
fn members<'a, V: 'a>(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    members: impl Iterator<Item = (&'a String, &'a V)>,
    push: impl Fn(&mut Writer<'_>, &mut Vec<Unfit>, &V) -> Result<(), Unfit>,
) {
    let mut sorted: Vec<(&String, &V)> = members.collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        part(json.key(key), unfit, |json, unfit| push(json, unfit, value), || key.clone());
    }
}

fn object<V>(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    fields: &HashMap<String, V>,
    push: impl Fn(&mut Writer<'_>, &mut Vec<Unfit>, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    json.object(|json| members(json, unfit, fields.iter(), push));
    Ok(())
}

fn array<V>(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    items: &[V],
    push: impl Fn(&mut Writer<'_>, &mut Vec<Unfit>, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    json.array(|json| {
        for (n, item) in items.iter().enumerate() {
            part(json, unfit, |json, unfit| push(json, unfit, item), || format!("[{n}]"));
        }
    });
    Ok(())
}

fn push_field(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    field: &Field,
    depth: usize,
) -> Result<(), Unfit> {
    match field {
        Field::Bool(b) => json.display(b),
        Field::Int(i) => json.display(i),
        Field::Float(f) => push_float(json, *f)?,
        Field::String(s) => json.string(s),
        Field::DateTime(time) => {
            let time = time.format(&Rfc3339);
            json.string(
                &time.map_err(|e| Unfit::new(format!("RFC 3339 cannot express the date-time: {e}")))?,
            );
        }
        Field::Struct(any) => push_any(json, unfit, any.as_ref(), depth)?,
    }
    Ok(())
}

fn push_value(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    value: &Value,
    depth: usize,
) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    let push =
        |json: &mut Writer<'_>, unfit: &mut Vec<Unfit>, value: &Value| push_value(json, unfit, value, depth);
    match value {
        Value::Bool(b) => json.display(b),
        Value::Int(i) => json.display(i),
        Value::Float(f) => push_float(json, *f)?,
        Value::String(s) => json.string(s),
        Value::Array(items) => array(json, unfit, items, push)?,
        Value::Struct(fields) => object(json, unfit, &fields.fields, push)?,
    }
    Ok(())
}

/// The SDK does not say what the type of a struct is. These are the types that make sense.
fn push_any(
    json: &mut Writer<'_>,
    unfit: &mut Vec<Unfit>,
    any: &(dyn Any + Send + Sync),
    depth: usize,
) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    let push_value =
        |json: &mut Writer<'_>, unfit: &mut Vec<Unfit>, value: &Value| push_value(json, unfit, value, depth);
    let push_field =
        |json: &mut Writer<'_>, unfit: &mut Vec<Unfit>, field: &Field| push_field(json, unfit, field, depth);
    if let Some(fields) = any.downcast_ref::<StructValue>() {
        object(json, unfit, &fields.fields, push_value)
    } else if let Some(value) = any.downcast_ref::<Value>() {
        push_value(json, unfit, value)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Value>>() {
        object(json, unfit, fields, push_value)
    } else if let Some(items) = any.downcast_ref::<Vec<Value>>() {
        array(json, unfit, items, push_value)
    } else if let Some(field) = any.downcast_ref::<Field>() {
        push_field(json, unfit, field)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Field>>() {
        object(json, unfit, fields, push_field)
    } else if let Some(items) = any.downcast_ref::<Vec<Field>>() {
        array(json, unfit, items, push_field)
    } else if let Some(value) = any.downcast_ref::<serde_json::Value>() {
        push_json(json, value)
    } else if let Some(fields) = any.downcast_ref::<serde_json::Map<String, serde_json::Value>>() {
        push_json(json, fields)
    } else if let Some(raw) = any.downcast_ref::<Box<RawValue>>() {
        json.raw(raw.get());
        Ok(())
    } else {
        Err(Unfit::new("cannot read a struct of this type; use StructValue, Value or serde_json::Value"))
    }
}

fn deeper(depth: usize) -> Result<usize, Unfit> {
    if depth < DEPTH { Ok(depth + 1) } else { Err(Unfit::new("nested too deeply")) }
}

/// Whole numbers become integers, printed as ECMAScript prints them, except for the sign of zero.
fn push_float(json: &mut Writer<'_>, f: f64) -> Result<(), Unfit> {
    if !f.is_finite() {
        return Err(Unfit::new(format!("{f}, which JSON cannot hold")));
    }
    let printed = number_text(f);
    json.raw(if f == 0.0 && f.is_sign_negative() { "-0.0" } else { printed.as_ref() });
    Ok(())
}

fn push_json(json: &mut Writer<'_>, value: &impl serde::Serialize) -> Result<(), Unfit> {
    json.raw(&serde_json::to_string(value).map_err(|e| Unfit::new(e.to_string()))?);
    Ok(())
}
