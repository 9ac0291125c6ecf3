//! Items: what a client reports to its program.

use std::mem::MaybeUninit;

use mpflags_core::{Item, Level};

use crate::client::{MPFLAGS_STATE_NONE, milliseconds, mpflags_client, state_of};
use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_TIMEOUT, mpflags_status};
use crate::strings::{Text, mpflags_str};

/// Something that a client reports: a log line, a state, a change of definitions, an event. Immutable.
pub struct mpflags_item {
    kind: i32,
    level: i32,
    state: i32,
    message: Option<Text>,
    keys: Vec<Text>,
    event: Option<Text>,
}

const _: () = handle::shared::<mpflags_item>();

/// The item is NULL, or of a kind that this revision has no number for.
pub const MPFLAGS_ITEM_NONE: i32 = 0;
/// A log line, with level and message.
pub const MPFLAGS_ITEM_LOG: i32 = 1;
/// The state of the client changed; the item has the new state, and a message if something failed.
pub const MPFLAGS_ITEM_STATE: i32 = 2;
/// The definitions of some flags changed; the item has the keys of those flags. Changes that have not been
/// taken yet are merged into one item.
pub const MPFLAGS_ITEM_CHANGE: i32 = 3;
/// With `event_sink`: an event for your own pipeline, which would have been sent to Mixpanel.
pub const MPFLAGS_ITEM_EVENT: i32 = 4;

/// The item is not a log line.
pub const MPFLAGS_LEVEL_NONE: i32 = 0;
/// Details of what the client does.
pub const MPFLAGS_LEVEL_DEBUG: i32 = 1;
/// Normal operation.
pub const MPFLAGS_LEVEL_INFO: i32 = 2;
/// Something is wrong; evaluation continues.
pub const MPFLAGS_LEVEL_WARNING: i32 = 3;
/// Something that does not recover by itself: an internal error, or a thread that could not be started.
pub const MPFLAGS_LEVEL_ERROR: i32 = 4;

fn level_of(level: Level) -> i32 {
    match level {
        Level::Debug => MPFLAGS_LEVEL_DEBUG,
        Level::Info => MPFLAGS_LEVEL_INFO,
        Level::Warning => MPFLAGS_LEVEL_WARNING,
        Level::Error => MPFLAGS_LEVEL_ERROR,
        // A level of the core that this file does not know yet must not go unnoticed.
        _ => MPFLAGS_LEVEL_ERROR,
    }
}

/// Returns the name of a level, `WARNING` for example, or `NONE`. Returns `unknown` for a number that is not
/// one of `MPFLAGS_LEVEL_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_level_name(level: i32) -> mpflags_str {
    mpflags_str::of_static(match level {
        MPFLAGS_LEVEL_NONE => c"NONE",
        MPFLAGS_LEVEL_DEBUG => c"DEBUG",
        MPFLAGS_LEVEL_INFO => c"INFO",
        MPFLAGS_LEVEL_WARNING => c"WARNING",
        MPFLAGS_LEVEL_ERROR => c"ERROR",
        _ => c"unknown",
    })
}

impl From<Item> for mpflags_item {
    fn from(item: Item) -> Self {
        let none = mpflags_item {
            kind: MPFLAGS_ITEM_NONE,
            level: MPFLAGS_LEVEL_NONE,
            state: MPFLAGS_STATE_NONE,
            message: None,
            keys: Vec::new(),
            event: None,
        };
        match item {
            Item::Log { level, message } => mpflags_item {
                kind: MPFLAGS_ITEM_LOG,
                level: level_of(level),
                message: Some(Text::new(message)),
                ..none
            },
            Item::State { state, message } => mpflags_item {
                kind: MPFLAGS_ITEM_STATE,
                state: state_of(state),
                message: message.map(Text::new),
                ..none
            },
            Item::Change { keys } => mpflags_item {
                kind: MPFLAGS_ITEM_CHANGE,
                keys: keys.into_iter().map(Text::new).collect(),
                ..none
            },
            Item::Event { json } => {
                mpflags_item { kind: MPFLAGS_ITEM_EVENT, event: Some(Text::new(json)), ..none }
            }
            _ => none,
        }
    }
}

/// Takes the next item, waiting for one if there is none; 0 does not wait. Call it from one thread at a time.
/// Items that nobody takes use bounded memory: the oldest log lines are dropped; a later line says how many.
///
/// Fails with `MPFLAGS_TIMEOUT` if no item came; with `MPFLAGS_CLOSED` if the client is shut down, before or
/// during the call, and no item is left; and with `MPFLAGS_INVALID_ARGUMENT` if the client has a callback.
/// Blocks for at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_next_item(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut mpflags_item>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let out = handle::required_out("out", out)?;
        let item = client.next_item(milliseconds(timeout_ms))?;
        let item = item.ok_or_else(|| Failure::new(MPFLAGS_TIMEOUT, "no item arrived before the timeout"))?;
        handle::give(out, item.into());
        Ok(())
    })
}

/// Returns the kind of the item: one of `MPFLAGS_ITEM_*`. Skip kinds that you do not know.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_kind(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_ITEM_NONE, || Some(item?.kind))
}

/// Returns the severity of a log line: one of `MPFLAGS_LEVEL_*`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_level(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_LEVEL_NONE, || Some(item?.level))
}

/// Returns the new state: one of `MPFLAGS_STATE_*`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_state(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_STATE_NONE, || Some(item?.state))
}

/// Returns the log line, without a newline, or what led to the state. It never contains a token or a secret.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_message(item: Option<&mpflags_item>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.message.as_ref()?.view()))
}

/// Returns the number of flags that changed.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_key_count(item: Option<&mpflags_item>) -> usize {
    guard::value(None, 0, || Some(item?.keys.len()))
}

/// Returns the key of a flag that changed; `index` counts from 0.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_key(item: Option<&mpflags_item>, index: usize) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.keys.get(index)?.view()))
}

/// Returns the event as a JSON object, in the form that Mixpanel accepts.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_event(item: Option<&mpflags_item>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.event.as_ref()?.view()))
}

/// Frees an item and its strings. Do not free the item that a callback receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_item_free(item: *mut mpflags_item) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(item) };
}
