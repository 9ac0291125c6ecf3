//! A pool of threads for remote evaluations, so that they do not block the caller's executor. Threads are started on demand, up
//! to [`MAX_THREADS`], and end after a while without work. Works with any async runtime: it only wakes the task.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::evaluation::Evaluation;
use crate::sys::fork;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::sync::{Condvar, Mutex, thread_local};
use crate::sys::worker::{panic_text, spawn};

/// A thread waits for the network nearly all the time, and costs some 20 KiB.
pub(super) const MAX_THREADS: usize = 128;
/// The most evaluations that wait for a thread.
pub(super) const MAX_WAITING: usize = 1024;
/// A thread ends after this time without work. Starting one costs less than a request, but not nothing.
const IDLE: Duration = Duration::from_secs(10);

thread_local! {
    /// The address of the pool that this thread belongs to.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// An evaluation, or why there is none.
pub(super) type JobResult = Result<Evaluation, String>;

pub(super) struct Pool {
    /// The fork generation that its threads and locks belong to.
    generation: u64,
    state: Mutex<State>,
    /// There is a job, or the pool was closed.
    submitted: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: Vec<JoinHandle<()>>,
    live: usize,
    idle: usize,
    closed: bool,
}

struct Job {
    evaluate: Box<dyn FnOnce() -> JobResult + Send>,
    slot: Arc<Slot>,
}

/// Where a thread leaves the result for the future.
#[derive(Default)]
struct Slot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    result: Option<JobResult>,
    waker: Option<Waker>,
    /// The future was dropped.
    abandoned: bool,
}

impl Pool {
    /// Starts no thread yet.
    pub(super) fn new() -> Self {
        Pool {
            generation: fork::generation(),
            state: Mutex::default(),
            submitted: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Whether the process has forked since the pool was made: then its threads do not exist, and its lock may be held
    /// forever.
    pub(super) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Runs `evaluate` on a thread of the pool, and resolves to its result. If the future is dropped before a thread is free,
    /// `evaluate` is not run.
    pub(super) fn run(self: &Arc<Self>, evaluate: impl FnOnce() -> JobResult + Send + 'static) -> Pending {
        let slot = Arc::new(Slot::default());
        if let Err(why) = self.submit(Job { evaluate: Box::new(evaluate), slot: slot.clone() }) {
            slot.fill(Err(why));
        }
        Pending(slot)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), String> {
        {
            let mut state = lock(&self.state);
            if state.closed {
                return Err("the provider is shut down".to_owned());
            }
            if state.live == MAX_THREADS && state.waiting.len() >= MAX_WAITING {
                state.waiting.retain(|job| !job.slot.is_abandoned());
                if state.waiting.len() >= MAX_WAITING {
                    return Err(format!("{MAX_THREADS} evaluations are in progress and {MAX_WAITING} wait"));
                }
            }
            state.waiting.push_back(job);
            if state.idle >= state.waiting.len() || state.live == MAX_THREADS {
                drop(state);
                self.submitted.notify_one();
                return Ok(());
            }
            state.live += 1;
        }
        let pool = self.clone();
        match spawn("mpflags-ask", move || pool.serve()) {
            Ok(thread) => {
                let mut state = lock(&self.state);
                // Drops the handles of threads that have ended.
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
            }
            Err(error) => {
                let mut state = lock(&self.state);
                state.live -= 1;
                // Otherwise another thread runs the job.
                if state.live == 0 {
                    let stranded = std::mem::take(&mut state.waiting);
                    drop(state);
                    for job in stranded {
                        job.slot.fill(Err(format!("cannot start a thread: {error}")));
                    }
                }
            }
        }
        Ok(())
    }

    /// The main function of a thread.
    fn serve(&self) {
        CURRENT.with(|current| current.set(self.address()));
        while let Some(Job { evaluate, slot }) = self.next() {
            if slot.is_abandoned() {
                continue;
            }
            // Unwind safe: the job is not used again. Filling the slot runs the executor's code, which may panic too.
            let result =
                catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|panic| Err(panic_text(&*panic)));
            let _ = catch_unwind(AssertUnwindSafe(|| slot.fill(result)));
        }
    }

    /// The next job; None if the thread is to end, which is then counted.
    fn next(&self) -> Option<Job> {
        let deadline = Instant::now() + IDLE;
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            if state.closed || Instant::now() >= deadline {
                state.live -= 1;
                drop(state);
                self.ended.notify_all();
                return None;
            }
            state.idle += 1;
            state = wait_until(&self.submitted, state, deadline).unwrap_or_else(|| lock(&self.state));
            state.idle -= 1;
        }
    }

