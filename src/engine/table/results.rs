//! The results of one flag as a column.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_buffer::{NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Fields};

use super::options::invalid;
use crate::engine::decide::{FlagHash, Trace};
use crate::engine::definitions::{Choice, Flag, Rollout};
use crate::engine::evaluation::Evaluation;
use crate::engine::exposure::ShownTo;
use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::reason::{ErrorCode, Reason};
use crate::engine::variant::ValueType;
use crate::error::Error;

const REASONS: [Reason; 6] =
    [Reason::Static, Reason::Default, Reason::TargetingMatch, Reason::Split, Reason::Disabled, Reason::Error];

const ERRORS: [ErrorCode; 8] = [
    ErrorCode::ProviderNotReady,
    ErrorCode::ProviderFatal,
    ErrorCode::FlagNotFound,
    ErrorCode::ParseError,
    ErrorCode::TypeMismatch,
    ErrorCode::TargetingKeyMissing,
    ErrorCode::InvalidContext,
    ErrorCode::General,
];

fn reason_key(reason: Reason) -> i32 {
    REASONS.iter().position(|known| *known == reason).unwrap_or(REASONS.len() - 1) as i32
}

fn error_key(error: Option<ErrorCode>) -> i32 {
    error.map_or(NULL, |error| {
        ERRORS.iter().position(|known| *known == error).unwrap_or(ERRORS.len() - 1) as i32
    })
}

/// Stands for null among keys.
const NULL: i32 = -1;

/// What a flag's column looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Whether strings are dictionaries.
    pub(super) dictionary: bool,
    /// Whether it says which rollout was taken.
    pub(super) rollouts: bool,
}

/// Notes the position of the rollout that is taken.
#[derive(Default)]
pub(super) struct Taken(Option<usize>);

impl Trace for Taken {
    fn flag(&mut self, _: &Flag) {}
    fn subject(&mut self, _: &str, _: &str) {}
    fn tester(&mut self) {}
    fn rollout(&mut self, index: usize, _: &Rollout, _: &mut FlagHash<'_>, _: bool, taken: bool) {
        if taken {
            self.0 = Some(index);
        }
    }
    fn choice(&mut self, _: &Flag, _: &Choice, _: &mut FlagHash<'_>) {}
}

/// The fields of a flag's column.
pub(super) fn fields(form: Form) -> Fields {
    let field = |name: &str, nullable| Field::new(name, text(form), nullable);
    let mut fields =
        vec![field("variant", true), field("value", true), field("reason", false), field("error", true)];
    if form.rollouts {
        fields.push(Field::new("rollout", DataType::Int32, true));
    }
    fields.into()
}

/// The type of strings.
fn text(form: Form) -> DataType {
    match form.dictionary {
        true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        false => DataType::Utf8,
    }
}

/// Distinct strings, which keys stand for.
#[derive(Debug)]
struct Texts {
    values: Vec<String>,
    /// The same.
    dictionary: ArrayData,
}

impl Texts {
    fn new(values: Vec<String>) -> Self {
        let dictionary = StringArray::from_iter_values(&values).into();
        Texts { values, dictionary }
    }

    fn column(&self, keys: Vec<i32>, form: Form) -> Result<ArrayData, Error> {
        if form.dictionary {
            return numbers(keys, text(form), vec![self.dictionary.clone()]);
        }
        let longest = self.values.iter().map(String::len).max().unwrap_or(0);
        if longest.saturating_mul(keys.len()) > i32::MAX as usize {
            let (rows, most) = (keys.len(), i32::MAX as usize / longest.max(1));
            let why = "without dictionaries a batch can have";
            return Err(invalid(format!("{rows} rows with values of {longest} bytes: {why} {most} rows")));
        }
        let text = |key: i32| self.values.get(usize::try_from(key).ok()?);
        Ok(StringArray::from_iter(keys.into_iter().map(text)).into())
    }
}

/// The numbers, of which [`NULL`] stands for null.
fn numbers(numbers: Vec<i32>, data_type: DataType, children: Vec<ArrayData>) -> Result<ArrayData, Error> {
    let rows = numbers.len();
    let mut nulls = NullBufferBuilder::new(rows);
    numbers.iter().for_each(|number| nulls.append(*number != NULL));
    // Beneath a null is a number that a careless reader can look up.
    let numbers: Vec<i32> = numbers.into_iter().map(|number| number.max(0)).collect();
    let buffer = ScalarBuffer::from(numbers).into_inner();
    let data = ArrayData::builder(data_type).len(rows).nulls(nulls.finish()).add_buffer(buffer);
    data.child_data(children).build().map_err(|error| invalid(error.to_string()))
}

/// The strings of a flag's results.
#[derive(Debug)]
pub(super) struct Names {
    variants: Texts,
    values: Texts,
    /// For each variant of the flag, the keys of its name and of its value.
    keys: Vec<(i32, i32)>,
    reasons: Texts,
    errors: Texts,
}

impl Names {
    /// Those of a flag.
    pub(super) fn of_flag(flag: &Arc<Flag>, serial: u64) -> Self {
        let evaluation = |(index, variant)| {
            let reason = Reason::Static;
            let assignment = Assignment { flag, serial, variant, index, reason, is_qa_tester: false };
            Evaluation::new(&flag.key, &Outcome::Variant(assignment), ValueType::Any, ShownTo::default())
        };
        let evaluations: Vec<Evaluation> = flag.variants.iter().enumerate().map(evaluation).collect();
        Names::new(&evaluations)
    }

