//! One connection: each request is recorded, meets its fault if there is one, and gets a response.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER, USER_AGENT,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::call::{Call, Port, ReadError};
use crate::control;
use crate::faults::{Fault, Kind, RetryAfter};
use crate::handlers;
use crate::live::Stream;
use crate::log::InFlight;
use crate::page;
use crate::ports::Connection;
use crate::raw::{self, Script};
use crate::response::{JSON, Response};
use crate::socket::SocketIo;

const GARBAGE: &[u8] = b"<html>\xff\xfe\x00 this is no JSON {\"flags\":";

/// The connection is over: hyper drops it without sending another byte.
#[derive(Debug)]
struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault ended the connection")
    }
}

impl std::error::Error for Aborted {}

/// Runs until either side closes the connection. Its errors are the client's, or faults.
pub(crate) fn serve(connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let io = SocketIo(Arc::clone(&connection.socket));
        let service = service_fn(move |request| {
            let connection = connection.clone();
            async move { connection.respond(request).await.map(Reply::into_hyper) }
        });
        // Without a time limit for the head, hyper needs no timer.
        let _ = http1::Builder::new().header_read_timeout(None).serve_connection(io, service).await;
    })
}

/// What hyper sends.
enum Reply {
    Response(Response),
    Live(Stream),
}

