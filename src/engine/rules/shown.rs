//! Results as text, for tests and fuzz targets.

use super::ecma::number_text;
use super::operand::{Items, Operand};

/// A result as text: JSON with sorted keys, plus `undefined`, `NaN` and `-0`.
pub(crate) fn text(operand: &Operand<'_>) -> String {
    match operand {
        Operand::Undefined => "undefined".to_owned(),
        Operand::Null => "null".to_owned(),
        Operand::Bool(b) => b.to_string(),
        Operand::Number(n) if *n == 0.0 && n.is_sign_negative() => "-0".to_owned(),
        Operand::Number(n) => number_text(*n).as_str().to_owned(),
        Operand::Str(text) => quoted(text.encode_utf16()),
        Operand::Text(units) => quoted(units.iter().copied()),
        Operand::Array(_) | Operand::List(_) => {
            let items: Vec<_> =
                operand.items().iter().flat_map(Items::iter).map(|item| text(&item)).collect();
            format!("[{}]", items.join(","))
        }
        Operand::Object(object) => {
            let pairs = object.iter().map(|(key, value)| (key, Operand::from(value)));
            let pairs: Vec<_> = pairs
                .map(|(key, value)| format!("{}:{}", quoted(key.encode_utf16()), text(&value)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
        Operand::Scope(scope) => {
            format!("{{\"accumulator\":{},\"current\":{}}}", text(&scope.accumulator), text(&scope.current))
        }
    }
}

/// Whether the text would be longer than about `left`: an array may hold the same list or text many times.
#[cfg(fuzzing)]
pub(crate) fn is_longer(operand: &Operand<'_>, left: &mut usize) -> bool {
    let own = match operand {
        Operand::Str(text) => text.len().max(1),
        Operand::Text(units) => units.len().max(1),
        _ => 1,
    };
    let Some(less) = left.checked_sub(own) else { return true };
    *left = less;
    match operand {
        Operand::Array(_) | Operand::List(_) => {
            operand.items().iter().flat_map(Items::iter).any(|item| is_longer(&item, left))
        }
        Operand::Scope(scope) => is_longer(&scope.accumulator, left) || is_longer(&scope.current, left),
        _ => false,
    }
}

fn quoted(units: impl Iterator<Item = u16>) -> String {
    let mut quoted = "\"".to_owned();
    for c in char::decode_utf16(units) {
        match c {
            Ok('"') => quoted.push_str("\\\""),
            Ok('\\') => quoted.push_str("\\\\"),
            Ok(c) if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            Ok(c) => quoted.push(c),
            Err(lone) => quoted.push_str(&format!("\\u{:04x}", lone.unpaired_surrogate())),
        }
    }
    quoted.push('"');
    quoted
}
