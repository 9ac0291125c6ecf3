//! Creating, starting, waiting for, shutting down and freeing a client.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use mpflags_core::{Client, Config, State};

use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::fork;
use crate::guard;
use crate::handle::{self, Out};
use crate::status::mpflags_status;
use crate::strings::{self, mpflags_str};

/// Evaluates the flags of one Mixpanel project.
pub struct mpflags_client(Client);

const _: () = handle::shared::<mpflags_client>();

impl mpflags_client {
    /// Runs the body of a function of a client that returns a status.
    pub(crate) fn status(
        client: Option<&Self>,
        err: Out<'_, mpflags_error>,
        body: impl FnOnce(&Client) -> Result<(), Failure>,
    ) -> mpflags_status {
        let client = client.map(|client| &client.0);
        guard::status(client, err, || body(handle::required("client", client)?))
    }

    /// Runs the body of a function of a client that returns a value.
    pub(crate) fn value<T>(client: Option<&Self>, default: T, body: impl FnOnce(&Client) -> Option<T>) -> T {
        let client = client.map(|client| &client.0);
        guard::value(client, default, || body(client?))
    }
}

/// No state: the handle is NULL, or the item is not a change of state.
pub const MPFLAGS_STATE_NONE: i32 = 0;
/// There are no definitions yet.
pub const MPFLAGS_STATE_NOT_READY: i32 = 1;
/// The client has definitions that were fetched or are part of the configuration.
pub const MPFLAGS_STATE_READY: i32 = 2;
/// The client has definitions and uses them, but they are from the cache, or Mixpanel cannot be reached or
/// refuses the credentials.
pub const MPFLAGS_STATE_STALE: i32 = 3;
/// There are no definitions, and Mixpanel refused the credentials or `init_timeout_ms` has passed. Polling
/// continues, and the next success makes the client ready.
pub const MPFLAGS_STATE_ERROR: i32 = 4;

pub(crate) fn state_of(state: State) -> i32 {
    match state {
        State::NotReady => MPFLAGS_STATE_NOT_READY,
        State::Ready => MPFLAGS_STATE_READY,
        State::Stale => MPFLAGS_STATE_STALE,
        State::Error => MPFLAGS_STATE_ERROR,
        // A state of the core that this file does not know yet.
        _ => MPFLAGS_STATE_NONE,
    }
}

/// Returns the name of a state, `READY` for example, or `NONE`. Returns `unknown` for a number that is not one
/// of `MPFLAGS_STATE_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_state_name(state: i32) -> mpflags_str {
    mpflags_str::of_static(match state {
        MPFLAGS_STATE_NONE => c"NONE",
        MPFLAGS_STATE_NOT_READY => c"NOT_READY",
        MPFLAGS_STATE_READY => c"READY",
        MPFLAGS_STATE_STALE => c"STALE",
        MPFLAGS_STATE_ERROR => c"ERROR",
        _ => c"unknown",
    })
}

pub(crate) fn milliseconds(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}

/// For `timeout_ms`: the timeout from the client's configuration. That is `init_timeout_ms` for
/// `mpflags_client_wait_ready`, `request_timeout_ms` for `mpflags_client_refresh` and `shutdown_timeout_ms`
/// for `mpflags_client_shutdown`.
pub const MPFLAGS_TIMEOUT_CONFIGURED: u32 = u32::MAX;

/// For `mpflags_client_timeout`: the option `init_timeout_ms`.
pub const MPFLAGS_TIMEOUT_INIT: u32 = 1;
/// For `mpflags_client_timeout`: the option `request_timeout_ms`.
pub const MPFLAGS_TIMEOUT_REQUEST: u32 = 2;
/// For `mpflags_client_timeout`: the option `shutdown_timeout_ms`.
pub const MPFLAGS_TIMEOUT_SHUTDOWN: u32 = 3;

fn or_configured(timeout_ms: u32, configured: Duration) -> Duration {
    if timeout_ms == MPFLAGS_TIMEOUT_CONFIGURED { configured } else { milliseconds(timeout_ms) }
}

/// Creates a client. `config` is a JSON object; docs/configuration.md lists its keys, of which `token` is
/// required. The client can evaluate `definitions` and `overrides` from the configuration at once. It opens
/// no connection before `mpflags_client_start`. The first client of a process registers the fork handler and
/// the panic hook.
///
/// Fails with `MPFLAGS_INVALID_CONFIG` and a message that names the key, and with `MPFLAGS_SYSTEM` if the
/// fork handler cannot be registered. Reads the files that the configuration names and parses the
/// definitions: about 10 ms for 1,000 flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_new(
    config: *const c_char,
    config_len: usize,
    out: Option<&mut MaybeUninit<*mut mpflags_client>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let out = handle::required_out("out", out)?;
        // SAFETY: as the header requires, NULL or `config_len` bytes that do not change during the call.
        let config = unsafe { strings::text("config", config, config_len) }?;
        fork::prepare_process()?;
        handle::give(out, mpflags_client(Client::new(Config::from_json(config)?)?));
        Ok(())
    })
}