impl Reply {
    fn into_hyper(self) -> hyper::Response<Either<Full<Bytes>, Stream>> {
        match self {
            Self::Response(response) => response.into_hyper().map(Either::Left),
            Self::Live(stream) => {
                let mut response = hyper::Response::new(Either::Right(stream));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
        }
    }
}

impl Connection {
    async fn respond(&self, request: hyper::Request<Incoming>) -> Result<Reply, Aborted> {
        let path = request.uri().path();
        let control = path == "/__dev" || path.starts_with("/__dev/");
        if control || self.port == Port::Control {
            if let Some(refusal) = self.world.access.refuse(request.uri(), request.headers()) {
                return Ok(Reply::Response(refusal.with(CONNECTION, HeaderValue::from_static("close"))));
            }
            if !control {
                return Ok(Reply::Response(page::respond(request.method(), path, request.headers())));
            }
            if path == "/__dev/live" {
                return Ok(match *request.method() {
                    Method::GET => Reply::Live(self.world.live.listen()),
                    _ => Reply::Response(Response::wrong_method("GET")),
                });
            }
            let response = match Call::read(request).await {
                Ok(call) => control::respond(self, &call).await,
                Err(error) => unread(error)?,
            };
            return Ok(Reply::Response(response.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))));
        }
        self.serve(request).await.map(Reply::Response)
    }

    async fn serve(&self, request: hyper::Request<Incoming>) -> Result<Response, Aborted> {
        self.socket.seat.take();
        let in_flight = InFlight::new(&self.world.log);
        let mut call = match Call::read(request).await.and_then(Call::decoded) {
            Ok(call) => call,
            Err(error) => return unread(error),
        };
        let keep_body = self.world.events.keeps() || !handlers::takes_events(&call.path);
        self.world.log.record(&mut call, self.id, keep_body);
        let fault = self.world.faults.take(&call.path);
        if fault.as_ref().is_some_and(|fault| fault.times.is_some()) {
            // The page shows how many are left.
            self.world.live.send("faults", || json!({}));
        }
        let response = match fault {
            Some(fault) if fault.kind != Kind::Pass => self.fail(fault, &mut call, in_flight).await?,
            _ => handlers::respond(&self.world, &call, None),
        };
        self.sending(&call, &response);
        Ok(response)
    }

    /// Called just before a response leaves.
    fn sending(&self, call: &Call, response: &Response) {
        self.world.log.set_status(call.number, response.status);
        self.print(call, response.status.as_str(), &response.lines);
        self.show(call, Some(response.status));
    }

    /// Shows the request on the page.
    fn show(&self, call: &Call, status: Option<StatusCode>) {
        self.world.live.send("request", || {
            let text = |name| call.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            let taken = self.world.log.elapsed().saturating_sub(call.at);
            json!({
                "number": call.number,
                "method": call.method.as_str(),
                "path": call.path,
                "status": status.map(|status| status.as_u16()),
                "user_agent": text(USER_AGENT),
                "connection": self.id,
                "at_ms": u64::try_from(call.at.as_millis()).unwrap_or(u64::MAX),
                "taken_ms": (taken.as_secs_f64() * 1e4).round() / 10.0,
            })
        });
    }

    fn print(&self, call: &Call, status: &str, lines: &[String]) {
        if let Some(sender) = &self.world.lines {
            let mut text = format!("{} {} {status}\n", call.method, call.path);
            for line in lines {
                // A terminal obeys control characters.
                text.extend(line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
                text.push('\n');
            }
            // It fails if the receiver is gone.
            let _ = sender.send(text);
        }
    }

    /// The response for hyper to send, or `Aborted` if the fault has sent its own.
    async fn fail(&self, fault: Fault, call: &mut Call, in_flight: InFlight) -> Result<Response, Aborted> {
        if fault.kind == Kind::Hang {
            self.print(call, "-", &[]);
            self.show(call, None);
            // hyper drops this future when the client disconnects.
            match std::future::pending::<Infallible>().await {}
        }
        if let Some(delay) = fault.delay_ms {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if fault.kind != Kind::Delay {
            // Ignored, because a 304 has no body to damage.
            call.headers.remove(IF_NONE_MATCH);
        }
        let response = altered(&fault, handlers::respond(&self.world, call, Some(&fault)));
        if fault.kind == Kind::GzipBomb {
            let response = raw::bomb_response(response);
            self.sending(call, &response);
            // Clients are expected to disconnect before the end.
            let _ = raw::bomb(&self.socket, &response, fault.decoded_bytes, in_flight).await;
            return Err(Aborted);
        }
        let Some(script) = Script::new(&fault, &response) else { return Ok(response) };
        if script.sends() && fault.kind != Kind::Raw {
            self.sending(call, &response);
        } else {
            self.print(call, "-", &response.lines);
            self.show(call, None);
        }
        if fault.kind == Kind::Refuse {
            let down = fault.down_ms.map(Duration::from_millis);
            let _ = self.ports.stop(Some(self.id), down).await;
        }
        let _ = script.play(&self.socket, in_flight).await;
        Err(Aborted)
    }
}

fn unread(error: ReadError) -> Result<Response, Aborted> {
    match error {
        ReadError::TooLarge => Ok(Response::error(StatusCode::PAYLOAD_TOO_LARGE, "Over 64 MiB")
            .with(CONNECTION, HeaderValue::from_static("close"))),
        ReadError::Disconnected => Err(Aborted),
    }
}

/// The healthy response with the fault's fields in place of its own.
fn altered(fault: &Fault, healthy: Response) -> Response {
    let mut response = match (fault.kind, fault.status_code()) {
        (Kind::Status, Some(status)) => {
            Response { lines: healthy.lines, ..Response::error(status, "Injected fault") }
        }
        (Kind::Garbage, _) => {
            let garbage = Response::new(StatusCode::OK, GARBAGE).with(CONTENT_TYPE, JSON);
            Response { lines: healthy.lines, ..garbage }
        }
        _ => healthy,
    };
    if let Some(status) = fault.status_code() {
        response.status = status;
    }
    if let Some(body) = &fault.body {
        response.replace_body(body.clone());
    }
    let retry_after = match &fault.retry_after {
        Some(RetryAfter::Seconds(seconds)) => Some(HeaderValue::from(*seconds)),
        Some(RetryAfter::Text(text)) => HeaderValue::try_from(text).ok(),
        None => None,
    };
    if let Some(value) = retry_after {
        response.headers.insert(RETRY_AFTER, value);
    }
    for (name, value) in fault.headers.iter().flatten() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers.insert(name, value);
        }
    }
    response
}
