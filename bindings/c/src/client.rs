//! The client's life.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use mpflags_core::{Client, Config, State};

use crate::error::mpflags_error;
use crate::fork;
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings;

/// Evaluates the flags of one Mixpanel project. Any thread may call any function with it, any number at once.
pub struct mpflags_client(Client);

const _: () = handle::shared::<mpflags_client>();

impl mpflags_client {
    pub(crate) fn core(&self) -> &Client {
        &self.0
    }
}

/// No state: the client is NULL, or the item tells of something else.
pub const MPFLAGS_STATE_NONE: i32 = 0;
/// There is nothing to evaluate yet.
pub const MPFLAGS_STATE_NOT_READY: i32 = 1;
/// Definitions were fetched, or stand in the configuration.
pub const MPFLAGS_STATE_READY: i32 = 2;
/// Definitions are held and evaluated, but Mixpanel cannot be reached or refuses the credentials, or they come from
/// the cache.
pub const MPFLAGS_STATE_STALE: i32 = 3;
/// There is nothing to evaluate, and the credentials were refused or the initialisation time has passed. Polling goes
/// on: the client heals by itself.
pub const MPFLAGS_STATE_ERROR: i32 = 4;

pub(crate) fn state_of(state: State) -> i32 {
    match state {
        State::NotReady => MPFLAGS_STATE_NOT_READY,
        State::Ready => MPFLAGS_STATE_READY,
        State::Stale => MPFLAGS_STATE_STALE,
        State::Error => MPFLAGS_STATE_ERROR,
        // A state that the core learns before this file does.
        _ => MPFLAGS_STATE_NONE,
    }
}

pub(crate) fn milliseconds(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}

/// Instead of a time: as long as the client's own option says, `init_timeout_ms` of `mpflags_client_wait_ready`,
/// `request_timeout_ms` of `mpflags_client_refresh`, `shutdown_timeout_ms` of `mpflags_client_shutdown`.
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

/// Makes a client of a configuration: a JSON object whose keys the README lists, `token` among them. It can evaluate
/// what the configuration brings (`definitions`, `definitions_path`, `overrides`) and opens no connection before
/// `mpflags_client_start`. The first client of a process registers the fork handler and the panic hook.
///
/// The caller frees `*out` with `mpflags_client_free`. On failure `*out` is as it was: `MPFLAGS_INVALID_CONFIG` for an
/// unknown key, a wrong type, a value out of range or a file that cannot be read, with a message that names the key.
/// Any thread. Costs the reading of the files that the configuration names and of the definitions: 10 ms for 1,000
/// flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_new(
    config: *const c_char,
    config_len: usize,
    out: Option<&mut MaybeUninit<*mut mpflags_client>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let out = handle::required_out("out", out)?;
        // SAFETY: the caller lends `config_len` bytes at `config` for the call, or passes NULL.
        let config = unsafe { strings::text("config", config, config_len) }?;
        fork::prepare_process()?;
        handle::give(out, mpflags_client(Client::new(Config::from_json(config)?)?));
        Ok(())
    })
}

/// Starts the client's threads, and returns at once. Starting a started client does nothing; one that was shut down
/// starts anew. With definitions in the configuration and `enable_polling` off nothing is fetched.
///
/// Nothing to free. On failure nothing is started: `MPFLAGS_SYSTEM` when there is no thread to be had. Any thread.
/// Costs the start of two threads.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_start(
    client: Option<&mpflags_client>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || Ok(handle::required("client", client)?.core().start()?))
}

/// Waits until there is something to evaluate. The time covers all retries; 0 only looks, `MPFLAGS_TIMEOUT_CONFIGURED`
/// is `init_timeout_ms`.
///
/// Nothing to free. On failure polling goes on, and the message tells the last fetch's error: `MPFLAGS_TIMEOUT` when the
/// time has passed, `MPFLAGS_CREDENTIALS_REFUSED` as soon as Mixpanel answers 401 or 403, `MPFLAGS_CLOSED` when the
/// client is shut down, `MPFLAGS_INVALID_ARGUMENT` when it was never started. Any thread. Sleeps, at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_wait_ready(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        Ok(client.wait_ready(or_configured(timeout_ms, client.init_timeout()))?)
    })
}

