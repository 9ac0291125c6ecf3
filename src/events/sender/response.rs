//! Interpreting Mixpanel's responses to events.

use serde::Deserialize;

use super::batch::Endpoint;
use crate::json::cut;
use crate::transport::Response;

/// What a response says about a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BatchOutcome {
    Accepted,
    /// The events at these indexes were rejected, the others accepted.
    PartlyAccepted {
        rejected: Vec<(usize, String)>,
    },
    /// Sending it again would not help.
    Rejected {
        message: String,
    },
    TooLarge,
    /// It may not have been accepted, and has to be sent again.
    Retry {
        message: String,
    },
}

/// The body of a response from Mixpanel; those of proxies and load balancers look different. Read leniently: a response that
/// is not understood means that the batch is sent again.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    status: Option<serde_json::Value>,
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default)]
    failed_records: Option<Vec<FailedRecord>>,
}

#[derive(Deserialize)]
struct FailedRecord {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// The most bytes of an error text that a log line quotes.
const QUOTED: usize = 1024;

/// `private`: texts that a message must not contain.
pub(super) fn read(response: &Response, endpoint: Endpoint, private: &[&str]) -> BatchOutcome {
    let retry = |why: &str| BatchOutcome::Retry { message: format!("{}{why}", response.described()) };
    match response.status {
        200 => match body(response) {
            Some(Body { status: Some(_), .. }) if endpoint == Endpoint::Import => BatchOutcome::Accepted,
            Some(Body { status: Some(status), .. }) if status == 1 => BatchOutcome::Accepted,
            Some(Body { status: Some(status), error, .. }) if status == 0 => {
                BatchOutcome::Rejected { message: quoted(error) }
            }
            _ => retry(": not a response from Mixpanel"),
        },
        400 => match body(response) {
            None => retry(": not a response from Mixpanel"),
            Some(Body { failed_records: Some(records), .. }) if records.iter().any(|r| r.index.is_some()) => {
                let why = |record: FailedRecord| {
                    let (field, message) =
                        (record.field.unwrap_or_default(), record.message.unwrap_or_default());
                    Some((record.index?, format!("{field}: {message}")))
                };
                BatchOutcome::PartlyAccepted { rejected: records.into_iter().filter_map(why).collect() }
            }
            Some(Body { error, .. }) => BatchOutcome::Rejected { message: quoted(error) },
        },
        413 => BatchOutcome::TooLarge,
        401 | 403 => BatchOutcome::Retry {
            message: format!("Mixpanel refused the credentials: {}", response.explained(private)),
        },
        _ => retry(""),
    }
}

/// Whether the request should be tried again without compression.
pub(super) fn may_be_about_compression(response: &Response) -> bool {
    response.status == 415 || (response.status == 400 && body(response).is_none())
}

fn body(response: &Response) -> Option<Body> {
    let body: Body = serde_json::from_slice(&response.body).ok()?;
    (body.status.is_some() || body.error.is_some()).then_some(body)
}

fn quoted(error: Option<serde_json::Value>) -> String {
    let error = match error {
        None => "no reason given".to_owned(),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    cut(&error, QUOTED).to_owned()
}
