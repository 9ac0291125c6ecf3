//! Tables: a batch of rows in Arrow's format becomes a batch of results, with the code that decides a single evaluation.

mod bind;
mod column;
mod options;
mod plan;
mod results;
mod row;

use std::collections::HashSet;
use std::sync::Arc;

use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use bind::nulls;
use column::Column;
pub use options::TableOptions;
use options::invalid;
use plan::{Plan, find};
use results::{Form, Names, Results, Taken, cut, fields};
use row::{Reads, Row};

use crate::engine::context::{ReadContext, View};
use crate::engine::decide::decide;
use crate::engine::definitions::{Entry, Flag};
use crate::engine::outcome::Outcome;
use crate::engine::reason::{ErrorCode, Reason};
use crate::engine::variant::ValueType;
use crate::error::Error;

/// How to evaluate the batches of a table.
#[derive(Debug)]
pub(crate) struct TablePlan {
    schema: SchemaRef,
    results: SchemaRef,
    plan: Plan,
    keep: Vec<usize>,
    flags: Vec<FlagColumn>,
    form: Form,
    reports: bool,
}

#[derive(Debug)]
struct FlagColumn {
    names: Names,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Flag {
        entry: Entry,
        flag: Arc<Flag>,
        reads: Reads,
    },
    /// The same for every row.
    Fixed(Reason, Option<ErrorCode>),
}

