//! A model of src/events/dedupe.rs: loom runs it with every schedule, and with every value that C11's memory orders let a load
//! return. Built by `make models` only; the models of everything else are in src/.
#![cfg(mpflags_model)]

#[allow(dead_code)]
#[path = "../src/events/dedupe.rs"]
mod dedupe;

/// What dedupe.rs imports.
mod sys {
    pub(crate) mod sync {
        pub(crate) use loom::sync::atomic;

        use atomic::{AtomicBool, Ordering};

        /// std's, in a form that loom can follow. One thread at a time writes it, as dedupe.rs demands.
        #[derive(Debug)]
        pub(crate) struct OnceLock<T> {
            value: std::sync::OnceLock<T>,
            is_set: AtomicBool,
        }

        impl<T> OnceLock<T> {
            pub(crate) fn new() -> Self {
                OnceLock { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
            }

            pub(crate) fn get(&self) -> Option<&T> {
                if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
            }

            pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
                let value = self.value.get_or_init(init);
                self.is_set.store(true, Ordering::Release);
                value
            }
        }
    }
}

mod model_tests {
    use std::sync::Arc;

    use loom::thread;

    use super::dedupe::Seen;

    const WINDOW_MS: u64 = 1000;

    /// One entry, with `tag` since `now_ms`.
    fn seen(tag: u64, now_ms: u64) -> Arc<Seen> {
        let seen = Seen::new(1, WINDOW_MS);
        seen.place(tag, now_ms).unwrap().add(tag, now_ms);
        Arc::new(seen)
    }

    fn replacing(seen: &Arc<Seen>, tag: u64, now_ms: u64) -> thread::JoinHandle<()> {
        let seen = seen.clone();
        thread::spawn(move || seen.place(tag, now_ms).unwrap().add(tag, now_ms))
    }

    /// A tag whose window is over never takes the time of the tag that replaces it.
    #[test]
    fn an_old_tag_stays_old() {
        loom::model(|| {
            let seen = seen(1, 0);
            let thread = replacing(&seen, 2, 5000);
            assert!(!seen.contains(1, 5000));
            thread.join().unwrap();
            assert!(seen.contains(2, 5000) && !seen.contains(1, 5000));
        });
    }

    /// A tag never takes the time of the one that it replaces. Its thread has read the clock long ago.
    #[test]
    fn a_new_tag_has_its_own_time() {
        loom::model(|| {
            let seen = seen(1, 5000);
            let thread = replacing(&seen, 2, 100);
            assert!(!seen.contains(2, 1500));
            thread.join().unwrap();
            assert!(seen.contains(2, 200) && !seen.contains(2, 1500));
        });
    }

    /// A tag that comes and goes meanwhile never takes the time of the one after it.
    #[test]
    fn replaced_twice() {
        loom::model(|| {
            let seen = seen(1, 0);
            let other = seen.clone();
            let writer = thread::spawn(move || {
                other.place(2, 5000).unwrap().add(2, 5000);
                other.place(3, 9000).unwrap().add(3, 9000);
            });
            assert!(!seen.contains(2, 9000));
            writer.join().unwrap();
            assert!(seen.contains(3, 9000) && !seen.contains(2, 5000));
        });
    }

    /// The first tag of a set, for which the set is made.
    #[test]
    fn the_first_tag() {
        loom::model(|| {
            let seen = Arc::new(Seen::new(1, WINDOW_MS));
            let thread = replacing(&seen, 7, 5000);
            assert!(!seen.contains(0, 5000));
            seen.contains(7, 5000);
            thread.join().unwrap();
            assert!(seen.contains(7, 5000));
        });
    }
}
