//! Reporting to Mixpanel: events, exposures by hand, flushing and statistics.

use std::time::Duration;

use super::Client;
use super::status::Polls;
use crate::engine::evaluation::Evaluation;
use crate::engine::reason::ErrorCode;
use crate::error::{Error, ErrorKind};
use crate::events::Events;
use crate::events::payload::Owner;
use crate::items::Level;
use crate::sys::clock::deadline;
use crate::sys::sync::atomic::Ordering;

/// The most entries of a list in the statistics.
const LISTED: usize = 64;

impl Client {
    /// Queues the event `name` of user `distinct_id`, to be sent to Mixpanel. `properties` is a JSON object, or empty.
    /// Does not wait.
    ///
    /// An empty `distinct_id` means that the user is unknown: `properties` must then have a `$device_id`, a non-empty
    /// string. `time` and `$insert_id` in `properties` replace the generated ones. `time` is a number of seconds or
    /// milliseconds since 1970, or an RFC 3339 string, not before 1971. `$insert_id` is a string of 1 to 36 ASCII letters,
    /// digits or `-`.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if the name is empty or a property is not as described, with
    /// [`ErrorKind::QueueFull`] if the event queue is full, and with [`ErrorKind::Closed`] after shutdown.
    pub fn track(&self, name: &str, distinct_id: &str, properties: &str) -> Result<(), Error> {
        self.reporting(|events| events.track(name, distinct_id, properties))
    }

    /// Queues an update of the profile of user `distinct_id`. Does not wait.
    ///
    /// `operation` is `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove`, and `value` a JSON object; or `$unset`
    /// and an array of property names; or `$delete` and null.
    ///
    /// Fails as [`Client::track`] does; an empty `distinct_id` is always an error.
    pub fn people_update(&self, operation: &str, distinct_id: &str, value: &str) -> Result<(), Error> {
        self.reporting(|events| events.update(operation, Owner::user(distinct_id)?, value))
    }

    /// Queues an update of the profile of a group: all users and events whose property `group_key`, such as `company`, is
    /// `group_id`. Does not wait.
    ///
    /// `operation` and `value` are those of [`Client::people_update`], without `$add` and `$append`.
    ///
    /// Fails as [`Client::track`] does; an empty `group_key` or `group_id` is an error.
    pub fn group_update(
        &self,
        operation: &str,
        group_key: &str,
        group_id: &str,
        value: &str,
    ) -> Result<(), Error> {
        self.reporting(|events| events.update(operation, Owner::group(group_key, group_id)?, value))
    }

