//! Events: reporting by hand, the host's own, and what became of them.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use crate::client::{milliseconds, mpflags_client};
use crate::error::mpflags_error;
use crate::evaluation::mpflags_evaluation;
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings::{self, Text, mpflags_str};

/// Reports that the variant of `evaluation` was shown, once per flag, variant and user within `exposure_window_ms`: for
/// an evaluation made with `MPFLAGS_OPTION_NO_EXPOSURE`, or one of `mpflags_client_evaluate_all`. Only enqueues.
///
/// Nothing to free. On failure nothing is reported: `MPFLAGS_INVALID_ARGUMENT` when the evaluation assigned no variant or
/// its context had no distinct_id, `MPFLAGS_QUEUE_FULL`, counted too, and `MPFLAGS_CLOSED` after shutdown. Any thread.
/// Costs one short lock.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_track_exposure(
    client: Option<&mpflags_client>,
    evaluation: Option<&mpflags_evaluation>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let evaluation = handle::required("evaluation", evaluation)?;
        Ok(client.track_exposure(evaluation.core())?)
    })
}

/// Sends the event `event` of user `distinct_id`, with the members of `properties`, a JSON object; NULL with length 0 is
/// none. `time` (ms since 1970) and `$insert_id` among them replace the library's. Only enqueues.
///
/// Nothing to free. On failure nothing is sent: `MPFLAGS_INVALID_ARGUMENT` when a name is empty or the properties are no
/// JSON object or larger than 1 MiB, `MPFLAGS_QUEUE_FULL`, counted too, and `MPFLAGS_CLOSED` after shutdown. Any thread.
/// Costs the reading of the properties and one short lock.
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
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        // SAFETY: the caller lends `event_len` bytes at `event` for the call, or passes NULL.
        let event = unsafe { strings::text("event", event, event_len) }?;
        // SAFETY: the caller lends `distinct_id_len` bytes at `distinct_id` for the call, or passes NULL.
        let user = unsafe { strings::text("distinct_id", distinct_id, distinct_id_len) }?;
        // SAFETY: the caller lends `properties_len` bytes at `properties` for the call, or passes NULL.
        let properties = unsafe { strings::text("properties", properties, properties_len) }?;
        Ok(client.track(event, user, properties)?)
    })
}

/// Changes the profile of user `distinct_id`. `operation` is `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove`
/// with a JSON object, `$unset` with an array of names, or `$delete` with null. Only enqueues.
///
/// Nothing to free. On failure nothing is sent: the causes are those of `mpflags_client_track`. Any thread. Costs the reading of the JSON and one short lock.
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
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        // SAFETY: the caller lends `operation_len` bytes at `operation` for the call, or passes NULL.
        let operation = unsafe { strings::text("operation", operation, operation_len) }?;
        // SAFETY: the caller lends `distinct_id_len` bytes at `distinct_id` for the call, or passes NULL.
        let user = unsafe { strings::text("distinct_id", distinct_id, distinct_id_len) }?;
        // SAFETY: the caller lends `json_len` bytes at `json` for the call, or passes NULL.
        let json = unsafe { strings::text("json", json, json_len) }?;
        Ok(client.people_update(operation, user, json)?)
    })
}

/// Sends what is enqueued, and waits until Mixpanel has it. A pause between retries is cut short: it tries at once, and
/// then every second. `undelivered` may be NULL; it takes how many events are still enqueued when `timeout_ms` is over.
///
/// Nothing to free. On failure `*undelivered` is as it was: `MPFLAGS_CLOSED` after shutdown. Time that ran out is no
/// failure. Any thread. Sleeps, at most `timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_flush(
    client: Option<&mpflags_client>,
    timeout_ms: u32,
    undelivered: Option<&mut MaybeUninit<u64>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let left = handle::required("client", client)?.core().flush(milliseconds(timeout_ms))?;
        if let Some(undelivered) = undelivered {
            undelivered.write(left);
        }
        Ok(())
    })
}

/// A text that a function returns. Immutable; any thread may read it.
pub struct mpflags_text(Text);

const _: () = handle::shared::<mpflags_text>();

impl From<String> for mpflags_text {
    fn from(text: String) -> Self {
        mpflags_text(Text::new(text))
    }
}

/// Tells what became of events, as a JSON object: `enqueued`, `sent`, `deduplicated`, `dropped` (`queue_full`, `rejected`,
/// `shutdown`), `without_distinct_id`, `queue_length`, `remote_in_flight` (remote evaluations under way, whether or not
/// anybody waits for them), `last_error` with its `message` and `time` (ms since 1970), or null, `unsupported`: how many flags use
/// operators or restrictions that the library does not know or cannot check (`count`), and their names by flag (`flags`, the first
/// 64), and `unusable_attributes`: how many evaluations had a context with an attribute that cannot be used.
///
/// The caller frees `*out` with `mpflags_text_free`. On failure, which only misuse is, `*out` is as it was. Any thread.
/// Costs one short lock and the making of the text.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_statistics(
    client: Option<&mpflags_client>,
    out: Option<&mut MaybeUninit<*mut mpflags_text>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        handle::give(out, client.statistics().into());
        Ok(())
    })
}

/// Tells the text.
///
/// Nothing to free: the string is the text's. Cannot fail: no string for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_text_view(text: Option<&mpflags_text>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(text?.0.view()))
}

/// Frees a text; NULL does nothing.
///
/// Its string goes with it. Cannot fail. Any thread, when no other uses it. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_text_free(text: *mut mpflags_text) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(text) };
    });
}