    /// Those of a single outcome.
    pub(super) fn of_outcome(key: &str, outcome: &Outcome<'_>) -> Self {
        Names::new(&[Evaluation::new(key, outcome, ValueType::Any, ShownTo::default())])
    }

    fn new(evaluations: &[Evaluation]) -> Self {
        let (mut variants, mut values) = (Vec::new(), Vec::new());
        let keys = evaluations
            .iter()
            .map(|evaluation| (key(&mut variants, evaluation.variant()), key(&mut values, evaluation.json())))
            .collect();
        Names {
            variants: Texts::new(variants),
            values: Texts::new(values),
            keys,
            reasons: Texts::new(REASONS.map(|reason| reason.to_string()).into()),
            errors: Texts::new(ERRORS.map(|error| error.to_string()).into()),
        }
    }
}

/// The key of a string, which is added if it is not among them.
fn key(texts: &mut Vec<String>, text: Option<&str>) -> i32 {
    let Some(text) = text else { return NULL };
    let at = texts.iter().position(|known| known == text).unwrap_or_else(|| {
        texts.push(text.to_owned());
        texts.len() - 1
    });
    i32::try_from(at).unwrap_or(NULL)
}

/// The results of a batch.
pub(super) struct Results<'n> {
    names: &'n Names,
    variants: Vec<i32>,
    values: Vec<i32>,
    reasons: Vec<i32>,
    errors: Vec<i32>,
    /// Empty unless they are asked for.
    rollouts: Vec<i32>,
    form: Form,
}

impl<'n> Results<'n> {
    pub(super) fn new(names: &'n Names, form: Form, rows: usize) -> Self {
        let keys = || Vec::with_capacity(rows);
        let rollouts = Vec::new();
        Results { names, variants: keys(), values: keys(), reasons: keys(), errors: keys(), rollouts, form }
    }

    #[inline]
    pub(super) fn push(&mut self, outcome: &Outcome<'_>, taken: &Taken) {
        let (variant, value) = match outcome {
            Outcome::Variant(assignment) => {
                self.names.keys.get(assignment.index).copied().unwrap_or((NULL, NULL))
            }
            _ => (NULL, NULL),
        };
        let (reason, error) = outcome.verdict(ValueType::Any);
        self.variants.push(variant);
        self.values.push(value);
        self.reasons.push(reason_key(reason));
        self.errors.push(error_key(error));
        if self.form.rollouts {
            let taken = taken.0.filter(|_| variant != NULL).and_then(|taken| i32::try_from(taken).ok());
            self.rollouts.push(taken.unwrap_or(NULL));
        }
    }

    /// The same outcome for every row.
    pub(super) fn fill(&mut self, reason: Reason, error: Option<ErrorCode>, rows: usize) {
        let (variant, value) = self.names.keys.first().copied().unwrap_or((NULL, NULL));
        self.variants.resize(rows, variant);
        self.values.resize(rows, value);
        self.reasons.resize(rows, reason_key(reason));
        self.errors.resize(rows, error_key(error));
        if self.form.rollouts {
            self.rollouts.resize(rows, NULL);
        }
    }

    pub(super) fn finish(self) -> Result<ArrayData, Error> {
        let (names, form, rows) = (self.names, self.form, self.reasons.len());
        let mut columns = vec![
            names.variants.column(self.variants, form)?,
            names.values.column(self.values, form)?,
            names.reasons.column(self.reasons, form)?,
            names.errors.column(self.errors, form)?,
        ];
        if form.rollouts {
            columns.push(numbers(self.rollouts, DataType::Int32, Vec::new())?);
        }
        let data = ArrayData::builder(DataType::Struct(fields(form))).len(rows).child_data(columns);
        data.build().map_err(|error| invalid(error.to_string()))
    }
}

/// Rows of an array, with offsets that Arrow's other implementations understand.
pub(super) fn cut(data: &ArrayData, from: usize, rows: usize) -> Result<ArrayData, Error> {
    if from == 0 && rows == data.len() {
        return Ok(data.clone());
    }
    if !matches!(data.data_type(), DataType::Struct(_)) {
        return Ok(data.slice(from, rows));
    }
    // `slice` moves both a struct's offset and its fields.
    let nulls: Option<NullBuffer> = data.nulls().map(|nulls| nulls.slice(from, rows));
    let fields = data.child_data().iter().map(|field| cut(field, data.offset() + from, rows));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let data = ArrayData::builder(data.data_type().clone()).len(rows).nulls(nulls).child_data(fields);
    data.build().map_err(|error| invalid(error.to_string()))
}
