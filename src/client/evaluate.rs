//! Evaluating flags: one load of the snapshot, then pure code, then an exposure for the sender's queue.

use std::time::Duration;

use super::Client;
use super::evaluate_options::EvaluateOptions;
use super::remote::{RemoteCall, RemoteResult};
use super::snapshot::Current;
use crate::engine::bucket::Subject;
use crate::engine::context::{
    Context, Encoded, KeptContext, Look, Needs, OneShotContext, ReadContext, Unusable, Viewed,
};
use crate::engine::decide::{Trace, decide};
use crate::engine::definitions::Entry;
use crate::engine::evaluation::Evaluation;
use crate::engine::evaluations::Evaluations;
use crate::engine::explain::Explanation;
use crate::engine::exposure::ShownTo;
use crate::engine::identity::DISTINCT_ID;
use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::variant::{FlagValue, ValueType};
use crate::error::{Error, ErrorKind};

impl Client {
    /// The boolean value of flag `key`, or `default` if there is none: not ready, no such flag, no match, a value of
    /// another type. Never fails, and never waits unless the client is remote. [`Client::evaluate`] says why.
    #[inline]
    pub fn boolean(&self, key: &str, context: &Context, default: bool) -> bool {
        match self.read(key, context, ValueType::Boolean) {
            Some(ReadValue::Boolean(value)) => value,
            _ => default,
        }
    }

    /// The integer value of flag `key`, or `default` if there is none. A whole number such as `3.0` is an integer; a
    /// number outside `i64` is not.
    #[inline]
    pub fn integer(&self, key: &str, context: &Context, default: i64) -> i64 {
        match self.read(key, context, ValueType::Integer) {
            Some(ReadValue::Integer(value)) => value,
            _ => default,
        }
    }

    /// The numeric value of flag `key`, or `default` if there is none. An integer beyond 2^53 is rounded.
    #[inline]
    pub fn double(&self, key: &str, context: &Context, default: f64) -> f64 {
        match self.read(key, context, ValueType::Double) {
            Some(ReadValue::Double(value)) => value,
            _ => default,
        }
    }

    /// The string value of flag `key`, or `default` if there is none. Allocates the string.
    pub fn string(&self, key: &str, context: &Context, default: &str) -> String {
        match self.read(key, context, ValueType::String) {
            Some(ReadValue::String(value)) => value,
            _ => default.to_owned(),
        }
    }

    /// Evaluates flag `key`, and returns the value with its variant, the reason, metadata, and what went wrong. Reports the
    /// exposure if a variant was assigned, unless `options` or `report_exposures` turn that off.
    ///
    /// A local client never waits. A remote client sends a request and waits for the response for as long as `options`
    /// allows. Takes no lock except for a first exposure; makes one allocation, for the strings of the evaluation.
    pub fn evaluate(&self, key: &str, context: &Context, options: EvaluateOptions) -> Evaluation {
        self.with_context(key, context, options, evaluated(key, options))
    }

    /// Does what [`Client::evaluate`] does for a context that is used only once, given as JSON: it is parsed once, and only
    /// the parts that the flag needs are kept. For a context that is used twice, [`Context::from_json`] is cheaper. A
    /// context that cannot be parsed results in INVALID_CONTEXT, unless the flag has an override.
    pub fn evaluate_json(&self, key: &str, context: &str, options: EvaluateOptions) -> Evaluation {
        self.with_encoded(key, Encoded::Json(context), options, evaluated(key, options))
    }

