//! Threads that ask Mixpanel while the caller's executor does other work: made when there is something to ask, at most
//! [`MOST`], gone when there is nothing for a while. No async runtime: the one that polls the future is woken.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::engine::evaluation::Evaluation;
use crate::sys::fork;
use crate::sys::worker::{panic_text, spawn};

/// Requests under way at once. A thread waits for the network nearly all the time and costs some 20 KiB.
pub(super) const MOST: usize = 128;
/// Questions that may wait for a thread beyond that.
pub(super) const WAITING: usize = 1024;
/// How long a thread without a question stays: starting one costs less than a request, but not nothing.
const IDLE: Duration = Duration::from_secs(10);

thread_local! {
    /// The pool that this thread is of, by address.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// An evaluation, or why there is none.
pub(super) type Answer = Result<Evaluation, String>;

pub(super) struct Pool {
    /// The fork generation that its threads and locks belong to.
    generation: u64,
    state: Mutex<State>,
    /// There is a question, or the end.
    asked: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    threads: Vec<JoinHandle<()>>,
    live: usize,
    idle: usize,
    closed: bool,
}

struct Question {
    ask: Box<dyn FnOnce() -> Answer + Send>,
    slot: Arc<Slot>,
}

/// Where a thread leaves the answer for the future.
#[derive(Default)]
struct Slot(Mutex<Reply>);

#[derive(Default)]
struct Reply {
    answer: Option<Answer>,
    waker: Option<Waker>,
    /// The future was dropped.
    abandoned: bool,
}

impl Pool {
    /// Without a thread yet.
    pub(super) fn new() -> Self {
        Pool {
            generation: fork::generation(),
            state: Mutex::default(),
            asked: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Whether this process is a child of the one that it was made in: then its threads do not exist, and its lock may
    /// be held for ever.
    pub(super) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Runs `ask` on a thread of the pool, and is ready when it has run. One whose future is dropped before its turn
    /// never runs.
    pub(super) fn run(self: &Arc<Self>, ask: impl FnOnce() -> Answer + Send + 'static) -> Asked {
        let slot = Arc::new(Slot::default());
        if let Err(why) = self.submit(Question { ask: Box::new(ask), slot: slot.clone() }) {
            slot.fill(Err(why));
        }
        Asked(slot)
    }

    fn submit(self: &Arc<Self>, question: Question) -> Result<(), String> {
        {
            let mut state = self.lock();
            if state.closed {
                return Err("the provider is shut down".to_owned());
            }
            if state.live == MOST && state.waiting.len() >= WAITING {
                state.waiting.retain(|question| !question.slot.is_abandoned());
                if state.waiting.len() >= WAITING {
                    return Err(format!("{MOST} evaluations are under way and {WAITING} wait"));
                }
            }
            state.waiting.push_back(question);
            if state.idle >= state.waiting.len() || state.live == MOST {
                drop(state);
                self.asked.notify_one();
                return Ok(());
            }
            state.live += 1;
        }
        let pool = self.clone();
        match spawn("mpflags-ask", move || pool.serve()) {
            Ok(thread) => {
                let mut state = self.lock();
                // Those that ended for want of questions.
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
            }
            Err(error) => {
                let mut state = self.lock();
                state.live -= 1;
                // Otherwise the threads that there are come to it.
                if state.live == 0 {
                    let stranded = std::mem::take(&mut state.waiting);
                    drop(state);
                    for question in stranded {
                        question.slot.fill(Err(format!("cannot start a thread: {error}")));
                    }
                }
            }
        }
        Ok(())
    }

    /// What a thread does.
    fn serve(&self) {
        OWN.set(self.address());
        while let Some(Question { ask, slot }) = self.next() {
            if slot.is_abandoned() {
                continue;
            }
            // Unwind safe: nothing of what panicked is used again. Waking is the executor's code.
            let answer = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|panic| Err(panic_text(&*panic)));
            let _ = catch_unwind(AssertUnwindSafe(|| slot.fill(answer)));
        }
    }

    /// The next question; nothing when the thread is to end, which is then counted.
    fn next(&self) -> Option<Question> {
        let deadline = Instant::now() + IDLE;
        let mut state = self.lock();
        loop {
            if let Some(question) = state.waiting.pop_front() {
                return Some(question);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left == Duration::ZERO {
                state.live -= 1;
                drop(state);
                self.ended.notify_all();
                return None;
            }
            state.idle += 1;
            state = self.asked.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
    }

    /// Takes no further question, and ends the threads when they have answered what they are at.
    pub(super) fn close(&self) {
        let stranded = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.asked.notify_all();
        for question in stranded {
            question.slot.fill(Err("the provider is shut down".to_owned()));
        }
    }

    /// Waits for the threads to end, at most until `deadline`. Those that have not are left behind.
    pub(super) fn join(&self, deadline: Instant) {
        // An executor may drop the provider where it is woken, on a thread of the pool, which cannot wait for itself.
        let own = OWN.get() == self.address();
        let ended = {
            let mut state = self.lock();
            while state.live > usize::from(own) {
                let left = deadline.saturating_duration_since(Instant::now());
                if left == Duration::ZERO {
                    return;
                }
                state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            std::mem::take(&mut state.threads)
        };
        let current = own.then(|| thread::current().id());
        for thread in ended.into_iter().filter(|thread| Some(thread.thread().id()) != current) {
            // It has nothing left to do, and panics nowhere.
            let _ = thread.join();
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn fill(&self, answer: Answer) {
        let waker = {
            let mut reply = self.lock();
            reply.answer = Some(answer);
            reply.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    fn lock(&self) -> MutexGuard<'_, Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question on its way.
#[must_use]
pub(super) struct Asked(Arc<Slot>);

impl Future for Asked {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut reply = self.0.lock();
        match reply.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                reply.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut reply = self.0.lock();
        reply.abandoned = true;
        // What it would wake is the caller's, and dropped by the caller's thread, outside the lock.
        let waker = reply.waker.take();
        drop(reply);
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

    fn wait(mut asked: Asked) -> Answer {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match Pin::new(&mut asked).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn says(text: &str) -> Answer {
        Err(text.to_owned())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn live(pool: &Pool) -> usize {
        pool.lock().live
    }

    #[test]
    fn a_thread_is_used_again() {
        let pool = Arc::new(Pool::new());
        for n in 0..50 {
            assert_eq!(wait(pool.run(move || says(&n.to_string()))), says(&n.to_string()));
            // It is idle a moment after it has answered.
            let deadline = soon();
            while pool.lock().idle == 0 && Instant::now() < deadline {
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
    fn no_more_threads_and_questions_than_there_may_be() {
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
        let mut asked: Vec<Asked> = (0..MOST).map(|_| ask()).collect();
        let deadline = soon();
        // Each of them has its thread.
        while !pool.lock().waiting.is_empty() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        assert_eq!(live(&pool), MOST);
        asked.extend((0..WAITING).map(|_| ask()));
        assert_eq!(wait(ask()), says("128 evaluations are under way and 1024 wait"));
        // What nobody waits for makes room, and never runs.
        drop(asked.split_off(MOST + 1));
        drop(ask());
        let one_more = ask();
        drop(go);
        assert!(asked.into_iter().chain([one_more]).all(|asked| wait(asked) == says("ran")));
        pool.close();
        pool.join(soon());
        assert_eq!(ran.load(Ordering::Relaxed), MOST + 2);
        assert_eq!(live(&pool), 0);
    }

    #[test]
    fn a_panic_is_an_answer_and_a_stranded_question_too() {
        let pool = Arc::new(Pool::new());
        assert_eq!(wait(pool.run(|| panic!("planted"))), says("planted"));
        assert_eq!(wait(pool.run(|| says("and it goes on"))), says("and it goes on"));
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
        let answer = wait(pool.run(move || {
            own.close();
            let before = Instant::now();
            own.join(soon());
            done.send(before.elapsed()).unwrap();
            says("joined")
        }));
        assert_eq!(answer, says("joined"));
        assert!(ended.recv().unwrap() < Duration::from_secs(5), "it waited for itself");
    }
}
