//! Evaluating tables, which cross the boundary as streams of Arrow's C data interface.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use arrow_array::ffi::from_ffi_and_data_type;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow_data::ArrayData;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use mpflags_core::{TableEvaluation, TableOptions};

use crate::client::mpflags_client;
use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::guard;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, MPFLAGS_NULL_ARGUMENT, mpflags_status};
use crate::strings;

/// Evaluates flags for every row of a table, in Arrow's format. `users` is the table, as a stream of batches. `results` becomes
/// a stream that gets a batch from `users` when it is asked for one, so memory is bounded by the batch. It has a column for
/// each flag, a struct with the fields `variant`, `value` (JSON), `reason` and `error`, which are strings. docs/tables.md says
/// what the columns of `users` mean and lists the types. Each row has exactly the results of `mpflags_client_evaluate`.
/// Reports no exposures, unless the options say so.
///
/// `options` is a JSON object, checked strictly; the empty string stands for `{}`. Its keys: `flags`, an array of keys, in the
/// order of the columns of `results` (by default every flag, in order of key); `columns`, an object from names of columns to
/// places in the context, such as `"distinct_id"` or `"custom_properties.plan"`, or null to ignore a column; `keep`, an array of
/// columns to pass through, before those of the flags; `report_exposures`, false by default; `dictionary`, true by default: whether
/// the strings of `results` are dictionaries with keys of 32 bits; `rollouts`, false by default: whether there is a fifth field
/// `rollout`, the position of the rollout that was taken.
///
/// The library moves `users` out of the argument and releases it, also on failure. Release `results`. It may outlive the
/// client, uses the definitions and overrides of this call throughout, and is used by one thread at a time, which may change.
/// Its `get_next` returns EINVAL, and its `get_last_error` a message, if a batch differs from the schema, has offsets, UTF-8 or
/// dictionary keys that are invalid, or if `users` fails. Arrow's interface has no lengths of buffers: they must be as long as
/// it requires.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` for a mistake in the options, a column of a type that a flag cannot read, a stream that is
/// already released or fails, and for a remote client, which would send a request for each row. Messages name the column.
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
        out.write(FFI_ArrowArrayStream::new(Box::new(Results { users: Some(users), table, failure: None })));
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
    /// The rest of a batch.
    rows_left: Option<RecordBatch>,
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
        Ok(Users { stream, schema: schema.into(), rows_left: None })
    }

    /// At most [`ROWS`] rows of the next batch.
    fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        let rows = match self.rows_left.take() {
            Some(rows) => rows,
            None => match self.batch()? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let Some(left) = rows.num_rows().checked_sub(ROWS).filter(|left| *left > 0) else {
            return Ok(Some(rows));
        };
        self.rows_left = Some(rows.slice(ROWS, left));
        Ok(Some(rows.slice(0, ROWS)))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, String> {
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
        batch.map(Some).map_err(|why| format!("users: a batch: {why}"))
    }

    fn import(&self, array: FFI_ArrowArray) -> Result<RecordBatch, String> {
        let fields = self.schema.fields();
        // SAFETY: the header requires a valid array of the stream's type. What can be checked is checked below.
        let data = unsafe { from_ffi_and_data_type(array, DataType::Struct(fields.clone())) };
        let data = data.map_err(|error| error.to_string())?;
        for (field, column) in fields.iter().zip(data.child_data()) {
            column.validate_full().map_err(|error| format!("column `{}`: {error}", field.name()))?;
        }
        ArrayData::validate(&data).map_err(|error| error.to_string())?;
        if data.null_count() > 0 {
            return Err("a row that is null as a whole".to_owned());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(data.len()));
        let (_, columns, _) = StructArray::from(data).into_parts();
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| error.to_string())
    }
}

fn check_levels(schema: &FFI_ArrowSchema, levels: u32) -> Result<(), String> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(format!("nested more than {LEVELS} levels deep"));
    };
    let mut parts = schema.children().chain(schema.dictionary());
    parts.try_for_each(|part| check_levels(part, levels))
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

/// The stream of results. arrow-array's callbacks call it.
struct Results {
    /// `None` after the end.
    users: Option<Users>,
    table: TableEvaluation,
    failure: Option<String>,
}

impl Results {
    fn evaluate(&mut self) -> Result<Option<RecordBatch>, String> {
        let Some(users) = &mut self.users else { return Ok(None) };
        let Some(rows) = users.next()? else {
            self.users = None;
            return Ok(None);
        };
        self.table.evaluate(&rows).map(Some).map_err(|error| error.to_string())
    }
}

impl Iterator for Results {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failure.is_none() {
            let evaluated = guard::run(|| self.evaluate());
            match evaluated
                .map_err(|text| format!("a panic was caught: {text}"))
                .and_then(|evaluated| evaluated)
            {
                Ok(rows) => return rows.map(Ok),
                // The callback makes a C string of it.
                Err(message) => self.failure = Some(message.replace('\0', "\u{fffd}")),
            }
        }
        // From now on every call fails.
        Some(Err(ArrowError::InvalidArgumentError(self.failure.clone().unwrap_or_default())))
    }
}

impl RecordBatchReader for Results {
    fn schema(&self) -> SchemaRef {
        self.table.schema().clone()
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        // Releases the users. What remains to be dropped is ours.
        let _ = guard::run(|| self.users = None);
    }
}
