//! A profile update.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::rejection::{Checked, Rejection};

const OPERATIONS: [&str; 8] =
    ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"];
/// Those that a group's profile does not have.
const NOT_FOR_GROUPS: [&str; 2] = ["$add", "$append"];

/// Whose profile an update is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    Group,
}

/// The first operation of an update.
pub(crate) fn operation(update: &Value) -> Option<&'static str> {
    OPERATIONS.into_iter().find(|name| update.get(name).is_some())
}

pub(super) fn check(owner: Owner, update: &RawValue, token: Option<&str>) -> Checked {
    let Ok(Value::Object(update)) = serde_json::from_str(update.get()) else {
        return Err(Rejection::new("record", "must be an object"));
    };
    match update.get("$token").and_then(Value::as_str) {
        None | Some("") => return Err(Rejection::missing("$token", "$token")),
        Some(sent) if token.is_some_and(|token| token != sent) => {
            return Err(Rejection::invalid("$token", "no such project"));
        }
        Some(_) => {}
    }
    let names: &[&str] = match owner {
        Owner::User => &["$distinct_id"],
        Owner::Group => &["$group_key", "$group_id"],
    };
    for name in names {
        match update.get(*name) {
            Some(Value::String(id)) if !id.is_empty() => {}
            Some(Value::Number(_)) => {}
            _ => return Err(Rejection::missing(name, name)),
        }
    }
    let wrong = NOT_FOR_GROUPS.iter().find(|name| owner == Owner::Group && update.contains_key(**name));
    if let Some(name) = wrong {
        return Err(Rejection::invalid(name, "a group has no such operation"));
    }
    check_operation(&update)?;
    Ok(None)
}

fn check_operation(update: &Map<String, Value>) -> Result<(), Box<Rejection>> {
    let mut operations = OPERATIONS.iter().filter_map(|name| Some((*name, update.get(*name)?)));
    let (Some((name, operand)), None) = (operations.next(), operations.next()) else {
        return Err(Rejection::new("record", "must have exactly one operation"));
    };
    let each = |object: &Map<String, Value>, holds: fn(&Value) -> bool| object.values().all(holds);
    let (holds, why) = match (name, operand) {
        ("$delete", _) => (true, ""),
        ("$unset", Value::Array(names)) => (names.iter().all(Value::is_string), "must be a list of strings"),
        ("$unset", _) => (false, "must be a list of strings"),
        ("$add", Value::Object(object)) => (each(object, Value::is_number), "values must be numbers"),
        ("$union", Value::Object(object)) => (each(object, Value::is_array), "values must be lists"),
        (_, operand) => (operand.is_object(), "must be an object"),
    };
    if holds { Ok(()) } else { Err(Rejection::invalid(name, why)) }
}
