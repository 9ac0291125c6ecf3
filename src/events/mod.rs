//! Events and exposures: from the call that reports one to Mixpanel's servers.

pub(crate) mod dedupe;
pub(crate) mod outbox;
pub(crate) mod payload;
pub(crate) mod sender;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::config::Config;
use crate::engine::identity::{Identity, ShownTo, exposure_tag};
use crate::engine::outcome::{Assignment, RemoteVariant};
use crate::error::{Error, ErrorKind};
use crate::events::dedupe::Seen;
use crate::events::outbox::{Offered, Outbox};
use crate::events::payload::{Event, Kept, Profile, Track};
use crate::items::{Level, Items};
use crate::sys::clock::{Clock, unix_ms};

/// Takes exposures and events from all threads. An exposure that was reported already takes no lock.
pub(crate) struct Events {
    clock: Arc<dyn Clock>,
    /// Times in the cache of exposures count from here.
    epoch: Instant,
    hasher: foldhash::quality::RandomState,
    closed: AtomicBool,
    /// Whether a full queue was logged.
    full: AtomicBool,
    pub(crate) outbox: Arc<Outbox>,
    items: Arc<Items>,
}

impl Events {
    pub(crate) fn new(config: &Config, clock: &Arc<dyn Clock>, items: &Arc<Items>) -> Self {
        let window = u64::try_from(config.exposure_window.as_millis()).unwrap_or(u64::MAX);
        let seen = Seen::new(config.exposure_dedupe_capacity, window);
        Events {
            clock: clock.clone(),
            epoch: clock.now(),
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
        let offered = self.outbox.offer(tag, self.now_ms(), || {
            Event::local(flag, *index, *is_qa_tester, user, unix_ms(&*self.clock))
        });
        if offered == Offered::Full {
            self.is_full();
        }
    }

    /// Reports a variant that Mixpanel assigned.
    pub(crate) fn expose_remote(&self, flag: &str, variant: &RemoteVariant, to: ShownTo<'_>) {
        let kept = Kept {
            id: variant.id(flag),
            subject: to.subject,
            flag: flag.into(),
            variant: variant.key.clone(),
            experiment_id: variant.experiment_id.clone(),
            is_experiment_active: variant.is_experiment_active,
            is_qa_tester: variant.is_qa_tester,
            fetch: Some(variant.fetch.clone()),
        };
        self.expose_shown(kept, to.user.map(|user| user.clone().into_owned()));
    }

    /// Reports a variant that was shown after its evaluation. Never fails, as [`expose`](Self::expose).
    pub(crate) fn expose_shown(&self, kept: Kept, user: Option<Identity<'static>>) {
        let Some(user) = user else { return self.lacks_distinct_id(&kept.flag) };
        if self.closed.load(Ordering::Relaxed) {
            return self.outbox.came_too_late();
        }
        // An exposure that is dropped is counted, and the next evaluation offers it again.
        if self.expose_kept(kept, user).is_err_and(|e| e.kind() == ErrorKind::QueueFull) {
            self.is_full();
        }
    }

    /// Reports what an evaluation that was kept told.
    pub(crate) fn expose_kept(&self, kept: Kept, user: Identity<'static>) -> Result<(), Error> {
        let tag = exposure_tag(&self.hasher, kept.id, kept.is_qa_tester, kept.subject, &user);
        match self.outbox.offer(tag, self.now_ms(), || Event::kept(kept, user, unix_ms(&*self.clock))) {
            Offered::Taken | Offered::Repeat => Ok(()),
            Offered::Full => Err(queue_full()),
            Offered::Closed => Err(Error::closed()),
        }
    }

    pub(crate) fn track(&self, name: &str, distinct_id: &str, properties: &str) -> Result<(), Error> {
        self.put(Event::Track(Track::new(name, distinct_id, properties, unix_ms(&*self.clock))?))
    }

    pub(crate) fn update(&self, operation: &str, distinct_id: &str, value: &str) -> Result<(), Error> {
        self.put(Event::Profile(Profile::new(operation, distinct_id, value)?))
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

    fn now_ms(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn queue_full() -> Error {
    Error::new(ErrorKind::QueueFull, "the event queue is full: the event was dropped and counted")
}