/// What there is to evaluate for a flag.
pub(crate) enum Evaluated<'a> {
    Entry(&'a Entry),
    /// An override, or an error.
    Outcome(Outcome<'a>),
}

/// Takes an outcome that a client may have to report. Called for every row if exposures are reported, otherwise for rows with
/// attributes that cannot be used.
pub(crate) trait Report {
    fn outcome(&mut self, outcome: &Outcome<'_>, context: &impl ReadContext);
}

impl TablePlan {
    pub(crate) fn new<'a>(
        schema: &SchemaRef,
        options: &TableOptions,
        view: Option<&View>,
        reports: bool,
        flags: impl IntoIterator<Item = (&'a str, Evaluated<'a>)>,
    ) -> Result<Self, Error> {
        let form = Form { dictionary: options.dictionary, rollouts: options.rollouts };
        let plan = Plan::new(schema, options, view)?;
        let keep =
            options.keep.iter().map(|name| find(schema, "keep", name)).collect::<Result<Vec<_>, _>>()?;
        let mut columns: Vec<Field> =
            keep.iter().filter_map(|at| schema.fields().get(*at)).map(|field| (**field).clone()).collect();
        let mut names: HashSet<String> = HashSet::new();
        for name in &options.keep {
            if !names.insert(name.clone()) {
                return Err(invalid(format!("options: keep: `{name}` is there twice")));
            }
        }
        let mut evaluated = Vec::new();
        for (key, flag) in flags {
            if !names.insert(key.to_owned()) {
                let why = if options.keep.iter().any(|name| name == key) {
                    "a kept column has the same name; rename the column, or do not keep it"
                } else {
                    "it is there twice"
                };
                return Err(invalid(format!("flag `{key}` cannot become a column: {why}")));
            }
            let column = FlagColumn::new(key, flag, &plan, reports)?;
            columns.push(Field::new(key, DataType::Struct(fields(form)), false));
            evaluated.push(column);
        }
        Ok(TablePlan {
            schema: schema.clone(),
            results: Arc::new(Schema::new(columns)),
            plan,
            keep,
            flags: evaluated,
            form,
            reports,
        })
    }

    /// The columns of the results.
    pub(crate) fn results(&self) -> &SchemaRef {
        &self.results
    }

    /// Evaluates rows of a batch, which has the columns of the table.
    pub(crate) fn evaluate(
        &self,
        batch: &[ArrayData],
        from: usize,
        rows: usize,
        report: &mut impl Report,
    ) -> Result<Vec<ArrayData>, Error> {
        let mut columns: Vec<Option<Column>> = Vec::new();
        columns.resize_with(self.plan.sources.len(), || None);
        for source in self.flags.iter().flat_map(FlagColumn::sources) {
            if let Some(column) = columns.get_mut(source).filter(|column| column.is_none()) {
                *column = self.plan.bind(source, batch, from, rows);
            }
        }
        let objects = self.objects(batch, from, rows);
        let kept = self.keep.iter().filter_map(|at| batch.get(*at));
        let mut results = kept.map(|data| cut(data, from, rows)).collect::<Result<Vec<_>, _>>()?;
        for flag in &self.flags {
            let mut column = Results::new(&flag.names, self.form, rows);
            match &flag.target {
                Target::Fixed(reason, error) => column.fill(*reason, *error, rows),
                Target::Flag { entry, flag, reads } => {
                    let mut row = Row::new(flag, reads, &columns, objects.as_deref());
                    for at in 0..rows {
                        row.enter(at);
                        let mut taken = Taken::default();
                        let outcome = decide(entry, &row, &mut taken);
                        column.push(&outcome, &taken);
                        if self.reports || !row.unusable().is_empty() {
                            report.outcome(&outcome, &row);
                        }
                    }
                }
            }
            results.push(column.finish()?);
        }
        Ok(results)
    }

    /// Fails unless a batch has the columns of the table.
    pub(crate) fn check(&self, batch: &Schema) -> Result<(), Error> {
        let (given, expected) = (batch.fields(), self.schema.fields());
        if given.len() != expected.len() {
            let (given, expected) = (given.len(), expected.len());
            return Err(invalid(format!("a batch has {given} columns, the table {expected}")));
        }
        for (given, expected) in given.iter().zip(expected) {
            if given.name() != expected.name() {
                let (given, expected) = (given.name(), expected.name());
                return Err(invalid(format!("a batch has column `{given}` in place of `{expected}`")));
            }
            if given.data_type() != expected.data_type() {
                let (name, given, expected) = (given.name(), given.data_type(), expected.data_type());
                return Err(invalid(format!(
                    "column `{name}` is {given} in a batch, and {expected} in the table"
                )));
            }
        }
        Ok(())
    }

    /// The nulls of the columns that are `custom_properties`; `None` if these are an object in every row.
    fn objects(&self, batch: &[ArrayData], from: usize, rows: usize) -> Option<Vec<Option<NullBuffer>>> {
        let nulls = |at: &usize| batch.get(*at).map(|data| nulls(data, from, rows));
        (!self.plan.always_object).then(|| self.plan.objects.iter().filter_map(nulls).collect())
    }
}

impl FlagColumn {
    fn new(key: &str, flag: Evaluated<'_>, plan: &Plan, reports: bool) -> Result<Self, Error> {
        let fixed = |outcome: &Outcome<'_>| {
            let (reason, error) = outcome.verdict(ValueType::Any);
            FlagColumn { names: Names::of_outcome(key, outcome), target: Target::Fixed(reason, error) }
        };
        Ok(match flag {
            Evaluated::Outcome(outcome) => fixed(&outcome),
            Evaluated::Entry(Entry::Malformed(why)) => fixed(&Outcome::Malformed(why)),
            Evaluated::Entry(entry @ Entry::Flag { flag, serial }) => {
                let reads = Reads::new(plan, flag, reports);
                reads.sources().try_for_each(|source| plan.check(source, key))?;
                FlagColumn {
                    names: Names::of_flag(flag, *serial),
                    target: Target::Flag { entry: entry.clone(), flag: flag.clone(), reads },
                }
            }
        })
    }

    fn sources(&self) -> impl Iterator<Item = usize> {
        let reads = match &self.target {
            Target::Flag { reads, .. } => Some(reads),
            Target::Fixed(..) => None,
        };
        reads.into_iter().flat_map(Reads::sources)
    }
}
