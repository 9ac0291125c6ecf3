//! An evaluation: an outcome made to keep, owning everything it tells.

use std::fmt::Write;
use std::ops::Range;

use crate::engine::answer::Answer;
use crate::engine::identity::{AssignmentId, Identity, ShownTo, push_json_string};
use crate::engine::outcome::{Assignment, ErrorCode, Outcome, Reason};
use crate::engine::variant::{FlagValue, ValueType};
use crate::events::payload::{Fetch, Kept};

/// What a flag gave for one context: value, variant, reason, and what was wrong.
///
/// Owns its strings, in one allocation, and so outlives the client and the definitions that it came from. Immutable;
/// share it between threads freely.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Every string, each followed by a NUL, for C.
    text: String,
    key: Span,
    value: Held,
    variant: Option<Span>,
    message: Option<Span>,
    experiment_id: Option<Span>,
    metadata: Span,
    is_experiment_active: Option<bool>,
    is_qa_tester: bool,
    reason: Reason,
    error: Option<ErrorCode>,
    exposure: Option<Exposure>,
    answer: Option<Answer>,
}

type Span = Range<usize>;

/// What an exposure says, apart from what the evaluation says.
#[derive(Clone, Debug, PartialEq)]
struct Exposure {
    id: AssignmentId,
    user: Option<(Span, bool)>,
    subject: u64,
    is_qa_tester: Option<bool>,
    fetch: Option<Fetch>,
}

/// What was assigned, locally or by Mixpanel.
#[derive(Clone, Copy)]
struct Assigned<'a> {
    id: AssignmentId,
    variant: Option<&'a str>,
    experiment_id: Option<&'a str>,
    is_experiment_active: Option<bool>,
    is_qa_tester: Option<bool>,
    fetch: Option<&'a Fetch>,
    /// What of the flag cannot be checked here.
    unsupported: Option<&'a str>,
}

impl<'a> Assigned<'a> {
    fn of(key: &str, outcome: &Outcome<'a>) -> Option<Self> {
        match outcome {
            Outcome::Variant(Assignment { flag, variant, is_qa_tester, .. }) => Some(Assigned {
                id: variant.id,
                variant: Some(&variant.key),
                experiment_id: flag.experiment_id.as_deref(),
                is_experiment_active: flag.is_experiment_active,
                is_qa_tester: Some(*is_qa_tester),
                fetch: None,
                unsupported: flag.unsupported.as_deref().map(|unsupported| &*unsupported.text),
            }),
            Outcome::Remote(remote) => Some(Assigned {
                id: remote.id(key),
                variant: remote.key.as_deref(),
                experiment_id: remote.experiment_id.as_deref(),
                is_experiment_active: remote.is_experiment_active,
                is_qa_tester: remote.is_qa_tester,
                fetch: Some(&remote.fetch),
                unsupported: None,
            }),
            _ => None,
        }
    }
}

/// The value by type; `json` beside it.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    None,
    Null(Span),
    Bool(bool, Span),
    String(Span, Span),
    Integer(i64, Span),
    Double { number: f64, integer: Option<i64>, json: Span },
    Object(Span),
    Array(Span),
}

