//! Functions for bindings; see [`unversioned`](crate::unversioned).

#[cfg(feature = "arrow")]
use arrow_data::ArrayData;

use super::Client;
use super::evaluate::evaluated;
use super::evaluate_options::EvaluateOptions;
#[cfg(feature = "arrow")]
use super::table::TableEvaluation;
use crate::engine::answer::Answer;
use crate::engine::context::{Context, Encoded};
use crate::engine::definitions::Entry;
use crate::engine::evaluation::Evaluation;
use crate::engine::exposure::ShownTo;
use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::variant::ValueType;
use crate::error::Error;

/// The result of [`evaluate_packed`].
#[derive(Debug)]
pub enum Packed {
    /// A number that stands for an evaluation, which the binding may have cached; [`recall`] returns the evaluation.
    Answer(Answer),
    /// The evaluation, if no number stands for it.
    Evaluation(Box<Evaluation>),
}

/// Reads a context of either form, as [`Context::from_json`] does.
pub fn context(encoded: Encoded<'_>) -> Result<Context, Error> {
    Context::from_encoded(encoded)
}

/// Does what [`Client::evaluate_json`] does for a context of either form.
pub fn evaluate_encoded(
    client: &Client,
    key: &str,
    context: Encoded<'_>,
    options: EvaluateOptions,
) -> Evaluation {
    client.with_encoded(key, context, options, evaluated(key, options))
}

/// Does what [`evaluate_encoded`] does, but returns an [`Answer`] if there is one for the outcome. The first call in
/// the child of a fork always returns an evaluation: a binding that caches what answers stand for may call nothing else,
/// so this is how it notices the fork.
pub fn evaluate_packed(client: &Client, key: &str, context: Encoded<'_>, options: EvaluateOptions) -> Packed {
    let forked = client.after_fork();
    client.with_encoded(key, context, options, |outcome, to| {
        match Answer::of(outcome).filter(|_| !forked && outcome.verdict(options.wanted).1.is_none()) {
            Some(answer) => Packed::Answer(answer),
            None => Packed::Evaluation(Box::new(Evaluation::new(key, outcome, options.wanted, to))),
        }
    })
}

/// The evaluation that `answer` stands for, which was returned for flag `key`; `None` if the flag's definition has changed
/// since. The evaluation has no user, so its exposure cannot be reported, and its metadata lack `contextId`.
pub fn recall(client: &Client, key: &str, answer: Answer) -> Option<Evaluation> {
    let made = |outcome: &Outcome<'_>| Evaluation::new(key, outcome, ValueType::Any, ShownTo::default());
    match answer {
        Answer::NO_MATCH => return Some(made(&Outcome::NoRolloutMatch { no_properties: false })),
        Answer::NO_PROPERTIES => return Some(made(&Outcome::NoRolloutMatch { no_properties: true })),
        Answer::DISABLED => return Some(made(&Outcome::Disabled)),
        _ => {}
    }
    let current = client.shared.snapshot.load();
    let Some(Entry::Flag { flag, serial }) = current.flags.as_ref()?.get(key) else { return None };
    let index = answer.variant();
    let variant = flag.variants.get(index).filter(|_| *serial == answer.serial())?;
    let (reason, is_qa_tester) = (answer.reason()?, answer.is_qa_tester());
    Some(made(&Outcome::Variant(Assignment { flag, serial: *serial, variant, index, reason, is_qa_tester })))
}

/// The evaluation as a number, if there is one for its outcome.
pub fn answer(evaluation: &Evaluation) -> Option<Answer> {
    evaluation.answer()
}

/// The context key that the flag is bucketed by, of an evaluation with a variant or with TARGETING_KEY_MISSING; `None` for
/// any other, an override and a remote evaluation. With it, a binding that caches what answers stand for adds `contextId` to the metadata of an
/// evaluation that [`recall`] returned.
pub fn context_key(evaluation: &Evaluation) -> Option<&str> {
    evaluation.context_key()
}

/// Evaluates rows of columns, which have the types of the table that `evaluation` is for. Unlike
/// [`TableEvaluation::evaluate`], needs no arrays, which bring the code of every type.
#[cfg(feature = "arrow")]
pub fn evaluate_rows(
    evaluation: &TableEvaluation,
    columns: &[ArrayData],
    from: usize,
    rows: usize,
) -> Result<Vec<ArrayData>, Error> {
    evaluation.evaluate_rows(columns, from, rows)
}

/// Logs a panic that a binding caught in a call of `client`.
pub fn log_panic(client: &Client, text: &str) {
    client.log_panic(text);
}
