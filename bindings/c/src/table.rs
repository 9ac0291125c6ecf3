//! Evaluating tables, which cross the boundary as streams of Arrow's C data interface.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use arrow_array::ffi::from_ffi_and_data_type;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_data::ArrayData;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, Fields, Schema, SchemaRef};
use mpflags_core::{TableEvaluation, TableOptions, unversioned};

use crate::client::mpflags_client;
use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::guard;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, MPFLAGS_NULL_ARGUMENT, mpflags_status};
use crate::strings;
use crate::table_stream::{self, Batches};

/// Evaluates flags for every row of a table, in Arrow's format. `users` is the table, as a stream of
/// batches. `results` becomes a stream that gets a batch from `users` when it is asked for one, so memory
/// is bounded by the batch. It has a column for each flag, a struct with the fields `variant`, `value`
/// (JSON), `reason` and `error`, which are strings. docs/tables.md says what the columns of `users` mean
/// and lists the types. Each row has exactly the results of `mpflags_client_evaluate`. Reports no
/// exposures, unless the options say so.
///
/// `options` is a JSON object, checked strictly; the empty string stands for `{}`. Its keys: `flags`, an
/// array of keys, in the order of the columns of `results` (by default every flag, in order of key);
/// `columns`, an object from names of columns to places in the context, such as `"distinct_id"` or
/// `"custom_properties.plan"`, or null to ignore a column; `keep`, an array of columns to pass through,
/// before those of the flags; `report_exposures`, false by default; `dictionary`, true by default: whether
/// the strings of `results` are dictionaries with keys of 32 bits; `rollouts`, false by default: whether
/// there is a fifth field `rollout`, the position of the rollout that was taken.
///
/// The library moves `users` out of the argument and releases it, also on failure. Release `results`. It
/// may outlive the client, uses the definitions and overrides of this call throughout, and is used by one
/// thread at a time, which may change. Its `get_next` returns EINVAL, and its `get_last_error` a message,
/// if a batch differs from the schema, has offsets, UTF-8 or dictionary keys that are invalid, or if
/// `users` fails. Arrow's interface has no lengths of buffers: they must be as long as it requires.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` for a mistake in the options, a column of a type that a flag
/// cannot read, a stream that is already released or fails, and for a remote client, which would send a
/// request for each row. Messages name the column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_table(
    client: Option<&mpflags_client>,
    users: *mut FFI_ArrowArrayStream,
    options: *const c_char,
    options_len: usize,
    results: Option<&mut MaybeUninit<FFI_ArrowArrayStream>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    // Before anything can fail, because it is released in any case.
    let users = (!users.is_null()).then(|| {
        // SAFETY: it is not NULL, and points to a stream, as the header requires.
        unsafe { FFI_ArrowArrayStream::from_raw(users) }
    });
    mpflags_client::status(client, err, move |client| {
        let null = |name| Failure::new(MPFLAGS_NULL_ARGUMENT, format!("{name} is NULL"));
        let users = users.ok_or_else(|| null("users"))?;
        let out = results.ok_or_else(|| null("results"))?;
        // SAFETY: as the header requires, NULL or `options_len` bytes that do not change during the call.
        let options = unsafe { strings::text("options", options, options_len) }?;
        let options = TableOptions::from_json(options)?;
        let users = Users::new(users).map_err(invalid)?;
        let table = client.evaluate_table(&users.schema, &options)?;
        // A name with a NUL cannot cross: better now than in a callback.
        FFI_ArrowSchema::try_from(table.schema().as_ref())
            .map_err(|error| invalid(format!("the results' columns: {error}")))?;
        let results = Results { users: Some(users), table, failure: None };
        out.write(table_stream::export(Box::new(results)));
        Ok(())
    })
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(MPFLAGS_INVALID_ARGUMENT, message.into())
}

/// Rows that are evaluated at once, even if a batch has more: what is computed for them stays in the caches.
const ROWS: usize = 65_536;

/// Levels of nested types. Reading a schema recurses.
const LEVELS: u32 = 64;

/// A table that the program passed in.
struct Users {
    stream: FFI_ArrowArrayStream,
    schema: SchemaRef,
    /// A batch, and the rows of it that are evaluated already.
    batch: Option<(ArrayData, usize)>,
}

impl Users {
    fn new(mut stream: FFI_ArrowArrayStream) -> Result<Self, String> {
        if stream.release.is_none() {
            return Err("users: the stream is already released".to_owned());
        }
        let Some(get_schema) = stream.get_schema else { return Err("users: get_schema is NULL".to_owned()) };
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: a callback of a stream that is not released, with that stream and room for a schema.
        let code = unsafe { get_schema(&mut stream, &mut schema) };
        if code != 0 {
            return Err(last_error(&mut stream, "get_schema", code));
        }
        let read = || {
            check_levels(&schema, LEVELS)?;
            Schema::try_from(&schema).map_err(|error| error.to_string())
        };
        let schema =
            guard::run(read).and_then(|read| read).map_err(|why| format!("users: the schema: {why}"))?;
        Ok(Users { stream, schema: schema.into(), batch: None })
    }

