//! The control API: what `Server` does, over HTTP, under `/__dev/`.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::call::{Call, Port};
use crate::check::{Finding, check as mistakes};
use crate::document;
use crate::evaluation::{self, Evaluator};
use crate::faults::{Fault, PATHS};
use crate::ports::Connection;
use crate::response::{JSON, Response};

/// The default of `within_ms`.
const WAIT_MS: u64 = 5_000;

pub(crate) async fn respond(connection: &Connection, call: &Call) -> Response {
    match call.path.strip_prefix("/__dev/").unwrap_or_default() {
        "health" => health(connection, call).await,
        "requests" => requests(connection, call).await,
        "events" => events(connection, call).await,
        "definitions" => definitions(connection, call),
        "faults" => faults(connection, call),
        "stop" => stop(connection, call).await,
        "restart" => restart(connection, call).await,
        "state" => state(connection, call).await,
        "check" => check(connection, call).await,
        "evaluate" => evaluate(connection, call),
        "explain" => explain(connection, call),
        "distribution" => distribution(connection, call).await,
        "save" => save(connection, call),
        _ => Response::error(
            StatusCode::NOT_FOUND,
            "No such control call; the calls are health, requests, events, definitions, faults, stop, restart, state, \
             check, evaluate, explain, distribution, save, live",
        ),
    }
}

fn done() -> Response {
    Response::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// A number from the query. One that does not parse is an error instead of the default.
fn number(call: &Call, name: &str, default: u64) -> Result<u64, String> {
    match call.query.get(name) {
        Some(text) => text.parse().map_err(|_| format!("`{name}` must be a whole number, not {text:?}")),
        None => Ok(default),
    }
}

fn only(call: &Call, names: &[&str]) -> Result<(), String> {
    match call.query.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("unknown parameter `{name}`")),
        None => Ok(()),
    }
}

async fn health(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    let listening = connection.ports.is_listening().await;
    let addrs: Vec<String> = connection.ports.addrs.iter().map(ToString::to_string).collect();
    Response::json(StatusCode::OK, &json!({ "status": "ok", "listening": listening, "addresses": addrs }))
}

async fn requests(connection: &Connection, call: &Call) -> Response {
    let log = &connection.world.log;
    match call.method {
        Method::GET => {
            let wait = only(call, &["at_least", "within_ms", "limit"]).and_then(|()| {
                let limit = number(call, "limit", u64::MAX)?;
                Ok((number(call, "at_least", 0)?, number(call, "within_ms", WAIT_MS)?, limit))
            });
            let (at_least, within_ms, limit) = match wait {
                Ok(wait) => wait,
                Err(why) => return Response::error(StatusCode::BAD_REQUEST, &why),
            };
            let enough = log.at_least(usize::try_from(at_least).unwrap_or(usize::MAX));
            // After a timeout, the response has fewer: the caller checks.
            let _ = tokio::time::timeout(Duration::from_millis(within_ms), enough).await;
            let newest = log.newest(usize::try_from(limit).unwrap_or(usize::MAX));
            Response::json(StatusCode::OK, &newest.to_json())
        }
        Method::DELETE => {
            log.clear();
            done()
        }
        _ => Response::wrong_method("GET, DELETE"),
    }
}

async fn events(connection: &Connection, call: &Call) -> Response {
    let events = &connection.world.events;
    match call.method {
        Method::GET => {
            let parameters = only(call, &["at_least", "within_ms", "limit"]).and_then(|()| {
                let limit = number(call, "limit", u64::MAX)?;
                Ok((number(call, "at_least", 0)?, number(call, "within_ms", WAIT_MS)?, limit))
            });
            let (at_least, within_ms, limit) = match parameters {
                Ok(parameters) => parameters,
                Err(why) => return Response::error(StatusCode::BAD_REQUEST, &why),
            };
            let enough = events.at_least(at_least);
            // After a timeout, the response has fewer: the caller checks.
            let _ = tokio::time::timeout(Duration::from_millis(within_ms), enough).await;
            Response::json(StatusCode::OK, &events.to_json(usize::try_from(limit).unwrap_or(usize::MAX)))
        }
        Method::DELETE => {
            events.clear();
            done()
        }
        _ => Response::wrong_method("GET, DELETE"),
    }
}

