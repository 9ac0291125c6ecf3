//! What a client tells its host, one item after the other.

use std::mem::MaybeUninit;

use mpflags_core::{Item, Level};

use crate::client::{MPFLAGS_STATE_NONE, milliseconds, mpflags_client, state_of};
use crate::error::{Failure, mpflags_error};
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_TIMEOUT, mpflags_status};
use crate::strings::{Text, mpflags_str};

/// Something that a client tells: a log line, a state, a change of definitions. Immutable; any thread may read it.
pub struct mpflags_item {
    kind: i32,
    level: i32,
    state: i32,
    message: Option<Text>,
    keys: Vec<Text>,
    event: Option<Text>,
}

const _: () = handle::shared::<mpflags_item>();

/// No kind: the item is NULL, or of a kind that this revision has no number for.
pub const MPFLAGS_ITEM_NONE: i32 = 0;
/// A line for the host's log: level and message.
pub const MPFLAGS_ITEM_LOG: i32 = 1;
/// The client's state has changed: state, and a message where something failed.
pub const MPFLAGS_ITEM_STATE: i32 = 2;
/// The definitions of these flags have changed: their keys. Changes that nobody took yet are told as one.
pub const MPFLAGS_ITEM_CHANGE: i32 = 3;
/// With `event_sink`: an event that would have been sent, for the program's own pipeline.
pub const MPFLAGS_ITEM_EVENT: i32 = 4;

/// No level: the item is no log line.
pub const MPFLAGS_LEVEL_NONE: i32 = 0;
/// For following what the client does.
pub const MPFLAGS_LEVEL_DEBUG: i32 = 1;
/// Worth knowing.
pub const MPFLAGS_LEVEL_INFO: i32 = 2;
/// Something is wrong, and evaluation goes on.
pub const MPFLAGS_LEVEL_WARNING: i32 = 3;
/// Evaluations give defaults because of it.
pub const MPFLAGS_LEVEL_ERROR: i32 = 4;

fn level_of(level: Level) -> i32 {
    match level {
        Level::Debug => MPFLAGS_LEVEL_DEBUG,
        Level::Info => MPFLAGS_LEVEL_INFO,
        Level::Warning => MPFLAGS_LEVEL_WARNING,
        Level::Error => MPFLAGS_LEVEL_ERROR,
        // A level that the core learns before this file does is not to be missed.
        _ => MPFLAGS_LEVEL_ERROR,
    }
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

/// Takes the next item, and waits for it if there is none; 0 only looks. What nobody takes is bounded: the oldest log
/// lines go, and are counted in a line of their own. One thread takes items.
///
/// The caller frees `*out` with `mpflags_item_free`; it may outlive the client. On failure `*out` is as it was:
/// `MPFLAGS_TIMEOUT` when none came, `MPFLAGS_CLOSED` when the client is or gets shut down and no item waits any more,
/// `MPFLAGS_INVALID_ARGUMENT` when the items go to a callback. Any thread, one at a time. Sleeps, at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_next_item(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut mpflags_item>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        let item = client.next_item(milliseconds(timeout_ms))?;
        let item = item.ok_or_else(|| Failure::new(MPFLAGS_TIMEOUT, "no item came within the time given"))?;
        handle::give(out, item.into());
        Ok(())
    })
}

/// Tells what an item is: one of `MPFLAGS_ITEM_*`. A program passes over kinds that it does not know.
///
/// Nothing to free. Cannot fail: `MPFLAGS_ITEM_NONE` for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_kind(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_ITEM_NONE, || Some(item?.kind))
}

/// Tells how much a log line matters: one of `MPFLAGS_LEVEL_*`.
///
/// Nothing to free. Cannot fail: `MPFLAGS_LEVEL_NONE` for any other item. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_level(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_LEVEL_NONE, || Some(item?.level))
}

/// Tells the new state: one of `MPFLAGS_STATE_*`.
///
/// Nothing to free. Cannot fail: `MPFLAGS_STATE_NONE` for any other item. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_state(item: Option<&mpflags_item>) -> i32 {
    guard::value(None, MPFLAGS_STATE_NONE, || Some(item?.state))
}

/// Tells the log line, without a newline, or what led to the state. No token or secret is in it.
///
/// Nothing to free: the string is the item's. Cannot fail: no string where there is none. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_message(item: Option<&mpflags_item>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.message.as_ref()?.view()))
}

/// Tells how many flags a change names.
///
/// Nothing to free. Cannot fail: 0 for any other item. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_key_count(item: Option<&mpflags_item>) -> usize {
    guard::value(None, 0, || Some(item?.keys.len()))
}

/// Tells the key of a flag that has changed; they are in order, from 0 on.
///
/// Nothing to free: the string is the item's. Cannot fail: no string beyond the last. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_key(item: Option<&mpflags_item>, index: usize) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.keys.get(index)?.view()))
}

/// Tells the event as JSON, as Mixpanel takes it.
///
/// Nothing to free: the string is the item's. Cannot fail: no string for any other item. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_item_event(item: Option<&mpflags_item>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(item?.event.as_ref()?.view()))
}

/// Frees an item that `mpflags_client_next_item` gave; NULL does nothing. A callback's item is not the callback's to free.
///
/// Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_item_free(item: *mut mpflags_item) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(item) };
    });
}