/// Starts the client's two threads and returns. Does nothing if they are running; a client that was shut down
/// starts again. Nothing is fetched if the configuration has definitions and `enable_polling` is off.
///
/// Fails with `MPFLAGS_SYSTEM` if a thread cannot be created, and then starts none.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_start(
    client: Option<&mpflags_client>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| Ok(client.start()?))
}

/// Waits until the client has definitions; overrides alone do not count, and a remote client is ready at
/// once. 0 only checks; `MPFLAGS_TIMEOUT_CONFIGURED` means `init_timeout_ms`. The time includes all retries.
///
/// Fails with `MPFLAGS_TIMEOUT`; with `MPFLAGS_CREDENTIALS_REFUSED` as soon as Mixpanel responds with 401 or
/// 403; with `MPFLAGS_BACKEND` as soon as a server speaks plain http although the configuration says https;
/// with `MPFLAGS_CLOSED` if the client is shut down, before or during the call; and with
/// `MPFLAGS_INVALID_ARGUMENT` if it was never started and has no definitions. Polling continues after a
/// failure, and the message includes the error of the last fetch. Blocks for at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_wait_ready(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        Ok(client.wait_ready(or_configured(timeout_ms, client.init_timeout()))?)
    })
}

/// Fetches the definitions now, even if `enable_polling` is off, and waits for the result. 0 starts the fetch
/// and does not wait; `MPFLAGS_TIMEOUT_CONFIGURED` means `request_timeout_ms`. The fetch begins after the
/// call, on a new connection; callers that wait at the same time share one. It does not wait for a pause
/// between retries to end, and the next poll follows one interval later. A remote client has nothing to fetch
/// and succeeds at once.
///
/// Fails with `MPFLAGS_BACKEND` or `MPFLAGS_CREDENTIALS_REFUSED` if the fetch fails; with `MPFLAGS_TIMEOUT`,
/// after which the fetch continues; with `MPFLAGS_CLOSED` if the client is shut down, before or during the
/// call; with `MPFLAGS_SYSTEM` if a thread cannot be created; and with `MPFLAGS_INVALID_ARGUMENT` before the
/// start, and in a callback unless `timeout_ms` is 0. The current definitions stay in use after a failure,
/// and the message includes the error of the last fetch. Blocks for at most `timeout_ms`. The first call of a
/// client that does not poll starts a thread.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_refresh(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        Ok(client.refresh(or_configured(timeout_ms, client.request_timeout()))?)
    })
}

/// Returns whether the client can evaluate: one of `MPFLAGS_STATE_*`. Takes one short lock.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_state(client: Option<&mpflags_client>) -> i32 {
    mpflags_client::value(client, MPFLAGS_STATE_NONE, |client| Some(state_of(client.state())))
}

/// Returns one of the client's timeouts in milliseconds, as configured or the default. `which` is
/// `MPFLAGS_TIMEOUT_INIT`, `MPFLAGS_TIMEOUT_REQUEST` or `MPFLAGS_TIMEOUT_SHUTDOWN`; any other number returns
/// 0.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_timeout(client: Option<&mpflags_client>, which: u32) -> u32 {
    mpflags_client::value(client, 0, |client| {
        let timeout = match which {
            MPFLAGS_TIMEOUT_INIT => client.init_timeout(),
            MPFLAGS_TIMEOUT_REQUEST => client.request_timeout(),
            MPFLAGS_TIMEOUT_SHUTDOWN => client.shutdown_timeout(),
            _ => return None,
        };
        u32::try_from(timeout.as_millis()).ok()
    })
}

/// Sends the queued events and ends the client's threads. Calls that are waiting in
/// `mpflags_client_wait_ready` or `mpflags_client_refresh` fail with `MPFLAGS_CLOSED`. Requests that are
/// still running when the timeout has passed are interrupted. `MPFLAGS_TIMEOUT_CONFIGURED` means
/// `shutdown_timeout_ms`. If `undelivered` is not NULL, it receives the number of events that were lost.
/// Shutting down twice is allowed. Later evaluations use the current definitions and report no exposure.
///
/// Items that are queued are still delivered: `mpflags_client_next_item` returns them before it fails with
/// `MPFLAGS_CLOSED`, and a callback receives them before its `drop` is called. If events were lost, the last
/// item is a warning with their number and the reason. With `event_sink`, the queued events are among these
/// items and are not lost.
///
/// Fails with `MPFLAGS_TIMEOUT`, without writing `*undelivered`, if a thread is still in a name look-up, a
/// connect or the callback when the time has passed. That thread is left behind, and ends once the look-up,
/// connect or callback returns. Must not be called from the client's own callback; may be called from
/// `atexit` and static destructors. Blocks for at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_shutdown(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    undelivered: Option<&mut MaybeUninit<u64>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let lost = client.shutdown(or_configured(timeout_ms, client.shutdown_timeout()))?;
        if let Some(undelivered) = undelivered {
            undelivered.write(lost);
        }
        Ok(())
    })
}

/// Frees a client. One that is still running is first shut down, within a second or `shutdown_timeout_ms`,
/// whichever is less, and a callback receives a warning if events were lost. One that is shut down is freed
/// at once, even if a thread was left behind.
///
/// Must not be called from the client's own callback or while it runs: shut down a client that has a callback
/// first. Blocks for at most a second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_free(client: *mut mpflags_client) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(client) };
}
