//! An evaluation: an outcome that owns its data.

mod strings;

use std::fmt::{self, Write};

use crate::engine::answer::Answer;
use crate::engine::definitions::Flag;
use crate::engine::exposure::{AssignmentId, Experiment, Exposure, Fetch, ShownTo};
use crate::engine::identity::Identity;
use crate::engine::outcome::Outcome;
use crate::engine::reason::{ErrorCode, Reason};
use crate::engine::variant::{FlagValue, ValueType, whole};
use crate::json::{Writer, push_json_string};
use strings::{Span, Strings, Text, terminated};

/// The result of evaluating one flag for one context: value, variant, reason and error.
///
/// Owns its strings, in one allocation, so it may outlive the client and the definitions. Those of an evaluation of all
/// flags are in one allocation together, which is freed with the last of them. Immutable: share it between threads
/// freely.
#[derive(Clone, PartialEq)]
pub struct Evaluation {
    text: Text,
    key: Span,
    value: Value,
    variant: Option<Span>,
    message: Option<Span>,
    experiment: Experiment<Span>,
    /// `None` if there are none.
    metadata: Option<Span>,
    /// The context key that the flag is bucketed by, with a variant or if the context lacks it.
    context_key: Option<Span>,
    is_qa_tester: Option<bool>,
    reason: Reason,
    error: Option<ErrorCode>,
    shown: Option<Shown>,
    answer: Option<Answer>,
}

/// What an exposure says beyond what the evaluation says.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    id: AssignmentId,
    /// Text, and whether it was a string.
    user: Option<(Span, bool)>,
    subject: u64,
    fetch: Option<Box<Fetch>>,
}

/// The value by type, with its JSON if that is not always the same.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    None,
    Null,
    Bool(bool),
    String(Span, Span),
    Integer(i64, Span),
    Double(f64, Span),
    Object(Span),
    Array(Span),
}

