//! The current definitions. They are replaced as a whole, and freed by the thread that replaces them, never by a reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::engine::definitions::FlagSet;
use crate::engine::outcome::Unavailable;
use crate::engine::variant::FlagValue;

/// A number that no definition of a flag has had before in this process, in any client.
pub(crate) fn next_serial() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Values that take precedence over definitions.
pub(crate) type Overrides = HashMap<Box<str>, FlagValue>;

/// Everything that an evaluation reads.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) flags: Option<Arc<FlagSet>>,
    pub(crate) overrides: Arc<Overrides>,
    /// The outcome while there are no flags.
    pub(crate) unavailable: Unavailable,
}

/// Holds the [`Current`]. Reading is one atomic load, without a lock, a wait or an allocation.
#[derive(Debug)]
pub(crate) struct Snapshot(ArcSwap<Current>);

impl Snapshot {
    pub(crate) fn new(flags: Option<Arc<FlagSet>>, overrides: Overrides) -> Self {
        let unavailable = Unavailable::NotStarted;
        Snapshot(ArcSwap::from_pointee(Current { flags, overrides: Arc::new(overrides), unavailable }))
    }

    pub(crate) fn load(&self) -> Guard<Arc<Current>> {
        self.0.load()
    }

    #[cfg(feature = "arrow")]
    pub(crate) fn load_full(&self) -> Arc<Current> {
        self.0.load_full()
    }

    pub(crate) fn flags(&self) -> Option<Arc<FlagSet>> {
        self.0.load().flags.clone()
    }

    /// Replaces the flags. The old ones go to `retired`, because readers may still use them.
    pub(crate) fn replace(&self, flags: Arc<FlagSet>, retired: &mut Retired) {
        let previous = self.change(|current| current.flags = Some(flags.clone()));
        retired.0.push(previous);
    }

    pub(crate) fn set_unavailable(&self, why: &Unavailable, retired: &mut Retired) {
        retired.0.push(self.change(|current| current.unavailable = why.clone()));
    }

    pub(crate) fn change_overrides(&self, change: impl Fn(&mut Overrides), retired: &mut Retired) {
        retired.0.push(self.change(|current| {
            let mut overrides = (*current.overrides).clone();
            change(&mut overrides);
            current.overrides = Arc::new(overrides);
        }));
    }

    fn change(&self, change: impl Fn(&mut Current)) -> Arc<Current> {
        self.0.rcu(|current| {
            let mut next = Current::clone(current);
            change(&mut next);
            next
        })
    }
}

/// Definitions that were replaced and that readers may still use. Freeing thousands of flags takes a while, and no evaluation
/// should have to do it.
#[derive(Debug, Default)]
pub(crate) struct Retired(Vec<Arc<Current>>);

impl Retired {
    /// Frees those that no reader uses any more.
    pub(crate) fn sweep(&mut self) {
        self.0.retain(|current| Arc::strong_count(current) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: u32) -> Arc<FlagSet> {
        let body = format!(
            r#"{{"flags": [{{"key": "f", "context": "id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
                "rollout": []}}}}]}}"#
        );
        Arc::new(FlagSet::parse(body.as_bytes(), None, next_serial).unwrap().0)
    }

    #[test]
    fn a_reader_never_frees_a_set() {
        let first = set(1);
        let watched = Arc::downgrade(&first);
        let snapshot = Snapshot::new(Some(first), Overrides::new());
        let mut retired = Retired::default();
        let reader = snapshot.load();
        snapshot.replace(set(2), &mut retired);
        retired.sweep();
        assert!(watched.upgrade().is_some(), "the reader is still in it");
        drop(reader);
        assert!(watched.upgrade().is_some(), "the last reader leaves the freeing to the poller");
        retired.sweep();
        assert!(watched.upgrade().is_none());
    }

    #[test]
    fn readers_on_other_threads() {
        let snapshot = Arc::new(Snapshot::new(Some(set(0)), Overrides::new()));
        let mut retired = Retired::default();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let snapshot = snapshot.clone();
                std::thread::spawn(move || {
                    for _ in 0..20_000 {
                        let current = snapshot.load();
                        let flags = current.flags.as_ref().unwrap();
                        // Besides the guard's snapshot, at least the list of retired ones holds it.
                        assert!(flags.get("f").is_some());
                    }
                })
            })
            .collect();
        for value in 1..200 {
            snapshot.replace(set(value), &mut retired);
            retired.sweep();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        retired.sweep();
        assert!(retired.0.is_empty());
    }

    #[test]
    fn overrides_and_flags_change_independently() {
        let snapshot = Snapshot::new(None, Overrides::new());
        let mut retired = Retired::default();
        snapshot
            .change_overrides(|overrides| _ = overrides.insert("f".into(), FlagValue::Null), &mut retired);
        snapshot.replace(set(1), &mut Retired::default());
        let refused = Unavailable::CredentialsRefused("HTTP 401".to_owned());
        snapshot.set_unavailable(&refused, &mut Retired::default());
        let current = snapshot.load();
        assert!(current.flags.is_some() && current.overrides.contains_key("f"));
        assert_eq!(current.unavailable, refused);
    }
}