fn definitions(connection: &Connection, call: &Call) -> Response {
    let definitions = &connection.world.definitions;
    match call.method {
        Method::GET => match call.query.get("flag") {
            None => Response::new(StatusCode::OK, definitions.current()),
            Some(key) => match flag(&definitions.current(), key) {
                Ok(text) => Response::new(StatusCode::OK, text).with(CONTENT_TYPE, JSON),
                Err(why) => bad(&why),
            },
        },
        Method::PUT => {
            definitions.set(Some(call.body.clone()));
            done()
        }
        Method::PATCH => match serde_json::from_slice::<Edit<'_>>(&call.body) {
            Ok(edit) => outcome(definitions.edit(|document| edit.apply(document))),
            Err(error) => bad(&format!("expected {{\"flag\": …, \"path\": …, \"value\": …}}: {error}")),
        },
        Method::DELETE => {
            definitions.set(None);
            done()
        }
        _ => Response::wrong_method("GET, PUT, PATCH, DELETE"),
    }
}

/// The text of a flag, as it is in the document. If two flags have the same key, the later one counts.
fn flag(document: &[u8], key: &str) -> Result<String, String> {
    let flags = document::flags(document).map_err(|error| format!("not a definitions document: {error}"))?;
    let found = flags.into_iter().rev().find(|text| document::key(text).as_deref() == Some(key));
    found.map(str::to_owned).ok_or_else(|| format!("no flag {key:?}"))
}

/// A value of a flag to replace. Everything else in the document stays as it is, byte by byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit<'a> {
    flag: String,
    /// Such as `ruleset.rollout[0].rollout_percentage`; empty for the whole flag, which may be new.
    path: String,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Edit<'_> {
    fn apply(&self, document: &[u8]) -> Result<String, String> {
        let text = str::from_utf8(document).map_err(|error| format!("definitions: {error}"))?;
        document::edited(text, &self.flag, &self.path, self.value.get())
    }
}

fn bad(why: &str) -> Response {
    Response::error(StatusCode::BAD_REQUEST, why)
}

fn outcome(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => done(),
        Err(why) => bad(&why),
    }
}

fn save(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::POST {
        return Response::wrong_method("POST");
    }
    outcome(connection.world.definitions.save())
}

/// What the page needs to know besides the definitions.
async fn state(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    let world = &connection.world;
    let listening = connection.ports.is_listening().await;
    let scheme = if connection.ports.tls.is_some() { "https" } else { "http" };
    let addresses: Vec<String> =
        connection.ports.addrs.iter().map(|addr| format!("{scheme}://{addr}")).collect();
    let state = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listening": listening,
        "addresses": addresses,
        "file": world.definitions.file().map(|file| file.display().to_string()),
        "in_memory": world.definitions.is_set(),
        "trouble": world.definitions.trouble(),
        "faults": world.faults.current(),
        "counts": world.events.counts(),
        "paths": PATHS,
    });
    Response::json(StatusCode::OK, &state)
}

/// The mistakes in the current definitions, or in the body of a POST.
async fn check(connection: &Connection, call: &Call) -> Response {
    let world = Arc::clone(&connection.world);
    let body = call.body.clone();
    let findings =
        |findings: Vec<Finding>| Ok(Response::json(StatusCode::OK, &json!({ "findings": findings })));
    match call.method {
        Method::GET => apart(move || findings(world.checked.findings(&world.definitions.current()))).await,
        Method::POST => apart(move || findings(mistakes(&body))).await,
        _ => Response::wrong_method("GET, POST"),
    }
}

/// Runs what takes a while apart from the requests of clients.
async fn apart(work: impl FnOnce() -> Result<Response, String> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(why)) => bad(&why),
        Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn evaluator(connection: &Connection) -> Result<Evaluator, String> {
    let document = connection.world.definitions.current();
    let client = connection.world.remote.client(document.clone())?;
    Evaluator::with(&document, client)
}

