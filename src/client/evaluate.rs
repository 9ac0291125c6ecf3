//! Evaluating: one load of the snapshot, pure code, and an exposure put aside for the sender.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::client::evaluate_options::EvaluateOptions;
use crate::client::remote::{Remote, Reply};
use crate::client::snapshot::{Current, Overrides};
use crate::config::Config;
use crate::engine::answer::Answer;
use crate::engine::context::{Context, Needs, OneShotContext, ReadContext, Unusable};
use crate::engine::decide::{Trace, decide, decide_entry};
use crate::engine::definitions::Entry;
use crate::engine::evaluation::Evaluation;
use crate::engine::evaluations::Evaluations;
use crate::engine::explain::Explanation;
use crate::engine::exposure::ShownTo;
use crate::engine::identity::DISTINCT_ID;
use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::reason::ErrorCode;
use crate::engine::variant::{FlagValue, ValueType};
use crate::error::{Error, ErrorKind};
use crate::sys::clock::Clock;
use crate::transport::Transport;

use super::Client;

/// What [`Client::evaluate_packed`] gives: a number for what a binding may know already, otherwise everything.
#[doc(hidden)]
#[derive(Debug)]
pub enum Packed {
    /// [`Client::recall`] tells what it stands for.
    Answer(Answer),
    /// Something that is told once.
    Evaluation(Box<Evaluation>),
}

impl Client {
    /// The boolean that flag `key` gives, or `default` in every other case: not ready, no such flag, no match, a value of
    /// another type. Never fails; waits for nothing, unless the client is remote. [`Client::evaluate`] tells why.
    pub fn boolean(&self, key: &str, context: &Context, default: bool) -> bool {
        self.read(key, context, ValueType::Boolean, FlagValue::boolean).unwrap_or(default)
    }

    /// The integer that flag `key` gives, or `default` in every other case. A whole number such as `3.0` is an integer;
    /// one outside `i64` gives `default`.
    pub fn integer(&self, key: &str, context: &Context, default: i64) -> i64 {
        self.read(key, context, ValueType::Integer, FlagValue::integer).unwrap_or(default)
    }

    /// The number that flag `key` gives, or `default` in every other case. An integer beyond 2^53 is rounded.
    pub fn double(&self, key: &str, context: &Context, default: f64) -> f64 {
        self.read(key, context, ValueType::Double, FlagValue::double).unwrap_or(default)
    }

    /// The string that flag `key` gives, or `default` in every other case. Allocates the string.
    pub fn string(&self, key: &str, context: &Context, default: &str) -> String {
        let read = |value: &FlagValue| value.string().map(str::to_owned);
        self.read(key, context, ValueType::String, read).unwrap_or_else(|| default.to_owned())
    }

    /// Evaluates flag `key` and tells everything about it: value, variant, reason, what is wrong. The exposure, where
    /// there is one, is reported, unless `ask` or `report_exposures` says otherwise.
    ///
    /// Waits for nothing, unless the client is remote: then for the time that `ask` allows. Takes no lock but for a
    /// first exposure; allocates the evaluation's strings once.
    pub fn evaluate(&self, key: &str, context: &Context, ask: EvaluateOptions) -> Evaluation {
        self.with_context(key, context, ask, |outcome, to| Evaluation::new(key, outcome, ask.wanted, to))
    }

    /// Does [`Client::evaluate`] for a context that is used once: `context` is read whole, and only what the flag asks
    /// of it is kept. For a context used twice [`Context::from_json`] is cheaper. A context that cannot be read gives
    /// INVALID_CONTEXT, unless an override answers first; then it is not read.
    pub fn evaluate_json(&self, key: &str, context: &str, ask: EvaluateOptions) -> Evaluation {
        self.with_json(key, context, ask, |outcome, to| Evaluation::new(key, outcome, ask.wanted, to))
    }

    /// Does [`Client::evaluate_json`] and makes an evaluation only of what has no [`Answer`], and of the first call in the
    /// child of a fork: a binding that keeps what answers stand for does nothing else there, so this is how it notices.
    #[doc(hidden)]
    pub fn evaluate_packed(&self, key: &str, context: &str, ask: EvaluateOptions) -> Packed {
        let forked = self.after_fork();
        self.with_json(key, context, ask, |outcome, to| {
            match Answer::of(outcome).filter(|_| !forked && outcome.verdict(ask.wanted).1.is_none()) {
                Some(answer) => Packed::Answer(answer),
                None => Packed::Evaluation(Box::new(Evaluation::new(key, outcome, ask.wanted, to))),
            }
        })
    }