/// Fetches the definitions now, whatever `enable_polling` says, and waits until that fetch has ended. 0 starts the fetch
/// and does not wait; `MPFLAGS_TIMEOUT_CONFIGURED` is `request_timeout_ms`. Callers that wait at the same time share one
/// fetch, which begins after the call and on a new connection. A pause between retries is cut short; the next poll comes
/// an interval later. A remote client has nothing to fetch: the call succeeds at once.
///
/// Nothing to free. On failure the definitions held stay in service, and the message has the last fetch's error:
/// `MPFLAGS_BACKEND` or `MPFLAGS_CREDENTIALS_REFUSED` when the fetch fails, `MPFLAGS_TIMEOUT` when the time has passed,
/// after which the fetch goes on, `MPFLAGS_CLOSED` when the client is or gets shut down, `MPFLAGS_SYSTEM` when there is
/// no thread to be had, `MPFLAGS_INVALID_ARGUMENT` before the start, and in a callback unless the time is 0. Any thread.
/// Sleeps, at most `timeout_ms`; the first call of a client that polls nothing starts a thread.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_refresh(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        Ok(client.refresh(or_configured(timeout_ms, client.request_timeout()))?)
    })
}

/// Tells whether the client can evaluate: one of `MPFLAGS_STATE_*`.
///
/// Nothing to free. Cannot fail. Any thread. Takes one short lock.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_state(client: Option<&mpflags_client>) -> i32 {
    guard::value(client, MPFLAGS_STATE_NONE, || Some(state_of(client?.core().state())))
}

/// Returns a timeout of the client's configuration in milliseconds, or its default where the configuration has none.
/// `which` is `MPFLAGS_TIMEOUT_INIT`, `MPFLAGS_TIMEOUT_REQUEST` or `MPFLAGS_TIMEOUT_SHUTDOWN`.
///
/// Nothing to free. Cannot fail: 0 for NULL and for any other number. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_timeout(client: Option<&mpflags_client>, which: u32) -> u32 {
    guard::value(client, 0, || {
        let client = client?.core();
        let timeout = match which {
            MPFLAGS_TIMEOUT_INIT => client.init_timeout(),
            MPFLAGS_TIMEOUT_REQUEST => client.request_timeout(),
            MPFLAGS_TIMEOUT_SHUTDOWN => client.shutdown_timeout(),
            _ => return None,
        };
        u32::try_from(timeout.as_millis()).ok()
    })
}

/// Delivers the events that are enqueued, ends the client's threads, and ends `mpflags_client_wait_ready` and
/// `mpflags_client_refresh` with `MPFLAGS_CLOSED`. Requests under way are interrupted when the time is over.
/// `undelivered` may be NULL; it takes how many events were lost. Items that wait are delivered: `mpflags_client_next_item`
/// gives them before `MPFLAGS_CLOSED`, a callback gets them before its `drop` is called. The last one is a warning when
/// events were lost, with their number and the reason. With `event_sink` events that wait are among them, and not lost.
/// Evaluations go on with the definitions held, without exposures. Shutting down twice is fine.
///
/// Nothing to free; the client is still to be freed. The one failure but misuse is `MPFLAGS_TIMEOUT`, with
/// `*undelivered` as it was: a thread is inside a name look-up, a connect or the callback for longer; it is left behind,
/// and ends when that does. Any thread but a callback's; from `atexit` and static destructors too. Sleeps until the threads have
/// ended, at most `timeout_ms`; `MPFLAGS_TIMEOUT_CONFIGURED` is `shutdown_timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_shutdown(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    undelivered: Option<&mut MaybeUninit<u64>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let lost = client.shutdown(or_configured(timeout_ms, client.shutdown_timeout()))?;
        if let Some(undelivered) = undelivered {
            undelivered.write(lost);
        }
        Ok(())
    })
}

/// Frees a client; NULL does nothing. One that is not shut down is shut down first, within a second, or
/// `shutdown_timeout_ms` of its configuration if that is less; a callback hears what was lost. One that is shut down is
/// freed at once, even if a thread was left behind.
///
/// Contexts, evaluations, items and errors made with it stay valid. Cannot fail. Any thread but a callback's, when no
/// other call with this client is running; a callback counts as a call, so a client with a callback is shut down before.
/// Sleeps at most that long; frees the definitions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_free(client: *mut mpflags_client) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(client) };
    });
}
