//! Evaluating all flags for one context.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::unversioned::{self, Answer};
use mpflags_core::{Context, EvaluateOptions, Evaluation};

use crate::client::{milliseconds, mpflags_client};
use crate::context::mpflags_context;
use crate::error::mpflags_error;
use crate::evaluate::check_options;
use crate::evaluation::{MPFLAGS_ERROR_NONE, code_of, mpflags_evaluation};
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings::{self, Text, mpflags_str};

/// The outcomes of all flags for one context, in order of key. Immutable.
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

/// Evaluates all flags. A local client evaluates every flag in its definitions; a remote client sends one
/// request and returns the flags that the user is in. Overrides are always included. Reports no exposures;
/// call `mpflags_client_track_exposure` for the variants that are shown. `options` is 0. `timeout_ms` limits
/// a remote client's request; 0 means `request_timeout_ms`. A NULL context is empty. Allocates each
/// evaluation.
///
/// Succeeds even without definitions or a response: then only the overrides are included, and
/// `mpflags_evaluations_failure` returns why.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_client_evaluate_all(
    client: Option<&mpflags_client>,
    context: Option<&mpflags_context>,
    options: u32,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut mpflags_evaluations>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let out = handle::required_out("out", out)?;
        check_options(options, 0)?;
        let empty = Context::default();
        let ask = EvaluateOptions::new().timeout(milliseconds(timeout_ms));
        let all = client.evaluate_all(context.map_or(&empty, mpflags_context::core), ask);
        let failure = all.failure();
        let answer = |e: &Evaluation| unversioned::answer(e).map_or(0, Answer::number);
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

/// Returns the number of evaluations.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_count(evaluations: Option<&mpflags_evaluations>) -> usize {
    guard::value(None, 0, || Some(evaluations?.items.len()))
}

/// Returns the evaluation at `index`, counted from 0, or NULL beyond the last. It belongs to `evaluations`;
/// do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_at(
    evaluations: Option<&mpflags_evaluations>,
    index: usize,
) -> Option<&mpflags_evaluation> {
    guard::value(None, None, || Some(evaluations?.items.get(index)))
}

/// Returns the evaluation of the flag `key`, or NULL if there is none. It belongs to `evaluations`; do not
/// free it. Binary search.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluations_find(
    evaluations: Option<&mpflags_evaluations>,
    key: *const c_char,
    key_len: usize,
) -> Option<&mpflags_evaluation> {
    guard::value(None, None, || {
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        let items = &evaluations?.items;
        let at = items.binary_search_by(|item| item.core().key().cmp(key)).ok()?;
        Some(items.get(at))
    })
}

/// Returns why only overrides are included: one of `MPFLAGS_ERROR_*`, `MPFLAGS_ERROR_NONE` if all went well.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_failure(evaluations: Option<&mpflags_evaluations>) -> i32 {
    guard::value(None, MPFLAGS_ERROR_NONE, || Some(evaluations?.failure))
}

/// Returns a description of that failure.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_message(evaluations: Option<&mpflags_evaluations>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(evaluations?.message.as_ref()?.view()))
}

/// Frees the evaluations, including each single one and its strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluations_free(evaluations: *mut mpflags_evaluations) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(evaluations) };
}
