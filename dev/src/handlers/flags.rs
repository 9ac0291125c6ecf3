//! `GET /flags`: remote evaluation.

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::call::Call;
use crate::remote::{self, Assignments};
use crate::response::Response;
use crate::world::World;

/// Mixpanel's own message.
const NO_USER: &str = "distinct_id must be provided in evalContext as a string";

#[derive(Serialize)]
struct Flags {
    code: u16,
    flags: Assignments,
}

pub(crate) fn respond(world: &World, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    if let Some(refusal) = world.credentials.refuse(call) {
        return refusal;
    }
    let context = match call.query.get("context").map(|text| context(text)) {
        Some(Ok(context)) => context,
        Some(Err(why)) => return Response::error(StatusCode::BAD_REQUEST, &why),
        None => return Response::error(StatusCode::BAD_REQUEST, NO_USER),
    };
    let client = match world.remote.client(world.definitions.current()) {
        Ok(client) => client,
        Err(why) => return Response::error(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let flag_key = call.query.get("flag_key").map(String::as_str);
    match remote::evaluate(&client, &context, flag_key) {
        Ok(flags) => Response::json(StatusCode::OK, &Flags { code: 200, flags }),
        Err(error) => Response::error(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// The context, completed as Mixpanel does: without a `device_id`, the `distinct_id` serves as one.
fn context(text: &str) -> Result<String, String> {
    let keys: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| format!("context: not a JSON object: {error}"))?;
    let user = keys.get("distinct_id").map(|value| value.get()).filter(|value| value.starts_with('"'));
    let user = user.ok_or_else(|| NO_USER.to_owned())?;
    // The library accepts a context that contains an invalid string; a server does not.
    serde_json::from_str::<String>(user).map_err(|error| format!("context: distinct_id: {error}"))?;
    match text.trim_end().strip_suffix('}') {
        // As text, because parsing and printing can change a number.
        Some(open) if !keys.contains_key("device_id") => Ok(format!("{open},\"device_id\":{user}}}")),
        _ => Ok(text.to_owned()),
    }
}
