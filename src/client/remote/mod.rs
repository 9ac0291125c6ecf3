//! Remote evaluation: Mixpanel decides, one request per question.

mod error_text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::exposure::{Experiment, Fetch};
use crate::engine::outcome::{Outcome, RemoteVariant, Unavailable};
use crate::engine::variant::FlagValue;
use crate::json::{RawPairs, json_kind, without_position};
use crate::sys::clock::Clock;
use crate::transport::{Get, Transport};

/// JSON of a context beyond which it is not sent.
const CONTEXT_LIMIT: usize = 64 * 1024;
/// Bytes of an answer; all flags of a project with large values stay far below.
const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// What Mixpanel answered about one flag, or why there is no answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Variant(Box<RemoteVariant>),
    NotAnswered,
    Malformed(String),
    InvalidContext(String),
    Unavailable(Unavailable),
    Failed(String),
}

impl Reply {
    pub(crate) fn outcome(&self) -> Outcome<'_> {
        match self {
            Reply::Variant(variant) => Outcome::Remote(variant),
            Reply::NotAnswered => Outcome::NotAnswered,
            Reply::Malformed(why) => Outcome::Malformed(why),
            Reply::InvalidContext(why) => Outcome::InvalidContext(why.clone()),
            Reply::Unavailable(why) => Outcome::Unavailable(why),
            Reply::Failed(why) => Outcome::Failed(why),
        }
    }
}

/// What a request needs besides the question.
pub(crate) struct Remote<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a dyn Clock,
    /// For everything, a retry included.
    pub(crate) timeout: Duration,
    /// What no message repeats, whatever the server says.
    pub(crate) secrets: &'a [&'a str],
}

impl Remote<'_> {
    /// Asks for flag `key`. `context` is compact JSON.
    pub(crate) fn evaluate(&self, key: &str, context: &str) -> Reply {
        match self.fetch(Some(key), context) {
            Err(reply) => reply,
            Ok(answer) => match answer.flags() {
                Err(why) => Reply::Failed(why),
                Ok(flags) => {
                    let found = flags.into_iter().rev().find(|(name, _)| name == key);
                    found.and_then(|(_, json)| answer.variant(key, json)).unwrap_or(Reply::NotAnswered)
                }
            },
        }
    }

    /// Asks for every flag that the user is in.
    pub(crate) fn evaluate_all(&self, context: &str) -> Result<BTreeMap<String, Reply>, Reply> {
        let answer = self.fetch(None, context)?;
        let flags = answer.flags().map_err(Reply::Failed)?;
        let mut replies = BTreeMap::new();
        for (key, json) in flags {
            // Of two flags with one key the later counts, also where it is null.
            match answer.variant(&key, json) {
                Some(reply) => _ = replies.insert(key.into_owned(), reply),
                None => _ = replies.remove(&*key),
            }
        }
        Ok(replies)
    }

    fn fetch(&self, key: Option<&str>, context: &str) -> Result<Answer, Reply> {
        if context.len() > CONTEXT_LIMIT {
            let why =
                format!("context: {} bytes of JSON; remote evaluation takes {CONTEXT_LIMIT}", context.len());
            return Err(Reply::InvalidContext(why));
        }
        let begun = self.clock.now();
        let start = self.clock.wall();
        let mut retried = false;
        let answer = loop {
            let left = self.timeout.saturating_sub(self.clock.now().saturating_duration_since(begun));
            if left == Duration::ZERO {
                return Err(Reply::Failed("timed out".to_owned()));
            }
            let parameters: &[(&str, &str)] = match key {
                Some(key) => &[("context", context), ("flag_key", key)],
                None => &[("context", context)],
            };
            let request = Get {
                path: "/flags",
                parameters,
                etag: None,
                fresh: false,
                timeout: left,
                limit: ANSWER_LIMIT,
            };
            match self.transport.get(&request) {
                Ok(answer) => break answer,
                Err(failure) if failure.too_long => {
                    return Err(Reply::InvalidContext(format!("context: {}", failure.message)));
                }
                // The server closed a kept connection, most likely, and never saw the request.
                Err(failure) if failure.ended_early && !retried => retried = true,
                Err(failure) => return Err(Reply::Failed(failure.message)),
            }
        };
        let latency_ms = self.clock.now().saturating_duration_since(begun).as_secs_f64() * 1000.0;
        let fetch = Fetch { latency_ms, start: rfc3339(start), complete: rfc3339(self.clock.wall()) };
        match answer.status {
            200 => Ok(Answer { body: answer.body, fetch }),
            401 | 403 => Err(Reply::Unavailable(Unavailable::CredentialsRefused(answer.status))),
            300..=399 => Err(Reply::Failed(format!(
                "HTTP {}: a redirect is not followed, since it would carry the credentials elsewhere; check api_host",
                answer.status
            ))),
            status => {
                let private: Vec<&str> = self.secrets.iter().copied().chain([context]).collect();
                Err(Reply::Failed(match error_text::error_text(&answer.body, &private) {
                    Some(text) => format!("HTTP {status}: {text}"),
                    None => format!("HTTP {status}"),
                }))
            }
        }
    }
}

