//! Mistakes that evaluations come across: each name is logged once, every evaluation counts.

use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::engine::context::Unusable;
use crate::engine::outcome::Outcome;
use crate::engine::variant::ValueType;
use crate::events::dedupe::Seen;
use crate::items::{Items, Level};
use crate::sys::lock::lock;

#[derive(Default)]
pub(super) struct Noted {
    unusable_attributes: AtomicU64,
    unknown_flags: AtomicU64,
    type_mismatches: AtomicU64,
    logged: Logged,
}

impl Noted {
    /// Called for evaluations whose context has attributes that cannot be used. Logs to `items`, if given.
    #[cold]
    pub(super) fn unusable(&self, unusable: &[Unusable], items: Option<&Items>) {
        self.unusable_attributes.fetch_add(1, Ordering::Relaxed);
        let Some(items) = items else { return };
        for each in unusable {
            let attribute = each.attribute();
            if self.logged.is_first(("attribute", &attribute)) {
                let why = each.why();
                items.log(
                    Level::Warning,
                    format!("context: attribute `{attribute}` cannot be used ({why}): flags that read it give INVALID_CONTEXT"),
                );
            }
        }
    }

    /// Called for evaluations of flags that do not exist, or whose value is not of the type `wanted`.
    #[cold]
    pub(super) fn no_value(&self, key: &str, outcome: &Outcome<'_>, wanted: ValueType, items: &Items) {
        let (count, name) = match outcome {
            Outcome::FlagNotFound(_) => (&self.unknown_flags, "flag"),
            _ => (&self.type_mismatches, "type"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if self.logged.is_first((name, key)) {
            let message = outcome.message(key, wanted).unwrap_or_default();
            let flag = if name == "flag" { String::new() } else { format!("flag `{key}`: ") };
            items.log(
                Level::Warning,
                format!("{flag}{message} (logged once; evaluations return the default)"),
            );
        }
    }

    /// The counts by name, for statistics.
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        [
            ("unusable_attributes", &self.unusable_attributes),
            ("unknown_flags", &self.unknown_flags),
            ("type_mismatches", &self.type_mismatches),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// The names that were logged, up to a limit, because their number is not under our control. Looking one up takes no lock.
struct Logged {
    seen: Seen,
    hasher: foldhash::quality::RandomState,
    count: AtomicUsize,
    adding: Mutex<()>,
}

impl Default for Logged {
    fn default() -> Self {
        Logged {
            seen: Seen::new(16 * Self::MAX, u64::MAX / 2),
            hasher: foldhash::quality::RandomState::default(),
            count: AtomicUsize::new(0),
            adding: Mutex::default(),
        }
    }
}

impl Logged {
    const MAX: usize = 256;

    fn is_first(&self, name: (&str, &str)) -> bool {
        let tag = self.hasher.hash_one(name);
        if self.seen.contains(tag, 0) || self.count.load(Ordering::Relaxed) >= Self::MAX {
            return false;
        }
        let _one_writer = lock(&self.adding);
        let Some(place) = self.seen.place(tag, 0) else { return false };
        let has_room = self.count.fetch_add(1, Ordering::Relaxed) < Self::MAX;
        if has_room {
            place.add(tag, 0);
        }
        has_room
    }
}
