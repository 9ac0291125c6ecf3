//! Evaluating: one load of the snapshot, pure code, and an exposure put aside for the sender.

use crate::context::{Context, Facts, Glance, Wanted};
use crate::definitions::Entry;
use crate::error::{Error, ErrorKind};
use crate::evaluate::{evaluate, evaluate_entry};
use crate::evaluation::Evaluation;
use crate::outcome::{Assignment, Outcome};
use crate::snapshot::{Current, Overrides};
use crate::variant::{FlagValue, ValueType};

use super::Client;

impl Client {
    /// The boolean that flag `key` gives, or `default` in every other case: not ready, no such flag, no match, a value of
    /// another type. Never blocks, never fails. [`Client::evaluate`] tells why.
    pub fn boolean(&self, key: &str, context: &Context, default: bool) -> bool {
        self.read(key, context, |outcome| outcome.value(ValueType::Boolean)?.boolean()).unwrap_or(default)
    }

    /// The integer that flag `key` gives, or `default` in every other case. A whole number such as `3.0` is an integer; one
    /// outside `i64` gives `default`.
    pub fn integer(&self, key: &str, context: &Context, default: i64) -> i64 {
        self.read(key, context, |outcome| outcome.value(ValueType::Integer)?.integer()).unwrap_or(default)
    }

    /// The number that flag `key` gives, or `default` in every other case. An integer beyond 2^53 is rounded.
    pub fn double(&self, key: &str, context: &Context, default: f64) -> f64 {
        self.read(key, context, |outcome| outcome.value(ValueType::Double)?.double()).unwrap_or(default)
    }

    /// The string that flag `key` gives, or `default` in every other case. Allocates the string.
    pub fn string(&self, key: &str, context: &Context, default: &str) -> String {
        let read = |outcome: &Outcome<'_>| Some(outcome.value(ValueType::String)?.string()?.to_owned());
        self.read(key, context, read).unwrap_or_else(|| default.to_owned())
    }

    /// Evaluates flag `key` and tells everything about it: value, variant, reason, what is wrong. A value that does not
    /// read as `wanted` gives TYPE_MISMATCH and no value. The exposure, where there is one, is reported, unless
    /// `report_exposures` is off. Takes no lock but for a first exposure; allocates the evaluation's strings once.
    pub fn evaluate(&self, key: &str, context: &Context, wanted: ValueType) -> Evaluation {
        self.read(key, context, |outcome| Evaluation::new(key, outcome, wanted, context.user()))
    }

    /// The same without an exposure. [`Client::track_exposure`] reports it when the variant is shown.
    pub fn evaluate_unreported(&self, key: &str, context: &Context, wanted: ValueType) -> Evaluation {
        self.after_fork();
        let current = self.parts.snapshot.load();
        Evaluation::new(key, &outcome(&current, key, context), wanted, context.user())
    }

    /// Does [`Client::evaluate`] for a context that is used once: `context` is read whole, and only what the flag asks of
    /// it is kept. For a context used twice [`Context::from_json`] is cheaper. A context that cannot be read gives
    /// INVALID_CONTEXT, unless an override answers first; then it is not read.
    pub fn evaluate_json(&self, key: &str, context: &str, wanted: ValueType) -> Evaluation {
        self.evaluate_once(key, context, wanted, self.parts.config.report_exposures)
    }

    /// The same without an exposure.
    pub fn evaluate_json_unreported(&self, key: &str, context: &str, wanted: ValueType) -> Evaluation {
        self.evaluate_once(key, context, wanted, false)
    }