/// The JSON type of an evaluation's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// null.
    Null,
    /// true or false.
    Boolean,
    /// A string.
    String,
    /// A number within `i64` that is written without fraction and exponent.
    Integer,
    /// Any other number, including integers beyond `i64`.
    Double,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Evaluation {
    pub(crate) fn new(key: &str, outcome: &Outcome<'_>, wanted: ValueType, to: ShownTo<'_>) -> Self {
        let mut text = String::new();
        let mut evaluation = Evaluation::write(&mut text, true, key, outcome, wanted, to);
        evaluation.text = Text::own(text);
        evaluation
    }

    /// Makes evaluations whose strings are in one text.
    pub(crate) fn all<'o>(
        outcomes: impl ExactSizeIterator<Item = (&'o str, Outcome<'o>, ShownTo<'o>)>,
        wanted: ValueType,
    ) -> Vec<Evaluation> {
        /// Bytes of text that most evaluations fit in.
        const ROOM: usize = 128;
        let mut whole = String::with_capacity(outcomes.len() * ROOM);
        let mut evaluations = Vec::with_capacity(outcomes.len());
        let mut ends = Vec::with_capacity(outcomes.len());
        for (key, outcome, to) in outcomes {
            evaluations.push(Evaluation::write(&mut whole, false, key, &outcome, wanted, to));
            ends.push(whole.len());
        }
        for (evaluation, text) in evaluations.iter_mut().zip(Text::shared(whole, ends)) {
            evaluation.text = text;
        }
        evaluations
    }

    /// Appends the strings of an evaluation to `text`, and returns it without them. `reserve`: with one allocation,
    /// if it is empty.
    fn write(
        text: &mut String,
        reserve: bool,
        key: &str,
        outcome: &Outcome<'_>,
        wanted: ValueType,
        to: ShownTo<'_>,
    ) -> Self {
        let (reason, error) = outcome.verdict(wanted);
        // With a type mismatch there is neither variant nor metadata nor exposure: the user is shown the
        // default.
        let exposure = outcome.exposure(key, to.subject).filter(|_| error.is_none());
        let flag = match outcome {
            Outcome::Variant(assignment) if error.is_none() => Some(&**assignment.flag),
            _ => None,
        };
        let context_key = match outcome {
            Outcome::MissingContextKey { key, .. } => Some(*key),
            _ => flag.map(|flag| &*flag.context),
        };
        let value = outcome.value(wanted);
        let message = outcome.message(key, wanted);
        if reserve {
            *text = String::with_capacity(room(key, value, message.as_deref(), exposure, flag, to));
        }
        let mut strings = Strings::at_the_end_of(text);
        let variant = match (exposure, outcome) {
            (Some(exposure), _) => exposure.variant.map(|key| strings.push(key)),
            (None, Outcome::Override(_)) if error.is_none() => Some(strings.push("override")),
            _ => None,
        };
        let shown = exposure.map(|exposure| Shown {
            id: exposure.id,
            user: to.user.map(|user| (strings.push(&user.text), user.quoted)),
            subject: to.subject,
            fetch: exposure.fetch.cloned().map(Box::new),
        });
        let experiment = exposure.map(|exposure| exposure.experiment).unwrap_or_default();
        let is_qa_tester = exposure.and_then(|exposure| exposure.is_qa_tester);
        Evaluation {
            text: Text::default(),
            key: strings.push(key),
            value: value.map_or(Value::None, |value| strings.value(value)),
            variant,
            message: message.map(|message| strings.push(&message)),
            experiment: Experiment {
                id: experiment.id.map(|id| strings.push(id)),
                is_active: experiment.is_active,
            },
            metadata: exposure
                .is_some()
                .then(|| strings.metadata(flag, experiment, is_qa_tester == Some(true), to.context_id)),
            context_key: context_key.map(|key| strings.push(key)),
            is_qa_tester,
            reason,
            error,
            shown,
            answer: Answer::of(outcome).filter(|_| error.is_none()),
        }
    }

    /// The flag's key.
    pub fn key(&self) -> &str {
        self.at(&self.key)
    }

    /// Whether there is a value; if not, use your default. Check this rather than the reason: DEFAULT occurs
    /// both with and without a value.
    pub fn has_value(&self) -> bool {
        self.value != Value::None
    }

    /// The JSON type of the value. `None` without a value.
    pub fn kind(&self) -> Option<ValueKind> {
        match self.value {
            Value::None => None,
            Value::Null => Some(ValueKind::Null),
            Value::Bool(_) => Some(ValueKind::Boolean),
            Value::String(..) => Some(ValueKind::String),
            Value::Integer(..) => Some(ValueKind::Integer),
            Value::Double(..) => Some(ValueKind::Double),
            Value::Object(_) => Some(ValueKind::Object),
            Value::Array(_) => Some(ValueKind::Array),
        }
    }

    /// The value, if it is true or false.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The value, if it is a string.
    pub fn string(&self) -> Option<&str> {
        match &self.value {
            Value::String(span, _) => Some(self.at(span)),
            _ => None,
        }
    }

    /// The value, if it is a whole number within `i64`: `3.0` is 3, although its [`kind`](Self::kind) is
    /// Double.
    pub fn integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(i, _) => Some(i),
            Value::Double(number, _) => whole(number),
            _ => None,
        }
    }

    /// The value, if it is a number. An integer beyond 2^53 is rounded.
    pub fn double(&self) -> Option<f64> {
        match self.value {
            Value::Integer(i, _) => Some(i as f64),
            Value::Double(number, _) => Some(number),
            _ => None,
        }
    }

    /// The value as compact JSON: a string in quotes, a number as written in the definition.
    pub fn json(&self) -> Option<&str> {
        match &self.value {
            Value::None => None,
            Value::Null => Some(terminated("null\0")),
            Value::Bool(true) => Some(terminated("true\0")),
            Value::Bool(false) => Some(terminated("false\0")),
            Value::String(_, json)
            | Value::Integer(_, json)
            | Value::Double(_, json)
            | Value::Object(json)
            | Value::Array(json) => Some(self.at(json)),
        }
    }

    /// The variant's key; `override` for an override. `None` if there is no variant, or if its value is not of
    /// the requested type.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_ref().map(|span| self.at(span))
    }

    /// Why the evaluation has this result.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The kind of error. `None` unless the reason is ERROR.
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.error
    }

    /// What went wrong, or why no rollout matched if the context has no `custom_properties`. `None` unless the reason is
    /// ERROR or DEFAULT. Contains no token or secret.
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|span| self.at(span))
    }

    /// The experiment that the flag belongs to, if any.
    pub fn experiment_id(&self) -> Option<&str> {
        self.experiment.id.as_ref().map(|span| self.at(span))
    }

    /// Whether that experiment is active, if Mixpanel says so.
    pub fn is_experiment_active(&self) -> Option<bool> {
        self.experiment.is_active
    }

    /// Whether the user received the variant as a QA tester.
    pub fn is_qa_tester(&self) -> bool {
        self.is_qa_tester == Some(true)
    }

    /// The flag's metadata as a JSON object. Empty without a variant, and for an override.
    ///
    /// * `experiment_id` (a string) and `is_experiment_active` (a boolean), if the flag has them.
    /// * `is_qa_tester`, if it is true.
    /// * `unsupported`, if the definition uses operators or fields that this library does not know or cannot check: their
    ///   names, separated by commas.
    /// * `flagSetId`, the id of the Mixpanel project, as a string, and `contextId`, the value that decided which variant the
    ///   user gets, usually the `distinct_id`, as a string. OpenFeature defines these two names, and its SDKs report them to
    ///   OpenTelemetry. A remote evaluation has neither, because Mixpanel's response does not say.
    pub fn metadata_json(&self) -> &str {
        self.metadata.as_ref().map_or(terminated("{}\0"), |span| self.at(span))
    }

    /// The context key that the flag is bucketed by, if this library assigned a variant, or if the context lacks it.
    pub(crate) fn context_key(&self) -> Option<&str> {
        self.context_key.as_ref().map(|span| self.at(span))
    }

    /// The evaluation as one number, if it has one.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// The exposure of this evaluation's variant, and the user, if the context named one. `None` without a
    /// variant, and for an override.
    pub(crate) fn exposure(&self) -> Option<(Exposure<'_>, Option<Identity<'_>>)> {
        let shown = self.shown.as_ref()?;
        let exposure = Exposure {
            id: shown.id,
            subject: shown.subject,
            flag: self.key(),
            variant: self.variant(),
            experiment: Experiment { id: self.experiment_id(), is_active: self.experiment.is_active },
            is_qa_tester: self.is_qa_tester,
            fetch: shown.fetch.as_deref(),
        };
        let user = shown.user.as_ref();
        let user = user.map(|(span, quoted)| Identity { text: self.at(span).into(), quoted: *quoted });
        Some((exposure, user))
    }

    fn at(&self, span: &Span) -> &str {
        self.text.at(*span)
    }
}

