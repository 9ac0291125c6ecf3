//! The events and profile updates received: kept, or only counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::ingestion::{self, Checked, Endpoint, Rejection};
use crate::lock::lock;
use crate::seen::{Note, Seen};

const MOST_KEPT: usize = 1_000_000;
const MOST_KEPT_BYTES: usize = 512 << 20;

/// What happens to records once they are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventLog {
    /// Keeps the newest 1,000,000, or fewer if their requests exceed 512 MiB.
    #[default]
    Keep,
    /// Counts them and keeps neither them nor the bodies of their requests: for load tests.
    Count,
}

/// An event or a profile update.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The endpoint that received it.
    pub endpoint: Endpoint,
    /// When its request had been read, as time since the server started.
    pub received_at: Duration,
    /// The number of its request, as in [`Request::number`](crate::Request::number).
    pub request: u64,
    /// Why it was rejected; `None` if it was accepted.
    pub rejected: Option<Rejection>,
    /// Whether an event with the same name, time, `distinct_id` and `$insert_id` was accepted before. Mixpanel shows such
    /// events once.
    pub duplicate: bool,
    /// The record.
    pub json: Value,
}

/// Counts since the start, or since they were last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EventCounts {
    /// Records received.
    pub total: u64,
    /// Records accepted, including duplicates.
    pub accepted: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Distinct `$insert_id`s among the accepted records.
    pub distinct_insert_ids: u64,
    /// Accepted records that Mixpanel would drop as duplicates.
    pub duplicates: u64,
}

/// The records of a request.
pub(crate) struct Batch<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) request: u64,
    pub(crate) at: Duration,
    pub(crate) json: &'a Bytes,
    pub(crate) checked: &'a [Checked],
}

#[derive(Clone)]
enum Verdict {
    Accepted,
    Duplicate,
    Rejected(Box<Rejection>),
}

/// The JSON is stored as received, and parsed when it is read back.
#[derive(Clone)]
struct Kept {
    endpoint: Endpoint,
    request: u64,
    at: Duration,
    json: Bytes,
    verdicts: Vec<Verdict>,
}

#[derive(Default)]
struct Inner {
    batches: VecDeque<Kept>,
    kept: usize,
    kept_bytes: usize,
    forgotten: u64,
    counts: EventCounts,
    seen: Seen,
}

pub(crate) struct Events {
    mode: EventLog,
    inner: Mutex<Inner>,
    arrived: Notify,
}

impl Events {
    pub(crate) fn new(mode: EventLog) -> Self {
        Self { mode, inner: Mutex::default(), arrived: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.mode == EventLog::Keep
    }

    /// Returns which of the records are duplicates.
    pub(crate) fn record(&self, batch: &Batch<'_>) -> Vec<bool> {
        let mut duplicates = Vec::with_capacity(batch.checked.len());
        {
            let mut inner = self.inner();
            let mut verdicts = Vec::with_capacity(if self.keeps() { batch.checked.len() } else { 0 });
            for checked in batch.checked {
                let verdict = inner.count(checked);
                duplicates.push(matches!(verdict, Verdict::Duplicate));
                if self.keeps() {
                    verdicts.push(verdict);
                }
            }
            if self.keeps() {
                inner.keep(Kept {
                    endpoint: batch.endpoint,
                    request: batch.request,
                    at: batch.at,
                    json: batch.json.clone(),
                    verdicts,
                });
            }
        }
        self.arrived.notify_waiters();
        duplicates
    }

    pub(crate) fn counts(&self) -> EventCounts {
        self.inner().counts
    }

    /// The newest `limit` of the events kept, oldest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Event> {
        let mut wanted = 0;
        let newest_first: Vec<Kept> = {
            let inner = self.inner();
            let enough = |kept: &&Kept| {
                let more = wanted < limit;
                wanted += kept.verdicts.len();
                more
            };
            inner.batches.iter().rev().take_while(enough).cloned().collect()
        };
        let mut events: Vec<Event> = newest_first.iter().rev().flat_map(Kept::events).collect();
        events.split_off(events.len().saturating_sub(limit))
    }