    /// Evaluates all flags. A local client evaluates every flag in its definitions, including malformed ones; a remote
    /// client sends one request and returns the flags that Mixpanel assigns the user a variant of. Overrides are always
    /// included. Reports no exposures: call [`Client::track_exposure`] for the variants that are shown.
    ///
    /// If there are no definitions, or the request fails, only the overrides are included, and [`Evaluations::failure`]
    /// says why.
    pub fn evaluate_all(&self, context: &Context, options: EvaluateOptions) -> Evaluations {
        self.after_fork();
        let current = self.shared.snapshot.load();
        let mut all = Evaluations::new(options.wanted);
        match self.viewed(context) {
            Err(error) => all.fail(&Outcome::InvalidContext(error.to_string())),
            Ok(viewed) => {
                let context = viewed.as_deref().unwrap_or(context);
                let kept = context.kept();
                self.note(kept.unusable());
                if self.shared.config.is_remote() {
                    self.add_remote(&mut all, context, options.timeout);
                } else if let Some(set) = &current.flags {
                    all.set(set.iter().map(|(key, entry)| {
                        let outcome = decide(entry, kept, &mut ());
                        let to = shown_to(&outcome, kept);
                        (key, outcome, to)
                    }));
                } else {
                    all.fail(&Outcome::Unavailable(&current.unavailable));
                }
            }
        }
        for (key, value) in current.overrides.iter() {
            all.replace(key, value);
        }
        all
    }

    fn add_remote(&self, all: &mut Evaluations, context: &Context, timeout: Option<Duration>) {
        let kept = context.kept();
        let results = match kept.unusable().first() {
            Some(unusable) => Err(RemoteResult::InvalidContext(unusable.message())),
            None => self.remote(timeout).all(context),
        };
        match results {
            Err(result) => all.fail(&result.outcome()),
            Ok(results) => all.set(results.iter().map(|(key, result)| {
                let outcome = result.outcome();
                let to = shown_to(&outcome, kept);
                (key.as_ref(), outcome, to)
            })),
        }
    }

    /// Explains the evaluation of flag `key`, as a JSON object: the step that decided, the subject, each rollout's bucket
    /// and percentage, its rule with the value of every part, the split, and the outcome. Runs the same code as an
    /// evaluation. Reports no exposure.
    ///
    /// For people and tools: costs far more than an evaluation. Fails with [`ErrorKind::InvalidArgument`] if the client is
    /// remote, unless the flag has an override: Mixpanel decides there, and does not say why.
    pub fn explain(&self, key: &str, context: &Context) -> Result<String, Error> {
        self.after_fork();
        let viewed = self.viewed(context);
        let current = self.shared.snapshot.load();
        if self.shared.config.is_remote() && current.over(key).is_none() {
            let why = "explain: Mixpanel decides for a remote client, and does not say why";
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        let json = |steps: Explanation<'_>, outcome: &Outcome<'_>, to: ShownTo<'_>| {
            steps.json(outcome, &Evaluation::new(key, outcome, ValueType::Any, to))
        };
        Ok(match &viewed {
            Ok(viewed) => {
                let context = viewed.as_deref().unwrap_or(context).kept();
                let mut steps = Explanation::new(context);
                let outcome = current.outcome(key, context, &mut steps);
                let to = shown_to(&outcome, context);
                json(steps, &outcome, to)
            }
            Err(error) => {
                let outcome = current.invalid_context(key, error);
                json(Explanation::new(context.kept()), &outcome, ShownTo::default())
            }
        })
    }

    /// The value, if there is one of the type.
    fn read(&self, key: &str, context: &Context, wanted: ValueType) -> Option<ReadValue> {
        let options = EvaluateOptions::new().value_type(wanted);
        self.with_context(key, context, options, |outcome, _| ReadValue::new(outcome.value(wanted)?, wanted))
    }

    /// The only way from a context to an outcome.
    fn with_context<R>(
        &self,
        key: &str,
        context: &Context,
        options: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        match context.look() {
            Look::Kept(kept) => self.with_kept(key, context, kept, options, read),
            Look::Once(encoded) => self.with_encoded(key, encoded, options, read),
        }
    }

