//! What Mixpanel's answer to events means.

use serde::Deserialize;

use super::batch::Endpoint;
use crate::transport::Answer;

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// The records at these places were refused, the others taken.
    PartlyTaken {
        failed: Vec<(usize, String)>,
    },
    /// Sending it again would come to the same.
    Refused {
        message: String,
    },
    TooLarge,
    /// Nothing is known to have been taken.
    Later {
        message: String,
    },
}

/// Mixpanel's own form; proxies and load balancers answer otherwise. Read leniently: an answer that is not understood is
/// one that is waited for again.
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

/// Text of the server's that a log line repeats.
const QUOTED: usize = 1024;

pub(super) fn read(answer: &Answer, endpoint: Endpoint) -> Verdict {
    let later = |why: &str| Verdict::Later { message: format!("HTTP {}{why}", answer.status) };
    match answer.status {
        200 => match body(answer) {
            Some(Body { status: Some(_), .. }) if endpoint == Endpoint::Import => Verdict::Taken,
            Some(Body { status: Some(status), .. }) if status == 1 => Verdict::Taken,
            Some(Body { status: Some(status), error, .. }) if status == 0 => {
                Verdict::Refused { message: quoted(error) }
            }
            _ => later(": not Mixpanel's answer"),
        },
        400 => match body(answer) {
            None => later(": not Mixpanel's answer"),
            Some(Body { failed_records: Some(records), .. }) if records.iter().any(|r| r.index.is_some()) => {
                let why = |record: FailedRecord| {
                    let (field, message) =
                        (record.field.unwrap_or_default(), record.message.unwrap_or_default());
                    Some((record.index?, format!("{field}: {message}")))
                };
                Verdict::PartlyTaken { failed: records.into_iter().filter_map(why).collect() }
            }
            Some(Body { error, .. }) => Verdict::Refused { message: quoted(error) },
        },
        413 => Verdict::TooLarge,
        401 | 403 => later(": Mixpanel refused the credentials"),
        300..=399 => later(": a redirect is not followed; check api_host"),
        _ => later(""),
    }
}

/// Whether a compressed request should be tried plain.
pub(super) fn may_be_about_compression(answer: &Answer) -> bool {
    answer.status == 415 || (answer.status == 400 && body(answer).is_none())
}

fn body(answer: &Answer) -> Option<Body> {
    let body: Body = serde_json::from_slice(&answer.body).ok()?;
    (body.status.is_some() || body.error.is_some()).then_some(body)
}

fn quoted(error: Option<serde_json::Value>) -> String {
    let error = match error {
        None => "no reason given".to_owned(),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    let end = error.char_indices().map(|(at, _)| at).find(|at| *at >= QUOTED).unwrap_or(error.len());
    error.get(..end).unwrap_or_default().to_owned()
}
