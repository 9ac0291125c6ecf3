//! `POST /ofrep/v1/evaluate/flags[/{key}]`: the OpenFeature Remote Evaluation Protocol, for SDKs of any language.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};
use mpflags::{Client, Context, ErrorCode, EvaluateOptions, Evaluation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::is_local;
use crate::call::Call;
use crate::definitions::etag;
use crate::document;
use crate::response::Response;
use crate::world::World;

pub(crate) const PATH: &str = "/ofrep/v1/evaluate/flags";
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

/// A flag's result. Without a value, the program's default is to be used.
#[derive(Serialize)]
struct Success {
    key: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    error_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_details: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Success(Success),
    Failure(Failure),
}

#[derive(Serialize)]
struct All {
    flags: Vec<Outcome>,
}

pub(crate) fn respond(world: &World, call: &Call) -> Response {
    let response = match call.method {
        Method::POST => evaluate(world, call).unwrap_or_else(|refusal| *refusal),
        Method::OPTIONS => Response::new(StatusCode::NO_CONTENT, "")
            .with(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"))
            .with(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("authorization, content-type, if-none-match, x-api-key"),
            )
            .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
        _ => Response::wrong_method("POST, OPTIONS"),
    };
    // A page under development, on another port of this machine, may read its flags; a website may not.
    let origin = call.headers.get(ORIGIN).filter(|origin| {
        origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, host)| is_local(host))
    });
    let response = response.with(VARY, HeaderValue::from_static("origin"));
    match origin {
        Some(origin) => response
            .with(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
            .with(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after")),
        None => response,
    }
}

fn evaluate(world: &World, call: &Call) -> Result<Response, Box<Response>> {
    if let Some(token) = world.credentials.token()
        && !is_authorized(call, token)
    {
        let mut refusal =
            Response::error(StatusCode::UNAUTHORIZED, "Use the project token as Bearer token or X-API-Key");
        refusal.lines.push("  Wrong token".to_owned());
        return Err(Box::new(refusal));
    }
    let refuse = |code, details: String| {
        let failure = Failure { key: key(call), error_code: code, error_details: Some(details) };
        Box::new(Response::json(StatusCode::BAD_REQUEST, &failure))
    };
    let request: Request<'_> = match call.body.as_ref() {
        [] => Request { context: None },
        body => serde_json::from_slice(body)
            .map_err(|error| refuse("PARSE_ERROR", format!("the body: {error}")))?,
    };
    let context = Context::from_json(request.context.map_or("{}", RawValue::get))
        .map_err(|error| refuse("INVALID_CONTEXT", error.to_string()))?;
    let document = world.definitions.current();
    let client = world.ofrep.client(document.clone()).map_err(|why| {
        let failure = Failure { key: key(call), error_code: "GENERAL", error_details: Some(why) };
        Box::new(Response::json(StatusCode::INTERNAL_SERVER_ERROR, &failure))
    })?;
    match key(call) {
        Some(key) => Ok(one(&outcome(&client, &key, &context))),
        None => Ok(all(&client, &document, &context, call)),
    }
}

fn is_authorized(call: &Call, token: &str) -> bool {
    let text = |name| call.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let bearer = text(AUTHORIZATION).and_then(|sent| sent.strip_prefix("Bearer "));
    bearer.or_else(|| text(API_KEY)).is_some_and(|sent| sent.trim() == token)
}

/// The key at the end of the path; `None` for all flags.
fn key(call: &Call) -> Option<String> {
    let encoded = call.path.strip_prefix(PATH)?.strip_prefix('/').filter(|key| !key.is_empty())?;
    // In a path, unlike in a query, a plus is a plus.
    let pair = format!("k={}", encoded.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, key)| key.into_owned())
}

fn outcome(client: &Client, key: &str, context: &Context) -> Outcome {
    let evaluation = client.evaluate(key, context, EvaluateOptions::new().without_exposure());
    match evaluation.error_code() {
        Some(code) => Outcome::Failure(Failure {
            key: Some(key.to_owned()),
            error_code: error_code(code),
            error_details: evaluation.message().map(str::to_owned),
        }),
        None => Outcome::Success(success(&evaluation)),
    }
}

fn success(evaluation: &Evaluation) -> Success {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    Success {
        key: evaluation.key().to_owned(),
        reason: evaluation.reason().to_string(),
        variant: evaluation.variant().map(str::to_owned),
        value: evaluation.json().and_then(raw),
        metadata: raw(evaluation.metadata_json()),
    }
}

/// The protocol knows these five.
fn error_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::FlagNotFound => "FLAG_NOT_FOUND",
        ErrorCode::ParseError => "PARSE_ERROR",
        ErrorCode::TargetingKeyMissing => "TARGETING_KEY_MISSING",
        ErrorCode::InvalidContext => "INVALID_CONTEXT",
        _ => "GENERAL",
    }
}

fn one(outcome: &Outcome) -> Response {
    let status = match outcome {
        Outcome::Success(_) => StatusCode::OK,
        Outcome::Failure(Failure { error_code: "FLAG_NOT_FOUND", .. }) => StatusCode::NOT_FOUND,
        Outcome::Failure(_) => StatusCode::BAD_REQUEST,
    };
    Response::json(status, outcome)
}

fn all(client: &Client, document: &[u8], context: &Context, call: &Call) -> Response {
    let mut keys: Vec<String> =
        document::flags(document).unwrap_or_default().into_iter().filter_map(document::key).collect();
    keys.sort();
    keys.dedup();
    let flags = keys.iter().map(|key| outcome(client, key, context)).collect();
    let response = Response::json(StatusCode::OK, &All { flags });
    let tag = format!("\"{}\"", etag(&response.body));
    let known = call.headers.get(IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == tag.as_bytes());
    let response = if known { Response::new(StatusCode::NOT_MODIFIED, "") } else { response };
    match HeaderValue::try_from(tag) {
        Ok(tag) => response.with(ETAG, tag),
        Err(_) => response,
    }
}
