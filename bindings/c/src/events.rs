//! Exposures, events and profile changes, and their statistics.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use crate::client::{milliseconds, mpflags_client};
use crate::error::mpflags_error;
use crate::evaluation::mpflags_evaluation;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings;
use crate::text::mpflags_text;

/// Queues an exposure for `evaluation`, unless the same one was queued within `exposure_window_ms`. For
/// evaluations made with `MPFLAGS_OPTION_NO_EXPOSURE` and those of `mpflags_client_evaluate_all`. Takes one
/// short lock.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` if the evaluation has no variant, is an override or a type mismatch,
/// or its context had no `distinct_id`; with `MPFLAGS_QUEUE_FULL`; and with `MPFLAGS_CLOSED` after shutdown.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_track_exposure(
    client: Option<&mpflags_client>,
    evaluation: Option<&mpflags_evaluation>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let evaluation = handle::required("evaluation", evaluation)?;
        Ok(client.track_exposure(evaluation.core())?)
    })
}

/// Queues the event `event` of the user `distinct_id` with `properties`, a JSON object or the empty string.
/// If `distinct_id` is empty the user is unknown, and the properties must include a non-empty string
/// `$device_id`. The properties may set `time` (a number of seconds or milliseconds since 1970, or an RFC
/// 3339 string; from 1971 on) and `$insert_id` (1 to 36 ASCII letters, digits or `-`), which the library sets
/// otherwise. Parses the properties and takes one short lock.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` if the name is empty, the properties are not a JSON object or larger
/// than 1 MiB, or `$device_id`, `time` or `$insert_id` is not as above; with `MPFLAGS_QUEUE_FULL`; and with
/// `MPFLAGS_CLOSED` after shutdown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_track(
    client: Option<&mpflags_client>,
    event: *const c_char,
    event_len: usize,
    distinct_id: *const c_char,
    distinct_id_len: usize,
    properties: *const c_char,
    properties_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        // SAFETY: as the header requires, NULL or `event_len` bytes that do not change during the call.
        let event = unsafe { strings::text("event", event, event_len) }?;
        // SAFETY: as the header requires, NULL or `distinct_id_len` bytes that do not change during the call.
        let user = unsafe { strings::text("distinct_id", distinct_id, distinct_id_len) }?;
        // SAFETY: as the header requires, NULL or `properties_len` bytes that do not change during the call.
        let properties = unsafe { strings::text("properties", properties, properties_len) }?;
        Ok(client.track(event, user, properties)?)
    })
}

/// Queues a change of the profile of the user `distinct_id`. `operation` is `$set`, `$set_once`, `$add`,
/// `$append`, `$union` or `$remove` with a JSON object, `$unset` with an array of names, or `$delete` with
/// null. Parses the JSON and takes one short lock.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` if `distinct_id` is empty, the operation is unknown or `json` does
/// not fit it; with `MPFLAGS_QUEUE_FULL`; and with `MPFLAGS_CLOSED` after shutdown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_people_update(
    client: Option<&mpflags_client>,
    operation: *const c_char,
    operation_len: usize,
    distinct_id: *const c_char,
    distinct_id_len: usize,
    json: *const c_char,
    json_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        // SAFETY: as the header requires, NULL or `operation_len` bytes that do not change during the call.
        let operation = unsafe { strings::text("operation", operation, operation_len) }?;
        // SAFETY: as the header requires, NULL or `distinct_id_len` bytes that do not change during the call.
        let user = unsafe { strings::text("distinct_id", distinct_id, distinct_id_len) }?;
        // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
        let json = unsafe { strings::text("json", json, json_len) }?;
        Ok(client.people_update(operation, user, json)?)
    })
}

/// Queues a change of the profile of a group: all users and events whose property `group_key`, such as
/// `company`, is `group_id`. `operation` and `json` are those of `mpflags_client_people_update`, without
/// `$add` and `$append`. Parses the JSON and takes one short lock.
///
/// Fails as `mpflags_client_people_update` does; an empty `group_key` or `group_id` is
/// `MPFLAGS_INVALID_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_group_update(
    client: Option<&mpflags_client>,
    operation: *const c_char,
    operation_len: usize,
    group_key: *const c_char,
    group_key_len: usize,
    group_id: *const c_char,
    group_id_len: usize,
    json: *const c_char,
    json_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        // SAFETY: as the header requires, NULL or `operation_len` bytes that do not change during the call.
        let operation = unsafe { strings::text("operation", operation, operation_len) }?;
        // SAFETY: as the header requires, NULL or `group_key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("group_key", group_key, group_key_len) }?;
        // SAFETY: as the header requires, NULL or `group_id_len` bytes that do not change during the call.
        let id = unsafe { strings::text("group_id", group_id, group_id_len) }?;
        // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
        let json = unsafe { strings::text("json", json, json_len) }?;
        Ok(client.group_update(operation, key, id, json)?)
    })
}

/// Sends the events that are queued and waits until Mixpanel has accepted them. It does not wait for a pause
/// between retries to end: it retries at once, then every second. If `undelivered` is not NULL, it receives
/// the number of events still queued when `timeout_ms` has passed, which is not a failure.
///
/// Fails with `MPFLAGS_CLOSED` after shutdown. Blocks for at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_flush(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    undelivered: Option<&mut MaybeUninit<u64>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let left = client.flush(milliseconds(timeout_ms))?;
        if let Some(undelivered) = undelivered {
            undelivered.write(left);
        }
        Ok(())
    })
}

/// Returns counters as a JSON object: `enqueued`, `sent`, `deduplicated`, `dropped` (`queue_full`,
/// `rejected`, `shutdown`), `without_distinct_id` and `queue_length` of events; `last_error`, the `message`
/// and `time` (ms since 1970) of the last failure to send, or null; `hosts`, the `host`s of several in
/// `api_host` that have `failed`, and their `failures`; `remote_in_flight`, the remote evaluations under way,
/// including abandoned ones; `unsupported`, the number of flags (`count`) that use
/// operators or restrictions that the library does not know or cannot check, and their names for the first 64
/// flags (`flags`); and numbers of evaluations: `unusable_attributes` of contexts with an attribute that
/// cannot be used, `unknown_flags` of flags that are not among the definitions, and `type_mismatches` of
/// variants that are not of the type asked for. `state`, and `definitions` with the `flags`, the `malformed`
/// ones, `etag`, `last_poll`, `age_ms`, `cached_ms` and `last_poll_error`, are what a health page shows;
/// docs/operations.md describes them. Takes short locks and formats the text.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_statistics(
    client: Option<&mpflags_client>,
    out: Option<&mut MaybeUninit<*mut mpflags_text>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let out = handle::required_out("out", out)?;
        handle::give(out, client.statistics().into());
        Ok(())
    })
}
