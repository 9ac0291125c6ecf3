//! Models of the worker, and what all models share.
//!
//! A model is a test whose threads are run one at a time, in an order that the model checker picks and can repeat. It runs the
//! library's own code: [`sync`](super::sync) has the checker's locks, atomics and threads. `make models` runs all models, and
//! planted bugs.
//!
//! * No wait times out, unless its deadline has passed when it begins. So a lost wake-up is a deadlock, which the checker reports.
//! * Atomics are sequentially consistent. `tests/dedupe_model.rs` checks the memory orders of the one part that depends on them.
//! * arc-swap keeps its own atomics: to the checker, a load or swap of an `ArcSwap` is one step.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use super::clock::SystemClock;
use super::lock::{lock, wait_until};
use super::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use super::sync::{Condvar, Mutex, thread};
use super::worker::{Pause, Signal, Worker};

/// Longer than any model takes.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Runs `model` with MODEL_RUNS random schedules (200), and as many of probabilistic concurrency testing, which finds bugs that
/// need few switches at the right points. SHUTTLE_RANDOM_SEED picks others.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let runs = std::env::var("MODEL_RUNS").map_or(200, |runs| runs.parse().unwrap());
    let model = Arc::new(model);
    run(RandomScheduler::new_from_seed(1, runs), model.clone());
    run(PctScheduler::new_from_seed(1, 3, runs), model);
}

fn run(scheduler: impl Scheduler + 'static, model: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    // For JSON, which is read recursively.
    config.stack_size = 1 << 20;
    // That atomics are sequentially consistent.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || model());
}

/// A cell that is written once. std's and once_cell's would block the one thread on which the checker runs all others.
pub(crate) struct OnceCell<T> {
    value: std::sync::OnceLock<T>,
    /// Made on first use: a client has a thousand cells, and uses few.
    setting: std::sync::OnceLock<Setting>,
}

#[derive(Default)]
struct Setting {
    is_done: AtomicBool,
    lock: Mutex<()>,
}

pub(crate) type OnceLock<T> = OnceCell<T>;

impl<T> OnceCell<T> {
    pub(crate) fn new() -> Self {
        OnceCell { value: std::sync::OnceLock::new(), setting: std::sync::OnceLock::new() }
    }

    fn setting(&self) -> &Setting {
        self.setting.get_or_init(Setting::default)
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.setting().is_done.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().unwrap());
        value.map_or(Ok(()), Err)
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        self.get_or_try_init(|| Ok::<_, ()>(init())).ok().unwrap()
    }

    pub(crate) fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let _alone = lock(&self.setting().lock);
        if self.get().is_none() {
            assert!(self.value.set(init()?).is_ok());
            self.setting().is_done.store(true, Ordering::Release);
        }
        Ok(self.value.get().unwrap())
    }
}

impl<T> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceCell")
    }
}

/// A number that only grows, and can be waited for.
#[derive(Default)]
pub(crate) struct Counter {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Counter {
    pub(crate) fn add(&self, number: usize) {
        *lock(&self.count) += number;
        self.changed.notify_all();
    }

    pub(crate) fn get(&self) -> usize {
        *lock(&self.count)
    }

    /// If it never gets there, the checker reports a deadlock.
    pub(crate) fn wait_for(&self, least: usize) {
        let mut count = lock(&self.count);
        while *count < least {
            count = wait_until(&self.changed, count, Instant::now() + HOUR).unwrap();
        }
    }
}

fn worker(run: impl FnOnce(&Signal) + Send + 'static) -> Worker {
    Worker::spawn("model", run, |text| panic!("{text}")).unwrap()
}

#[test]
fn no_wake_is_lost() {
    check(|| {
        let (left, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Counter::default()));
        let (theirs, doing) = (left.clone(), done.clone());
        let worker = Arc::new(worker(move |signal| {
            while signal.pause(&SystemClock, HOUR) == Pause::Woken {
                doing.add(theirs.swap(0, Ordering::SeqCst));
            }
        }));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (left, worker) = (left.clone(), worker.clone());
                thread::spawn(move || {
                    left.fetch_add(1, Ordering::SeqCst);
                    worker.signal().wake();
                })
            })
            .collect();
        done.wait_for(2);
        worker.stop();
        assert!(worker.join(Instant::now() + HOUR));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_stop_ends_the_thread_whatever_it_does() {
    check(|| {
        let rounds = Arc::new(AtomicUsize::new(0));
        let theirs = rounds.clone();
        let worker = Arc::new(worker(move |signal| {
            while signal.pause(&SystemClock, HOUR) != Pause::Stopped {
                theirs.fetch_add(1, Ordering::SeqCst);
            }
            signal.idle();
        }));
        let other = worker.clone();
        let waking = thread::spawn(move || other.signal().wake());
        let other = worker.clone();
        let joining = thread::spawn(move || {
            other.wait_idle(Instant::now() + HOUR);
            assert!(other.join(Instant::now() + HOUR));
        });
        worker.stop();
        assert!(worker.join(Instant::now() + HOUR) && !worker.is_current());
        assert!(rounds.load(Ordering::SeqCst) <= 1);
        waking.join().unwrap();
        joining.join().unwrap();
    });
}

/// If a thread has panicked, every join reports it, not only the first one, which waits for the thread.
#[test]
fn a_panic_is_reported_before_the_end() {
    check(|| {
        let reported = Arc::new(AtomicBool::new(false));
        let theirs = reported.clone();
        let run = |_: &Signal| std::panic::resume_unwind(Box::new("a panic"));
        let worker = Worker::spawn("model", run, move |text| {
            assert_eq!(text, "a panic");
            theirs.store(true, Ordering::SeqCst);
        });
        let worker = Arc::new(worker.unwrap());
        let joining = [0, 1].map(|_| {
            let (worker, reported) = (worker.clone(), reported.clone());
            thread::spawn(move || {
                assert!(worker.join(Instant::now() + HOUR));
                assert!(reported.load(Ordering::SeqCst));
            })
        });
        joining.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
