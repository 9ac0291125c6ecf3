//! `/track`, `/import`, `/engage` and `/groups`.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Call, Coding};
use crate::events::Batch;
use crate::faults::{Fault, Kind};
use crate::ingestion::{self, Checked, Endpoint, MOST_BYTES, MOST_RECORDS, Payload, Rejection};
use crate::live::Live;
use crate::response::Response;
use crate::world::World;

/// The three formats of Mixpanel's responses.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `1` or `0`: whether any record was accepted.
    Digit,
    /// The same, with the reason.
    Verbose,
    /// How many were accepted and, with `strict`, each one that was rejected.
    Records { strict: bool },
}

pub(crate) fn respond(world: &World, call: &Call, fault: Option<&Fault>, endpoint: Endpoint) -> Response {
    // The other two date from the days of image tags, and some libraries still GET them.
    let allowed = if endpoint == Endpoint::Import { "POST" } else { "GET, POST" };
    if call.method != Method::POST && (call.method != Method::GET || endpoint == Endpoint::Import) {
        return Response::wrong_method(allowed);
    }
    if endpoint == Endpoint::Import
        && let Some(why) = world.credentials.wrong_import(call)
    {
        return Response::json(StatusCode::UNAUTHORIZED, &Failure::new(StatusCode::UNAUTHORIZED, why));
    }
    let payload = Payload::read(call);
    let form = form(call, &payload, fault, endpoint);
    match call.coding {
        Coding::Readable => {}
        Coding::Broken => return form.failure(StatusCode::BAD_REQUEST, "Content-Encoding: invalid gzip"),
        Coding::Unknown => {
            return form
                .failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: only gzip is supported");
        }
    }
    let json = match payload.json {
        Ok(json) => json,
        Err(why) => return form.failure(StatusCode::BAD_REQUEST, why),
    };
    if json.len() > MOST_BYTES {
        let why = format!("request exceeds max limit of {MOST_BYTES} bytes");
        return form.failure(StatusCode::PAYLOAD_TOO_LARGE, &why);
    }
    let mut checked = match ingestion::check(endpoint, &json, world.credentials.token()) {
        Ok(checked) => checked,
        Err(error) => return form.failure(StatusCode::BAD_REQUEST, &format!("data, invalid JSON: {error}")),
    };
    if checked.is_empty() {
        return form.failure(StatusCode::BAD_REQUEST, "data, missing or empty");
    }
    if checked.len() > MOST_RECORDS {
        let why = format!("request exceeds max limit of {MOST_RECORDS} events");
        return form.failure(StatusCode::PAYLOAD_TOO_LARGE, &why);
    }
    if let Some(fault) = fault.filter(|fault| fault.kind == Kind::RejectRecords) {
        for (index, (checked, record)) in checked.iter_mut().zip(ingestion::values(&json)).enumerate() {
            if let (Ok(_), Some(why)) = (&checked, fault.rejection(index, &record)) {
                *checked = Err(why);
            }
        }
    }
    let mut response = form.verdict(&checked);
    if !fault.is_some_and(Fault::comes_before_events) {
        let checked = checked.as_slice();
        let batch = Batch { endpoint, request: call.number, at: call.at, json: &json, checked };
        let duplicates = world.events.record(&batch);
        if world.live.listened() {
            show(world, &batch, &duplicates);
        }
        if world.lines.is_some() {
            let records = ingestion::values(&json);
            response.lines =
                records.iter().zip(checked).map(|(record, checked)| line(record, checked)).collect();
        }
    }
    response
}

/// Shows the records on the page.
fn show(world: &World, batch: &Batch<'_>, duplicates: &[bool]) {
    let records = ingestion::values(batch.json).into_iter().zip(batch.checked).zip(duplicates);
    for ((record, checked), duplicate) in records {
        world.live.send("event", || {
            json!({
                "endpoint": batch.endpoint,
                "received_at_ms": u64::try_from(batch.at.as_millis()).unwrap_or(u64::MAX),
                "request": batch.request,
                "accepted": checked.is_ok(),
                "rejected": checked.as_ref().err(),
                "duplicate": duplicate,
                "json": Live::shortened(&record),
            })
        });
    }
}

