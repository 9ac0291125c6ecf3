//! OpenFeature's context as the JSON that the core reads.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::{self, Write};

use open_feature::{EvaluationContext, EvaluationContextFieldValue as Field, StructValue, Value};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;

use crate::engine::rules::number_text;
use crate::json::push_json_string;

/// The core reads 127 levels; this ends the walk of a value before the stack does.
const DEPTH: usize = 128;

/// In the place of what has no JSON. The core cannot use it, and says so where a flag reads it.
const UNUSABLE: &str = "1e999";

/// A value that has no JSON, and where it is: the path grows on the way out.
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

    /// Its place, for people.
    fn place(&self) -> String {
        // Whoever nests a hundred levels deep finds the place from its beginning.
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

/// Of what has no JSON, that which the core says a flag reads: it knows the place, this knows what stood there.
pub(super) fn spoiling<'u>(unfit: &'u [Unfit], said: &str) -> Option<&'u Unfit> {
    let place = said.strip_prefix("context: ")?;
    let begins =
        |begin: &str| place.strip_prefix(begin).is_some_and(|rest| rest.starts_with(['.', '[', ':']));
    let exactly = unfit.iter().find(|unfit| place.starts_with(&format!("{}: ", unfit.place())));
    // What is nested too deeply the core names by its attribute.
    exactly.or_else(|| unfit.iter().find(|unfit| unfit.path.last().is_some_and(|key| begins(key))))
}

/// JSON on its way.
#[derive(Default)]
struct Writer {
    text: String,
    unfit: Vec<Unfit>,
}

impl Writer {
    /// Writes one part of an object or array; the part's place is `step`.
    fn part<V>(
        &mut self,
        value: &V,
        push: impl Fn(&mut Writer, &V) -> Result<(), Unfit>,
        step: impl Fn() -> String,
    ) {
        let before = self.unfit.len();
        if let Err(unfit) = push(self, value) {
            self.text.push_str(UNUSABLE);
            self.unfit.push(unfit);
        }
        for unfit in self.unfit.iter_mut().skip(before) {
            unfit.path.push(step());
        }
    }
}

/// The attributes, and the targeting key as `targetingKey`, which counts before an attribute of that name.
pub(super) fn json(context: &EvaluationContext) -> (String, Vec<Unfit>) {
    const KEY: &str = "targetingKey";
    let text = String::with_capacity(64 + 48 * context.custom_fields.len());
    let mut out = Writer { text, ..Writer::default() };
    out.text.push('{');
    if let Some(targeting_key) = &context.targeting_key {
        begin(&mut out.text, KEY);
        push_json_string(&mut out.text, targeting_key);
    }
    let attributes = context.custom_fields.iter();
    let attributes = attributes.filter(|(key, _)| context.targeting_key.is_none() || *key != KEY);
    members(&mut out, attributes, |out, field| push_field(out, field, 1));
    out.text.push('}');
    (out.text, out.unfit)
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
    out: &mut Writer,
    members: impl Iterator<Item = (&'a String, &'a V)>,
    push: impl Fn(&mut Writer, &V) -> Result<(), Unfit>,
) {
    let mut sorted: Vec<(&String, &V)> = members.collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        begin(&mut out.text, key);
        out.part(value, &push, || key.clone());
    }
}

fn object<V>(
    out: &mut Writer,
    fields: &HashMap<String, V>,
    push: impl Fn(&mut Writer, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    out.text.push('{');
    members(out, fields.iter(), push);
    out.text.push('}');
    Ok(())
}

fn array<V>(
    out: &mut Writer,
    items: &[V],
    push: impl Fn(&mut Writer, &V) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    out.text.push('[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.text.push(',');
        }
        out.part(item, &push, || format!("[{n}]"));
    }
    out.text.push(']');
    Ok(())
}