    /// What `answer`, given for flag `key`, stands for; nothing when another definition has taken the flag's place since.
    /// The evaluation tells no user, so no exposure can be reported by it.
    #[doc(hidden)]
    pub fn recall(&self, key: &str, answer: Answer) -> Option<Evaluation> {
        let made = |outcome: &Outcome<'_>| Evaluation::new(key, outcome, ValueType::Any, ShownTo::default());
        match answer {
            Answer::NO_MATCH => return Some(made(&Outcome::NoRolloutMatch)),
            Answer::DISABLED => return Some(made(&Outcome::Disabled)),
            _ => {}
        }
        let current = self.parts.snapshot.load();
        let Some(Entry::Flag { flag, serial }) = current.flags.as_ref()?.get(key) else { return None };
        let index = answer.variant();
        let variant = flag.variants.get(index).filter(|_| *serial == answer.serial())?;
        let serial = *serial;
        let (reason, is_qa_tester) = (answer.reason()?, answer.is_qa_tester());
        Some(made(&Outcome::Variant(Assignment { flag, serial, variant, index, reason, is_qa_tester })))
    }

    /// Evaluates every flag: of a local client all that it holds, those kept out as malformed included; of a remote
    /// one those that the user is in, with one request. Overrides too. Reports no exposure:
    /// [`Client::track_exposure`] does, for what is shown.
    ///
    /// Without definitions, and when a remote client gets no answer, [`Evaluations::failure`] says why, and only the
    /// overrides are there.
    pub fn evaluate_all(&self, context: &Context, ask: EvaluateOptions) -> Evaluations {
        self.after_fork();
        let current = self.parts.snapshot.load();
        let mut all = match &self.parts.config.view {
            None => self.evaluate_all_seen(&current, context, ask),
            Some(view) => match context.through(view) {
                Ok(context) => self.evaluate_all_seen(&current, &context, ask),
                Err(error) => {
                    let mut none = Evaluations::new(ask.wanted);
                    none.fail(&Outcome::InvalidContext(error.to_string()));
                    none
                }
            },
        };
        for (key, value) in current.overrides.iter() {
            all.replace(key, value);
        }
        all
    }

    fn evaluate_all_seen(&self, current: &Current, context: &Context, ask: EvaluateOptions) -> Evaluations {
        self.note(context.unusable());
        let mut all = Evaluations::new(ask.wanted);
        if self.parts.config.remote {
            let replies = match context.unusable().first() {
                Some(unusable) => Err(Reply::InvalidContext(unusable.message())),
                None => self.remote(ask.timeout).all(context),
            };
            match replies {
                Ok(replies) => replies.iter().for_each(|(key, reply)| {
                    let outcome = reply.outcome();
                    all.add(key, &outcome, shown_to(&outcome, context));
                }),
                Err(reply) => all.fail(&reply.outcome()),
            }
        } else {
            match &current.flags {
                Some(set) => {
                    all.reserve(set.iter().len());
                    set.iter().for_each(|(key, entry)| {
                        let outcome = decide_entry(entry, context, &mut ());
                        all.add(key, &outcome, shown_to(&outcome, context));
                    });
                }
                None => all.fail(&Outcome::Unavailable(&current.unavailable)),
            }
        }
        all
    }