/// What kind of JSON an evaluation's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// null.
    Null,
    /// true or false.
    Boolean,
    /// A string.
    String,
    /// A number that is an `i64`.
    Integer,
    /// Any other number, an integer beyond `i64` included.
    Double,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Evaluation {
    pub(crate) fn new(key: &str, outcome: &Outcome<'_>, wanted: ValueType, to: ShownTo<'_>) -> Self {
        let (reason, error) = outcome.verdict(wanted);
        // With a type mismatch there is neither variant nor metadata nor exposure: the user is shown the default.
        let assigned = Assigned::of(key, outcome).filter(|_| error.is_none());
        let value = outcome.value(wanted);
        let message = outcome.message(key, wanted);
        let mut text = Text::with_room_for(key, value, message.as_deref(), assigned, to.user);
        let variant = match (assigned, outcome) {
            (Some(assigned), _) => assigned.variant.map(|key| text.push(key)),
            (None, Outcome::Override(_)) if error.is_none() => Some(text.push("override")),
            _ => None,
        };
        let exposure = assigned.map(|assigned| Exposure {
            id: assigned.id,
            user: to.user.map(|user| (text.push(&user.text), user.quoted)),
            subject: to.subject,
            is_qa_tester: assigned.is_qa_tester,
            fetch: assigned.fetch.cloned(),
        });
        let experiment_id = assigned.and_then(|assigned| assigned.experiment_id);
        let is_experiment_active = assigned.and_then(|assigned| assigned.is_experiment_active);
        let is_qa_tester = assigned.is_some_and(|assigned| assigned.is_qa_tester == Some(true));
        Evaluation {
            key: text.push(key),
            value: value.map_or(Held::None, |value| text.value(value)),
            variant,
            message: message.map(|message| text.push(&message)),
            experiment_id: experiment_id.map(|id| text.push(id)),
            metadata: text.metadata(
                experiment_id,
                is_experiment_active,
                is_qa_tester,
                assigned.and_then(|assigned| assigned.unsupported),
            ),
            is_experiment_active,
            is_qa_tester,
            reason,
            error,
            exposure,
            answer: Answer::of(outcome).filter(|_| error.is_none()),
            text: text.0,
        }
    }

    /// The flag's key.
    pub fn key(&self) -> &str {
        self.at(&self.key)
    }

    /// Whether there is a value; otherwise the caller's default applies. EvaluateOptions this, not the reason: with DEFAULT there is
    /// one or none.
    pub fn has_value(&self) -> bool {
        self.value != Held::None
    }

    /// What kind of JSON the value is.
    pub fn kind(&self) -> Option<ValueKind> {
        match self.value {
            Held::None => None,
            Held::Null(_) => Some(ValueKind::Null),
            Held::Bool(..) => Some(ValueKind::Boolean),
            Held::String(..) => Some(ValueKind::String),
            Held::Integer(..) => Some(ValueKind::Integer),
            Held::Double { .. } => Some(ValueKind::Double),
            Held::Object(_) => Some(ValueKind::Object),
            Held::Array(_) => Some(ValueKind::Array),
        }
    }

    /// The value, if it is true or false.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Held::Bool(b, _) => Some(b),
            _ => None,
        }
    }

    /// The value, if it is a string.
    pub fn string(&self) -> Option<&str> {
        match &self.value {
            Held::String(span, _) => Some(self.at(span)),
            _ => None,
        }
    }

    /// The value, if it is an integer, or a whole number, within `i64`: `3.0` is 3, although [`kind`](Self::kind) says
    /// Double.
    pub fn integer(&self) -> Option<i64> {
        match self.value {
            Held::Integer(i, _) => Some(i),
            Held::Double { integer, .. } => integer,
            _ => None,
        }
    }

    /// The value, if it is a number. An integer beyond 2^53 is rounded.
    pub fn double(&self) -> Option<f64> {
        match self.value {
            Held::Integer(i, _) => Some(i as f64),
            Held::Double { number, .. } => Some(number),
            _ => None,
        }
    }

    /// The value as compact JSON. A string has its quotes; a number stands as the document writes it.
    pub fn json(&self) -> Option<&str> {
        match &self.value {
            Held::None => None,
            Held::Null(json)
            | Held::Bool(_, json)
            | Held::String(_, json)
            | Held::Integer(_, json)
            | Held::Double { json, .. }
            | Held::Object(json)
            | Held::Array(json) => Some(self.at(json)),
        }
    }

    /// The variant's key; `override` for an override. Nothing when there is no variant or its value has another type.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_ref().map(|span| self.at(span))
    }

    /// Why the evaluation gave what it gave.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What is wrong, if something is.
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.error
    }

    /// What is wrong, for people; nothing unless the reason is ERROR. No token or secret is in it.
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|span| self.at(span))
    }

    /// The experiment that the flag belongs to.
    pub fn experiment_id(&self) -> Option<&str> {
        self.experiment_id.as_ref().map(|span| self.at(span))
    }

    /// Whether that experiment is active.
    pub fn is_experiment_active(&self) -> Option<bool> {
        self.is_experiment_active
    }

    /// Whether the user got the variant as a QA tester.
    pub fn is_qa_tester(&self) -> bool {
        self.is_qa_tester
    }

    /// The flag's metadata as a JSON object: `experiment_id` and `is_experiment_active` where the flag has them,
    /// `is_qa_tester` where it is true, and `unsupported` where the definition uses what this library does not know or cannot
    /// check: the names of those operators and fields, separated by commas.
    pub fn metadata_json(&self) -> &str {
        self.at(&self.metadata)
    }

    /// The evaluation in one number, where what it tells will be told again.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// The exposure that showing this evaluation's variant is, and to whom. Nothing where there is no variant to show, or
    /// an override.
    pub(crate) fn exposure(&self) -> Option<(Kept, Option<Identity<'static>>)> {
        let exposure = self.exposure.as_ref()?;
        let kept = Kept {
            id: exposure.id,
            subject: exposure.subject,
            flag: self.key().into(),
            variant: self.variant().map(Box::from),
            experiment_id: self.experiment_id().map(Box::from),
            is_experiment_active: self.is_experiment_active,
            is_qa_tester: exposure.is_qa_tester,
            fetch: exposure.fetch.clone(),
        };
        let user = exposure.user.as_ref().map(|(span, quoted)| {
            let text = self.at(span).to_owned();
            Identity { text: text.into(), quoted: *quoted }
        });
        Some((kept, user))
    }

    fn at(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

/// The strings of one evaluation, laid end to end.
struct Text(String);

impl Text {
    /// Room for everything, so that there is one allocation.
    fn with_room_for(
        key: &str,
        value: Option<&FlagValue>,
        message: Option<&str>,
        assigned: Option<Assigned<'_>>,
        user: Option<&Identity<'_>>,
    ) -> Self {
        // The names and punctuation of the metadata, the digits of an integer, and a NUL behind each string.
        const REST: usize = 128;
        let value = match value {
            // Once as it is, once as JSON.
            Some(FlagValue::String(s)) => 2 * s.len(),
            Some(FlagValue::Double { text, .. } | FlagValue::Object(text) | FlagValue::Array(text)) => {
                text.len()
            }
            _ => 0,
        };
        let variant = assigned.and_then(|a| a.variant).map_or(0, str::len);
        // Once as it is, once in the metadata.
        let experiment = assigned.and_then(|a| a.experiment_id).map_or(0, |id| 2 * id.len());
        let unsupported = assigned.and_then(|a| a.unsupported).map_or(0, str::len);
        let (message, user) = (message.map_or(0, str::len), user.map_or(0, |user| user.text.len()));
        Text(String::with_capacity(
            key.len() + value + message + variant + experiment + unsupported + user + REST,
        ))
    }

    fn push(&mut self, part: &str) -> Span {
        self.write(|text| text.push_str(part))
    }

    fn write(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.0.len();
        write(&mut self.0);
        let span = start..self.0.len();
        self.0.push('\0');
        span
    }

    fn metadata(
        &mut self,
        experiment_id: Option<&str>,
        is_active: Option<bool>,
        is_qa_tester: bool,
        unsupported: Option<&str>,
    ) -> Span {
        self.write(|text| {
            let start = text.len();
            if let Some(id) = experiment_id {
                text.push_str(",\"experiment_id\":");
                push_json_string(text, id);
            }
            if let Some(active) = is_active {
                text.push_str(if active {
                    ",\"is_experiment_active\":true"
                } else {
                    ",\"is_experiment_active\":false"
                });
            }
            if is_qa_tester {
                text.push_str(",\"is_qa_tester\":true");
            }
            if let Some(names) = unsupported {
                text.push_str(",\"unsupported\":");
                push_json_string(text, names);
            }
            // The first comma, where there is one, becomes the brace.
            if text.len() > start {
                text.replace_range(start..=start, "{");
            } else {
                text.push('{');
            }
            text.push('}');
        })
    }

    fn value(&mut self, value: &FlagValue) -> Held {
        match value {
            FlagValue::Null => Held::Null(self.push("null")),
            FlagValue::Bool(b) => Held::Bool(*b, self.push(if *b { "true" } else { "false" })),
            FlagValue::String(s) => Held::String(self.push(s), self.write(|text| push_json_string(text, s))),
            FlagValue::Integer(i) => {
                // Writing to a String cannot fail.
                Held::Integer(*i, self.write(|text| _ = write!(text, "{i}")))
            }
            FlagValue::Double { number, text } => {
                Held::Double { number: *number, integer: value.integer(), json: self.push(text) }
            }
            FlagValue::Object(json) => Held::Object(self.push(json)),
            FlagValue::Array(json) => Held::Array(self.push(json)),
        }
    }
}
