//! One connection: its requests are recorded, meet their faults, and are answered.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};

use crate::answer::{Answer, JSON};
use crate::control;
use crate::faults::{Fault, Kind, RetryAfter};
use crate::handlers::{self, Call, Coding};
use crate::log::InFlight;
use crate::raw::{self, Script};
use crate::socket::{Socket, SocketIo};
use crate::state::State;

const BODY_LIMIT: usize = 64 << 20;
const GARBAGE: &[u8] = b"<html>\xff\xfe\x00 this is no JSON {\"flags\":";

/// Which port a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Main,
    Control,
}

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) state: Arc<State>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) id: u64,
    pub(crate) port: Port,
}

/// The connection is over: hyper drops it without another byte.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was ended by a fault")
    }
}

impl std::error::Error for Gone {}

type Answered = Result<Response<Full<Bytes>>, Gone>;

impl Connection {
    /// Runs until either side ends it. Its errors are the client's, or faults.
    pub(crate) async fn run(self) {
        let io = SocketIo(Arc::clone(&self.socket));
        let service = service_fn(move |request| {
            let connection = self.clone();
            async move { connection.serve(request).await }
        });
        // Without the limit on the head's time hyper needs no timer.
        let _ = http1::Builder::new().header_read_timeout(None).serve_connection(io, service).await;
    }

    async fn serve(&self, request: hyper::Request<Incoming>) -> Answered {
        let path = request.uri().path();
        if path == "/__dev" || path.starts_with("/__dev/") {
            let Ok(call) = read(request).await? else { return Ok(too_large().into_response()) };
            return Ok(control::answer(self, &call).await.into_response());
        }
        if self.port == Port::Control {
            return Ok(Answer::error(StatusCode::NOT_FOUND, "This is the control port").into_response());
        }
        self.socket.seat.take();
        let in_flight = InFlight::new(&self.state.log);
        let Ok(call) = read(request).await? else { return Ok(too_large().into_response()) };
        let Ok(mut call) = decoded(call) else { return Ok(too_large().into_response()) };
        let keep_body = self.state.events.keeps() || !handlers::takes_events(&call.path);
        self.state.log.record(&mut call, self.id, keep_body);
        let answer = match self.state.faults.take(&call.path) {
            Some(fault) if fault.kind != Kind::Pass => self.fail(fault, &mut call, in_flight).await?,
            _ => handlers::answer(&self.state, &call, None),
        };
        self.answered(&call, &answer);
        Ok(answer.into_response())
    }

    /// Notes an answer that begins to leave.
    fn answered(&self, call: &Call, answer: &Answer) {
        self.state.log.answered(call.number, answer.status);
        self.tell(call, answer.status.as_str(), &answer.lines);
    }

    fn tell(&self, call: &Call, status: &str, lines: &[String]) {
        if let Some(told) = &self.state.lines {
            let mut text = format!("{} {} {status}\n", call.method, call.path);
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
            // Nobody listens any more.
            let _ = told.send(text);
        }
    }

    /// The answer for hyper to send, or `Gone` when it was sent here.
    async fn fail(&self, fault: Fault, call: &mut Call, in_flight: InFlight) -> Result<Answer, Gone> {
        if fault.kind == Kind::Hang {
            self.tell(call, "-", &[]);
            // hyper drops this future when the client goes.
            match std::future::pending::<Infallible>().await {}
        }
        if let Some(delay) = fault.delay_ms {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if fault.kind != Kind::Delay {
            // A 304 has no body to spoil.
            call.headers.remove(IF_NONE_MATCH);
        }
        let answer = altered(&fault, handlers::answer(&self.state, call, Some(&fault)));
        if fault.kind == Kind::GzipBomb {
            let answer = raw::bomb_answer(answer);
            self.answered(call, &answer);
            // A client that has had enough is the purpose.
            let _ = raw::bomb(&self.socket, &answer, fault.decoded_bytes, in_flight).await;
            return Err(Gone);
        }
        let Some(script) = Script::new(&fault, &answer) else { return Ok(answer) };
        if script.sends() && fault.kind != Kind::Raw {
            self.answered(call, &answer);
        } else {
            self.tell(call, "-", &answer.lines);
        }
        if fault.kind == Kind::Refuse {
            let down = fault.down_ms.map(Duration::from_millis);
            let _ = self.state.stop(Some(self.id), down).await;
        }
        let _ = script.play(&self.socket, in_flight).await;
        Err(Gone)
    }

    /// Makes a control call's answer the last on its connection.
    pub(crate) fn last(&self, answer: Answer) -> Answer {
        match self.port {
            Port::Main => answer.with(CONNECTION, HeaderValue::from_static("close")),
            Port::Control => answer,
        }
    }
}

/// The healthy answer with what the fault puts in its place.
fn altered(fault: &Fault, healthy: Answer) -> Answer {
    let mut answer = match (fault.kind, fault.status_code()) {
        (Kind::Status, Some(status)) => {
            Answer { lines: healthy.lines, ..Answer::error(status, "Injected fault") }
        }
        (Kind::Garbage, _) => {
            let garbage = Answer::new(StatusCode::OK, GARBAGE).with(CONTENT_TYPE, JSON);
            Answer { lines: healthy.lines, ..garbage }
        }
        _ => healthy,
    };
    if let Some(status) = fault.status_code() {
        answer.status = status;
    }
    if let Some(body) = &fault.body {
        answer.replace_body(body.clone());
    }
    let retry_after = match &fault.retry_after {
        Some(RetryAfter::Seconds(seconds)) => Some(HeaderValue::from(*seconds)),
        Some(RetryAfter::Text(text)) => HeaderValue::try_from(text).ok(),
        None => None,
    };
    if let Some(value) = retry_after {
        answer.headers.insert(RETRY_AFTER, value);
    }
    for (name, value) in fault.headers.iter().flatten() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers.insert(name, value);
        }
    }
    answer
}

struct TooLarge;

fn too_large() -> Answer {
    Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Over 64 MiB")
        .with(CONNECTION, HeaderValue::from_static("close"))
}

/// Reads a request to its end. `Gone` when the client went in the middle.
async fn read(request: hyper::Request<Incoming>) -> Result<Result<Call, TooLarge>, Gone> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(Err(TooLarge)),
        Err(_) => return Err(Gone),
    };
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let query: BTreeMap<String, String> =
        query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    Ok(Ok(Call {
        method: head.method,
        path: head.uri.path().to_owned(),
        query,
        headers: head.headers,
        body_length: body.len(),
        body,
        coding: Coding::Readable,
        number: 0,
        at: Duration::ZERO,
    }))
}

/// Decodes the body, or leaves it as it is and says why.
fn decoded(mut call: Call) -> Result<Call, TooLarge> {
    let coding = call.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    if coding.eq_ignore_ascii_case(b"gzip") {
        let mut body = Vec::with_capacity(call.body.len().saturating_mul(4));
        let mut decoder = MultiGzDecoder::new(call.body.as_ref()).take(BODY_LIMIT as u64 + 1);
        match decoder.read_to_end(&mut body) {
            Ok(length) if length > BODY_LIMIT => return Err(TooLarge),
            Ok(_) => call.body = Bytes::from(body),
            Err(_) => call.coding = Coding::Broken,
        }
    } else if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
        call.coding = Coding::Unknown;
    }
    Ok(call)
}