    /// Tells, as a JSON object, how flag `key` comes to what it gives: the step that decided, the subject, each rollout's
    /// bucket against its percentage, its rule with the value of every part, the split's table, the outcome. The way is the
    /// evaluation's own, listened to. Reports no exposure.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] for a remote client without an override of the flag: Mixpanel decides
    /// there, and does not say why. Costs far more than an evaluation: for people and tools.
    pub fn explain(&self, key: &str, context: &Context) -> Result<String, Error> {
        self.after_fork();
        let seen = self.parts.config.view.as_ref().map(|view| context.through(view)).transpose();
        let current = self.parts.snapshot.load();
        if self.parts.config.remote && current.over(key).is_none() {
            let why = "explain: Mixpanel decides for a remote client, and does not say why";
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        let told = |steps: Explanation<'_>, outcome: &Outcome<'_>| {
            steps.json(outcome, &Evaluation::new(key, outcome, ValueType::Any, ShownTo::default()))
        };
        Ok(match &seen {
            Ok(seen) => {
                let context = seen.as_deref().unwrap_or(context);
                let mut steps = Explanation::new(context);
                let outcome = outcome(&current, key, context, &mut steps);
                told(steps, &outcome)
            }
            Err(error) => {
                let steps = Explanation::new(context);
                match current.over(key) {
                    Some(value) => told(steps, &Outcome::Override(value)),
                    None => told(steps, &Outcome::InvalidContext(error.to_string())),
                }
            }
        })
    }

    /// Reports that the variant of `evaluation` was shown, unless the same exposure was reported within the window. For
    /// evaluations that reported nothing themselves.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when the evaluation has no variant, is an override or a TYPE_MISMATCH, or
    /// its context had no distinct_id, with [`ErrorKind::QueueFull`] when the queue is, and with [`ErrorKind::Closed`] after shutdown.
    pub fn track_exposure(&self, evaluation: &Evaluation) -> Result<(), Error> {
        let nothing = |why: &str| {
            let message = format!("flag `{}`: {why}, so there is no exposure", evaluation.key());
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let (exposure, user) = evaluation.exposure().ok_or_else(|| {
            nothing(match evaluation.error_code() {
                Some(ErrorCode::TypeMismatch) => {
                    "the variant's value has another type than the one asked for, and the default was shown"
                }
                _ => "the evaluation assigned no variant",
            })
        })?;
        let user = user.ok_or_else(|| nothing("the context had no distinct_id"))?;
        self.reporting(|events| events.expose_kept(&exposure, &user))
    }

    /// Reports an evaluation made without exposure as it would have been by itself: for a provider that finds out only
    /// afterwards whether its SDK takes the value.
    #[cfg(feature = "openfeature")]
    pub(crate) fn report_shown(&self, evaluation: &Evaluation) {
        if !self.parts.config.report_exposures {
            return;
        }
        if let Some((exposure, user)) = evaluation.exposure() {
            self.runtime.load().events.expose_shown(&exposure, user.as_ref());
        }
    }

    fn read<R>(
        &self,
        key: &str,
        context: &Context,
        wanted: ValueType,
        read: impl FnOnce(&FlagValue) -> Option<R>,
    ) -> Option<R> {
        let ask = EvaluateOptions::new().value_type(wanted);
        self.with_context(key, context, ask, |outcome, _| read(outcome.value(wanted)?))
    }

    /// The one way to an outcome with a context at hand: one load of the snapshot, then pure code; or Mixpanel is asked.
    fn with_context<R>(
        &self,
        key: &str,
        context: &Context,
        ask: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        self.after_fork();
        let Some(view) = &self.parts.config.view else {
            return self.with_seen(key, context, ask, read);
        };
        match context.through(view) {
            Ok(context) => self.with_seen(key, &context, ask, read),
            Err(error) => match self.parts.snapshot.load().over(key) {
                Some(value) => read(&Outcome::Override(value), ShownTo::default()),
                None => read(&Outcome::InvalidContext(error.to_string()), ShownTo::default()),
            },
        }
    }

    fn with_seen<R>(
        &self,
        key: &str,
        context: &Context,
        ask: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        self.note(context.unusable());
        let current = self.parts.snapshot.load();
        if self.parts.config.remote && current.over(key).is_none() {
            // A request takes its time; the snapshot is not held meanwhile.
            drop(current);
            let reply = match context.unusable().first() {
                Some(unusable) => Reply::InvalidContext(unusable.message()),
                None => self.remote(ask.timeout).one(key, context),
            };
            let outcome = reply.outcome();
            let to = shown_to(&outcome, context);
            self.report(key, &outcome, to, ask);
            return read(&outcome, to);
        }
        let outcome = outcome(&current, key, context, &mut ());
        let to = shown_to(&outcome, context);
        self.report(key, &outcome, to, ask);
        read(&outcome, to)
    }

    /// The same for a context that is used once, as text.
    fn with_json<R>(
        &self,
        key: &str,
        context: &str,
        ask: EvaluateOptions,
        read: impl FnOnce(&Outcome<'_>, ShownTo<'_>) -> R,
    ) -> R {
        self.after_fork();
        let current = self.parts.snapshot.load();
        if let Some(value) = current.over(key) {
            return read(&Outcome::Override(value), ShownTo::default());
        }
        if self.parts.config.remote {
            drop(current);
            return match Context::from_json(context) {
                Ok(context) => self.with_context(key, &context, ask, read),
                Err(error) => read(&Outcome::InvalidContext(error.to_string()), ShownTo::default()),
            };
        }
        let entry = current.flags.as_ref().and_then(|set| set.get(key));
        let asked = match entry {
            Some(Entry::Flag { flag, .. }) => Some(Needs { subject: &flag.context, properties: &flag.properties }),
            _ => None,
        };
        let seen = self.parts.config.view.as_ref().map(|view| view.of(context));
        let context = match OneShotContext::parse(seen.as_deref().unwrap_or(context), asked) {
            Ok(context) => context,
            Err(error) => return read(&Outcome::InvalidContext(error.to_string()), ShownTo::default()),
        };
        self.note(context.unusable());
        let outcome = match entry {
            Some(entry) => decide_entry(entry, &context, &mut ()),
            None if current.flags.is_some() => Outcome::FlagNotFound,
            None => Outcome::Unavailable(&current.unavailable),
        };
        let to = shown_to(&outcome, &context);
        self.report(key, &outcome, to, ask);
        read(&outcome, to)
    }

    /// What of a context cannot be used is logged once per attribute.
    fn note(&self, unusable: &[Unusable]) {
        if !unusable.is_empty() {
            let runtime = self.runtime.load();
            // A binding writes such a value in the place of one that has no JSON, and logs what it was: it knows the type.
            let stream = self.parts.config.wrapper.is_none().then_some(&*runtime.stream);
            runtime.attributes.note(unusable, stream);
        }
    }

    /// What has another type than the one asked for is not shown, and so not reported.
    fn report(&self, key: &str, outcome: &Outcome<'_>, to: ShownTo<'_>, ask: EvaluateOptions) {
        if !ask.report || !self.parts.config.report_exposures || outcome.value(ask.wanted).is_none() {
            return;
        }
        match outcome {
            Outcome::Variant(assignment) => self.runtime.load().events.expose(assignment, to),
            Outcome::Remote(variant) => self.runtime.load().events.expose_remote(key, variant, to),
            _ => {}
        }
    }

    fn remote(&self, timeout: Option<Duration>) -> Asking {
        let runtime = self.runtime.load_full();
        runtime.asking.fetch_add(1, Ordering::Relaxed);
        let open = !runtime.is_closed();
        Asking {
            transport: open.then(|| runtime.remote(&self.parts)),
            clock: self.parts.clock.clone(),
            config: self.parts.config.clone(),
            timeout: timeout.unwrap_or(self.parts.config.request_timeout),
            under_way: runtime.asking.clone(),
        }
    }
}

/// A remote evaluation under way.
struct Asking {
    /// None after shutdown.
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    timeout: Duration,
    under_way: Arc<AtomicUsize>,
}

impl Asking {
    fn one(&self, key: &str, context: &Context) -> Reply {
        self.with_remote(|remote| remote.evaluate(key, &context.compact_json())).unwrap_or_else(shut_down)
    }

    fn all(&self, context: &Context) -> Result<BTreeMap<String, Reply>, Reply> {
        self.with_remote(|remote| remote.evaluate_all(&context.compact_json()))
            .unwrap_or_else(|| Err(shut_down()))
    }

    fn with_remote<R>(&self, ask: impl FnOnce(&Remote<'_>) -> R) -> Option<R> {
        let transport = &**self.transport.as_ref()?;
        let secrets = self.config.credentials.secrets();
        Some(ask(&Remote { transport, clock: &*self.clock, timeout: self.timeout, secrets: &secrets }))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn shut_down() -> Reply {
    Reply::Failed("the client is shut down".to_owned())
}

fn outcome<'a>(current: &'a Current, key: &str, context: &impl ReadContext, trace: &mut impl Trace) -> Outcome<'a> {
    if let Some(value) = current.over(key) {
        return Outcome::Override(value);
    }
    match &current.flags {
        None => Outcome::Unavailable(&current.unavailable),
        Some(set) => decide(set, key, context, trace),
    }
}

/// Who is shown what came out. The subject is looked up where the user does not say it.
fn shown_to<'f>(outcome: &Outcome<'_>, context: &'f impl ReadContext) -> ShownTo<'f> {
    let subject = match outcome {
        Outcome::Variant(Assignment { flag, .. }) if *flag.context != *DISTINCT_ID => {
            context.subject(&flag.context).map_or(0, |subject| subject.hash().state())
        }
        _ => 0,
    };
    ShownTo { user: context.user(), subject }
}

impl Current {
    fn over(&self, key: &str) -> Option<&FlagValue> {
        let overrides: &Overrides = &self.overrides;
        // Most programs have none, and hashing the key costs more than asking.
        if overrides.is_empty() { None } else { overrides.get(key) }
    }
}
