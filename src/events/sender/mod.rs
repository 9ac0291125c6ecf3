//! The reporter: takes events out of the outbox in batches and brings them to Mixpanel, or to the host's own pipeline.

mod batch;
mod response;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::events::outbox::{End, Outbox};
use crate::events::payload::{Event, Sender};
use crate::items::{Level, Stream};
use crate::sys::clock::{Clock, random_fraction, unix_ms};
use crate::sys::worker::{Pause, Signal};
use crate::transport::{Answer, Transport};
use batch::{Batch, Endpoint};
use response::Verdict;

/// What the reporter works with.
pub(crate) struct Reporter {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) sender: Sender,
    pub(crate) hurry: Arc<Hurry>,
}

/// Who waits for the events. Somebody who begins to wait cuts a pause short; while somebody waits, pauses are short.
#[derive(Debug, Default)]
pub(crate) struct Hurry {
    begun: AtomicU64,
    /// The last wait to begin before a round in which everything was settled.
    done: AtomicU64,
    waiting: AtomicUsize,
}

impl Hurry {
    /// Gives what [`Hurry::is_done`] asks for.
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

/// From one attempt to the next while somebody waits.
const HURRIED: Duration = Duration::from_secs(1);
/// From one look at a full stream to the next.
const STREAM_FULL: Duration = Duration::from_millis(20);

/// Refused events of one request that get a line each.
const TOLD: usize = 10;

/// What the reporter remembers between requests.
struct Memory {
    /// Out of the outbox, in order, not in a batch yet.
    events: VecDeque<Event>,
    profiles: VecDeque<Event>,
    /// Made and numbered: sent as they are until they are settled.
    batches: VecDeque<Batch>,
    /// Events in a batch; 413 halves it.
    limit: usize,
    /// A compressed request was refused, and the same was taken plain.
    plain: bool,
    retries: u32,
    /// The last failure told: one line per problem, not per attempt.
    told: Option<String>,
    /// How many waits had begun when an attempt was last made.
    begun: u64,
}

impl Reporter {
    /// Sends until stopped.
    pub(crate) fn run(self, signal: &Signal) {
        let mut memory = Memory {
            events: VecDeque::new(),
            profiles: VecDeque::new(),
            batches: VecDeque::new(),
            limit: batch::MOST_EVENTS,
            plain: false,
            retries: 0,
            told: None,
            begun: 0,
        };
        let mut pause = self.config.event_flush_interval;
        while !self.wait(signal, pause, &mut memory) {
            pause = self.send_all(signal, &mut memory);
        }
        if self.config.event_sink {
            self.hand_over_rest(&mut memory);
        }
    }

    /// At the end: the host pulls what waits when it likes, so nothing of it has to be lost.
    fn hand_over_rest(&self, memory: &mut Memory) {
        self.collect(memory);
        while let Some(batch) = memory.batches.pop_front().or_else(|| self.next_batch(memory).ok().flatten())
        {
            self.hand_over(batch, memory, usize::MAX);
        }
    }

    /// Waits for the next attempt. True: stop.
    fn wait(&self, signal: &Signal, pause: Duration, memory: &mut Memory) -> bool {
        let since = self.clock.now();
        loop {
            let begun = self.hurry.begun.load(Ordering::Acquire);
            if signal.stopped() {
                return true;
            }
            // A full batch does not cut short what the server asked for.
            if std::mem::replace(&mut memory.begun, begun) != begun
                || (memory.retries == 0 && self.outbox.has_batch())
            {
                return false;
            }
            let hurried = self.hurry.waiting.load(Ordering::Acquire) > 0;
            let pause = if hurried { pause.min(HURRIED) } else { pause };
            let left = pause.saturating_sub(self.clock.now().saturating_duration_since(since));
            match signal.pause(&*self.clock, left) {
                Pause::Stopped => return true,
                Pause::Elapsed => return false,
                Pause::Woken => {}
            }
        }
    }

    /// Sends what there is, until a request fails. Gives the time to the next attempt.
    fn send_all(&self, signal: &Signal, memory: &mut Memory) -> Duration {
        let begun = self.hurry.begun.load(Ordering::Acquire);
        self.collect(memory);
        while !signal.stopped() {
            let batch = match memory.batches.pop_front() {
                Some(batch) => Ok(Some(batch)),
                None => self.next_batch(memory),
            };
            let pause = match batch {
                Ok(None) => {
                    // With a sink the host settles what it takes.
                    if !self.config.event_sink {
                        self.hurry.done.store(begun, Ordering::Release);
                        self.outbox.notify();
                    }
                    break;
                }
                Ok(Some(batch)) if self.config.event_sink => {
                    self.hand_over(batch, memory, self.config.event_batch_size)
                }
                Ok(Some(batch)) => self.send(batch, signal, memory),
                Err(error) => Some(self.later(memory, &format!("no random bytes: {error}"))),
            };
            if let Some(pause) = pause {
                return pause;
            }
        }
        self.config.event_flush_interval
    }

    /// Takes out of the outbox what is there.
    fn collect(&self, memory: &mut Memory) {
        let mut drained = VecDeque::new();
        self.outbox.drain(&mut drained);
        for event in drained {
            let queue = if event.is_profile() { &mut memory.profiles } else { &mut memory.events };
            queue.push_back(event);
        }
    }