/// A 200 and when it came.
struct Answer {
    body: Vec<u8>,
    fetch: Fetch,
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    flags: RawPairs<'a>,
}

impl Answer {
    /// Each flag as text: what is wrong in one disturbs no other.
    fn flags(&self) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
        let answer: WireAnswer<'_> = serde_json::from_slice(&self.body)
            .map_err(|e| format!("not Mixpanel's answer: {}", without_position(&e)))?;
        Ok(answer.flags.0)
    }

    /// The variant in `json`; nothing for null, which is no flag. The value has to be readable. As in Mixpanel's SDKs, nothing
    /// about the other fields keeps it from being served: what is not of the type that it should be counts as absent.
    fn variant(&self, key: &str, json: &RawValue) -> Option<Reply> {
        let wrong = |why: &str| Some(Reply::Malformed(format!("flag `{key}`: in the answer: {why}")));
        let fields = match json.get() {
            "null" => return None,
            text if !text.starts_with('{') => {
                return wrong(&format!("expected an object, found {}", json_kind(text)));
            }
            text => match serde_json::from_str::<RawPairs<'_>>(text) {
                Ok(RawPairs(fields)) => fields,
                Err(error) => return wrong(&without_position(&error)),
            },
        };
        let field = |name: &str| {
            fields.iter().rev().find(|(known, _)| known == name).map_or("null", |(_, json)| json.get())
        };
        let value = match FlagValue::parse(field("variant_value")) {
            Ok(value) => value,
            Err(error) => return wrong(&format!("variant_value: {}", without_position(&error))),
        };
        Some(Reply::Variant(Box::new(RemoteVariant {
            key: text(field("variant_key")),
            value,
            experiment: Experiment {
                id: text_or_number(field("experiment_id")),
                is_active: serde_json::from_str(field("is_experiment_active")).ok(),
            },
            is_qa_tester: serde_json::from_str(field("is_qa_tester")).ok(),
            fetch: self.fetch.clone(),
        })))
    }
}

fn text(json: &str) -> Option<Box<str>> {
    serde_json::from_str(json).ok()
}

/// A number as it is written.
fn text_or_number(json: &str) -> Option<Box<str>> {
    match json_kind(json) {
        "a number" => serde_json::from_str::<f64>(json).ok().map(|_| json.into()),
        _ => text(json),
    }
}

/// UTC, with milliseconds.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 1970 to a date, with years that begin in March, so that the leap day is the last: H. Hinnant's
    // "chrono-compatible low-level date algorithms".
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_795_341_600_042, "2026-11-22T10:00:00.042Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(ms)), want);
        }
    }
}