    /// Evaluates every flag, in order of key: those that are kept out as malformed, and overrides, too. Reports no
    /// exposure: [`Client::track_exposure`] does, for what is shown. Without definitions there are only the overrides: an
    /// empty list says nothing about readiness.
    pub fn evaluate_all(&self, context: &Context) -> Vec<Evaluation> {
        self.after_fork();
        let current = self.parts.snapshot.load();
        let evaluation = |key: &str, outcome: &Outcome<'_>| Evaluation::new(key, outcome, ValueType::Any, context.user());
        let mut keys: Vec<&str> = current.overrides.keys().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        let mut overrides = keys.into_iter().peekable();
        let mut all = Vec::with_capacity(current.flags.as_ref().map_or(0, |set| set.iter().len()));
        let over = |key: &str| {
            let outcome = current.over(key).map_or(Outcome::FlagNotFound, Outcome::Override);
            evaluation(key, &outcome)
        };
        for (key, entry) in current.flags.iter().flat_map(|set| set.iter()) {
            while let Some(earlier) = overrides.next_if(|over| *over < key) {
                all.push(over(earlier));
            }
            if overrides.next_if_eq(&key).is_some() {
                all.push(over(key));
            } else {
                all.push(evaluation(key, &evaluate_entry(entry, context)));
            }
        }
        all.extend(overrides.map(over));
        all
    }

    /// Reports that the variant of `evaluation` was shown, once per flag, variant and user within the window. For
    /// evaluations that reported nothing themselves.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when the evaluation has no variant, is an override, or its context had
    /// no distinct_id, with [`ErrorKind::QueueFull`] when the queue is, and with [`ErrorKind::Closed`] after shutdown.
    pub fn track_exposure(&self, evaluation: &Evaluation) -> Result<(), Error> {
        let nothing = |why: &str| {
            let message = format!("flag `{}`: {why}, so there is no exposure", evaluation.key());
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let (kept, user) = evaluation.exposure().ok_or_else(|| nothing("the evaluation assigned no variant"))?;
        let user = user.ok_or_else(|| nothing("the context had no distinct_id"))?;
        self.reporting(|events| events.expose_kept(kept, user))
    }

    /// The one way to an outcome with a context at hand: one load of the snapshot, then pure code.
    fn read<R>(&self, key: &str, context: &Context, read: impl FnOnce(&Outcome<'_>) -> R) -> R {
        self.after_fork();
        let current = self.parts.snapshot.load();
        let outcome = outcome(&current, key, context);
        if let (Outcome::Variant(assignment), true) = (&outcome, self.parts.config.report_exposures) {
            self.expose(assignment, context);
        }
        read(&outcome)
    }

    fn evaluate_once(&self, key: &str, json: &str, wanted: ValueType, report: bool) -> Evaluation {
        self.after_fork();
        let current = self.parts.snapshot.load();
        if let Some(value) = current.over(key) {
            return Evaluation::new(key, &Outcome::Override(value), wanted, None);
        }
        let entry = current.flags.as_ref().and_then(|set| set.get(key));
        let asked = match entry {
            Some(Entry::Flag(flag)) => Some(Wanted { subject: &flag.context, properties: &flag.properties }),
            _ => None,
        };
        let glance = match Glance::parse(json, asked) {
            Ok(glance) => glance,
            Err(error) => return Evaluation::new(key, &Outcome::InvalidContext(error.to_string()), wanted, None),
        };
        let outcome = match entry {
            Some(entry) => evaluate_entry(entry, &glance),
            None if current.flags.is_some() => Outcome::FlagNotFound,
            None => Outcome::Unavailable(&current.unavailable),
        };
        if let (Outcome::Variant(assignment), true) = (&outcome, report) {
            self.expose(assignment, &glance);
        }
        Evaluation::new(key, &outcome, wanted, glance.user())
    }

    fn expose(&self, assignment: &Assignment<'_>, facts: &impl Facts) {
        self.runtime.load().events.expose(assignment, facts.user());
    }
}

fn outcome<'a>(current: &'a Current, key: &str, facts: &impl Facts) -> Outcome<'a> {
    if let Some(value) = current.over(key) {
        return Outcome::Override(value);
    }
    match &current.flags {
        None => Outcome::Unavailable(&current.unavailable),
        Some(set) => evaluate(set, key, facts),
    }
}

impl Current {
    fn over(&self, key: &str) -> Option<&FlagValue> {
        let overrides: &Overrides = &self.overrides;
        // Most programs have none, and hashing the key costs more than asking.
        if overrides.is_empty() { None } else { overrides.get(key) }
    }
}