    /// Takes no more jobs. Each thread ends after the job that it is running.
    pub(super) fn close(&self) {
        let stranded = {
            let mut state = lock(&self.state);
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.submitted.notify_all();
        for job in stranded {
            job.slot.fill(Err("the provider is shut down".to_owned()));
        }
    }

    /// Waits for the threads to end, at most until `deadline`. Those that have not ended are left behind.
    pub(super) fn join(&self, deadline: Instant) {
        // An executor may drop the provider when it is woken, on a thread of the pool, which cannot wait for itself.
        let own = CURRENT.with(Cell::get) == self.address();
        let ended = {
            let mut state = lock(&self.state);
            while state.live > usize::from(own) {
                let Some(changed) = wait_until(&self.ended, state, deadline) else { return };
                state = changed;
            }
            std::mem::take(&mut state.threads)
        };
        let current = own.then(|| thread::current().id());
        for thread in ended.into_iter().filter(|thread| Some(thread.thread().id()) != current) {
            // It has nothing left to do, and does not panic.
            let _ = thread.join();
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Slot {
    fn fill(&self, result: JobResult) {
        let waker = {
            let mut state = lock(&self.0);
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_abandoned(&self) -> bool {
        lock(&self.0).abandoned
    }
}

/// An evaluation in progress.
#[must_use]
pub(super) struct Pending(Arc<Slot>);

impl Future for Pending {
    type Output = JobResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<JobResult> {
        let mut state = lock(&self.0.0);
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.abandoned = true;
        // The waker is the executor's code: it is dropped on the executor's thread, outside the lock.
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait(mut pending: Pending) -> JobResult {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match Pin::new(&mut pending).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn says(text: &str) -> JobResult {
        Err(text.to_owned())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn live(pool: &Pool) -> usize {
        lock(&pool.state).live
    }

    #[test]
    fn a_thread_is_used_again() {
        let pool = Arc::new(Pool::new());
        for n in 0..50 {
            assert_eq!(wait(pool.run(move || says(&n.to_string()))), says(&n.to_string()));
            // It is idle soon after it has filled the slot.
            let deadline = soon();
            while lock(&pool.state).idle == 0 && Instant::now() < deadline {
                thread::yield_now();
            }
        }
        assert_eq!(live(&pool), 1);
        pool.close();
        pool.join(soon());
        assert_eq!(live(&pool), 0);
        assert_eq!(wait(pool.run(|| says("never"))), says("the provider is shut down"));
    }

    #[test]
    fn threads_and_waiting_jobs_are_bounded() {
        let pool = Arc::new(Pool::new());
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let ran = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (gate, ran) = (gate.clone(), ran.clone());
            pool.run(move || {
                // Held until the sender is gone.
                let _ = gate.lock().unwrap().recv();
                ran.fetch_add(1, Ordering::Relaxed);
                says("ran")
            })
        };
        let mut pending: Vec<Pending> = (0..MAX_THREADS).map(|_| ask()).collect();
        let deadline = soon();
        // Each of them has a thread.
        while !lock(&pool.state).waiting.is_empty() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        assert_eq!(live(&pool), MAX_THREADS);
        pending.extend((0..MAX_WAITING).map(|_| ask()));
        assert_eq!(wait(ask()), says("128 evaluations are in progress and 1024 wait"));
        // Abandoned jobs make room, and never run.
        drop(pending.split_off(MAX_THREADS + 1));
        drop(ask());
        let one_more = ask();
        drop(go);
        assert!(pending.into_iter().chain([one_more]).all(|pending| wait(pending) == says("ran")));
        pool.close();
        pool.join(soon());
        assert_eq!(ran.load(Ordering::Relaxed), MAX_THREADS + 2);
        assert_eq!(live(&pool), 0);
    }

    #[test]
    fn a_panic_is_a_result() {
        let pool = Arc::new(Pool::new());
        assert_eq!(wait(pool.run(|| panic!("planted"))), says("planted"));
        assert_eq!(wait(pool.run(|| says("still running"))), says("still running"));
        pool.close();
        pool.join(soon());
        assert_eq!(live(&pool), 0);
    }

    #[test]
    fn a_pool_can_be_ended_from_one_of_its_threads() {
        let pool = Arc::new(Pool::new());
        let own = pool.clone();
        let (done, ended) = mpsc::channel();
        drop(pool.run(|| says("its future is gone")));
        let result = wait(pool.run(move || {
            own.close();
            let before = Instant::now();
            own.join(soon());
            done.send(before.elapsed()).unwrap();
            says("joined")
        }));
        assert_eq!(result, says("joined"));
        assert!(ended.recv().unwrap() < Duration::from_secs(5), "it waited for itself");
    }
}
