//! Evaluations as results of OpenFeature's SDK.

use open_feature::provider::ResolutionDetails;
use open_feature::{
    EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata, StructValue,
    Value,
};
use serde_json::Value as Json;

use crate::engine::evaluation::Evaluation;
use crate::engine::reason::{ErrorCode, Reason};
use crate::engine::variant::FlagValue;
use crate::json::RawPairs;

/// The error for an evaluation without a value. The SDK does not pass the default to providers, and callers use theirs only for
/// errors. So "no rollout" and "disabled" are errors too, with the reason as their code.
pub(super) fn failure(evaluation: &Evaluation) -> EvaluationError {
    let message = match (evaluation.message(), evaluation.reason()) {
        (Some(message), _) => message.to_owned(),
        (None, Reason::Disabled) => format!("flag `{}` is disabled", evaluation.key()),
        (None, _) => format!("no rollout of flag `{}` admits this user", evaluation.key()),
    };
    let code = match evaluation.error_code() {
        Some(code) => error_code(code),
        None => EvaluationErrorCode::General(evaluation.reason().to_string()),
    };
    EvaluationError { code, message: Some(message) }
}

pub(super) fn general(message: String) -> EvaluationError {
    EvaluationError { code: error_code(ErrorCode::General), message: Some(message) }
}

fn mismatch(message: String) -> EvaluationError {
    EvaluationError { code: error_code(ErrorCode::TypeMismatch), message: Some(message) }
}

pub(super) fn invalid_context(message: String) -> EvaluationError {
    EvaluationError { code: error_code(ErrorCode::InvalidContext), message: Some(message) }
}

fn error_code(code: ErrorCode) -> EvaluationErrorCode {
    match code {
        ErrorCode::ProviderNotReady => EvaluationErrorCode::ProviderNotReady,
        ErrorCode::FlagNotFound => EvaluationErrorCode::FlagNotFound,
        ErrorCode::ParseError => EvaluationErrorCode::ParseError,
        ErrorCode::TypeMismatch => EvaluationErrorCode::TypeMismatch,
        ErrorCode::TargetingKeyMissing => EvaluationErrorCode::TargetingKeyMissing,
        ErrorCode::InvalidContext => EvaluationErrorCode::InvalidContext,
        // The SDK has no code for these two. Its General contains any text.
        ErrorCode::ProviderFatal | ErrorCode::General => EvaluationErrorCode::General(code.to_string()),
    }
}

fn reason(reason: Reason) -> EvaluationReason {
    match reason {
        Reason::Static => EvaluationReason::Static,
        Reason::Default => EvaluationReason::Default,
        Reason::TargetingMatch => EvaluationReason::TargetingMatch,
        Reason::Split => EvaluationReason::Split,
        Reason::Disabled => EvaluationReason::Disabled,
        Reason::Error => EvaluationReason::Error,
    }
}

/// The value that `read` returns, with variant, reason and metadata.
pub(super) fn details<T>(
    evaluation: &Evaluation,
    read: impl FnOnce(&Evaluation) -> Option<T>,
) -> EvaluationResult<ResolutionDetails<T>> {
    let value = read(evaluation).ok_or_else(|| failure(evaluation))?;
    Ok(with(evaluation, value))
}

/// An object. The SDK has no other structured value at the top, and no null anywhere. A null at the top is a mismatch already.
pub(super) fn object(evaluation: &Evaluation) -> EvaluationResult<ResolutionDetails<StructValue>> {
    let json = evaluation.json().ok_or_else(|| failure(evaluation))?;
    let json: Json = serde_json::from_str(json).map_err(|e| general(format!("the variant's value: {e}")))?;
    match value(json) {
        Ok(Value::Struct(value)) => Ok(with(evaluation, value)),
        Ok(_) => Err(mismatch("expected object, the variant holds an array".to_owned())),
        Err(null) => Err(mismatch(format!(
            "the variant holds null at `{}`, which OpenFeature's Rust SDK cannot express",
            null.place()
        ))),
    }
}

fn with<T>(evaluation: &Evaluation, value: T) -> ResolutionDetails<T> {
    ResolutionDetails {
        value,
        variant: evaluation.variant().map(str::to_owned),
        reason: Some(reason(evaluation.reason())),
        flag_metadata: metadata(evaluation),
    }
}

/// All scalars of the core's metadata.
fn metadata(evaluation: &Evaluation) -> Option<FlagMetadata> {
    let RawPairs(pairs) = serde_json::from_str(evaluation.metadata_json()).ok()?;
    let mut metadata = FlagMetadata::default();
    for (name, json) in &pairs {
        match FlagValue::parse(json.get()) {
            Ok(FlagValue::Bool(b)) => metadata.add_value(&**name, b),
            Ok(FlagValue::String(text)) => metadata.add_value(&**name, &*text),
            Ok(FlagValue::Integer(i)) => metadata.add_value(&**name, i),
            Ok(FlagValue::Double { number, .. }) => metadata.add_value(&**name, number),
            _ => {}
        }
    }
    (!metadata.values.is_empty()).then_some(metadata)
}

/// A null in a value: the path to it, innermost first.
struct Null(Vec<String>);

impl Null {
    fn under(mut self, step: String) -> Self {
        self.0.push(step);
        self
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in self.0.iter().rev() {
            if !place.is_empty() && !step.starts_with('[') {
                place.push('.');
            }
            place.push_str(step);
        }
        place
    }
}

fn value(json: Json) -> Result<Value, Null> {
    Ok(match json {
        Json::Null => return Err(Null(Vec::new())),
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => match n.as_i64() {
            Some(i) => Value::Int(i),
            // A number that is not a double is rejected with the document.
            None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::String(s),
        Json::Array(items) => {
            let items = items.into_iter().enumerate();
            let values = items.map(|(n, item)| value(item).map_err(|null| null.under(format!("[{n}]"))));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(key, field)| match value(field) {
                Ok(value) => Ok((key, value)),
                Err(null) => Err(null.under(key)),
            });
            Value::Struct(StructValue { fields: fields.collect::<Result<_, _>>()? })
        }
    })
}
