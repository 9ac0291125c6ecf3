//! The sender: takes events out of the outbox and sends them to Mixpanel in batches, or queues them as items.

mod batch;
mod response;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::events::events_were;
use crate::events::outbox::{End, Outbox};
use crate::events::payload::{Event, Owner};
use crate::items::{Items, Level};
use crate::sys::clock::{Clock, random_fraction, unix_ms};
use crate::sys::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sys::worker::{Pause, Signal};
use crate::transport::Transport;
use batch::{Batch, Endpoint};
use response::BatchOutcome;

/// The thread `mpflags-send`.
pub(crate) struct Sender {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) items: Arc<Items>,
    pub(crate) flushes: Arc<FlushWaiters>,
}

/// The callers of flush. A new caller cuts the pause between attempts short, and while any caller waits, pauses stay short.
#[derive(Debug, Default)]
pub(crate) struct FlushWaiters {
    begun: AtomicU64,
    /// The newest caller that is done: a round of sending that began after its call has settled everything.
    done: AtomicU64,
    waiting: AtomicUsize,
}

impl FlushWaiters {
    /// Returns a ticket for [`FlushWaiters::is_done`].
    pub(crate) fn begin(&self) -> u64 {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn is_done(&self, ticket: u64) -> bool {
        self.done.load(Ordering::Acquire) >= ticket
    }

    pub(crate) fn end(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The longest pause between attempts while a flush waits.
const FLUSH_PAUSE: Duration = Duration::from_secs(1);
/// The pause before the next attempt to queue events as items when they are full.
const ITEMS_FULL: Duration = Duration::from_millis(20);

/// The most rejected events of one request that are logged one by one.
const LOGGED: usize = 10;

/// The state between requests.
struct Progress {
    /// Taken out of the outbox, not in a batch yet.
    events: VecDeque<Event>,
    /// Updates of users' profiles, and of groups'.
    profiles: VecDeque<Event>,
    groups: VecDeque<Event>,
    /// Sent unchanged until they are settled.
    batches: VecDeque<Batch>,
    /// The most events in a batch. A status of 413 halves it.
    limit: usize,
    /// Whether a compressed request was refused and then accepted without compression.
    plain: bool,
    retries: u32,
    /// The last failure that was logged: one line per problem, not per attempt.
    logged: Option<String>,
    /// How many flushes had begun at the last attempt.
    begun: u64,
}

impl Sender {
    /// Sends until stopped.
    pub(crate) fn run(self, signal: &Signal) {
        let mut progress = Progress {
            events: VecDeque::new(),
            profiles: VecDeque::new(),
            groups: VecDeque::new(),
            batches: VecDeque::new(),
            limit: batch::MOST_EVENTS,
            plain: false,
            retries: 0,
            logged: None,
            begun: 0,
        };
        let mut pause = self.config.event_flush_interval;
        while !self.wait(signal, pause, &mut progress) {
            pause = self.send_all(signal, &mut progress);
        }
        if self.config.event_sink {
            self.deliver_rest(&mut progress);
        }
    }

    /// Queues all remaining events as items, which can be pulled after the end, so that none is lost.
    fn deliver_rest(&self, progress: &mut Progress) {
        self.collect(progress);
        while let Some(batch) =
            progress.batches.pop_front().or_else(|| self.next_batch(progress).ok().flatten())
        {
            self.deliver(batch, progress, usize::MAX);
        }
    }

    /// Waits for the next attempt. Returns true if the sender should stop.
    fn wait(&self, signal: &Signal, pause: Duration, progress: &mut Progress) -> bool {
        let since = self.clock.now();
        loop {
            let begun = self.flushes.begun.load(Ordering::Acquire);
            if signal.stopped() {
                return true;
            }
            // A full batch does not cut a retry pause short.
            if std::mem::replace(&mut progress.begun, begun) != begun
                || (progress.retries == 0 && self.outbox.has_batch())
            {
                return false;
            }
            let hurried = self.flushes.waiting.load(Ordering::Acquire) > 0;
            let pause = if hurried { pause.min(FLUSH_PAUSE) } else { pause };
            let left = pause.saturating_sub(self.clock.now().saturating_duration_since(since));
            match signal.pause(&*self.clock, left) {
                Pause::Stopped => return true,
                Pause::Elapsed => return false,
                Pause::Woken => {}
            }
        }
    }

    /// Sends all events, until a request fails. Returns the pause before the next attempt.
    fn send_all(&self, signal: &Signal, progress: &mut Progress) -> Duration {
        let begun = self.flushes.begun.load(Ordering::Acquire);
        self.collect(progress);
        while !signal.stopped() {
            let batch = match progress.batches.pop_front() {
                Some(batch) => Ok(Some(batch)),
                None => self.next_batch(progress),
            };
            let pause = match batch {
                Ok(None) => {
                    // With a sink, an event is settled when it is pulled.
                    if !self.config.event_sink {
                        self.flushes.done.store(begun, Ordering::Release);
                        self.outbox.notify();
                    }
                    break;
                }
                Ok(Some(batch)) if self.config.event_sink => {
                    self.deliver(batch, progress, self.config.event_batch_size)
                }
                Ok(Some(batch)) => self.send(batch, signal, progress),
                Err(error) => Some(self.retry(progress, &format!("no random bytes: {error}"), None)),
            };
            if let Some(pause) = pause {
                return pause;
            }
        }
        self.config.event_flush_interval
    }

    /// Empties the outbox.
    fn collect(&self, progress: &mut Progress) {
        let mut drained = VecDeque::new();
        self.outbox.drain(&mut drained);
        for event in drained {
            let queue = match event.profile_of() {
                None => &mut progress.events,
                Some(Owner::User(_)) => &mut progress.profiles,
                Some(Owner::Group { .. }) => &mut progress.groups,
            };
            queue.push_back(event);
        }
    }

    fn next_batch(&self, progress: &mut Progress) -> Result<Option<Batch>, getrandom::Error> {
        let imports = self.config.service_account.is_some();
        let (endpoint, queue) = match (progress.events.is_empty(), progress.profiles.is_empty()) {
            (true, true) => (Endpoint::Groups, &mut progress.groups),
            (true, false) => (Endpoint::Engage, &mut progress.profiles),
            (false, _) if imports => (Endpoint::Import, &mut progress.events),
            (false, _) => (Endpoint::Track, &mut progress.events),
        };
        Batch::fill(endpoint, queue, progress.limit, &self.config.token)
    }

    /// Queues the events as items, of which `capacity` may wait. They are settled when they are pulled.
    fn deliver(&self, mut batch: Batch, progress: &mut Progress, capacity: usize) -> Option<Duration> {
        while let Some(json) = batch.first() {
            if !self.items.push_event(json, capacity) {
                progress.batches.push_front(batch);
                return Some(ITEMS_FULL);
            }
            batch.pop_first();
        }
        None
    }

    /// Sends one request. Returns the pause before the next attempt, or None to send the next batch at once.
    fn send(&self, mut batch: Batch, signal: &Signal, progress: &mut Progress) -> Option<Duration> {
        let begun = self.clock.now();
        let mut compressed = !progress.plain && batch.is_worth_compressing();
        let mut response = self.transport.post(&batch.request(&self.config, compressed));
        if compressed && response.as_ref().is_ok_and(response::may_be_about_compression) {
            compressed = false;
            response = self.transport.post(&batch.request(&self.config, compressed));
            progress.plain = response.as_ref().is_ok_and(|r| {
                response::read(r, batch.endpoint(), &self.config.secrets()) == BatchOutcome::Accepted
            });
        }
        let outcome = match &response {
            Ok(response) => response::read(response, batch.endpoint(), &self.config.secrets()),
            Err(failure) => BatchOutcome::Retry { message: failure.message.clone() },
        };
        if let Ok(response) = &response {
            self.items.debug(|| {
                let (count, time) =
                    (batch.len(), self.clock.now().saturating_duration_since(begun).as_millis());
                let events = if count == 1 { "event" } else { "events" };
                format!("sent {count} {events}: HTTP {} from {} in {time} ms", response.status, response.from)
            });
        }
        match outcome {
            BatchOutcome::Accepted => {
                self.outbox.settle(batch.len(), End::Sent);
                // After a 413, batches grow again.
                progress.limit = progress.limit.saturating_mul(2).min(batch::MOST_EVENTS);
                progress.logged = None;
            }
            BatchOutcome::PartlyAccepted { rejected } => self.settle_partly(&batch, &rejected),
            BatchOutcome::Rejected { message } => {
                let were = events_were(batch.len() as u64);
                let line = format!("{were} dropped because Mixpanel rejected the request: {message}");
                self.log_failure(progress, &line);
                self.outbox.settle(batch.len(), End::Rejected);
            }
            BatchOutcome::TooLarge => match batch.halve() {
                Some((first, rest)) => {
                    progress.limit = first.len();
                    progress.batches.push_front(rest);
                    progress.batches.push_front(first);
                }
                None => {
                    self.log_failure(
                        progress,
                        "Mixpanel rejected an event as too large; the event was dropped",
                    );
                    self.outbox.settle(1, End::Rejected);
                }
            },
            // Aborted by a shutdown, which reports the loss itself.
            BatchOutcome::Retry { .. } if signal.stopped() => {
                progress.batches.push_front(batch);
                return Some(Duration::ZERO);
            }
            BatchOutcome::Retry { message } => {
                progress.batches.push_front(batch);
                let asked = response.ok().and_then(|response| response.retry_after(self.clock.wall()));
                return Some(self.retry(progress, &message, asked));
            }
        }
        progress.retries = 0;
        None
    }

    fn settle_partly(&self, batch: &Batch, rejected: &[(usize, String)]) {
        let mut lost = vec![false; batch.len()];
        for (logged, (index, why)) in rejected.iter().enumerate() {
            if let Some(lost) = lost.get_mut(*index) {
                *lost = true;
                if logged == LOGGED {
                    let more = rejected.len() - logged;
                    self.items.log(Level::Warning, format!("Mixpanel rejected {more} more events"));
                }
                if logged >= LOGGED {
                    continue;
                }
                let line = format!(
                    "Mixpanel rejected event {} of {}, which is dropped: {why}",
                    index + 1,
                    batch.len()
                );
                self.outbox.failed(&line, unix_ms(&*self.clock));
                self.items.log(Level::Warning, line);
            }
        }
        let lost = lost.into_iter().filter(|lost| *lost).count();
        self.outbox.settle(batch.len() - lost, End::Sent);
        self.outbox.settle(lost, End::Rejected);
    }

    fn log_failure(&self, progress: &mut Progress, message: &str) {
        self.outbox.failed(message, unix_ms(&*self.clock));
        if progress.logged.as_deref() == Some(message) {
            self.items.debug(|| message.to_owned());
        } else {
            self.items.log(Level::Warning, message);
            progress.logged = Some(message.to_owned());
        }
    }

    /// Logs a failed attempt. Returns the pause before the next.
    fn retry(&self, progress: &mut Progress, message: &str, asked: Option<Duration>) -> Duration {
        self.log_failure(progress, &format!("sending events failed: {message}"));
        let pause = pause(&self.config, progress.retries, asked, random_fraction());
        progress.retries = progress.retries.saturating_add(1);
        self.items
            .debug(|| format!("sending events: retry {} in {} ms", progress.retries, pause.as_millis()));
        pause
    }
}

/// The pause after so many failures: the base, doubled with each failure up to its limit, plus a jitter of 0.5 to 2.5 times the
/// base; or what the server asked for, and up to a tenth more. `random` is from 0 to 1, so that many processes which lost the
/// server together do not come back together.
fn pause(config: &Config, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let base = config.event_retry_base;
    match asked {
        // Never at once, even if the server allows it, because it is failing.
        Some(asked) => asked.max(base).mul_f64(1.0 + 0.1 * random),
        None => {
            let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
            base.saturating_mul(factor).min(config.event_retry_max) + base.mul_f64(0.5 + 2.0 * random)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_were_told_to_wait_together_come_back_one_by_one() {
        let config = Config::from_json(r#"{"token": "T"}"#).unwrap();
        let asked = Some(Duration::from_secs(300));
        let pauses = [0.0, 0.5, 1.0].map(|random| pause(&config, 0, asked, random).as_secs());
        assert_eq!(pauses, [300, 315, 330]);
        let pauses = [0.0, 1.0].map(|random| pause(&config, 0, Some(Duration::ZERO), random).as_millis());
        assert_eq!(pauses, [2_000, 2_200], "never at once");
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let config = Config::from_json(r#"{"token": "T"}"#).unwrap();
        let pauses =
            [0, 1, 4, 5, 31, 32, u32::MAX].map(|failures| pause(&config, failures, None, 0.0).as_secs());
        assert_eq!(pauses, [3, 5, 33, 61, 61, 61, 61]);
        assert_eq!(pause(&config, 0, None, 1.0).as_secs(), 7);
    }
}