fn push_field(out: &mut Writer, field: &Field, depth: usize) -> Result<(), Unfit> {
    match field {
        Field::Bool(b) => push_bool(out, *b),
        Field::Int(i) => push_int(out, *i),
        Field::Float(f) => push_float(out, *f),
        Field::String(s) => {
            push_json_string(&mut out.text, s);
            Ok(())
        }
        Field::DateTime(time) => {
            let time =
                time.format(&Rfc3339).map_err(|e| Unfit::new(format!("no RFC 3339 date-time: {e}")))?;
            push_json_string(&mut out.text, &time);
            Ok(())
        }
        Field::Struct(any) => push_any(out, any.as_ref(), depth),
    }
}

fn push_value(out: &mut Writer, value: &Value, depth: usize) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    match value {
        Value::Bool(b) => push_bool(out, *b),
        Value::Int(i) => push_int(out, *i),
        Value::Float(f) => push_float(out, *f),
        Value::String(s) => {
            push_json_string(&mut out.text, s);
            Ok(())
        }
        Value::Array(items) => array(out, items, |out, item| push_value(out, item, depth)),
        Value::Struct(fields) => object(out, &fields.fields, |out, value| push_value(out, value, depth)),
    }
}

/// The SDK says nothing about what a struct is: these are the types that make one.
fn push_any(out: &mut Writer, any: &(dyn Any + Send + Sync), depth: usize) -> Result<(), Unfit> {
    let depth = deeper(depth)?;
    let push_value = |out: &mut Writer, value: &Value| push_value(out, value, depth);
    let push_field = |out: &mut Writer, field: &Field| push_field(out, field, depth);
    if let Some(fields) = any.downcast_ref::<StructValue>() {
        object(out, &fields.fields, push_value)
    } else if let Some(value) = any.downcast_ref::<Value>() {
        push_value(out, value)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Value>>() {
        object(out, fields, push_value)
    } else if let Some(items) = any.downcast_ref::<Vec<Value>>() {
        array(out, items, push_value)
    } else if let Some(field) = any.downcast_ref::<Field>() {
        push_field(out, field)
    } else if let Some(fields) = any.downcast_ref::<HashMap<String, Field>>() {
        object(out, fields, push_field)
    } else if let Some(items) = any.downcast_ref::<Vec<Field>>() {
        array(out, items, push_field)
    } else if let Some(value) = any.downcast_ref::<serde_json::Value>() {
        push_json(out, value)
    } else if let Some(fields) = any.downcast_ref::<serde_json::Map<String, serde_json::Value>>() {
        push_json(out, fields)
    } else if let Some(json) = any.downcast_ref::<Box<RawValue>>() {
        out.text.push_str(json.get());
        Ok(())
    } else {
        Err(Unfit::new("a struct of another type than StructValue, Value, serde_json::Value and their like"))
    }
}

fn deeper(depth: usize) -> Result<usize, Unfit> {
    if depth < DEPTH { Ok(depth + 1) } else { Err(Unfit::new("nested too deeply")) }
}

fn push_bool(out: &mut Writer, b: bool) -> Result<(), Unfit> {
    out.text.push_str(if b { "true" } else { "false" });
    Ok(())
}

fn push_int(out: &mut Writer, i: i64) -> Result<(), Unfit> {
    // Writing to a String cannot fail.
    let _ = write!(out.text, "{i}");
    Ok(())
}

/// A whole number is an integer in JSON, as ECMAScript prints it; what that does not print is the sign of zero.
fn push_float(out: &mut Writer, f: f64) -> Result<(), Unfit> {
    if !f.is_finite() {
        return Err(Unfit::new(format!("{f}, which JSON cannot hold")));
    }
    let printed = number_text(f);
    out.text.push_str(if f == 0.0 && f.is_sign_negative() { "-0.0" } else { printed.as_ref() });
    Ok(())
}

fn push_json(out: &mut Writer, value: &impl serde::Serialize) -> Result<(), Unfit> {
    out.text.push_str(&serde_json::to_string(value).map_err(|e| Unfit::new(e.to_string()))?);
    Ok(())
}
