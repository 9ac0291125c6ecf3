//! OpenFeature's context as the JSON that the core reads.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::{self, Write};

use open_feature::{EvaluationContext, EvaluationContextFieldValue as Field, StructValue, Value};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;

use crate::identity::push_json_string;
use crate::rules::number_text;

/// The core reads 127 levels; this ends the walk of a value before the stack does.
const DEPTH: usize = 128;

/// Why a context is no JSON, and where: the path grows on the way out.
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

    fn under(mut self, step: impl FnOnce() -> String) -> Self {
        self.path.push(step());
        self
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever nests a hundred levels deep finds the place from its beginning.
        const SHOWN: usize = 12;
        f.write_str("context: ")?;
        for (n, step) in self.path.iter().rev().take(SHOWN).enumerate() {
            f.write_str(if n == 0 || step.starts_with('[') { "" } else { "." })?;
            f.write_str(step)?;
        }
        write!(f, "{}: {}", if self.path.len() > SHOWN { "…" } else { "" }, self.why)
    }
}

/// The attributes, and the targeting key as `targetingKey`, which counts before an attribute of that name.
pub(super) fn json(context: &EvaluationContext) -> Result<String, Unfit> {
    const KEY: &str = "targetingKey";
    let mut text = String::with_capacity(64 + 48 * context.custom_fields.len());
    text.push('{');
    if let Some(targeting_key) = &context.targeting_key {
        begin(&mut text, KEY);
        push_json_string(&mut text, targeting_key);
    }
    let attributes = context.custom_fields.iter();
    let attributes = attributes.filter(|(key, _)| context.targeting_key.is_none() || *key != KEY);
    members(&mut text, attributes, |text, field| push_field(text, field, 1))?;
    text.push('}');
    Ok(text)
}

fn begin(text: &mut String, key: &str) {
    if !text.ends_with('{') {
        text.push(',');
    }
    push_json_string(text, key);
    text.push(':');
}

/// In order of keys, which a map does not have: of two that differ in case only the later one counts.
fn members<'a, V: 'a>(
    text: &mut String,
    members: impl Iterator<Item = (&'a String, &'a V)>,
    push: impl Fn(&mut String, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let mut sorted: Vec<(&String, &V)> = members.collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        begin(text, key);
        push(text, value).map_err(|unfit| unfit.under(|| key.clone()))?;
    }
    Ok(())
}

fn object<V>(
    text: &mut String,
    fields: &HashMap<String, V>,
    push: impl Fn(&mut String, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    text.push('{');
    members(text, fields.iter(), push)?;
    text.push('}');
    Ok(())
}

fn array<V>(
    text: &mut String,
    items: &[V],
    push: impl Fn(&mut String, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    text.push('[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        push(text, item).map_err(|unfit| unfit.under(|| format!("[{n}]")))?;
    }
    text.push(']');
    Ok(())
}

fn push_field(text: &mut String, field: &Field, depth: usize) -> Result<(), Unfit> {
    match field {
        Field::Bool(b) => push_bool(text, *b),
        Field::Int(i) => push_int(text, *i),
        Field::Float(f) => push_float(text, *f),
        Field::String(s) => {
            push_json_string(text, s);
            Ok(())
        }
        Field::DateTime(time) => {
            let time =
                time.format(&Rfc3339).map_err(|e| Unfit::new(format!("no RFC 3339 date-time: {e}")))?;
            push_json_string(text, &time);
            Ok(())
        }
        Field::Struct(any) => push_any(text, any.as_ref(), depth),
    }
}

fn push_value(text: &mut String, value: &Value, depth: usize) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    match value {
        Value::Bool(b) => push_bool(text, *b),
        Value::Int(i) => push_int(text, *i),
        Value::Float(f) => push_float(text, *f),
        Value::String(s) => {
            push_json_string(text, s);
            Ok(())
        }
        Value::Array(items) => array(text, items, |text, item| push_value(text, item, depth)),
        Value::Struct(fields) => object(text, &fields.fields, |text, value| push_value(text, value, depth)),
    }
}

/// The SDK says nothing about what a struct is: these are the types that make one.
fn push_any(text: &mut String, any: &(dyn Any + Send + Sync), depth: usize) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    let push_value = |text: &mut String, value: &Value| push_value(text, value, depth);
    let push_field = |text: &mut String, field: &Field| push_field(text, field, depth);
    if let Some(fields) = any.downcast_ref::<StructValue>() {
        object(text, &fields.fields, push_value)
    } else if let Some(value) = any.downcast_ref::<Value>() {
        push_value(text, value)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Value>>() {
        object(text, fields, push_value)
    } else if let Some(items) = any.downcast_ref::<Vec<Value>>() {
        array(text, items, push_value)
    } else if let Some(field) = any.downcast_ref::<Field>() {
        push_field(text, field)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Field>>() {
        object(text, fields, push_field)
    } else if let Some(items) = any.downcast_ref::<Vec<Field>>() {
        array(text, items, push_field)
    } else if let Some(value) = any.downcast_ref::<serde_json::Value>() {
        push_json(text, value)
    } else if let Some(fields) = any.downcast_ref::<serde_json::Map<String, serde_json::Value>>() {
        push_json(text, fields)
    } else if let Some(json) = any.downcast_ref::<Box<RawValue>>() {
        text.push_str(json.get());
        Ok(())
    } else {
        Err(Unfit::new("a struct of another type than StructValue, Value, serde_json::Value and their like"))
    }
}

fn deeper(depth: usize) -> Result<usize, Unfit> {
    if depth < DEPTH { Ok(depth + 1) } else { Err(Unfit::new("nested too deeply")) }
}

fn push_bool(text: &mut String, b: bool) -> Result<(), Unfit> {
    text.push_str(if b { "true" } else { "false" });
    Ok(())
}

fn push_int(text: &mut String, i: i64) -> Result<(), Unfit> {
    // Writing to a String cannot fail.
    let _ = write!(text, "{i}");
    Ok(())
}

/// A whole number is an integer in JSON, as ECMAScript prints it; what that does not print is the sign of zero.
fn push_float(text: &mut String, f: f64) -> Result<(), Unfit> {
    if !f.is_finite() {
        return Err(Unfit::new(format!("{f}, which JSON cannot hold")));
    }
    let printed = number_text(f);
    text.push_str(if f == 0.0 && f.is_sign_negative() { "-0.0" } else { printed.as_ref() });
    Ok(())
}

fn push_json(text: &mut String, value: &impl serde::Serialize) -> Result<(), Unfit> {
    text.push_str(&serde_json::to_string(value).map_err(|e| Unfit::new(e.to_string()))?);
    Ok(())
}