    /// Returns once at least `count` have arrived. The caller sets the time limit.
    pub(crate) async fn at_least(&self, count: u64) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // Before the check, or a batch that arrives between check and wait is missed.
            arrived.as_mut().enable();
            if self.counts().total >= count {
                return;
            }
            arrived.await;
        }
    }

    pub(crate) fn clear(&self) {
        let old = std::mem::take(&mut *self.inner());
        // Outside the lock: freeing half a gigabyte takes a while.
        drop(old);
    }

    pub(crate) fn to_json(&self, limit: usize) -> Value {
        let (counts, forgotten) = {
            let inner = self.inner();
            (inner.counts, inner.forgotten)
        };
        let events: Vec<Value> = self.newest(limit).into_iter().map(Event::into_json).collect();
        json!({ "counts": counts, "events": events, "forgotten": forgotten })
    }
}

impl Inner {
    fn count(&mut self, checked: &Checked) -> Verdict {
        self.counts.total += 1;
        let fingerprint = match checked {
            Ok(fingerprint) => fingerprint,
            Err(why) => {
                self.counts.rejected += 1;
                return Verdict::Rejected(why.clone());
            }
        };
        self.counts.accepted += 1;
        match fingerprint.map(|fingerprint| self.seen.note(fingerprint)) {
            Some(Note::NewId) => self.counts.distinct_insert_ids += 1,
            Some(Note::Duplicate) => {
                self.counts.duplicates += 1;
                return Verdict::Duplicate;
            }
            Some(Note::KnownId) | None => {}
        }
        Verdict::Accepted
    }

    fn keep(&mut self, batch: Kept) {
        self.kept += batch.verdicts.len();
        self.kept_bytes += batch.json.len();
        self.batches.push_back(batch);
        while (self.kept > MOST_KEPT || self.kept_bytes > MOST_KEPT_BYTES) && self.batches.len() > 1 {
            if let Some(old) = self.batches.pop_front() {
                self.kept -= old.verdicts.len();
                self.kept_bytes -= old.json.len();
                self.forgotten += old.verdicts.len() as u64;
            }
        }
    }
}

impl Kept {
    fn events(&self) -> impl Iterator<Item = Event> + use<'_> {
        ingestion::values(&self.json).into_iter().zip(&self.verdicts).map(|(json, verdict)| Event {
            endpoint: self.endpoint,
            received_at: self.at,
            request: self.request,
            rejected: match verdict {
                Verdict::Rejected(why) => Some((**why).clone()),
                Verdict::Accepted | Verdict::Duplicate => None,
            },
            duplicate: matches!(verdict, Verdict::Duplicate),
            json,
        })
    }
}

impl Event {
    /// Whether it was accepted.
    pub fn accepted(&self) -> bool {
        self.rejected.is_none()
    }

    fn into_json(self) -> Value {
        json!({
            "endpoint": self.endpoint,
            "received_at_ms": u64::try_from(self.received_at.as_millis()).unwrap_or(u64::MAX),
            "request": self.request,
            "accepted": self.accepted(),
            "rejected": self.rejected,
            "duplicate": self.duplicate,
            "json": self.json,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch<'a>(json: &'a Bytes, checked: &'a [Checked]) -> Batch<'a> {
        Batch { endpoint: Endpoint::Track, request: 0, at: Duration::ZERO, json, checked }
    }

    #[test]
    fn the_oldest_batches_are_forgotten_when_their_bytes_are_too_many() {
        let events = Events::new(EventLog::Keep);
        let large = Bytes::from(vec![b' '; 100 << 20]);
        for _ in 0..6 {
            events.record(&batch(&large, &[Ok(None), Ok(None)]));
        }
        let seen = events.to_json(0);
        assert_eq!((&seen["forgotten"], &seen["counts"]["total"]), (&json!(2), &json!(12)));
        let small = Bytes::from_static(b"[1,2,3]");
        events.record(&batch(&small, &[Ok(None), Ok(None), Ok(None)]));
        let newest: Vec<Value> = events.newest(2).into_iter().map(|event| event.json).collect();
        assert_eq!(newest, [json!(2), json!(3)]);
    }

    #[test]
    fn the_oldest_batches_are_forgotten_when_their_events_are_too_many() {
        let events = Events::new(EventLog::Keep);
        let json = Bytes::from_static(b"[]");
        let checked: Vec<Checked> = (0..2_000).map(|_| Ok(None)).collect();
        for _ in 0..501 {
            events.record(&batch(&json, &checked));
        }
        assert_eq!(events.to_json(0)["forgotten"], 2_000);
    }
}
