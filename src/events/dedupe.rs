//! A cache of the exposures that were reported lately, read without a lock.

use crate::sys::sync::OnceLock;
use crate::sys::sync::atomic::{AtomicU64, Ordering};

/// The tags that were seen within a time window, up to a capacity. Looking a tag up is lock-free; adding one requires the
/// lock of the tag's shard.
///
/// A set-associative cache: in each set the least recently used tag is replaced. Up to [`WAYS`] tags that is an LRU, and
/// beyond that close to one.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Allocated on first use, so that a program without exposures does not pay for them.
    sets: Box<[OnceLock<Box<Set>>]>,
    ways: usize,
    window_ms: u64,
}

/// Tags in a set.
const WAYS: usize = 16;

/// The fields of an entry, each beside those of the other entries: most look-ups read the tags and nothing else.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    tags: [AtomicU64; WAYS],
    /// When the tag was added, plus one; 0 for never. Written before and after the tag, see [`Place::add`].
    since: [AtomicU64; WAYS],
    used: [AtomicU64; WAYS],
}

struct Entry<'s> {
    tag: &'s AtomicU64,
    since: &'s AtomicU64,
    used: &'s AtomicU64,
}

impl Set {
    fn entries(&self, ways: usize) -> impl Iterator<Item = Entry<'_>> {
        let fields = self.tags.iter().zip(&self.since).zip(&self.used).take(ways);
        fields.map(|((tag, since), used)| Entry { tag, since, used })
    }
}

impl Seen {
    /// Keeps at most `capacity` tags, each for `window_ms`. If either is 0, no tag is ever kept.
    pub(crate) fn new(capacity: usize, window_ms: u64) -> Self {
        let capacity = if window_ms == 0 { 0 } else { capacity };
        let sets = if capacity == 0 { 0 } else { (capacity / WAYS).max(1) };
        Seen { sets: (0..sets).map(|_| OnceLock::new()).collect(), ways: capacity.min(WAYS), window_ms }
    }

    /// Whether `tag` was added within the window. If so, it counts as used.
    pub(crate) fn contains(&self, tag: u64, now_ms: u64) -> bool {
        let Some(set) = self.set(tag).and_then(OnceLock::get) else { return false };
        set.entries(self.ways).any(|entry| entry.holds(tag, now_ms, self.window_ms))
    }

    /// Where to add `tag`; `None` if it was added within the window. The caller holds the lock of the tag's shard, so that
    /// there is one writer per set.
    pub(crate) fn place(&self, tag: u64, now_ms: u64) -> Option<Place<'_>> {
        let Some(set) = self.set(tag) else { return Some(Place(None)) };
        let mut oldest: Option<(u64, Entry<'_>)> = None;
        for entry in set.get_or_init(Box::default).entries(self.ways) {
            if entry.tag.load(Ordering::Relaxed) == tag {
                return (!entry.holds(tag, now_ms, self.window_ms)).then_some(Place(Some(entry)));
            }
            let used = entry.used.load(Ordering::Relaxed);
            if oldest.as_ref().is_none_or(|(least, _)| used < *least) {
                oldest = Some((used, entry));
            }
            // Entries are used in order, so the ones after an unused entry are unused, too.
            if used == 0 {
                break;
            }
        }
        Some(Place(oldest.map(|(_, entry)| entry)))
    }

    /// The index of the set of `tag`.
    pub(crate) fn index(&self, tag: u64) -> usize {
        (tag % (self.sets.len() as u64).max(1)) as usize
    }

    fn set(&self, tag: u64) -> Option<&OnceLock<Box<Set>>> {
        self.sets.get(self.index(tag))
    }
}

/// The entry that a new tag replaces; none if no tag is kept.
pub(crate) struct Place<'s>(Option<Entry<'s>>);

impl Place<'_> {
    pub(crate) fn add(self, tag: u64, now_ms: u64) {
        let Some(entry) = self.0 else { return };
        // A reader that sees the new tag must not see the old time, so the time is cleared first.
        entry.since.store(0, Ordering::Release);
        entry.tag.store(tag, Ordering::Release);
        entry.used.store(now_ms + 1, Ordering::Relaxed);
        entry.since.store(now_ms + 1, Ordering::Release);
    }
}

impl Entry<'_> {
    fn holds(&self, tag: u64, now_ms: u64, window_ms: u64) -> bool {
        if self.tag.load(Ordering::Acquire) != tag {
            return false;
        }
        let since = self.since.load(Ordering::Acquire);
        // Read again: the entry may have been replaced between the two loads, and `since` may belong to another tag.
        if since == 0 || self.tag.load(Ordering::Acquire) != tag {
            return false;
        }
        let fresh = now_ms < since.saturating_add(window_ms).saturating_sub(1);
        // A resolution of a second suffices for an LRU, and avoids most writes to the cache line.
        if fresh && self.used.load(Ordering::Relaxed) + 1000 <= now_ms {
            self.used.store(now_ms + 1, Ordering::Relaxed);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_the_window_and_not_longer() {
        let seen = Seen::new(100, 1000);
        assert!(!seen.contains(7, 0));
        seen.place(7, 0).unwrap().add(7, 0);
        assert!(seen.contains(7, 0) && seen.contains(7, 999));
        assert!(!seen.contains(7, 1000) && !seen.contains(8, 0));
        seen.place(7, 1000).unwrap().add(7, 1000);
        assert!(seen.contains(7, 1999) && !seen.contains(7, 2000));
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let seen = Seen::new(2, 1_000_000);
        seen.place(1, 0).unwrap().add(1, 0);
        seen.place(2, 10).unwrap().add(2, 10);
        // Used again, after more than the resolution of a second.
        assert!(seen.contains(1, 5000));
        seen.place(3, 6000).unwrap().add(3, 6000);
        assert!(seen.contains(1, 6000) && seen.contains(3, 6000) && !seen.contains(2, 6000));
    }

    #[test]
    fn zero_is_off() {
        for seen in [Seen::new(0, 1000), Seen::new(100, 0)] {
            seen.place(7, 0).unwrap().add(7, 0);
            assert!(!seen.contains(7, 0));
        }
    }
}
