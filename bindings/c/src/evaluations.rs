//! Every flag for one context.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::{Answer, Context, EvaluateOptions, Evaluation};

use crate::client::{milliseconds, mpflags_client};
use crate::context::mpflags_context;
use crate::error::mpflags_error;
use crate::evaluate::check_options;
use crate::evaluation::{MPFLAGS_ERROR_NONE, code_of, mpflags_evaluation};
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings::{self, Text, mpflags_str};

/// What every flag gave for one context, in order of key. Immutable; any thread may read it.
pub struct mpflags_evaluations {
    items: Vec<mpflags_evaluation>,
    answers: Box<[u64]>,
    failure: i32,
    message: Option<Text>,
}

const _: () = handle::shared::<mpflags_evaluations>();

impl mpflags_evaluations {
    pub(crate) fn answers(&self) -> &[u64] {
        &self.answers
    }
}

/// Evaluates every flag: of a local client all that it holds, of a remote one those that the user is in, with one
/// request; and the overrides. Reports no exposure: `mpflags_client_track_exposure` does, for what is shown. `options` is
/// 0. `timeout_ms` bounds the request of a remote client; 0 means `request_timeout_ms`. A NULL context is the empty one.
///
/// The caller frees `*out` with `mpflags_evaluations_free`; it may outlive the client. Without an answer or definitions
/// there are only the overrides, and `mpflags_evaluations_failure` tells why: that is no failure here. On failure, which
/// only misuse and bugs of the library are, `*out` is as it was. Any thread. Costs the allocation of each evaluation; of
/// a remote client a request.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_evaluate_all(
    client: Option<&mpflags_client>,
    context: Option<&mpflags_context>,
    options: u32,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut mpflags_evaluations>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        check_options(options, 0)?;
        let empty = Context::default();
        let ask = EvaluateOptions::new().timeout(milliseconds(timeout_ms));
        let all = client.evaluate_all(context.map_or(&empty, mpflags_context::core), ask);
        let failure = all.failure();
        let answer = |e: &Evaluation| e.answer().map_or(0, Answer::number);
        let evaluations = mpflags_evaluations {
            answers: all.as_slice().iter().map(answer).collect(),
            failure: failure.map_or(MPFLAGS_ERROR_NONE, |(code, _)| code_of(code)),
            message: failure.map(|(_, message)| Text::new(message)),
            items: all.into_iter().map(mpflags_evaluation::from).collect(),
        };
        handle::give(out, evaluations);
        Ok(())
    })
}

/// Tells how many evaluations there are.
///
/// Nothing to free. Cannot fail: 0 for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_count(evaluations: Option<&mpflags_evaluations>) -> usize {
    guard::value(None, 0, || Some(evaluations?.items.len()))
}

/// Tells the evaluation at `index`, from 0 on, in order of key.
///
/// Nothing to free: it belongs to the evaluations. Cannot fail: NULL beyond the last. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_at(
    evaluations: Option<&mpflags_evaluations>,
    index: usize,
) -> Option<&mpflags_evaluation> {
    guard::value(None, None, || Some(evaluations?.items.get(index)))
}

/// Tells the evaluation of flag `key`.
///
/// Nothing to free: it belongs to the evaluations. Cannot fail: NULL when there is none, and for misuse. Any thread. Costs
/// a search.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluations_find(
    evaluations: Option<&mpflags_evaluations>,
    key: *const c_char,
    key_len: usize,
) -> Option<&mpflags_evaluation> {
    guard::value(None, None, || {
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        let items = &evaluations?.items;
        let at = items.binary_search_by(|item| item.core().key().cmp(key)).ok()?;
        Some(items.get(at))
    })
}

/// Tells why there are no evaluations but overrides: one of `MPFLAGS_ERROR_*`, `MPFLAGS_ERROR_NONE` when nothing is wrong.
///
/// Nothing to free. Cannot fail: `MPFLAGS_ERROR_NONE` for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_failure(evaluations: Option<&mpflags_evaluations>) -> i32 {
    guard::value(None, MPFLAGS_ERROR_NONE, || Some(evaluations?.failure))
}

/// Tells the same in words.
///
/// Nothing to free: the string belongs to the evaluations. Cannot fail: no string where nothing is wrong. Any thread.
/// Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_message(evaluations: Option<&mpflags_evaluations>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(evaluations?.message.as_ref()?.view()))
}

/// Frees evaluations; NULL does nothing.
///
/// The single ones and their strings go with them. Cannot fail. Any thread, when no other uses them. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluations_free(evaluations: *mut mpflags_evaluations) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(evaluations) };
    });
}
