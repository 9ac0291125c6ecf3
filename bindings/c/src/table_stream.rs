//! The callbacks of a stream of results. The crate has its own for batches of arrays, whose code for every type this does
//! without.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_data::ArrayData;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::Schema;
use arrow_schema::ffi::FFI_ArrowSchema;

use crate::guard;

/// What a stream consists of.
pub(crate) trait Batches: Send {
    fn schema(&self) -> &Schema;
    /// The next rows, or `None` at the end. Does not panic.
    fn next(&mut self) -> Result<Option<ArrayData>, String>;
}

/// What `private_data` points to.
struct State {
    results: Box<dyn Batches>,
    last_error: Option<CString>,
}

impl State {
    /// Keeps why a callback fails.
    fn fail(&mut self, message: &str) -> c_int {
        // Without U+0000 it is a C string.
        self.last_error = CString::new(message.replace('\0', "\u{fffd}")).ok();
        libc::EINVAL
    }
}

/// Moves results into a stream.
pub(crate) fn export(results: Box<dyn Batches>) -> FFI_ArrowArrayStream {
    let state = Box::new(State { results, last_error: None });
    FFI_ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(state).cast::<c_void>(),
    }
}

/// The state of a stream that is not released.
///
/// # Safety
///
/// `stream` is NULL, or points to a stream that [`export`] made and that no other thread uses.
unsafe fn state<'s>(stream: *mut FFI_ArrowArrayStream) -> Option<&'s mut State> {
    // SAFETY: the caller vouches for it.
    let stream = unsafe { stream.as_mut() }?;
    // SAFETY: `export` made it of a box, and `release` sets it to NULL.
    unsafe { stream.private_data.cast::<State>().as_mut() }
}

unsafe extern "C" fn get_schema(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
    // SAFETY: as Arrow's interface requires.
    let Some(state) = (unsafe { state(stream) }) else { return libc::EINVAL };
    let schema = guard::run(|| FFI_ArrowSchema::try_from(state.results.schema()).map_err(|e| e.to_string()));
    match schema.and_then(|schema| schema) {
        Ok(schema) => {
            // SAFETY: as Arrow's interface requires, room for a schema, which need not be initialised.
            unsafe { ptr::write(out, schema) };
            0
        }
        Err(message) => state.fail(&message),
    }
}

unsafe extern "C" fn get_next(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowArray) -> c_int {
    // SAFETY: as Arrow's interface requires.
    let Some(state) = (unsafe { state(stream) }) else { return libc::EINVAL };
    let next = state.results.next();
    // The end is an array that is released.
    let made = |rows: Option<_>| rows.map_or_else(FFI_ArrowArray::empty, |rows| FFI_ArrowArray::new(&rows));
    match next.and_then(|rows| guard::run(|| made(rows))) {
        Ok(array) => {
            // SAFETY: as Arrow's interface requires, room for an array, which need not be initialised.
            unsafe { ptr::write(out, array) };
            0
        }
        Err(message) => state.fail(&message),
    }
}

unsafe extern "C" fn get_last_error(stream: *mut FFI_ArrowArrayStream) -> *const c_char {
    // SAFETY: as Arrow's interface requires.
    let state = unsafe { state(stream) };
    state.and_then(|state| state.last_error.as_ref()).map_or(ptr::null(), |text| text.as_ptr())
}

unsafe extern "C" fn release(stream: *mut FFI_ArrowArrayStream) {
    // SAFETY: as Arrow's interface requires.
    let Some(stream) = (unsafe { stream.as_mut() }) else { return };
    stream.release = None;
    let state = std::mem::replace(&mut stream.private_data, ptr::null_mut()).cast::<State>();
    if !state.is_null() {
        // SAFETY: `export` made it of a box, and it is freed once, because the stream no longer has it.
        let _ = guard::run(|| drop(unsafe { Box::from_raw(state) }));
    }
}