/// A parameter that must be there.
fn needed<'a>(call: &'a Call, name: &str, example: &str) -> Result<&'a str, String> {
    let text = call.query.get(name).ok_or_else(|| format!("`{name}` is missing: add ?{name}={example}"))?;
    Ok(text)
}

const CONTEXT: &str = r#"{"distinct_id":"user-1"}"#;

fn evaluate(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    let rows = only(call, &["context", "flag"]).and_then(|()| {
        let context = needed(call, "context", CONTEXT)?;
        evaluator(connection)?.evaluate(context, call.query.get("flag").map(String::as_str))
    });
    match rows {
        Ok(rows) => Response::json(StatusCode::OK, &json!({ "flags": rows })),
        Err(why) => bad(&why),
    }
}

fn explain(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    let text = only(call, &["context", "flag"]).and_then(|()| {
        let (flag, context) = (needed(call, "flag", "new-checkout")?, needed(call, "context", CONTEXT)?);
        evaluator(connection)?.explain(context, flag)
    });
    match text {
        Ok(text) => Response::new(StatusCode::OK, text).with(CONTENT_TYPE, JSON),
        Err(why) => bad(&why),
    }
}

/// Users to evaluate a flag for: generated ones that share the attributes of `like`, or their contexts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Users {
    flag: String,
    #[serde(default)]
    generate: usize,
    #[serde(default)]
    like: Map<String, Value>,
    #[serde(default)]
    contexts: Vec<Map<String, Value>>,
}

async fn distribution(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::POST {
        return Response::wrong_method("POST");
    }
    let users: Users = match serde_json::from_slice(&call.body) {
        Ok(users) => users,
        Err(error) => {
            return bad(&format!(
                "expected {{\"flag\": …, \"generate\": 10000}} or \"contexts\": [{{…}}]: {error}"
            ));
        }
    };
    let document = connection.world.definitions.current();
    apart(move || {
        let flag = flag(&document, &users.flag)?;
        let mut contexts = users.contexts;
        if users.generate > 0 {
            let generated =
                evaluation::generated(users.generate, &users.like, &evaluation::context_key(&flag));
            contexts.extend(generated.map_err(|error| error.to_string())?);
        }
        Ok(Response::json(StatusCode::OK, &evaluation::distribution(&flag, &contexts)?))
    })
    .await
}

fn faults(connection: &Connection, call: &Call) -> Response {
    let faults = &connection.world.faults;
    let response = match call.method {
        Method::GET => Response::json(StatusCode::OK, &json!(faults.current())),
        Method::PUT => match Fault::list_from_json(&call.body).and_then(|list| faults.set(list)) {
            Ok(()) => done(),
            Err(error) => Response::error(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        Method::DELETE => match faults.set(Vec::new()) {
            Ok(()) => done(),
            Err(error) => Response::error(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        _ => Response::wrong_method("GET, PUT, DELETE"),
    };
    if call.method != Method::GET {
        connection.world.live.send("faults", || json!({}));
    }
    response
}

async fn stop(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::POST {
        return Response::wrong_method("POST");
    }
    end(connection, None).await
}

async fn restart(connection: &Connection, call: &Call) -> Response {
    if call.method != Method::POST {
        return Response::wrong_method("POST");
    }
    match only(call, &["after_ms"]).and_then(|()| number(call, "after_ms", 0)) {
        Ok(after_ms) => end(connection, Some(Duration::from_millis(after_ms))).await,
        Err(why) => Response::error(StatusCode::BAD_REQUEST, &why),
    }
}

/// Stops the main port. The call's own connection stays open for the response; if it is one of the main port, it is
/// closed after that.
async fn end(connection: &Connection, back_after: Option<Duration>) -> Response {
    let response = match connection.ports.stop(Some(connection.id), back_after).await {
        Ok(()) => done(),
        Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    connection.world.live.send("faults", || json!({}));
    match connection.port {
        Port::Main => response.with(CONNECTION, HeaderValue::from_static("close")),
        Port::Control => response,
    }
}