    /// Queues an exposure for `evaluation`, unless the same one was reported within `exposure_window_ms`. For
    /// evaluations made with [`EvaluateOptions::without_exposure`](crate::EvaluateOptions::without_exposure) and those
    /// of [`Client::evaluate_all`].
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if the evaluation has no variant, is an override or a TYPE_MISMATCH, or if
    /// its context had no `distinct_id`; with [`ErrorKind::QueueFull`] if the event queue is full; and with
    /// [`ErrorKind::Closed`] after shutdown.
    pub fn track_exposure(&self, evaluation: &Evaluation) -> Result<(), Error> {
        let nothing = |why: &str| {
            let message = format!("flag `{}`: {why}, so there is no exposure", evaluation.key());
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let (exposure, user) = evaluation.exposure().ok_or_else(|| {
            nothing(match evaluation.error_code() {
                Some(ErrorCode::TypeMismatch) => {
                    "the variant's value has another type than the one asked for, and the default was shown"
                }
                _ => "the evaluation assigned no variant",
            })
        })?;
        let user = user.ok_or_else(|| nothing("the context had no distinct_id"))?;
        self.reporting(|events| events.expose_kept(&exposure, &user))
    }

    /// Reports an evaluation that was made without exposure as if it had reported itself. For providers that know only
    /// afterwards whether their SDK accepts the value.
    #[cfg(feature = "openfeature")]
    pub(crate) fn report_shown(&self, evaluation: &Evaluation) {
        if !self.shared.config.report_exposures {
            return;
        }
        if let Some((exposure, user)) = evaluation.exposure() {
            self.runtime.load().events.expose_shown(&exposure, user.as_ref());
        }
    }

    fn reporting(&self, report: impl FnOnce(&Events) -> Result<(), Error>) -> Result<(), Error> {
        self.after_fork();
        let runtime = self.runtime.load();
        if runtime.is_closed() { Err(Error::closed()) } else { report(&runtime.events) }
    }

    /// Sends the queued events and waits until Mixpanel has accepted them, for at most `timeout`. Returns the number of
    /// events that were not delivered; they stay queued. Does not wait for the end of a pause between retries: it
    /// retries at once, then every second.
    ///
    /// Fails with [`ErrorKind::Closed`] after shutdown.
    pub fn flush(&self, timeout: Duration) -> Result<u64, Error> {
        self.after_fork();
        let runtime = self.runtime.load_full();
        if runtime.is_closed() {
            return Err(Error::closed());
        }
        Ok(runtime.flush(deadline(timeout)))
    }

    /// Counters, as a JSON object:
    ///
    /// * `enqueued`, `sent`, `deduplicated`: numbers of events. `dropped`: by cause, `queue_full`, `rejected` and
    ///   `shutdown`. `without_distinct_id`: exposures that could not be reported. `queue_length`: events still queued.
    /// * `last_error`: the last failure to send events, with `message` and `time` (ms since 1970), or null.
    /// * `hosts`: null if `api_host` is a single one. Otherwise an array of objects with `host`; `failed`, whether requests go
    ///   to other hosts for now; and `failures`, the number of requests that it failed.
    /// * `remote_in_flight`: remote evaluations in progress, even if their caller no longer waits.
    /// * `state`: as [`Client::state`], `NOT_READY`, `READY`, `STALE` or `ERROR`.
    /// * `definitions`: null for a remote client, otherwise an object:
    ///   * `flags`: their number, including malformed ones. Null without definitions.
    ///   * `malformed`: flags of the document that were rejected, their `count` and `reasons`, the first 64.
    ///   * `etag`: of the definitions, a string, or null.
    ///   * `last_poll`: the last poll that succeeded, in ms since 1970. Null before the first, and after a fork.
    ///   * `age_ms`: how old the definitions may be: the time since `last_poll`, plus `cached_ms`. Null if that is.
    ///   * `cached_ms`: how long a cache had kept the response to `last_poll`, by its header `Age`. Null without one.
    ///   * `last_poll_error`: the last poll that failed, with `message` and `time` (ms since 1970), or null. It stays after
    ///     a success: compare the times.
    /// * `unsupported`: flags with operators or restrictions that this library does not know or cannot check: their
    ///   `count`, and the names of those by flag (`flags`, the first 64 by key).
    /// * `unusable_attributes`: evaluations whose context had an attribute that cannot be used. `unknown_flags`: evaluations
    ///   of flags that are not among the definitions. `type_mismatches`: evaluations whose variant was of another type than
    ///   the one asked for. Each attribute and flag is also logged once, the first 256 of them.
    pub fn statistics(&self) -> String {
        self.after_fork();
        let runtime = self.runtime.load();
        let mut others = serde_json::Map::new();
        let mut add = |name: &str, count: serde_json::Value| _ = others.insert(name.to_owned(), count);
        add("state", runtime.status.state().to_string().into());
        add("definitions", self.definitions(&runtime.status.polls()));
        add("hosts", self.shared.hosts.as_ref().map_or(serde_json::Value::Null, |hosts| hosts.statistics()));
        add("remote_in_flight", runtime.remote_in_flight.load(Ordering::Relaxed).into());
        add("unsupported", self.unsupported());
        for (name, count) in runtime.noted.counts() {
            add(name, count.into());
        }
        runtime.events.outbox.statistics(others)
    }

    fn definitions(&self, polls: &Polls) -> serde_json::Value {
        if self.shared.config.is_remote() {
            return serde_json::Value::Null;
        }
        let set = self.shared.snapshot.flags();
        let rejected = set.as_ref().map_or(&[][..], |set| set.rejected());
        let cached_ms = polls.response_age.map(|seconds| seconds.saturating_mul(1_000));
        let since = |at| self.shared.clock.now().saturating_duration_since(at).as_millis() as u64;
        let age = |at| since(at).saturating_add(cached_ms.unwrap_or(0));
        serde_json::json!({
            "flags": set.as_ref().map(|set| set.iter().len()),
            "malformed": {
                "count": rejected.len(),
                "reasons": rejected.iter().take(LISTED).collect::<Vec<_>>(),
            },
            "etag": self.shared.snapshot.etag().as_deref(),
            "last_poll": polls.succeeded.map(|(_, time)| time),
            "age_ms": polls.succeeded.map(|(at, _)| age(at)),
            "cached_ms": cached_ms,
            "last_poll_error": polls.failed.as_ref().map(|(message, time)| {
                serde_json::json!({"message": message, "time": time})
            }),
        })
    }

    fn unsupported(&self) -> serde_json::Value {
        let flags = self.shared.snapshot.flags();
        let found = || flags.iter().flat_map(|set| set.unsupported());
        let mut listed = serde_json::Map::new();
        for (key, unsupported) in found().take(LISTED) {
            listed.insert(key.to_owned(), unsupported.names.iter().map(|name| &**name).collect());
        }
        serde_json::json!({"count": found().count(), "flags": listed})
    }

    /// Logs a panic that was caught in a call of this client.
    pub(crate) fn log_panic(&self, text: &str) {
        self.after_fork();
        self.runtime.load().items.log(Level::Error, format!("a panic was caught: {text}"));
    }
}