    /// The same for a context that was read before.
    #[inline]
    fn with_kept<R>(
        &self,
        key: &str,
        context: &Context,
        kept: &KeptContext,
        options: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        self.after_fork();
        let viewed = match self.viewed(context) {
            Ok(viewed) => viewed,
            Err(error) => {
                let current = self.shared.snapshot.load();
                return read(&current.invalid_context(key, &error), ShownTo::default());
            }
        };
        let (context, kept) = match viewed.as_deref() {
            Some(viewed) => (viewed, viewed.kept()),
            None => (context, kept),
        };
        self.note(kept.unusable());
        let current = self.shared.snapshot.load();
        if self.shared.config.is_remote() && current.over(key).is_none() {
            // The snapshot is not held during a request.
            drop(current);
            return self.with_remote(key, context, options, read);
        }
        let outcome = current.outcome(key, kept, &mut ());
        self.report_and_read(key, &outcome, kept, options, read)
    }

    /// The same for a remote client and a context as its options change it.
    #[inline(never)]
    fn with_remote<R>(
        &self,
        key: &str,
        context: &Context,
        options: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        let kept = context.kept();
        let result = match kept.unusable().first() {
            Some(unusable) => RemoteResult::InvalidContext(unusable.message()),
            None => self.remote(options.timeout).one(key, context),
        };
        self.report_and_read(key, &result.outcome(), kept, options, read)
    }

    /// The same for a context that is read for this evaluation alone.
    pub(super) fn with_encoded<R>(
        &self,
        key: &str,
        context: Encoded<'_>,
        options: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        self.after_fork();
        let current = self.shared.snapshot.load();
        if let Some(value) = current.over(key) {
            let outcome = Outcome::Override(value);
            return self.report_and_read(key, &outcome, &OneShotContext::default(), options, read);
        }
        let invalid = |error: Error| Outcome::InvalidContext(error.to_string());
        let viewed = self.shared.view.as_ref().map(|view| view.of(context));
        let context = viewed.as_ref().map_or(context, |viewed| viewed.encoded());
        if self.shared.config.is_remote() {
            drop(current);
            return match Context::from_encoded(context) {
                Ok(context) => {
                    self.note(context.kept().unusable());
                    self.with_remote(key, &context, options, read)
                }
                Err(error) => read(&invalid(error), ShownTo::default()),
            };
        }
        let entry = current.entry(key);
        let needs = match entry {
            Ok(Entry::Flag { flag, .. }) => {
                Some(Needs { subject: &flag.context, properties: &flag.properties })
            }
            _ => None,
        };
        let mut once = OneShotContext::default();
        if let Err(error) = once.read(context, needs) {
            return read(&invalid(error), ShownTo::default());
        }
        self.note(once.unusable());
        let outcome = entry.map_or_else(|outcome| outcome, |entry| decide(entry, &once, &mut ()));
        self.report_and_read(key, &outcome, &once, options, read)
    }

    fn report_and_read<R>(
        &self,
        key: &str,
        outcome: &Outcome<'_>,
        context: &impl ReadContext,
        options: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        let to = shown_to(outcome, context);
        if outcome.value(options.wanted).is_none() {
            // The user does not see a value of another type.
            self.note_no_value(key, outcome, options.wanted);
        } else if options.report && self.shared.config.report_exposures {
            match outcome {
                Outcome::Variant(assignment) => self.runtime.load().events.expose(assignment, to),
                Outcome::Remote(variant) => self.runtime.load().events.expose_remote(key, variant, to),
                _ => {}
            }
        }
        read(outcome, to)
    }