    fn next_batch(&self, memory: &mut Memory) -> Result<Option<Batch>, getrandom::Error> {
        let imports = self.config.credentials.service_account.is_some();
        let (endpoint, queue) = match memory.events.is_empty() {
            true => (Endpoint::Engage, &mut memory.profiles),
            false if imports => (Endpoint::Import, &mut memory.events),
            false => (Endpoint::Track, &mut memory.events),
        };
        Batch::fill(endpoint, queue, memory.limit, &self.sender)
    }

    /// To the host's own pipeline instead of Mixpanel, where `capacity` events may wait. They are settled when the host has
    /// taken them.
    fn hand_over(&self, mut batch: Batch, memory: &mut Memory, capacity: usize) -> Option<Duration> {
        while let Some(json) = batch.first() {
            if !self.stream.push_event(json, capacity) {
                memory.batches.push_front(batch);
                return Some(STREAM_FULL);
            }
            batch.pop_first();
        }
        None
    }

    /// One request. Nothing: go on with the next batch; otherwise the time to wait before.
    fn send(&self, mut batch: Batch, signal: &Signal, memory: &mut Memory) -> Option<Duration> {
        let mut compressed = !memory.plain && batch.is_worth_compressing();
        let mut answer = self.transport.post(&batch.request(&self.config, compressed));
        if compressed && answer.as_ref().is_ok_and(response::may_be_about_compression) {
            compressed = false;
            answer = self.transport.post(&batch.request(&self.config, compressed));
            memory.plain =
                answer.as_ref().is_ok_and(|a| response::read(a, batch.endpoint()) == Verdict::Taken);
        }
        let verdict = match &answer {
            Ok(answer) => response::read(answer, batch.endpoint()),
            Err(failure) => Verdict::Later { message: failure.message.clone() },
        };
        match verdict {
            Verdict::Taken => {
                self.outbox.settle(batch.len(), End::Sent);
                // After a 413 the batches grow again.
                memory.limit = memory.limit.saturating_mul(2).min(batch::MOST_EVENTS);
                memory.told = None;
            }
            Verdict::PartlyTaken { failed } => self.settle_partly(&batch, &failed),
            Verdict::Refused { message } => {
                self.tell(
                    memory,
                    &format!("Mixpanel refused {} events, which are dropped: {message}", batch.len()),
                );
                self.outbox.settle(batch.len(), End::Rejected);
            }
            Verdict::TooLarge => match batch.halve() {
                Some((first, rest)) => {
                    memory.limit = first.len();
                    memory.batches.push_front(rest);
                    memory.batches.push_front(first);
                }
                None => {
                    self.tell(memory, "Mixpanel refused an event as too large: it is dropped");
                    self.outbox.settle(1, End::Rejected);
                }
            },
            // The shutdown that interrupts it reports it.
            Verdict::Later { .. } if signal.stopped() => {
                memory.batches.push_front(batch);
                return Some(Duration::ZERO);
            }
            Verdict::Later { message } => {
                memory.batches.push_front(batch);
                let asked = answer.ok().and_then(|answer: Answer| answer.retry_after(self.clock.wall()));
                let pause = self.later(memory, &message);
                // Not at once, whatever the server says: it is failing.
                return Some(asked.map_or(pause, |asked| asked.max(self.config.event_retry_base)));
            }
        }
        memory.retries = 0;
        None
    }

    fn settle_partly(&self, batch: &Batch, failed: &[(usize, String)]) {
        let mut lost = vec![false; batch.len()];
        for (told, (index, why)) in failed.iter().enumerate() {
            if let Some(lost) = lost.get_mut(*index) {
                *lost = true;
                if told == TOLD {
                    self.stream
                        .log(Level::Warning, format!("Mixpanel refused {} events more", failed.len() - told));
                }
                if told >= TOLD {
                    continue;
                }
                let line = format!(
                    "Mixpanel refused event {} of {}, which is dropped: {why}",
                    index + 1,
                    batch.len()
                );
                self.outbox.failed(&line, unix_ms(&*self.clock));
                self.stream.log(Level::Warning, line);
            }
        }
        let lost = lost.into_iter().filter(|lost| *lost).count();
        self.outbox.settle(batch.len() - lost, End::Sent);
        self.outbox.settle(lost, End::Rejected);
    }

    fn tell(&self, memory: &mut Memory, message: &str) {
        self.outbox.failed(message, unix_ms(&*self.clock));
        if memory.told.as_deref() != Some(message) {
            self.stream.log(Level::Warning, message);
            memory.told = Some(message.to_owned());
        }
    }

    /// The attempt failed. The pause is the base, doubling up to its limit, and half to two and a half times the base
    /// on top, so that a fleet that lost its server together does not come back together.
    fn later(&self, memory: &mut Memory, message: &str) -> Duration {
        self.tell(memory, &format!("sending events failed: {message}"));
        let base = self.config.event_retry_base;
        let factor = 1_u32.checked_shl(memory.retries).unwrap_or(u32::MAX);
        memory.retries = memory.retries.saturating_add(1);
        base.saturating_mul(factor).min(self.config.event_retry_max)
            + base.mul_f64(0.5 + 2.0 * random_fraction())
    }
}
