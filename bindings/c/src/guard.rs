//! The panic boundary: every entry point runs inside one of these functions.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::thread;

use mpflags_core::Client;

use crate::failure::Failure;
use crate::handle::{self, Out};
use crate::status::{MPFLAGS_OK, MPFLAGS_PANIC, mpflags_status};

thread_local! {
    /// The number of guards on this thread's stack; more than one if a callback calls the library.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where this thread last panicked: the hook records it, because the payload that a guard catches does not say.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of a function that returns a value. `default` is returned for `None` and after a panic.
pub(crate) fn value<T>(client: Option<&Client>, default: T, body: impl FnOnce() -> Option<T>) -> T {
    match caught(client, body) {
        Ok(Some(value)) => value,
        Ok(None) | Err(_) => default,
    }
}

/// Runs the body of a function that returns a status. A failure is written to `err`.
pub(crate) fn status<E: From<Failure>>(
    client: Option<&Client>,
    err: Out<'_, E>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> mpflags_status {
    let failure = match caught(client, body) {
        Ok(Ok(())) => return MPFLAGS_OK,
        Ok(Err(failure)) => failure,
        Err(text) => Failure::new(MPFLAGS_PANIC, format!("a panic was caught: {text}")),
    };
    let status = failure.status;
    if let Some(err) = err {
        handle::give(err, failure.into());
    }
    status
}

/// Frees a handle. A panic while dropping it is swallowed: there is no status to return and no client to log
/// it.
///
/// # Safety
///
/// The same as for [`handle::free`].
pub(crate) unsafe fn free<T>(handle: *mut T) {
    // SAFETY: the caller vouches for the handle.
    let _ = caught(None, || unsafe { handle::free(handle) });
}

/// Runs `body` where there is neither a status nor a client, as in the callbacks of a stream. Returns the text of a panic.
pub(crate) fn run<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    caught(None, body)
}

/// Runs `body`. The text of a panic is logged by the client, if there is one, and returned.
fn caught<R>(client: Option<&Client>, body: impl FnOnce() -> R) -> Result<R, String> {
    // Unwind safe: a body writes its outputs last, and the core's types remain consistent after a panic.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _entered = Entered::new();
        #[cfg(mpflags_panic)]
        crate::planted::go_off();
        body()
    }));
    result.map_err(|payload| panicked(client, payload.as_ref()))
}

#[cold]
fn panicked(client: Option<&Client>, payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    // The thread-local is not available in static destructors.
    let place = PLACE.try_with(RefCell::take).unwrap_or_default();
    let text = if place.is_empty() { text.to_owned() } else { format!("{text} ({place})") };
    if let Some(client) = client {
        mpflags_core::unversioned::log_panic(client, &text);
    }
    text
}

struct Entered;

impl Entered {
    fn new() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Entered
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Keeps panics of guarded calls and of the library's threads off standard error: they are caught and logged.
/// All others go to the previous hook.
pub(crate) fn install_hook() {
    let before = take_hook();
    set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if DEPTH.get() > 0 {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = PLACE.try_with(|last| last.replace(place));
        } else if !thread::current().name().is_some_and(|name| name.starts_with("mpflags-")) {
            before(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::Builder;

    use super::*;

    static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn panics(thread: &str, guarded: bool) {
        let run = move || if guarded { drop(caught(None, || panic!("guarded"))) } else { panic!("bare") };
        let _ = Builder::new().name(thread.to_owned()).spawn(run).unwrap().join();
    }

    // One test, because the hook is global.
    #[test]
    fn our_panics_are_kept_and_all_others_passed_on() {
        let harness = take_hook();
        set_hook(Box::new(|_| {
            HEARD.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned())
        }));
        install_hook();
        panics("mpflags-poll", false);
        panics("host-guarded", true);
        panics("host", false);
        let text = caught(None, || panic!("number {}", 7)).err().unwrap();
        set_hook(harness);
        assert_eq!(*HEARD.lock().unwrap(), ["host"]);
        assert!(text.starts_with("number 7 (") && text.contains("guard.rs:"), "{text}");
        assert_eq!(DEPTH.get(), 0);
    }
}
