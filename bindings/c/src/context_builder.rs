//! Making a context attribute by attribute.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;

use mpflags_core::{Context, ContextBuilder, ContextValue};

use crate::context::mpflags_context;
use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_PANIC, mpflags_status};
use crate::strings;

/// Makes contexts attribute by attribute, without JSON.
///
///     mpflags_context_builder *user = mpflags_context_builder_new();
///     mpflags_context_builder_set_string(user, MPFLAGS_S("distinct_id"), id, strlen(id));
///     mpflags_context_builder_set_property_string(user, MPFLAGS_S("plan"), MPFLAGS_S("pro"));
///     mpflags_context_builder_set_property_int64(user, MPFLAGS_S("seats"), 12);
///     mpflags_context_builder_build(user, &context, &error);
///
/// The setters return nothing. The builder keeps the first mistake, ignores everything after it, and
/// `mpflags_context_builder_build` reports it with the name of the attribute: a NULL or invalid UTF-8, a
/// number that is not finite, invalid JSON, nesting beyond 127 levels, an object or array without its end. If
/// a name is set twice, the later value counts, except that members of `custom_properties` are merged. Unlike
/// other handles, a builder must not be used by two threads at once.
pub struct mpflags_context_builder {
    core: ContextBuilder,
    /// The first mistake that the core does not see.
    failure: Option<Failure>,
}

/// Makes an empty builder. Free it with `mpflags_context_builder_free`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_context_builder_new() -> *mut mpflags_context_builder {
    guard::value(None, ptr::null_mut(), || {
        let builder = mpflags_context_builder { core: Context::builder(), failure: None };
        Some(Box::into_raw(Box::new(builder)))
    })
}

/// What a setter does.
enum Step<'a> {
    Set(ContextValue<'a>),
    SetProperty(ContextValue<'a>),
    SetJson(&'a str),
    SetPropertyJson(&'a str),
    BeginObject,
    BeginArray,
}

/// Runs a setter for `name`, unless there was a mistake.
///
/// # Safety
///
/// The same as for [`strings::text`].
unsafe fn step(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    step: Result<Step<'_>, Failure>,
) {
    let Some(mpflags_context_builder { core, failure: failure @ None }) = builder else { return };
    let panicked = Err(Failure::new(MPFLAGS_PANIC, "context: a panic was caught"));
    let done = guard::value(None, panicked, || {
        // SAFETY: the caller vouches for it.
        let name = match unsafe { strings::text("name", name, name_len) } {
            Ok(name) => name,
            Err(mistake) => return Some(Err(within("an attribute", mistake))),
        };
        _ = match step {
            Ok(Step::Set(value)) => core.set(name, value),
            Ok(Step::SetProperty(value)) => core.property(name, value),
            Ok(Step::SetJson(json)) => core.json(name, json),
            Ok(Step::SetPropertyJson(json)) => core.property_json(name, json),
            Ok(Step::BeginObject) => core.begin_object(name),
            Ok(Step::BeginArray) => core.begin_array(name),
            Err(mistake) => return Some(Err(within(name, mistake))),
        };
        Some(Ok(()))
    });
    if let Err(mistake) = done {
        *failure = Some(mistake);
    }
}

fn within(name: &str, mistake: Failure) -> Failure {
    Failure::new(mistake.status, format!("context: {name}: {}", mistake.message))
}

/// Sets an attribute to a string. In the object that was begun last, it sets a
/// member instead, and in an array, where the name is empty (NULL with length 0), the next element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_string(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) {
    // SAFETY: as the header requires, NULL or `value_len` bytes that do not change during the call.
    let value = unsafe { strings::text("value", value, value_len) };
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, value.map(ContextValue::String).map(Step::Set)) }
}

/// Sets an attribute to an integer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_int64(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: i64,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::Set(ContextValue::Signed(value)))) }
}

/// Sets an attribute to a number, which must be finite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_double(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: f64,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::Set(ContextValue::Double(value)))) }
}

/// Sets an attribute to `value != 0`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_boolean(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: i32,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::Set(ContextValue::Boolean(value != 0)))) }
}

/// Sets an attribute to null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_null(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::Set(ContextValue::Null))) }
}

