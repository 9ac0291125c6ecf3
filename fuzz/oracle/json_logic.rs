//! JSON Logic as json-logic-js 2.0.5 runs it, with the case folding and the deviations of docs/evaluation.md.
//! It interprets a rule step by step, slowly and without a limit, and shares no code with the library.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::datetimes;
use super::versions;

/// A value of JavaScript. Arrays and objects have an identity.
#[derive(Clone, Debug)]
pub(crate) enum Js {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<[u16]>),
    Array(Rc<Vec<Js>>),
    Object(Rc<BTreeMap<String, Js>>),
}

/// Why there is no result.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// An unknown operator, or a `TypeError`.
    Error,
    /// It takes too long, or has a version with larger numbers than the crate `semver` can hold.
    Exhausted,
}

type Done<T> = Result<T, Stop>;

fn text(text: &str) -> Js {
    Js::Text(text.encode_utf16().collect())
}

/// JSON in the order of the text. serde_json's own tree has forgotten which of two keys that differ in case was the
/// later one.
#[derive(Clone, Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
                Ok(Json::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
                Ok(Json::Number(v as f64))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
                Ok(Json::Number(v as f64))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
                Ok(Json::Number(v))
            }
            fn visit_str<E>(self, v: &str) -> Result<Json, E> {
                Ok(Json::String(v.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl Json {
    /// However deep it is.
    fn read(json: &str) -> Option<Json> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        deserializer.disable_recursion_limit();
        let json = Json::deserialize(&mut deserializer).ok()?;
        deserializer.end().is_ok().then_some(json)
    }

    /// Strings in lower case; keys only in data.
    fn folded(self, is_data: bool) -> Js {
        match self {
            Json::Null => Js::Null,
            Json::Bool(b) => Js::Bool(b),
            Json::Number(n) => Js::Number(n),
            Json::String(s) => text(&s.to_lowercase()),
            Json::Array(items) => {
                Js::Array(Rc::new(items.into_iter().map(|item| item.folded(is_data)).collect()))
            }
            Json::Object(members) => {
                let fold = |key: String| if is_data { key.to_lowercase() } else { key };
                Js::Object(Rc::new(
                    members.into_iter().map(|(key, json)| (fold(key), json.folded(is_data))).collect(),
                ))
            }
        }
    }
}

/// Applies a rule. `None` if one of the two is not JSON.
pub(crate) fn apply(rule: &str, data: &str) -> Option<Done<Js>> {
    let (rule, data) = (Json::read(rule)?.folded(false), Json::read(data)?.folded(true));
    Some(Machine { fuel: Cell::new(300_000) }.apply(&rule, &data))
}

struct Machine {
    fuel: Cell<usize>,
}

impl Machine {
    fn spend(&self, cost: usize) -> Done<()> {
        self.fuel.set(self.fuel.get().checked_sub(cost).ok_or(Stop::Exhausted)?);
        Ok(())
    }

    fn apply(&self, logic: &Js, data: &Js) -> Done<Js> {
        self.spend(1)?;
        let (op, values) = match logic {
            Js::Array(items) => return Ok(Js::Array(Rc::new(self.apply_all(items, data)?))),
            Js::Object(members) if members.len() == 1 => members.iter().next().unwrap(),
            literal => return Ok(literal.clone()),
        };
        let values: &[Js] = match values {
            Js::Array(values) => values,
            single => std::slice::from_ref(single),
        };
        let nth = |n: usize| values.get(n).unwrap_or(&Js::Undefined);
        match &**op {
            "if" | "?:" => {
                let mut i = 0;
                while i + 1 < values.len() {
                    if self.apply(nth(i), data)?.truthy() {
                        return self.apply(nth(i + 1), data);
                    }
                    i += 2;
                }
                return if values.len() == i + 1 { self.apply(nth(i), data) } else { Ok(Js::Null) };
            }
            "and" | "or" => {
                let mut current = Js::Undefined;
                for value in values {
                    current = self.apply(value, data)?;
                    if current.truthy() == (op == "or") {
                        break;
                    }
                }
                return Ok(current);
            }
            "filter" | "map" | "reduce" | "all" | "some" | "none" => {
                let scoped = self.apply(nth(0), data)?;
                return self.each(op, &scoped, nth(1), values.get(2), data);
            }
            _ => {}
        }
        let operands = self.apply_all(values, data)?;
        self.operate(op, &operands, data)
    }

    fn apply_all(&self, logic: &[Js], data: &Js) -> Done<Vec<Js>> {
        logic.iter().map(|logic| self.apply(logic, data)).collect()
    }

    fn each(&self, op: &str, scoped: &Js, logic: &Js, initial: Option<&Js>, data: &Js) -> Done<Js> {
        let items: &[Js] = match scoped {
            Js::Array(items) => items,
            _ => &[],
        };
        let is_true = |item: &Js| -> Done<bool> { Ok(self.apply(logic, item)?.truthy()) };
        match op {
            "filter" | "map" => {
                let mut made = Vec::new();
                for item in items {
                    if op == "map" {
                        made.push(self.apply(logic, item)?);
                    } else if is_true(item)? {
                        made.push(item.clone());
                    }
                }
                Ok(Js::Array(Rc::new(made)))
            }
            "reduce" => {
                let mut accumulator = match initial {
                    Some(initial) => self.apply(initial, data)?,
                    None => Js::Null,
                };
                for item in items {
                    let scope = BTreeMap::from([
                        ("current".to_owned(), item.clone()),
                        ("accumulator".to_owned(), accumulator),
                    ]);
                    accumulator = self.apply(logic, &Js::Object(Rc::new(scope)))?;
                }
                Ok(accumulator)
            }
            _ => {
                for item in items {
                    if is_true(item)? != (op == "all") {
                        return Ok(Js::Bool(op == "some"));
                    }
                }
                Ok(Js::Bool(op == "none" || (op == "all" && !items.is_empty())))
            }
        }
    }

    fn operate(&self, op: &str, operands: &[Js], data: &Js) -> Done<Js> {
        let nth = |n: usize| operands.get(n).cloned().unwrap_or(Js::Undefined);
        let (a, b, c) = (nth(0), nth(1), nth(2));
        let less = |a: &Js, b: &Js| -> Done<bool> { Ok(self.order(a, b)?.is_some_and(Ordering::is_lt)) };
        let at_most = |a: &Js, b: &Js| -> Done<bool> { Ok(self.order(a, b)?.is_some_and(Ordering::is_le)) };
        Ok(match op {
            "==" => Js::Bool(self.equal(&a, &b)?),
            "!=" => Js::Bool(!self.equal(&a, &b)?),
            "===" => Js::Bool(a.is(&b)),
            "!==" => Js::Bool(!a.is(&b)),
            ">" => Js::Bool(less(&b, &a)?),
            ">=" => Js::Bool(at_most(&b, &a)?),
            "<" => Js::Bool(less(&a, &b)? && (matches!(c, Js::Undefined) || less(&b, &c)?)),
            "<=" => Js::Bool(at_most(&a, &b)? && (matches!(c, Js::Undefined) || at_most(&b, &c)?)),
            "!!" => Js::Bool(a.truthy()),
            "!" => Js::Bool(!a.truthy()),
            "%" => Js::Number(self.number(&a)? % self.number(&b)?),
            "/" => Js::Number(self.number(&a)? / self.number(&b)?),
            "-" if matches!(b, Js::Undefined) => Js::Number(-self.number(&a)?),
            "-" => Js::Number(self.number(&a)? - self.number(&b)?),
            "+" => {
                let mut sum = 0.0;
                for operand in operands {
                    sum = parse_float(&number_text(sum)) + parse_float(&self.lossy(operand)?);
                }
                Js::Number(sum)
            }
            "*" => {
                let mut product = operands.first().cloned().ok_or(Stop::Error)?;
                for operand in &operands[1..] {
                    product =
                        Js::Number(parse_float(&self.lossy(&product)?) * parse_float(&self.lossy(operand)?));
                }
                product
            }
            "min" | "max" => {
                let numbers =
                    operands.iter().map(|operand| self.number(operand)).collect::<Done<Vec<f64>>>()?;
                let least = numbers.iter().copied().fold(f64::INFINITY, smaller);
                let most = -numbers.iter().map(|n| -n).fold(f64::INFINITY, smaller);
                Js::Number(if op == "min" { least } else { most })
            }
            "log" => a,
            "in" => Js::Bool(self.within(&a, &b)?),
            "cat" => {
                let mut joined = Vec::new();
                for operand in operands {
                    if !matches!(operand, Js::Undefined | Js::Null) {
                        joined.extend(self.string(operand)?);
                    }
                    self.spend(joined.len())?;
                }
                Js::Text(joined.into())
            }
            "substr" => self.substr(&a, &b, &c)?,
            "merge" => {
                let mut merged = Vec::new();
                for operand in operands {
                    match operand {
                        Js::Array(items) => merged.extend(items.iter().cloned()),
                        single => merged.push(single.clone()),
                    }
                    self.spend(merged.len())?;
                }
                Js::Array(Rc::new(merged))
            }
            "var" => self.var(&a, b, data)?,
            "missing" => self.missing(operands, data)?,
            "missing_some" => {
                let keys = match &b {
                    Js::Array(keys) => keys.to_vec(),
                    key => vec![key.clone()],
                };
                self.inert(&b)?;
                let missing = self.missing(&keys, data)?;
                let length = match &b {
                    Js::Undefined | Js::Null => return Err(Stop::Error),
                    b => self.number(&b.property("length"))?,
                };
                let Js::Array(listed) = &missing else { unreachable!() };
                let present = Js::Number(length - listed.len() as f64);
                if self.order(&a, &present)?.is_some_and(Ordering::is_le) {
                    Js::Array(Rc::default())
                } else {
                    missing
                }
            }
            "semver_compare" | "datetime_compare" => {
                let (Js::Text(actual), Js::Text(symbol), 3) = (&a, &b, operands.len()) else {
                    return Ok(Js::Bool(false));
                };
                let (Ok(actual), Ok(symbol)) = (String::from_utf16(actual), String::from_utf16(symbol))
                else {
                    return Ok(Js::Bool(false));
                };
                let order = match &c {
                    Js::Text(target) if op == "semver_compare" => {
                        let target = String::from_utf16_lossy(target);
                        if !versions::is_small(&actual) || !versions::is_small(&target) {
                            return Err(Stop::Exhausted);
                        }
                        versions::order(&actual, &target)
                    }
                    Js::Number(ms) if op == "datetime_compare" && ms.abs() < 2f64.powi(63) => {
                        datetimes::seconds(&actual)
                            .map(|seconds| seconds.cmp(&((ms / 1000.0).trunc() as i64)))
                    }
                    _ => None,
                };
                Js::Bool(order.is_some_and(|order| holds(order, &symbol)))
            }
            _ => return Err(Stop::Error),
        })
    }

    /// `var`, which reads own properties, indexes and `length` only.
    fn var(&self, key: &Js, default: Js, data: &Js) -> Done<Js> {
        let default = if matches!(default, Js::Undefined) { Js::Null } else { default };
        match key {
            Js::Undefined | Js::Null => return Ok(data.clone()),
            Js::Text(text) if text.is_empty() => return Ok(data.clone()),
            _ => {}
        }
        let key = self.string(key)?;
        self.spend(key.len())?;
        let mut found = data.clone();
        for name in key.split(|unit| *unit == u16::from(b'.')) {
            // No name has half of a character.
            let Ok(name) = String::from_utf16(name) else { return Ok(default) };
            found = found.property(&name);
            if matches!(found, Js::Undefined) {
                return Ok(default);
            }
        }
        Ok(found)
    }

    /// `missing`, which runs no data as a rule.
    fn missing(&self, operands: &[Js], data: &Js) -> Done<Js> {
        let keys = match operands.first() {
            Some(Js::Array(keys)) => keys,
            _ => operands,
        };
        let mut missing = Vec::new();
        for key in keys {
            self.inert(key)?;
            let found = match key {
                Js::Array(parts) => {
                    let part = |n: usize| parts.get(n).cloned().unwrap_or(Js::Undefined);
                    self.var(&part(0), part(1), data)?
                }
                key => self.var(key, Js::Undefined, data)?,
            };
            match found {
                Js::Null => missing.push(key.clone()),
                Js::Text(text) if text.is_empty() => missing.push(key.clone()),
                _ => {}
            }
        }
        Ok(Js::Array(Rc::new(missing)))
    }

    fn inert(&self, key: &Js) -> Done<()> {
        self.spend(1)?;
        match key {
            Js::Object(members) if members.len() == 1 => Err(Stop::Error),
            Js::Array(parts) => parts.iter().try_for_each(|part| self.inert(part)),
            _ => Ok(()),
        }
    }

    fn within(&self, part: &Js, whole: &Js) -> Done<bool> {
        match whole {
            Js::Text(whole) if !whole.is_empty() => {
                let part = self.string(part)?;
                self.spend(whole.len() * part.len().max(1) / 16)?;
                Ok(part.is_empty() || whole.windows(part.len()).any(|window| window == part))
            }
            Js::Array(items) => Ok(items.iter().any(|item| item.is(part))),
            Js::Object(members) if members.contains_key("indexOf") => Err(Stop::Error),
            _ => Ok(false),
        }
    }

    fn substr(&self, source: &Js, start: &Js, end: &Js) -> Done<Js> {
        if self.order(end, &Js::Number(0.0))?.is_some_and(Ordering::is_lt) {
            let from_start = self.string(source)?;
            let from_start = cut(&from_start, self.number(start)?, None);
            let length = match self.primitive(end)? {
                // `+` joins texts.
                Js::Text(end) => number(&format!("{}{}", from_start.len(), String::from_utf16_lossy(&end))),
                end => from_start.len() as f64 + self.number(&end)?,
            };
            return Ok(Js::Text(cut(from_start, 0.0, Some(length)).into()));
        }
        let source = self.string(source)?;
        let start = self.number(start)?;
        let length = if matches!(end, Js::Undefined) { None } else { Some(self.number(end)?) };
        Ok(Js::Text(cut(&source, start, length).into()))
    }

    /// `==`.
    fn equal(&self, a: &Js, b: &Js) -> Done<bool> {
        let is_object = |js: &Js| matches!(js, Js::Array(_) | Js::Object(_));
        Ok(match (a, b) {
            (Js::Undefined | Js::Null, Js::Undefined | Js::Null) => true,
            (Js::Undefined | Js::Null, _) | (_, Js::Undefined | Js::Null) => false,
            (Js::Bool(_), Js::Bool(_)) | (Js::Number(_), Js::Number(_)) | (Js::Text(_), Js::Text(_)) => {
                a.is(b)
            }
            (a, b) if is_object(a) && is_object(b) => a.is(b),
            (Js::Number(_), Js::Text(_)) => a.is(&Js::Number(self.number(b)?)),
            (Js::Text(_), Js::Number(_)) => Js::Number(self.number(a)?).is(b),
            (Js::Bool(_), _) => self.equal(&Js::Number(self.number(a)?), b)?,
            (_, Js::Bool(_)) => self.equal(a, &Js::Number(self.number(b)?))?,
            (a, _) if is_object(a) => self.equal(&self.primitive(a)?, b)?,
            (_, b) => self.equal(a, &self.primitive(b)?)?,
        })
    }

    fn order(&self, a: &Js, b: &Js) -> Done<Option<Ordering>> {
        let (a, b) = (self.primitive(a)?, self.primitive(b)?);
        Ok(match (&a, &b) {
            (Js::Text(a), Js::Text(b)) => Some(a.cmp(b)),
            _ => self.number(&a)?.partial_cmp(&self.number(&b)?),
        })
    }

    fn primitive(&self, js: &Js) -> Done<Js> {
        match js {
            Js::Array(_) | Js::Object(_) => Ok(Js::Text(self.string(js)?.into())),
            scalar => Ok(scalar.clone()),
        }
    }

    /// `String(js)`.
    fn string(&self, js: &Js) -> Done<Vec<u16>> {
        let units = match js {
            Js::Undefined => "undefined".encode_utf16().collect(),
            Js::Null => "null".encode_utf16().collect(),
            Js::Bool(b) => b.to_string().encode_utf16().collect(),
            Js::Number(n) => number_text(*n).encode_utf16().collect(),
            Js::Text(units) => units.to_vec(),
            Js::Array(items) => {
                let mut joined = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        joined.push(u16::from(b','));
                    }
                    if !matches!(item, Js::Undefined | Js::Null) {
                        joined.extend(self.string(item)?);
                    }
                }
                joined
            }
            // Its value is called instead of the method.
            Js::Object(members) if members.contains_key("toString") => return Err(Stop::Error),
            Js::Object(_) => "[object Object]".encode_utf16().collect::<Vec<_>>(),
        };
        self.spend(1 + units.len() / 16)?;
        Ok(units)
    }

    fn lossy(&self, js: &Js) -> Done<String> {
        Ok(String::from_utf16_lossy(&self.string(js)?))
    }

    /// `Number(js)`.
    fn number(&self, js: &Js) -> Done<f64> {
        Ok(match js {
            Js::Undefined => f64::NAN,
            Js::Null => 0.0,
            Js::Bool(b) => f64::from(*b),
            Js::Number(n) => *n,
            other => number(&self.lossy(other)?),
        })
    }
}

