//! Evaluating flags for the rows of a table.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, make_array};
use arrow_data::ArrayData;
use arrow_schema::SchemaRef;

use super::Client;
use super::evaluate::shown_to;
use super::runtime::Runtime;
use super::snapshot::Current;
use crate::engine::context::ReadContext;
use crate::engine::outcome::Outcome;
use crate::engine::table::{Evaluated, Report, TableOptions, TablePlan};
use crate::engine::variant::ValueType;
use crate::error::{Error, ErrorKind};
use crate::sys::fork::generation;

/// Evaluates the batches of a table; [`Client::evaluate_table`] makes one.
///
/// Uses the definitions and overrides of that call for every batch, and may outlive the client. Can be shared between
/// threads.
pub struct TableEvaluation {
    table: TablePlan,
    /// `None` in a child of a fork, whose parent has its locks and threads.
    runtime: Option<Arc<Runtime>>,
    generation: u64,
    reports: bool,
}

impl Client {
    /// Prepares to evaluate flags for the rows of a table with these columns. Each row is evaluated as the context that
    /// `docs/tables.md` describes, with exactly the result of [`Client::evaluate`].
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if the options name a column that the table does not have, if a flag has the
    /// key of a kept column, if a flag reads a column of a type that contexts cannot hold, and if the client is remote.
    pub fn evaluate_table(
        &self,
        schema: &SchemaRef,
        options: &TableOptions,
    ) -> Result<TableEvaluation, Error> {
        self.after_fork();
        if self.shared.config.is_remote() {
            let why = "tables: a remote client would send a request for each row; use a local client";
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        let current = self.shared.snapshot.load_full();
        let mut all: Vec<&str> = Vec::new();
        let keys: Vec<&str> = match &options.flags {
            Some(keys) => keys.iter().map(String::as_str).collect(),
            None => {
                all.extend(current.flags.iter().flat_map(|set| set.iter()).map(|(key, _)| key));
                all.extend(current.overrides.keys().map(|key| &**key));
                all.sort_unstable();
                all.dedup();
                all
            }
        };
        let flags = keys.into_iter().map(|key| {
            let evaluated = current.evaluated(key);
            if let Evaluated::Outcome(outcome) = &evaluated {
                if outcome.value(ValueType::Any).is_none() {
                    self.note_no_value(key, outcome, ValueType::Any);
                }
            }
            (key, evaluated)
        });
        let reports = options.report_exposures && self.shared.config.report_exposures;
        let table = TablePlan::new(schema, options, self.shared.view.as_ref(), reports, flags)?;
        Ok(TableEvaluation {
            table,
            runtime: Some(self.runtime.load_full()),
            generation: generation(),
            reports,
        })
    }
}

impl Current {
    fn evaluated<'a>(&'a self, key: &str) -> Evaluated<'a> {
        match self.over(key) {
            Some(value) => Evaluated::Outcome(Outcome::Override(value)),
            None => self.entry(key).map_or_else(Evaluated::Outcome, Evaluated::Entry),
        }
    }
}

impl TableEvaluation {
    /// The columns of the results: those that are kept, and a struct for each flag with the fields `variant`, `value` as
    /// JSON, `reason` and `error`.
    pub fn schema(&self) -> &SchemaRef {
        self.table.results()
    }

    /// Evaluates every row of a batch. Takes no lock, except for first exposures if they are reported.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if the batch has other columns than the table, and if plain strings would
    /// take more than 2 GiB. A row without a usable value is not a failure: its result says why.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        self.table.check(batch.schema_ref())?;
        let columns: Vec<ArrayData> = batch.columns().iter().map(|column| column.to_data()).collect();
        let results = self.evaluate_rows(&columns, 0, batch.num_rows())?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arrays = results.into_iter().map(make_array).collect();
        RecordBatch::try_new_with_options(self.schema().clone(), arrays, &rows)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
    }

    /// The same for rows of columns that have the types of the table.
    pub(super) fn evaluate_rows(
        &self,
        columns: &[ArrayData],
        from: usize,
        rows: usize,
    ) -> Result<Vec<ArrayData>, Error> {
        let runtime = self.runtime.as_deref().filter(|_| self.generation == generation());
        self.table.evaluate(columns, from, rows, &mut Reporter { runtime, reports: self.reports })
    }
}

impl Drop for TableEvaluation {
    fn drop(&mut self) {
        if self.generation != generation() {
            // The child of a fork must not touch what it inherited.
            std::mem::forget(self.runtime.take());
        }
    }
}

impl fmt::Debug for TableEvaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableEvaluation").field("schema", self.schema()).finish_non_exhaustive()
    }
}

struct Reporter<'r> {
    runtime: Option<&'r Runtime>,
    reports: bool,
}

impl Report for Reporter<'_> {
    fn outcome(&mut self, outcome: &Outcome<'_>, context: &impl ReadContext) {
        let Some(runtime) = self.runtime else { return };
        if !context.unusable().is_empty() {
            runtime.noted.unusable(context.unusable(), Some(&runtime.items));
        }
        if let (true, Outcome::Variant(assignment)) = (self.reports, outcome) {
            runtime.events.expose(assignment, shown_to(outcome, context));
        }
    }
}
