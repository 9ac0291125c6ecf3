//! Once per session: what was remembered lately, found again without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bounded memory of tags. Looking one up is lock-free; remembering one is for a caller that holds the lock of the
/// tag's shard.
///
/// The memory is a table of sets, and within a set the least recently used tag makes room: an LRU as long as it
/// holds no more than [`WAYS`] tags, close to one beyond.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Made when first used: a program without exposures pays for none.
    sets: Box<[OnceLock<Box<[Entry]>>]>,
    ways: usize,
    window_ms: u64,
}

/// Tags in a set.
const WAYS: usize = 16;

#[derive(Debug, Default)]
struct Entry {
    tag: AtomicU64,
    /// When the tag was remembered, plus one; 0 for never. Written before and after the tag, see [`Memory::remember`].
    since: AtomicU64,
    used: AtomicU64,
}

impl Memory {
    /// Remembers at most `capacity` tags, each for `window_ms`. With either at 0 nothing is remembered.
    pub(crate) fn new(capacity: usize, window_ms: u64) -> Self {
        let capacity = if window_ms == 0 { 0 } else { capacity };
        let sets = if capacity == 0 { 0 } else { (capacity / WAYS).max(1) };
        Memory { sets: (0..sets).map(|_| OnceLock::new()).collect(), ways: capacity.min(WAYS), window_ms }
    }

    /// Whether `tag` was remembered within the window. It counts as used then.
    pub(crate) fn recalls(&self, tag: u64, now_ms: u64) -> bool {
        let Some(entries) = self.set(tag).and_then(OnceLock::get) else { return false };
        entries.iter().any(|entry| entry.holds(tag, now_ms, self.window_ms))
    }

    /// Remembers `tag` from `now_ms` on. The caller holds the lock of the tag's shard, so there is one writer per set.
    pub(crate) fn remember(&self, tag: u64, now_ms: u64) {
        let Some(set) = self.set(tag) else { return };
        let entries = set.get_or_init(|| (0..self.ways).map(|_| Entry::default()).collect());
        let same = entries.iter().find(|entry| entry.tag.load(Ordering::Relaxed) == tag);
        let oldest = || entries.iter().min_by_key(|entry| entry.used.load(Ordering::Relaxed));
        if let Some(entry) = same.or_else(oldest) {
            // A reader that sees the new tag must not see the old time: the time is taken away first.
            entry.since.store(0, Ordering::Release);
            entry.tag.store(tag, Ordering::Release);
            entry.used.store(now_ms + 1, Ordering::Relaxed);
            entry.since.store(now_ms + 1, Ordering::Release);
        }
    }

    /// The set of `tag`, by number.
    pub(crate) fn index(&self, tag: u64) -> usize {
        (tag % (self.sets.len() as u64).max(1)) as usize
    }

    fn set(&self, tag: u64) -> Option<&OnceLock<Box<[Entry]>>> {
        self.sets.get(self.index(tag))
    }
}

impl Entry {
    fn holds(&self, tag: u64, now_ms: u64, window_ms: u64) -> bool {
        if self.tag.load(Ordering::Acquire) != tag {
            return false;
        }
        let since = self.since.load(Ordering::Acquire);
        // Read again: the entry may have been given to another tag between the two loads, whose time it then was.
        if since == 0 || self.tag.load(Ordering::Acquire) != tag {
            return false;
        }
        let fresh = now_ms < since.saturating_add(window_ms).saturating_sub(1);
        // Seconds are fine enough to tell who was used last, and spare the line of memory most writes.
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
        let memory = Memory::new(100, 1000);
        assert!(!memory.recalls(7, 0));
        memory.remember(7, 0);
        assert!(memory.recalls(7, 0) && memory.recalls(7, 999));
        assert!(!memory.recalls(7, 1000) && !memory.recalls(8, 0));
        memory.remember(7, 1000);
        assert!(memory.recalls(7, 1999) && !memory.recalls(7, 2000));
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let memory = Memory::new(2, 1_000_000);
        memory.remember(1, 0);
        memory.remember(2, 10);
        // Used again, by more than the second that is told apart.
        assert!(memory.recalls(1, 5000));
        memory.remember(3, 6000);
        assert!(memory.recalls(1, 6000) && memory.recalls(3, 6000) && !memory.recalls(2, 6000));
    }

    #[test]
    fn zero_is_off() {
        for memory in [Memory::new(0, 1000), Memory::new(100, 0)] {
            memory.remember(7, 0);
            assert!(!memory.recalls(7, 0));
        }
    }
}
