//! The control API: what `Server` does, over HTTP, under `/__dev/`.

use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::call::{Call, Port};
use crate::faults::Fault;
use crate::ports::Connection;
use crate::response::Response;

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
        _ => Response::error(
            StatusCode::NOT_FOUND,
            "No such control call; the calls are health, requests, events, definitions, faults, stop, restart",
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
            let wait = only(call, &["at_least", "within_ms"])
                .and_then(|()| Ok((number(call, "at_least", 0)?, number(call, "within_ms", WAIT_MS)?)));
            let (at_least, within_ms) = match wait {
                Ok(wait) => wait,
                Err(why) => return Response::error(StatusCode::BAD_REQUEST, &why),
            };
            let enough = log.at_least(usize::try_from(at_least).unwrap_or(usize::MAX));
            // After a timeout, the response has fewer: the caller checks.
            let _ = tokio::time::timeout(Duration::from_millis(within_ms), enough).await;
            Response::json(StatusCode::OK, &log.snapshot().to_json())
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
        Method::GET => match definitions.current() {
            Ok(document) => Response::new(StatusCode::OK, document),
            Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        Method::PUT => {
            definitions.set(Some(call.body.clone()));
            done()
        }
        Method::DELETE => {
            definitions.set(None);
            done()
        }
        _ => Response::wrong_method("GET, PUT, DELETE"),
    }
}

fn faults(connection: &Connection, call: &Call) -> Response {
    let faults = &connection.world.faults;
    match call.method {
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
    }
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
    match connection.port {
        Port::Main => response.with(CONNECTION, HeaderValue::from_static("close")),
        Port::Control => response,
    }
}