fn form(call: &Call, payload: &Payload, fault: Option<&Fault>, endpoint: Endpoint) -> Form {
    let is_on = |name| payload.parameter(call, name) == Some("1");
    let strict = fault.is_some_and(|fault| fault.kind == Kind::RejectRecords)
        || (endpoint != Endpoint::Track && is_on("strict"));
    match endpoint {
        _ if strict => Form::Records { strict },
        Endpoint::Import => Form::Records { strict },
        Endpoint::Track | Endpoint::Engage | Endpoint::Groups if is_on("verbose") => Form::Verbose,
        Endpoint::Track | Endpoint::Engage | Endpoint::Groups => Form::Digit,
    }
}

impl Form {
    fn verdict(self, checked: &[Checked]) -> Response {
        let failed = || checked.iter().enumerate().filter_map(|(index, c)| Some((index, c.as_ref().err()?)));
        let imported = checked.len() - failed().count();
        match (self, failed().next()) {
            (Self::Records { strict: true }, Some(_)) => {
                let failed = failed().map(|(index, why)| FailedRecord::new(index, why)).collect();
                let why = "some data points in the request failed validation";
                let failure = Failure::new(StatusCode::BAD_REQUEST, why);
                Response::json(
                    StatusCode::BAD_REQUEST,
                    &Failure {
                        failed_records: Some(failed),
                        num_records_imported: Some(imported),
                        ..failure
                    },
                )
            }
            (Self::Records { .. }, _) => Response::json(
                StatusCode::OK,
                &Received { code: 200, num_records_imported: imported, status: "OK" },
            ),
            (_, Some((_, why))) if imported == 0 => self.failure(StatusCode::BAD_REQUEST, &why.message),
            (Self::Verbose, _) => Response::json(StatusCode::OK, &Verbose { status: 1, error: None }),
            (Self::Digit, _) => digit(StatusCode::OK, "1"),
        }
    }

    /// The response when no record was accepted.
    fn failure(self, status: StatusCode, why: &str) -> Response {
        match self {
            Self::Digit => digit(status, "0"),
            Self::Verbose => Response::json(status, &Verbose { status: 0, error: Some(why) }),
            Self::Records { .. } => Response::json(
                status,
                &Failure { num_records_imported: Some(0), ..Failure::new(status, why) },
            ),
        }
    }
}

fn digit(status: StatusCode, digit: &'static str) -> Response {
    Response::new(status, digit).with(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
}

#[derive(Serialize)]
struct Verbose<'a> {
    status: u8,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Received {
    code: u16,
    num_records_imported: usize,
    status: &'static str,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: u16,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_records: Option<Vec<FailedRecord<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_records_imported: Option<usize>,
    status: &'static str,
}

impl<'a> Failure<'a> {
    fn new(status: StatusCode, error: &'a str) -> Self {
        // Mixpanel uses the older name.
        let name = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
            status => status.canonical_reason().unwrap_or_default(),
        };
        Self { code: status.as_u16(), error, failed_records: None, num_records_imported: None, status: name }
    }
}

#[derive(Serialize)]
struct FailedRecord<'a> {
    index: usize,
    #[serde(rename = "$insert_id")]
    insert_id: &'a str,
    field: &'a str,
    message: &'a str,
}

impl<'a> FailedRecord<'a> {
    fn new(index: usize, why: &'a Rejection) -> Self {
        let insert_id = why.insert_id.as_deref().unwrap_or_default();
        Self { index, insert_id, field: &why.field, message: &why.message }
    }
}

/// A line for `--verbose`: event, flag, variant and user; for a profile update, its operation and the user or group.
fn line(record: &Value, checked: &Checked) -> String {
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let property = |name| text(record.get("properties").and_then(|properties| properties.get(name)));
    let mut line = match record.get("event") {
        Some(event) => {
            let [flag, variant, user] = ["Experiment name", "Variant name", "distinct_id"].map(property);
            format!("  {} {flag} {variant} {user}", text(Some(event)))
        }
        None => {
            let operation = ingestion::operation(record).unwrap_or("-");
            let owner = record.get("$distinct_id").or_else(|| record.get("$group_id"));
            format!("  {operation} - - {}", text(owner))
        }
    };
    if let Err(why) = checked {
        line.push_str(": rejected, ");
        line.push_str(&why.message);
    }
    line
}
