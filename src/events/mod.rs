//! Events and exposures: from the call that reports one to Mixpanel's servers.

pub(crate) mod dedupe;
#[cfg(all(test, mpflags_model))]
mod model_tests;
pub(crate) mod outbox;
pub(crate) mod payload;
pub(crate) mod sender;
mod shard;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::engine::exposure::{Exposure, ShownTo, exposure_tag};
use crate::engine::identity::Identity;
use crate::engine::outcome::{Assignment, RemoteVariant};
use crate::error::{Error, ErrorKind};
use crate::events::dedupe::Seen;
use crate::events::outbox::{Offered, Outbox};
use crate::events::payload::{Event, Owner, Profile, Track};
use crate::items::{Items, Level};
use crate::sys::clock::{Clock, unix_ms};
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Takes exposures and events from all threads. An exposure that was reported already takes no lock.
pub(crate) struct Events {
    clock: Arc<dyn Clock>,
    /// Times in the cache of exposures count from here.
    epoch: Instant,
    wall: WallTime,
    hasher: foldhash::quality::RandomState,
    closed: AtomicBool,
    /// Whether a full queue was logged.
    full: AtomicBool,
    pub(crate) outbox: Arc<Outbox>,
    items: Arc<Items>,
}

/// When the wall clock was read last.
#[derive(Debug, Default)]
struct WallTime {
    read_ms: AtomicU64,
    /// The epoch in milliseconds since 1970, by that reading; 0 before the first.
    epoch_ms: AtomicU64,
}

impl Events {
    pub(crate) fn new(config: &Config, clock: &Arc<dyn Clock>, items: &Arc<Items>) -> Self {
        let window = u64::try_from(config.exposure_window.as_millis()).unwrap_or(u64::MAX);
        let seen = Seen::new(config.exposure_dedupe_capacity, window);
        Events {
            clock: clock.clone(),
            epoch: clock.now(),
            wall: WallTime::default(),
            hasher: foldhash::quality::RandomState::default(),
            closed: AtomicBool::new(false),
            full: AtomicBool::new(false),
            outbox: Arc::new(Outbox::new(config.event_queue_capacity, config.event_batch_size, seen)),
            items: items.clone(),
        }
    }

    /// Reports an assignment. Never waits and never fails: an exposure that cannot be reported is counted.
    pub(crate) fn expose(&self, assignment: &Assignment<'_>, to: ShownTo<'_>) {
        let Assignment { flag, variant, index, is_qa_tester, .. } = assignment;
        let Some(user) = to.user else { return self.lacks_distinct_id(&flag.key) };
        if self.closed.load(Ordering::Relaxed) {
            return self.outbox.came_too_late();
        }
        let tag = exposure_tag(&self.hasher, variant.id, Some(*is_qa_tester), to.subject, user);
        let now_ms = self.now_ms();
        let offered = self.outbox.offer(tag, now_ms, |pending| {
            pending.expose(flag, *index, *is_qa_tester, user, self.unix_ms(now_ms));
        });
        if offered == Offered::Full {
            self.is_full();
        }
    }

    /// Reports a variant that Mixpanel assigned.
    pub(crate) fn expose_remote(&self, flag: &str, variant: &RemoteVariant, to: ShownTo<'_>) {
        self.expose_shown(&variant.exposure(flag, to.subject), to.user);
    }

    /// Reports a variant that was shown after its evaluation. Never fails, as [`expose`](Self::expose).
    pub(crate) fn expose_shown(&self, exposure: &Exposure<'_>, user: Option<&Identity<'_>>) {
        let Some(user) = user else { return self.lacks_distinct_id(exposure.flag) };
        if self.closed.load(Ordering::Relaxed) {
            return self.outbox.came_too_late();
        }
        // An exposure that is dropped is counted, and the next evaluation offers it again.
        if self.expose_kept(exposure, user).is_err_and(|e| e.kind() == ErrorKind::QueueFull) {
            self.is_full();
        }
    }

    /// Reports the exposure of an evaluation that was made earlier.
    pub(crate) fn expose_kept(&self, exposure: &Exposure<'_>, user: &Identity<'_>) -> Result<(), Error> {
        let Exposure { id, is_qa_tester, subject, .. } = *exposure;
        let tag = exposure_tag(&self.hasher, id, is_qa_tester, subject, user);
        let time_ms = unix_ms(&*self.clock);
        match self.outbox.offer(tag, self.now_ms(), |pending| {
            pending.push(Event::exposure(exposure, user, time_ms));
        }) {
            Offered::Taken | Offered::Repeat => Ok(()),
            Offered::Full => Err(queue_full()),
            Offered::Closed => Err(Error::closed()),
        }
    }

    pub(crate) fn track(&self, name: &str, distinct_id: &str, properties: &str) -> Result<(), Error> {
        self.put(Event::Track(Track::new(name, distinct_id, properties, unix_ms(&*self.clock))?))
    }

    pub(crate) fn update(&self, operation: &str, owner: Owner, value: &str) -> Result<(), Error> {
        self.put(Event::Profile(Profile::new(operation, owner, value)?))
    }

    fn put(&self, event: Event) -> Result<(), Error> {
        match self.outbox.put(event) {
            Offered::Taken | Offered::Repeat => Ok(()),
            Offered::Full => Err(queue_full()),
            Offered::Closed => Err(Error::closed()),
        }
    }

    /// Takes no more events.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// An exposure was dropped because the queue is full. Logged once, since the evaluation does not fail.
    #[cold]
    fn is_full(&self) {
        if !self.full.swap(true, Ordering::Relaxed) {
            self.items.log(
                Level::Warning,
                "the event queue is full (event_queue_capacity): exposures are dropped and counted until there is room",
            );
        }
    }

    #[cold]
    fn lacks_distinct_id(&self, flag: &str) {
        if self.outbox.lacks_distinct_id(self.hasher.hash_one(flag)) {
            self.items.log(
                Level::Warning,
                format!("flag `{flag}`: exposures without a distinct_id in the context cannot be reported"),
            );
        }
    }

    /// Milliseconds since 1970 at `now_ms`. Reads the wall clock at most ten times a second: the evaluating thread pays for it.
    fn unix_ms(&self, now_ms: u64) -> u64 {
        const FRESH_MS: u64 = 100;
        let WallTime { read_ms, epoch_ms } = &self.wall;
        let mut epoch = epoch_ms.load(Ordering::Relaxed);
        if epoch == 0 || now_ms.wrapping_sub(read_ms.load(Ordering::Relaxed)) >= FRESH_MS {
            epoch = unix_ms(&*self.clock).saturating_sub(now_ms);
            epoch_ms.store(epoch, Ordering::Relaxed);
            read_ms.store(now_ms, Ordering::Relaxed);
        }
        epoch + now_ms
    }

    fn now_ms(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn queue_full() -> Error {
    Error::new(ErrorKind::QueueFull, "the event queue is full: the event was dropped and counted")
}

/// The beginning of a sentence about `count` events.
pub(crate) fn events_were(count: u64) -> String {
    if count == 1 { "1 event was".to_owned() } else { format!("{count} events were") }
}
