//! The current definitions: replaced whole, read whole, and freed by whoever replaces them, never by a reader.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::definitions::FlagSet;
use crate::outcome::Unavailable;
use crate::variant::FlagValue;

/// Values that come before everything.
pub(crate) type Overrides = HashMap<Box<str>, FlagValue>;

/// All that one evaluation reads.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) flags: Option<Arc<FlagSet>>,
    pub(crate) overrides: Arc<Overrides>,
    /// What to say while there are no flags.
    pub(crate) unavailable: Unavailable,
}

/// A cell that holds the [`Current`]. Reading is one atomic load: no lock, no wait, no allocation.
#[derive(Debug)]
pub(crate) struct Snapshot(ArcSwap<Current>);

impl Snapshot {
    pub(crate) fn new(flags: Option<Arc<FlagSet>>, overrides: Overrides) -> Self {
        let unavailable = Unavailable::NotReady(None);
        Snapshot(ArcSwap::from_pointee(Current { flags, overrides: Arc::new(overrides), unavailable }))
    }

    pub(crate) fn load(&self) -> Guard<Arc<Current>> {
        self.0.load()
    }

    pub(crate) fn flags(&self) -> Option<Arc<FlagSet>> {
        self.0.load().flags.clone()
    }

    /// Puts `flags` into service. The replaced set goes to `retired`: a reader may still be in it.
    pub(crate) fn replace(&self, flags: Arc<FlagSet>, retired: &mut Retired) {
        let previous = self.change(|current| current.flags = Some(flags.clone()));
        retired.0.extend(previous.flags.clone());
    }

    pub(crate) fn set_unavailable(&self, why: &Unavailable) {
        self.change(|current| current.unavailable = why.clone());
    }

    pub(crate) fn change_overrides(&self, change: impl Fn(&mut Overrides)) {
        self.change(|current| {
            let mut overrides = (*current.overrides).clone();
            change(&mut overrides);
            current.overrides = Arc::new(overrides);
        });
    }

    fn change(&self, change: impl Fn(&mut Current)) -> Arc<Current> {
        self.0.rcu(|current| {
            let mut next = Current::clone(current);
            change(&mut next);
            next
        })
    }
}

/// Replaced sets that readers may still hold. Freeing thousands of flags takes a while, and no evaluation shall pay it.
#[derive(Debug, Default)]
pub(crate) struct Retired(Vec<Arc<FlagSet>>);

impl Retired {
    /// Frees the sets that nobody else holds any more.
    pub(crate) fn sweep(&mut self) {
        self.0.retain(|set| Arc::strong_count(set) > 1);
    }
}