/// Sets an attribute to a JSON value. An object that is set as `custom_properties` adds its members to
/// the properties.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_json(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    json: *const c_char,
    json_len: usize,
) {
    // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
    let json = unsafe { strings::text("json", json, json_len) };
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, json.map(Step::SetJson)) }
}

/// Marks an attribute as unusable, with the reason. A flag that reads it evaluates to
/// `MPFLAGS_ERROR_INVALID_CONTEXT` with this reason; other flags ignore it. For values outside the program's
/// control, such as a number that is not finite or text that is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_unusable(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    why: *const c_char,
    why_len: usize,
) {
    // SAFETY: as the header requires, NULL or `why_len` bytes that do not change during the call.
    let why = unsafe { strings::text("why", why, why_len) };
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, why.map(ContextValue::Unusable).map(Step::Set)) }
}

/// Sets one of the `custom_properties`, which rules see, to a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_string(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) {
    // SAFETY: as the header requires, NULL or `value_len` bytes that do not change during the call.
    let value = unsafe { strings::text("value", value, value_len) };
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, value.map(ContextValue::String).map(Step::SetProperty)) }
}

/// Sets one of the `custom_properties`, which rules see, to an integer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_int64(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: i64,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::SetProperty(ContextValue::Signed(value)))) }
}

/// Sets one of the `custom_properties`, which rules see, to a number, which must be finite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_double(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: f64,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::SetProperty(ContextValue::Double(value)))) }
}

/// Sets one of the `custom_properties`, which rules see, to `value != 0`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_boolean(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    value: i32,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::SetProperty(ContextValue::Boolean(value != 0)))) }
}

/// Sets one of the `custom_properties`, which rules see, to null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_null(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::SetProperty(ContextValue::Null))) }
}

/// Sets one of the `custom_properties`, which rules see, to a JSON value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_set_property_json(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
    json: *const c_char,
    json_len: usize,
) {
    // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
    let json = unsafe { strings::text("json", json, json_len) };
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, json.map(Step::SetPropertyJson)) }
}

/// Begins an object: what is set until `mpflags_context_builder_end` are its members. Those of
/// `custom_properties` are added to the properties.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_begin_object(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::BeginObject)) }
}

/// Begins an array: what is set until `mpflags_context_builder_end` are its elements, which have no name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_begin_array(
    builder: Option<&mut mpflags_context_builder>,
    name: *const c_char,
    name_len: usize,
) {
    // SAFETY: as the header requires, NULL or `name_len` bytes that do not change during the call.
    unsafe { step(builder, name, name_len, Ok(Step::BeginArray)) }
}

/// Ends the object or array that was begun last.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_context_builder_end(builder: Option<&mut mpflags_context_builder>) {
    guard::value(None, (), || {
        let builder = builder.filter(|builder| builder.failure.is_none())?;
        builder.core.end();
        Some(())
    })
}

/// Makes the context. The builder is empty afterwards, also after a failure, and can be used again. A context
/// that is evaluated once is never parsed; the second evaluation prepares it for any number.
///
/// Fails with `MPFLAGS_INVALID_CONTEXT`, `MPFLAGS_INVALID_UTF8` or `MPFLAGS_NULL_ARGUMENT` if a setter was
/// called with something that cannot be set. The message names the attribute.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_context_builder_build(
    builder: Option<&mut mpflags_context_builder>,
    out: Option<&mut MaybeUninit<*mut mpflags_context>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let builder = handle::required_mut("builder", builder)?;
        let out = handle::required_out("out", out)?;
        let built = builder.core.build();
        if let Some(failure) = builder.failure.take() {
            return Err(failure);
        }
        handle::give(out, mpflags_context::from(built?));
        Ok(())
    })
}

/// Removes everything that was set, and mistakes.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_context_builder_reset(builder: Option<&mut mpflags_context_builder>) {
    guard::value(None, (), || {
        let builder = builder?;
        builder.core.reset();
        builder.failure = None;
        Some(())
    })
}

/// Frees a builder. Contexts that it made are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_builder_free(builder: *mut mpflags_context_builder) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(builder) };
}
