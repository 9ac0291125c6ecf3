//! The one place where panics end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::thread;

use crate::client::mpflags_client;
use crate::error::{Failure, mpflags_error};
use crate::handle::{self, Out};
use crate::status::{MPFLAGS_OK, MPFLAGS_PANIC, mpflags_status};

thread_local! {
    /// How many guards are on this thread's stack: a callback may call back.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic of this thread was. The payload that a guard catches does not tell.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of a function that returns a value. `default` stands for an argument that is NULL, and for a panic.
pub(crate) fn value<T>(client: Option<&mpflags_client>, default: T, body: impl FnOnce() -> Option<T>) -> T {
    match caught(client, body) {
        Ok(Some(value)) => value,
        Ok(None) | Err(_) => default,
    }
}

/// Runs the body of a function that returns a status, and hands its failure over.
pub(crate) fn status(
    client: Option<&mpflags_client>,
    err: Out<'_, mpflags_error>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> mpflags_status {
    let failure = match caught(client, body) {
        Ok(Ok(())) => return MPFLAGS_OK,
        Ok(Err(failure)) => failure,
        Err(text) => Failure::new(MPFLAGS_PANIC, format!("a panic was caught: {text}")),
    };
    let status = failure.status();
    if let Some(err) = err {
        handle::give(err, failure.into());
    }
    status
}

/// Runs the body of a function that returns nothing.
pub(crate) fn nothing(body: impl FnOnce()) {
    // Whom to tell? A handle is on its way out.
    let _ = caught(None, body);
}

/// The text of a panic goes to the client's log stream, where there is a client, and to the caller.
fn caught<R>(client: Option<&mpflags_client>, body: impl FnOnce() -> R) -> Result<R, String> {
    // Unwind safe: a body that panics has written no out-parameter, and the core's types survive a panic.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _entered = Entered::new();
        #[cfg(mpflags_panic)]
        go_off();
        body()
    }));
    result.map_err(|payload| panicked(client, payload.as_ref()))
}

#[cold]
fn panicked(client: Option<&mpflags_client>, payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    // Gone in a static destructor: then the place is not told.
    let place = PLACE.try_with(RefCell::take).unwrap_or_default();
    let text = if place.is_empty() { text.to_owned() } else { format!("{text} ({place})") };
    if let Some(client) = client {
        mpflags_core::unversioned::log_panic(client.core(), &text);
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

/// Keeps panics of guarded calls and of our threads, which are caught and told, from standard error. All others go on
/// to the hook before.
pub(crate) fn install_hook() {
    let before = take_hook();
    set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if DEPTH.get() > 0 {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = PLACE.try_with(|told| told.replace(place));
        } else if !thread::current().name().is_some_and(|name| name.starts_with("mpflags-")) {
            before(info);
        }
    }));
}

/// What the second library of tests/panic.rs panics by: the argument that arms this thread, for its next call.
#[cfg(mpflags_panic)]
pub(crate) fn arm_if(text: &str) {
    if text == "mpflags-panic" {
        ARMED.set(true);
    }
}

#[cfg(mpflags_panic)]
thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

#[cfg(mpflags_panic)]
#[allow(clippy::panic, reason = "never in the library that ships")]
fn go_off() {
    if ARMED.take() {
        panic!("armed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::Builder;

    use super::*;

    static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn panics(thread: &str, guarded: bool) {
        let run = move || if guarded { nothing(|| panic!("guarded")) } else { panic!("bare") };
        let _ = Builder::new().name(thread.to_owned()).spawn(run).unwrap().join();
    }

    // One test: the hook is the process's.
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