impl Js {
    /// In JSON Logic an empty array is false.
    pub(crate) fn truthy(&self) -> bool {
        match self {
            Js::Undefined | Js::Null => false,
            Js::Bool(b) => *b,
            Js::Number(n) => !n.is_nan() && *n != 0.0,
            Js::Text(units) => !units.is_empty(),
            Js::Array(items) => !items.is_empty(),
            Js::Object(_) => true,
        }
    }

    /// `===`.
    fn is(&self, other: &Js) -> bool {
        match (self, other) {
            (Js::Undefined, Js::Undefined) | (Js::Null, Js::Null) => true,
            (Js::Bool(a), Js::Bool(b)) => a == b,
            (Js::Number(a), Js::Number(b)) => a == b,
            (Js::Text(a), Js::Text(b)) => a == b,
            (Js::Array(a), Js::Array(b)) => Rc::ptr_eq(a, b),
            (Js::Object(a), Js::Object(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn property(&self, name: &str) -> Js {
        let index = name.parse::<usize>().ok().filter(|index| index.to_string() == name);
        let found = match (self, index) {
            (Js::Object(members), _) => members.get(name).cloned(),
            (Js::Array(items), Some(index)) => items.get(index).cloned(),
            (Js::Text(units), Some(index)) => units.get(index).map(|unit| Js::Text([*unit].into())),
            (Js::Array(items), None) if name == "length" => Some(Js::Number(items.len() as f64)),
            (Js::Text(units), None) if name == "length" => Some(Js::Number(units.len() as f64)),
            _ => None,
        };
        found.unwrap_or(Js::Undefined)
    }
}

/// As the library shows results: JSON with sorted keys, plus `undefined`, `NaN` and `-0`.
impl fmt::Display for Js {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |f: &mut fmt::Formatter<'_>, units: &[u16]| {
            f.write_str("\"")?;
            for c in char::decode_utf16(units.iter().copied()) {
                match c {
                    Ok(c @ ('"' | '\\')) => write!(f, "\\{c}")?,
                    Ok(c) if c >= ' ' => write!(f, "{c}")?,
                    Ok(c) => write!(f, "\\u{:04x}", u32::from(c))?,
                    Err(lone) => write!(f, "\\u{:04x}", lone.unpaired_surrogate())?,
                }
            }
            f.write_str("\"")
        };
        match self {
            Js::Undefined => f.write_str("undefined"),
            Js::Null => f.write_str("null"),
            Js::Bool(b) => write!(f, "{b}"),
            Js::Number(n) if *n == 0.0 && n.is_sign_negative() => f.write_str("-0"),
            Js::Number(n) => f.write_str(&number_text(*n)),
            Js::Text(units) => quoted(f, units),
            Js::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Js::Object(members) => {
                f.write_str("{")?;
                for (i, (key, value)) in members.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    quoted(f, &key.encode_utf16().collect::<Vec<_>>())?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Whether an order satisfies the symbol of a comparison.
pub(crate) fn holds(order: Ordering, symbol: &str) -> bool {
    match symbol {
        "===" => order == Ordering::Equal,
        "!==" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        _ => false,
    }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if b < a || (a == b && b.is_sign_negative()) {
        b
    } else {
        a
    }
}

/// `String.prototype.substr`.
fn cut(units: &[u16], start: f64, length: Option<f64>) -> &[u16] {
    let integer = |n: f64| if n.is_nan() { 0.0 } else { n.trunc() };
    let size = units.len() as f64;
    let start = integer(start);
    let start = if start < 0.0 { (size + start).max(0.0) } else { start.min(size) };
    let end = match length {
        None => size,
        Some(length) => (start + integer(length).max(0.0)).min(size),
    };
    &units[start as usize..end as usize]
}

/// White space and line terminators of ECMAScript.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A decimal literal with an optional sign.
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    if unsigned == "Infinity" {
        return Some(sign * f64::INFINITY);
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let valid = digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    valid.then(|| sign * unsigned.parse::<f64>().unwrap())
}

/// `Number(text)`.
fn number(text: &str) -> f64 {
    let text = trimmed(text);
    let radix = match text.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ if text.is_empty() => return 0.0,
        _ => return decimal(text).unwrap_or(f64::NAN),
    };
    // In decimal digits, the lowest first, because Rust rounds those.
    let mut digits = vec![0_u32];
    for c in text[2..].chars() {
        let Some(mut carry) = c.to_digit(radix) else { return f64::NAN };
        for digit in &mut digits {
            carry += *digit * radix;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let text_of = |digits: &[u32]| digits.iter().rev().map(u32::to_string).collect::<String>();
    if text.len() == 2 { f64::NAN } else { text_of(&digits).parse().unwrap() }
}

/// `parseFloat(text)`: the longest beginning that is a number.
fn parse_float(text: &str) -> f64 {
    let text = text.trim_start_matches(is_space);
    let likely = |c: char| c.is_ascii_digit() || "+-.eEInfity".contains(c);
    let end = text.find(|c| !likely(c)).unwrap_or(text.len());
    (1..=end).rev().find_map(|end| decimal(&text[..end])).unwrap_or(f64::NAN)
}

/// `Number::toString`, from the digits that Rust prints.
fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap();
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let (k, n) = (digits.len() as i32, exponent.parse::<i32>().unwrap() + 1);
    let zeros = |count: i32| "0".repeat(count as usize);
    let unsigned = if k <= n && n <= 21 {
        format!("{digits}{}", zeros(n - k))
    } else if 0 < n && n <= 21 {
        format!("{}.{}", &digits[..n as usize], &digits[n as usize..])
    } else if -6 < n && n <= 0 {
        format!("0.{}{digits}", zeros(-n))
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{first}{point}{rest}e{}{}", if n > 0 { '+' } else { '-' }, (n - 1).abs())
    };
    format!("{sign}{unsigned}")
}