impl fmt::Debug for Evaluation {
    /// Flag, variant, value, reason, error and metadata, without what the evaluation does not have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Evaluation");
        let mut text = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                fields.field(name, &format_args!("{text}"));
            }
        };
        text("flag", Some(self.key()));
        text("variant", self.variant());
        text("value", self.json());
        text("reason", Some(&self.reason.to_string()));
        text("error", self.error.map(|code| code.to_string()).as_deref());
        text("message", self.message());
        text("metadata", Some(self.metadata_json()).filter(|json| *json != "{}"));
        fields.finish()
    }
}

/// Room for all strings of an evaluation.
fn room(
    key: &str,
    value: Option<&FlagValue>,
    message: Option<&str>,
    exposure: Option<Exposure<'_>>,
    flag: Option<&Flag>,
    to: ShownTo<'_>,
) -> usize {
    // The keys and punctuation of the metadata, the digits of an integer, and a NUL after each string.
    const REST: usize = 128;
    let value = match value {
        // Once as it is, once as JSON.
        Some(FlagValue::String(s)) => 2 * s.len(),
        Some(FlagValue::Double { text, .. } | FlagValue::Object(text) | FlagValue::Array(text)) => text.len(),
        _ => 0,
    };
    let variant = exposure.and_then(|exposure| exposure.variant).map_or(0, str::len);
    // Once as it is, once in the metadata.
    let experiment = exposure.and_then(|exposure| exposure.experiment.id).map_or(0, |id| 2 * id.len());
    let flag = flag.map_or(0, |flag| flag.metadata.len() + flag.context.len());
    let (message, user) = (message.map_or(0, str::len), to.user.map_or(0, |user| user.text.len()));
    let context_id = to.context_id.map_or(0, str::len);
    key.len() + value + message + variant + experiment + flag + user + context_id + REST
}

impl Strings<'_> {
    fn metadata(
        &mut self,
        flag: Option<&Flag>,
        experiment: Experiment<&str>,
        is_qa_tester: bool,
        context_id: Option<&str>,
    ) -> Span {
        self.write(|text| {
            Writer::new(text).object(|json| {
                match flag.map(|flag| &*flag.metadata) {
                    None => experiment.write(json),
                    Some("") => {}
                    Some(members) => json.raw(members),
                }
                if is_qa_tester {
                    json.field("is_qa_tester").raw("true");
                }
                if let Some(id) = context_id.filter(|_| flag.is_some()) {
                    json.field("contextId").string(id);
                }
            });
        })
    }

    fn value(&mut self, value: &FlagValue) -> Value {
        match value {
            FlagValue::Null => Value::Null,
            FlagValue::Bool(b) => Value::Bool(*b),
            FlagValue::String(s) => Value::String(self.push(s), self.write(|text| push_json_string(text, s))),
            FlagValue::Integer(i) => {
                // Writing to a String cannot fail.
                Value::Integer(*i, self.write(|text| _ = write!(text, "{i}")))
            }
            FlagValue::Double { number, text } => Value::Double(*number, self.push(text)),
            FlagValue::Object(json) => Value::Object(self.push(json)),
            FlagValue::Array(json) => Value::Array(self.push(json)),
        }
    }
}