    /// A batch with rows that are not evaluated yet, and how many of them are.
    fn next(&mut self) -> Result<Option<(ArrayData, usize)>, String> {
        if let Some(batch) = self.batch.take() {
            return Ok(Some(batch));
        }
        let Some(get_next) = self.stream.get_next else { return Err("users: get_next is NULL".to_owned()) };
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: a callback of a stream that is not released, with that stream and room for an array.
        let code = unsafe { get_next(&mut self.stream, &mut array) };
        if code != 0 {
            return Err(last_error(&mut self.stream, "get_next", code));
        }
        if array.is_released() {
            return Ok(None);
        }
        // The crate panics if an array does not have the parts that its type requires.
        let batch = guard::run(|| self.import(array)).and_then(|batch| batch);
        batch.map(|batch| Some((batch, 0))).map_err(|why| format!("users: a batch: {why}"))
    }

    fn import(&self, array: FFI_ArrowArray) -> Result<ArrayData, String> {
        let fields = self.schema.fields();
        // SAFETY: the header requires a valid array of the stream's type. What can be checked is checked below.
        let data = unsafe { from_ffi_and_data_type(array, DataType::Struct(fields.clone())) };
        let data = data.map_err(|error| error.to_string())?;
        for (field, column) in fields.iter().zip(data.child_data()) {
            column.validate_full().map_err(|error| format!("column `{}`: {error}", field.name()))?;
        }
        data.validate().map_err(|error| error.to_string())?;
        check_values(&data, fields)?;
        if data.null_count() > 0 {
            return Err("a row that is null as a whole".to_owned());
        }
        Ok(data)
    }
}

fn check_levels(schema: &FFI_ArrowSchema, levels: u32) -> Result<(), String> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(format!("nested more than {LEVELS} levels deep"));
    };
    let mut parts = schema.children().chain(schema.dictionary());
    parts.try_for_each(|part| check_levels(part, levels))
}

/// The crate does not count an array's offset when it checks how many values the arrays inside must have.
fn check_values(batch: &ArrayData, fields: &Fields) -> Result<(), String> {
    fn check(inner: &ArrayData, outer: &ArrayData) -> Result<(), String> {
        let (each, what) = match outer.data_type() {
            DataType::Struct(_) => (1, "a Struct"),
            DataType::FixedSizeList(_, size) => (usize::try_from(*size).unwrap_or(0), "a FixedSizeList"),
            // The others are checked, and have no offset that moves what is inside.
            _ => (0, ""),
        };
        let needed = outer.offset().saturating_add(outer.len()).saturating_mul(each);
        if inner.len() < needed {
            return Err(format!("{} values, where {what} needs {needed}", inner.len()));
        }
        inner.child_data().iter().try_for_each(|part| check(part, inner))
    }
    for (field, column) in fields.iter().zip(batch.child_data()) {
        check(column, batch).map_err(|why| format!("column `{}`: {why}", field.name()))?;
    }
    Ok(())
}

/// What the program says about a callback that failed.
fn last_error(stream: &mut FFI_ArrowArrayStream, callback: &str, code: i32) -> String {
    let message = stream.get_last_error.map(|get_last_error| {
        // SAFETY: a callback of a stream that is not released, with that stream.
        unsafe { get_last_error(stream) }
    });
    let message = message.filter(|message| !message.is_null()).map(|message| {
        // SAFETY: as Arrow's interface requires, a C string until the next call of the stream.
        unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
    });
    match message {
        Some(message) => format!("users: {callback} failed: {message}"),
        None => format!("users: {callback} failed with error {code}"),
    }
}

/// The stream of results.
struct Results {
    /// `None` after the end.
    users: Option<Users>,
    table: TableEvaluation,
    failure: Option<String>,
}

impl Batches for Results {
    fn schema(&self) -> &Schema {
        self.table.schema()
    }

    /// After a failure, every call fails.
    fn next(&mut self) -> Result<Option<ArrayData>, String> {
        if self.failure.is_none() {
            let rows = guard::run(|| self.evaluate());
            match rows.map_err(|text| format!("a panic was caught: {text}")).and_then(|rows| rows) {
                Ok(rows) => return Ok(rows),
                Err(message) => self.failure = Some(message),
            }
        }
        Err(self.failure.clone().unwrap_or_default())
    }
}

impl Results {
    fn evaluate(&mut self) -> Result<Option<ArrayData>, String> {
        let Some(users) = &mut self.users else { return Ok(None) };
        let Some((batch, done)) = users.next()? else {
            self.users = None;
            return Ok(None);
        };
        let rows = (batch.len() - done).min(ROWS);
        // The columns of an array with an offset have the rows before it, too.
        let from = batch.offset() + done;
        let columns = unversioned::evaluate_rows(&self.table, batch.child_data(), from, rows)
            .map_err(|error| error.to_string())?;
        if done + rows < batch.len() {
            users.batch = Some((batch, done + rows));
        }
        let fields = self.table.schema().fields().clone();
        let results = ArrayData::builder(DataType::Struct(fields)).len(rows).child_data(columns);
        // SAFETY: columns of the fields' types and of this length, which the core has checked.
        Ok(Some(unsafe { results.build_unchecked() }))
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        // Releases the users. What remains to be dropped is ours.
        let _ = guard::run(|| self.users = None);
    }
}
