//! Mistakes in the calling program, such as unknown flags: all are counted, and each name is logged once.

use std::hash::BuildHasher;

use crate::engine::context::Unusable;
use crate::engine::outcome::Outcome;
use crate::engine::variant::ValueType;
use crate::events::dedupe::Seen;
use crate::items::{Items, Level};
use crate::sys::lock::lock;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[derive(Default)]
pub(super) struct Noted {
    unusable_attributes: Mistake,
    unknown_flags: Mistake,
    type_mismatches: Mistake,
}

impl Noted {
    /// Called for evaluations whose context has attributes that cannot be used. Logs to `items`, if given.
    #[cold]
    pub(super) fn unusable(&self, unusable: &[Unusable], items: Option<&Items>) {
        self.unusable_attributes.count();
        let Some(items) = items else { return };
        for each in unusable {
            let attribute = each.attribute();
            self.unusable_attributes.log_once(&attribute, items, || {
                let why = each.why();
                format!("context: attribute `{attribute}` cannot be used ({why}): flags that read it give INVALID_CONTEXT")
            });
        }
    }

    /// Called for evaluations of flags that do not exist, or whose value is not of the type `wanted`.
    #[cold]
    pub(super) fn no_value(&self, key: &str, outcome: &Outcome<'_>, wanted: ValueType, items: &Items) {
        let mistake = match outcome {
            Outcome::FlagNotFound(_) => &self.unknown_flags,
            _ => &self.type_mismatches,
        };
        mistake.count();
        mistake.log_once(key, items, || {
            let message = outcome.message(key, wanted).unwrap_or_default();
            let flag = match outcome {
                Outcome::FlagNotFound(_) => String::new(),
                _ => format!("flag `{key}`: "),
            };
            format!("{flag}{message} (logged once; evaluations return the default)")
        });
    }

    /// The counts by name, for statistics.
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        [
            ("unusable_attributes", &self.unusable_attributes),
            ("unknown_flags", &self.unknown_flags),
            ("type_mismatches", &self.type_mismatches),
        ]
        .map(|(name, mistake)| (name, mistake.evaluations.load(Ordering::Relaxed)))
    }
}

/// A kind of mistake, by names that are not under our control: so they are logged up to a limit.
struct Mistake {
    evaluations: AtomicU64,
    logged: AtomicUsize,
    /// The names that were logged. Looking one up takes no lock.
    seen: Seen,
    hasher: foldhash::quality::RandomState,
    adding: Mutex<()>,
}

impl Default for Mistake {
    fn default() -> Self {
        Mistake {
            evaluations: AtomicU64::new(0),
            logged: AtomicUsize::new(0),
            // More room than names, so that none is forgotten.
            seen: Seen::new(16 * Self::MAX, u64::MAX / 2),
            hasher: foldhash::quality::RandomState::default(),
            adding: Mutex::default(),
        }
    }
}

impl Mistake {
    const MAX: usize = 256;

    fn count(&self) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
    }

    fn log_once(&self, name: &str, items: &Items, line: impl FnOnce() -> String) {
        let tag = self.hasher.hash_one(name);
        if self.logged.load(Ordering::Relaxed) == Self::MAX || self.seen.contains(tag, 0) {
            return;
        }
        let number = {
            let _one_writer = lock(&self.adding);
            let number = self.logged.load(Ordering::Relaxed) + 1;
            let Some(place) = self.seen.place(tag, 0).filter(|_| number <= Self::MAX) else { return };
            place.add(tag, 0);
            self.logged.store(number, Ordering::Relaxed);
            number
        };
        let more = if number == Self::MAX { "; further names are counted, but not logged" } else { "" };
        items.log(Level::Warning, line() + more);
    }
}