    /// The context as the client's options change it; `None` if they do not.
    #[inline]
    fn viewed<'c>(&self, context: &'c Context) -> Result<Option<Viewed<'c>>, Error> {
        self.shared.view.as_ref().map(|view| context.through(view)).transpose()
    }

    /// Counts a context with attributes that cannot be used, and logs each attribute once.
    fn note(&self, unusable: &[Unusable]) {
        if !unusable.is_empty() {
            let runtime = self.runtime.load();
            // A binding puts such a value in place of one that JSON cannot express, and logs the original itself.
            let items = self.shared.config.wrapper.is_none().then_some(&*runtime.items);
            runtime.noted.unusable(unusable, items);
        }
    }

    /// Counts an evaluation that has no value because of a mistake in the program, and logs the flag once.
    pub(super) fn note_no_value(&self, key: &str, outcome: &Outcome<'_>, wanted: ValueType) {
        if let Outcome::FlagNotFound(_) | Outcome::Variant(_) | Outcome::Remote(_) | Outcome::Override(_) =
            outcome
        {
            let runtime = self.runtime.load();
            runtime.noted.no_value(key, outcome, wanted, &runtime.items);
        }
    }

    fn remote(&self, timeout: Option<Duration>) -> RemoteCall {
        let runtime = self.runtime.load_full();
        let transport = (!runtime.is_closed()).then(|| runtime.remote(&self.shared));
        let timeout = timeout.unwrap_or(self.shared.config.request_timeout);
        RemoteCall::new(transport, &self.shared, timeout, &runtime.remote_in_flight)
    }
}

impl Current {
    pub(super) fn over(&self, key: &str) -> Option<&FlagValue> {
        // Most programs have no overrides, and hashing the key costs more than this check.
        if self.overrides.is_empty() { None } else { self.overrides.get(key) }
    }

    /// The entry of flag `key`, or the outcome if there is none. Overrides come first, and are not considered here.
    pub(super) fn entry(&self, key: &str) -> Result<&Entry, Outcome<'_>> {
        match &self.flags {
            None => Err(Outcome::Unavailable(&self.unavailable)),
            Some(set) => set.get(key).ok_or(Outcome::FlagNotFound(set)),
        }
    }

    fn outcome(&self, key: &str, context: &impl ReadContext, trace: &mut impl Trace) -> Outcome<'_> {
        if let Some(value) = self.over(key) {
            return Outcome::Override(value);
        }
        self.entry(key).map_or_else(|outcome| outcome, |entry| decide(entry, context, trace))
    }

    fn invalid_context(&self, key: &str, error: &Error) -> Outcome<'_> {
        self.over(key).map_or_else(|| Outcome::InvalidContext(error.to_string()), Outcome::Override)
    }
}

/// The value of a flag, read as a type. One type for all, because the code of an evaluation exists once for each
/// type that it results in.
enum ReadValue {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    String(String),
}

impl ReadValue {
    #[inline(always)]
    fn new(value: &FlagValue, wanted: ValueType) -> Option<Self> {
        match wanted {
            ValueType::Boolean => value.boolean().map(ReadValue::Boolean),
            ValueType::Integer => value.integer().map(ReadValue::Integer),
            ValueType::Double => value.double().map(ReadValue::Double),
            _ => value.string().map(|text| ReadValue::String(text.to_owned())),
        }
    }
}

/// Turns an outcome into an evaluation.
pub(super) fn evaluated(
    key: &str,
    options: EvaluateOptions,
) -> impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> Evaluation {
    move |outcome, to| Evaluation::new(key, outcome, options.wanted, to)
}

/// Who is shown the variant. The subject is looked up unless it is the user.
pub(super) fn shown_to<'c>(outcome: &Outcome<'_>, context: &'c impl ReadContext) -> ShownTo<'c> {
    let user = context.user();
    let (subject, context_id) = match outcome {
        Outcome::Variant(Assignment { flag, .. }) if *flag.context == *DISTINCT_ID => {
            (0, user.map(|user| &*user.text))
        }
        Outcome::Variant(Assignment { flag, .. }) => {
            let subject = context.subject(&flag.context);
            (subject.map_or(0, |subject| subject.hash().state()), subject.map(Subject::text))
        }
        _ => (0, None),
    };
    ShownTo { user, subject, context_id }
}
