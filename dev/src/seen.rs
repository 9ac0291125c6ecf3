//! Recognises events that were received before.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// How many `$insert_id`s a generation holds: the load of a hash map with 2^22 slots, 71 MB.
const GENERATION: usize = (1 << 22) / 8 * 7;

/// Hashes of an `$insert_id`, and of all four fields by which Mixpanel distinguishes events.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint {
    pub(crate) insert_id: u64,
    pub(crate) event: u64,
}

/// How an event relates to those before it.
pub(crate) enum Note {
    NewId,
    /// A known `$insert_id`, on an event that differs in name, time or user.
    KnownId,
    Duplicate,
}

/// The fingerprints of the latest events, in two generations: a full generation replaces the older one. This recognises a
/// retry after at least 3.6 million other events, in bounded memory.
pub(crate) struct Seen {
    new: Generation,
    old: Generation,
    /// The size of a full generation.
    size: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { new: Generation::default(), old: Generation::default(), size: GENERATION }
    }
}

#[derive(Default)]
struct Generation {
    /// Each `$insert_id`, with its first event.
    events: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    /// Further events that share an `$insert_id` with another.
    others: HashSet<u64, BuildHasherDefault<Hashed>>,
}

impl Generation {
    fn note(&self, fingerprint: Fingerprint) -> Note {
        match self.events.get(&fingerprint.insert_id) {
            None => Note::NewId,
            Some(event) if *event == fingerprint.event => Note::Duplicate,
            Some(_) if self.others.contains(&fingerprint.event) => Note::Duplicate,
            Some(_) => Note::KnownId,
        }
    }
}

impl Seen {
    pub(crate) fn note(&mut self, fingerprint: Fingerprint) -> Note {
        let note = match (self.new.note(fingerprint), self.old.note(fingerprint)) {
            (Note::Duplicate, _) | (_, Note::Duplicate) => return Note::Duplicate,
            (Note::NewId, Note::NewId) => Note::NewId,
            _ => Note::KnownId,
        };
        if self.new.events.len() >= self.size || self.new.others.len() >= self.size {
            self.old = std::mem::take(&mut self.new);
        }
        match self.new.events.entry(fingerprint.insert_id) {
            Entry::Vacant(place) => drop(place.insert(fingerprint.event)),
            Entry::Occupied(_) => drop(self.new.others.insert(fingerprint.event)),
        }
        note
    }
}

/// For keys that are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_recognised_for_a_generation_at_least() {
        let mut seen = Seen { size: 4, ..Seen::default() };
        let mut note = |id: u64, event: u64| seen.note(Fingerprint { insert_id: id, event });
        for id in 0..8 {
            assert!(matches!(note(id, 100 + id), Note::NewId), "{id}");
        }
        for id in 0..8 {
            assert!(matches!(note(id, 100 + id), Note::Duplicate), "{id}");
        }
        assert!(matches!(note(3, 7), Note::KnownId));
        assert!(matches!(note(3, 7), Note::Duplicate));
        assert!(matches!(note(7, 8), Note::KnownId));
        assert!(matches!(note(7, 8), Note::Duplicate), "a second event of an id");
        assert!(matches!(note(0, 100), Note::NewId), "a generation is gone");
    }
}
