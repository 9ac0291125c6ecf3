//! Remote evaluation: one request per evaluation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::runtime::Shared;
use crate::config::Config;
use crate::engine::context::Context;
use crate::engine::exposure::{Experiment, Fetch};
use crate::engine::outcome::{Outcome, RemoteVariant, Unavailable};
use crate::engine::variant::FlagValue;
use crate::error::Error;
use crate::json::{RawPairs, json_kind, text_or_number, without_position};
use crate::sys::clock::Clock;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};
use crate::transport::{Get, Transport};

/// The largest context that is sent, in bytes of JSON.
const CONTEXT_LIMIT: usize = 64 * 1024;
/// The largest response, in bytes. All flags of a project, with large values, stay far below this.
const RESPONSE_LIMIT: u64 = 16 * 1024 * 1024;

/// What Mixpanel decided about one flag, or why that is not known.
#[derive(Debug)]
pub(super) enum RemoteResult {
    Variant(Box<RemoteVariant>),
    NotAnswered,
    Malformed(String),
    InvalidContext(String),
    Unavailable(Unavailable),
    Failed(String),
}

impl RemoteResult {
    pub(super) fn outcome(&self) -> Outcome<'_> {
        match self {
            RemoteResult::Variant(variant) => Outcome::Remote(variant),
            RemoteResult::NotAnswered => Outcome::NotAnswered,
            RemoteResult::Malformed(why) => Outcome::Malformed(why),
            RemoteResult::InvalidContext(why) => Outcome::InvalidContext(why.clone()),
            RemoteResult::Unavailable(why) => Outcome::Unavailable(why),
            RemoteResult::Failed(why) => Outcome::Failed(why),
        }
    }
}

/// A remote evaluation in progress.
pub(super) struct RemoteCall {
    /// None after shutdown.
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    /// The time limit of the whole call, including a retry.
    timeout: Duration,
    in_flight: Arc<AtomicUsize>,
}

impl Drop for RemoteCall {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RemoteCall {
    pub(super) fn new(
        transport: Option<Arc<dyn Transport>>,
        shared: &Shared,
        timeout: Duration,
        in_flight: &Arc<AtomicUsize>,
    ) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        let (clock, config) = (shared.clock.clone(), shared.config.clone());
        RemoteCall { transport, clock, config, timeout, in_flight: in_flight.clone() }
    }

    /// Evaluates flag `key`.
    pub(super) fn one(&self, key: &str, context: &Context) -> RemoteResult {
        match self.fetch(Some(key), context) {
            Err(result) => result,
            Ok(body) => match body.flags() {
                Err(why) => RemoteResult::Failed(why),
                Ok(flags) => {
                    let found = flags.into_iter().rev().find(|(name, _)| name == key);
                    found.and_then(|(_, json)| body.variant(key, json)).unwrap_or(RemoteResult::NotAnswered)
                }
            },
        }
    }

    /// Evaluates all flags. Only those that the user has a variant of are in the result.
    pub(super) fn all(&self, context: &Context) -> Result<BTreeMap<String, RemoteResult>, RemoteResult> {
        let body = self.fetch(None, context)?;
        let flags = body.flags().map_err(RemoteResult::Failed)?;
        let mut results = BTreeMap::new();
        for (key, json) in flags {
            // If a key occurs twice, the later value counts, even if it is null.
            match body.variant(&key, json) {
                Some(result) => _ = results.insert(key.into_owned(), result),
                None => _ = results.remove(&*key),
            }
        }
        Ok(results)
    }

    fn fetch(&self, key: Option<&str>, context: &Context) -> Result<Body, RemoteResult> {
        let closed = || RemoteResult::Failed(Error::closed().to_string());
        let transport = self.transport.as_deref().ok_or_else(closed)?;
        let context = &*context.compact_json();
        if context.len() > CONTEXT_LIMIT {
            let why = format!(
                "context: {} bytes of JSON; the limit for remote evaluation is {CONTEXT_LIMIT}",
                context.len()
            );
            return Err(RemoteResult::InvalidContext(why));
        }
        let begun = self.clock.now();
        let start = self.clock.wall();
        let mut retried = false;
        let response = loop {
            let left = self.timeout.saturating_sub(self.clock.now().saturating_duration_since(begun));
            if left.is_zero() {
                return Err(RemoteResult::Failed(format!(
                    "{}: timed out",
                    self.config.api_host.authorities()
                )));
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
                limit: RESPONSE_LIMIT,
            };
            match transport.get(&request) {
                Ok(response) => break response,
                Err(failure) if failure.too_long => {
                    return Err(RemoteResult::InvalidContext(format!("context: {}", failure.message)));
                }
                // Most likely the server closed an idle connection and never saw the request.
                Err(failure) if failure.ended_early && !retried => retried = true,
                Err(failure) => return Err(RemoteResult::Failed(failure.message)),
            }
        };
        let latency_ms = self.clock.now().saturating_duration_since(begun).as_secs_f64() * 1000.0;
        let fetch = Fetch { latency_ms, start: rfc3339(start), complete: rfc3339(self.clock.wall()) };
        match response.status {
            200 => Ok(Body { from: response.from, json: response.body, fetch }),
            status => {
                let mut private = self.config.secrets();
                private.push(context);
                let described = response.explained(&private);
                Err(match status {
                    401 | 403 => RemoteResult::Unavailable(Unavailable::CredentialsRefused(described)),
                    _ => RemoteResult::Failed(described),
                })
            }
        }
    }
}

/// The body of a successful response, and when it was fetched.
struct Body {
    /// The source of the response, for messages.
    from: String,
    json: Vec<u8>,
    fetch: Fetch,
}

#[derive(Deserialize)]
struct WireBody<'a> {
    #[serde(borrow)]
    flags: RawPairs<'a>,
}

impl Body {
    /// Each flag as JSON text, so that an error in one does not affect the others.
    fn flags(&self) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
        let body: WireBody<'_> = serde_json::from_slice(&self.json)
            .map_err(|e| format!("{}: not a response from Mixpanel: {}", self.from, without_position(&e)))?;
        Ok(body.flags.0)
    }

    /// The variant in `json`; None for null. Only an invalid value is an error. As in Mixpanel's SDKs, other fields of a wrong
    /// type count as absent.
    fn variant(&self, key: &str, json: &RawValue) -> Option<RemoteResult> {
        let wrong =
            |why: &str| Some(RemoteResult::Malformed(format!("flag `{key}`: in the response: {why}")));
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
        Some(RemoteResult::Variant(Box::new(RemoteVariant {
            key: serde_json::from_str(field("variant_key")).ok(),
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

/// UTC, with milliseconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
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
