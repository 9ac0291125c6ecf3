//! The provider for OpenFeature's Rust SDK.

mod context;
mod pool;
mod resolution;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue};

use crate::client::evaluate_options::EvaluateOptions;
use crate::client::{Client, DROP};
use crate::config::Config;
use crate::engine::evaluation::Evaluation;
use crate::engine::identity::push_json_string;
use crate::engine::outcome::ErrorCode;
use crate::engine::rules::value::RawPairs;
use crate::engine::variant::ValueType;
use crate::error::Error;
use crate::items::State;
use crate::sys::clock::deadline;
use crate::sys::worker::panic_text;
use pool::{Answer, Pool};

/// Evaluates Mixpanel's flags for [`open_feature`], local or remote. Needs the cargo feature `openfeature`.
///
/// ```
/// use std::time::Duration;
///
/// use mpflags::MixpanelProvider;
/// use open_feature::{EvaluationContext, EvaluationContextFieldValue, OpenFeature, StructValue};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // With a token alone, the definitions come from Mixpanel. Here they stand in the options.
/// let provider = MixpanelProvider::local(
///     "YOUR_PROJECT_TOKEN",
///     r#"{
///         "enable_polling": false,
///         "definitions": {"flags": [{
///             "key": "new-checkout", "context": "distinct_id",
///             "ruleset": {
///                 "variants": [{"key": "on", "value": true, "split": 1.0}],
///                 "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]
///             }
///         }]}
///     }"#,
/// )?;
/// let mixpanel = provider.client().clone();
/// OpenFeature::singleton_mut().await.set_provider(provider).await;
/// // Registering a provider does not wait for its first definitions. This does, on a thread that may.
/// tokio::task::spawn_blocking(move || mixpanel.wait_ready(Duration::from_secs(10))).await??;
///
/// let flags = OpenFeature::singleton().await.create_client();
/// let user = EvaluationContext::default()
///     .with_custom_field("distinct_id", "user-1")
///     .with_custom_field(
///         "custom_properties",
///         EvaluationContextFieldValue::new_struct(StructValue::default().with_field("plan", "pro")),
///     );
/// let on = flags.get_bool_value("new-checkout", Some(&user), None).await.unwrap_or(false);
/// assert!(on);
/// # Ok(())
/// # }
/// ```
///
/// # Defaults and errors
///
/// This SDK passes no default to a provider: the program gives it, with `unwrap_or`, where the result is an error. So
/// whatever has no value is an error here, two outcomes among them that are none in other languages:
///
/// | outcome | `code` |
/// | --- | --- |
/// | the flag is not for this user | `General("DEFAULT")` |
/// | the flag is disabled or archived | `General("DISABLED")` |
/// | no definitions have arrived yet | `ProviderNotReady` |
/// | Mixpanel refused the credentials, and nothing is held | `General("PROVIDER_FATAL")` |
/// | no such flag; the definition is malformed | `FlagNotFound`; `ParseError` |
/// | the value has another type | `TypeMismatch` |
/// | the context lacks the key that the flag is bucketed by | `TargetingKeyMissing` |
/// | an attribute cannot be JSON | `InvalidContext` |
/// | a remote evaluation brought no answer, anything else | `General("GENERAL")` |
///
/// `message` is always there. `General` holds OpenFeature's word for what the SDK's list lacks.
///
/// A struct is an object: an array at the top, and null anywhere, are `TypeMismatch`, since the SDK has no value for
/// them. [`Client::evaluate`] gives them as JSON.
///
/// # Context
///
/// Attributes go through as they are; the targeting key is the attribute `targetingKey`, and nothing more, unless the
/// option `targeting_key_as` says so. A date-time becomes a string, as in RFC 3339, a whole float an integer. A struct,
/// `custom_properties` for one, is of one of these types: [`StructValue`], [`Value`](open_feature::Value),
/// [`EvaluationContextFieldValue`](open_feature::EvaluationContextFieldValue), a `Vec<_>` or `HashMap<String, _>` of the
/// latter two, `serde_json::Value`, `serde_json::Map<String, serde_json::Value>`, or `Box<serde_json::value::RawValue>`,
/// whose text goes through to the letter. Any other type, a float that is NaN or infinite, and a date-time that RFC 3339
/// cannot say are `InvalidContext`, and the message names the attribute. Rules ignore case: of two keys that differ in
/// nothing else, the one that sorts last counts, because the SDK's maps have no order.
///
/// # Lifecycle
///
/// The constructors open nothing. Registered, the provider starts its client and returns at once, because the SDK holds
/// its lock meanwhile and every evaluation waits for that. Until the first definitions arrive, evaluations are
/// `ProviderNotReady`; the provider heals by itself. [`Client::next_item`] tells log lines, states and changes: the SDK has no
/// events. It has no tracking either: [`Client::track`].
///
/// Dropping the provider delivers its exposures and ends its threads, within a second. The provider logs nothing: a clone
/// of its client gives the log lines with [`Client::next_item`], after the end too, a report of lost exposures among them. The SDK drops a
/// provider when another takes its place, and in `OpenFeature::shutdown`, with its lock held. To keep evaluations from
/// waiting for that, call [`Client::shutdown`] on a thread that may wait, before: then dropping has nothing left to do.
/// At the end of the process nothing is dropped, since the SDK is a static: call one of the two.
///
/// # Remote evaluation
///
/// A remote provider asks Mixpanel on threads of its own, called `mpflags-ask`: the executor is not blocked, whichever it
/// is. There are as many as evaluations under way, at most 128; 1,024 more evaluations wait for one, and beyond that they
/// fail. Waiting counts towards `request_timeout_ms`. Threads without work end after 10 seconds. A future that is dropped
/// takes its evaluation back if it waits; one under way goes on to its end. A local provider has no such threads: it
/// answers when it is polled first, in microseconds.
///
/// # Tests without a network
///
/// As above: give the `definitions`, and switch `enable_polling` and `report_exposures` off. Or give `overrides`, which
/// need no definitions.
pub struct MixpanelProvider {
    client: Arc<Client>,
    /// Whether the provider made the client itself, and ends it.
    owned: bool,
    /// Replaced in the child of a fork.
    pool: ArcSwap<Pool>,
    metadata: ProviderMetadata,
    /// Why the client could not be started.
    failed: Option<String>,
}

/// What threads that were told to end are given in any case.
const MOMENT: Duration = Duration::from_millis(50);

impl MixpanelProvider {
    /// Makes a provider that evaluates in process. `options` is a JSON object of [options](crate::OPTIONS) besides `token`
    /// and `mode`, or empty. Opens no connection and starts no thread: registering it does.
    ///
    /// Fails as [`Config::from_json`] and [`Client::new`] do.
    pub fn local(token: &str, options: &str) -> Result<Self, Error> {
        Self::new(config(token, "local", options)?)
    }

    /// Makes a provider that asks Mixpanel, with one request per evaluation. `options` as in [`local`](Self::local). It is
    /// ready at once.
    ///
    /// Fails as [`Config::from_json`] and [`Client::new`] do.
    pub fn remote(token: &str, options: &str) -> Result<Self, Error> {
        Self::new(config(token, "remote", options)?)
    }

    /// Makes a provider of a client that the program has made, local or remote. Registering the provider starts it. With
    /// an [`Arc`] the program goes on to own it, and dropping the provider leaves it running; a client handed over whole
    /// ends with the provider.
    pub fn from_client(client: impl Into<Arc<Client>>) -> Self {
        MixpanelProvider {
            client: client.into(),
            owned: false,
            pool: ArcSwap::from_pointee(Pool::new()),
            metadata: ProviderMetadata::new("mixpanel-provider"),
            failed: None,
        }
    }

    fn new(config: Config) -> Result<Self, Error> {
        let mut provider = Self::from_client(Client::new(config)?);
        provider.owned = true;
        Ok(provider)
    }

    /// The client behind the provider: to wait for it, to evaluate without OpenFeature, to track events. Clone it before
    /// the SDK takes the provider. It does not keep the provider's client from being shut down with the provider.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    async fn evaluate(
        &self,
        key: &str,
        context: &EvaluationContext,
        ask: EvaluateOptions,
    ) -> EvaluationResult<Evaluation> {
        let (json, unfit) = context::json(context);
        // Given no time at all, a client tells what it can tell without waiting: a local one everything, a remote one
        // overrides and what is wrong with the question. The rest fails, and only that is worth a thread.
        let at_once = EvaluateOptions { timeout: Some(Duration::ZERO), ..ask };
        let mut answer = guarded(&self.client, || self.client.evaluate_json(key, &json, at_once));
        if let Ok(evaluation) = &answer
            && evaluation.error_code() == Some(ErrorCode::General)
        {
            answer = self.ask(key, json, ask).await;
        }
        let evaluation = answer.map_err(resolution::general)?;
        if evaluation.error_code() == Some(ErrorCode::InvalidContext)
            && let Some(unfit) = context::spoiling(&unfit, evaluation.message().unwrap_or_default())
        {
            return Err(resolution::invalid_context(unfit.to_string()));
        }
        match (evaluation.error_code(), &self.failed) {
            (Some(ErrorCode::ProviderNotReady), Some(why)) => Err(EvaluationError {
                code: EvaluationErrorCode::ProviderNotReady,
                message: Some(why.clone()),
            }),
            _ => Ok(evaluation),
        }
    }

    /// Asks Mixpanel, on another thread.
    fn ask(
        &self,
        key: &str,
        json: String,
        ask: EvaluateOptions,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (client, key, asked) = (self.client.clone(), key.to_owned(), Instant::now());
        self.pool().run(move || {
            // With no time left the client says that it timed out.
            let timeout = Some(client.request_timeout().saturating_sub(asked.elapsed()));
            let ask = EvaluateOptions { timeout, ..ask };
            guarded(&client, || client.evaluate_json(&key, &json, ask))
        })
    }

    fn pool(&self) -> Arc<Pool> {
        let pool = self.pool.load_full();
        if !pool.is_inherited() {
            return pool;
        }
        // Another thread may have been first.
        self.pool.compare_and_swap(&pool, Arc::new(Pool::new()));
        // Its threads cannot be let go of where they do not exist.
        std::mem::forget(pool);
        self.pool.load_full()
    }
}

/// The configuration of a client of this mode. What is wrong in it, a key given twice among it, the core finds.
fn config(token: &str, mode: &str, options: &str) -> Result<Config, Error> {
    let options = if options.trim().is_empty() { "{}" } else { options };
    let Ok(RawPairs(options)) = serde_json::from_str(options) else { return Config::from_json(options) };
    let mut text = "{\"token\":".to_owned();
    push_json_string(&mut text, token);
    text.push_str(",\"mode\":");
    push_json_string(&mut text, mode);
    for (key, value) in options {
        text.push(',');
        push_json_string(&mut text, &key);
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    Config::from_json(&text)
}

/// A bug of ours is no reason for the caller's task to end.
fn guarded(client: &Client, ask: impl FnOnce() -> Evaluation) -> Answer {
    // Unwind safe: an evaluation changes nothing that is left half done, as at the C boundary.
    catch_unwind(AssertUnwindSafe(ask)).map_err(|panic| {
        let text = panic_text(&*panic);
        client.log_panic(&text);
        format!("a panic was caught: {text}")
    })
}

#[open_feature::async_trait]
impl FeatureProvider for MixpanelProvider {
    async fn initialize(&mut self, _: &EvaluationContext) {
        self.failed = self.client.start().err().map(|error| error.to_string());
    }

    fn status(&self) -> ProviderStatus {
        match self.client.state() {
            _ if self.failed.is_some() => ProviderStatus::Error,
            State::NotReady => ProviderStatus::NotReady,
            State::Ready => ProviderStatus::Ready,
            State::Stale => ProviderStatus::STALE,
            State::Error => ProviderStatus::Error,
        }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        let evaluation = self
            .evaluate(flag_key, evaluation_context, EvaluateOptions::new().value_type(ValueType::Boolean))
            .await?;
        resolution::details(&evaluation, Evaluation::boolean)
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        let evaluation = self
            .evaluate(flag_key, evaluation_context, EvaluateOptions::new().value_type(ValueType::Integer))
            .await?;
        resolution::details(&evaluation, Evaluation::integer)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        let evaluation = self
            .evaluate(flag_key, evaluation_context, EvaluateOptions::new().value_type(ValueType::Double))
            .await?;
        resolution::details(&evaluation, Evaluation::double)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        let evaluation = self
            .evaluate(flag_key, evaluation_context, EvaluateOptions::new().value_type(ValueType::String))
            .await?;
        resolution::details(&evaluation, |evaluation| evaluation.string().map(str::to_owned))
    }

    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        // The SDK has no value for an array and for null, which the core takes for objects: what it cannot show is not
        // reported.
        let ask = EvaluateOptions::new().value_type(ValueType::ObjectOrArray).without_exposure();
        let evaluation = self.evaluate(flag_key, evaluation_context, ask).await?;
        let details = resolution::object(&evaluation)?;
        self.client.report_shown(&evaluation);
        Ok(details)
    }
}

impl Drop for MixpanelProvider {
    /// Delivers the exposures and ends the threads of a client that the provider made, within a second.
    fn drop(&mut self) {
        let pool = self.pool.load_full();
        let inherited = pool.is_inherited();
        if !inherited {
            pool.close();
        }
        let mut until = Instant::now();
        if self.owned {
            // The SDK holds its lock meanwhile.
            let timeout = self.client.shutdown_timeout().min(DROP);
            until = deadline(timeout);
            // Interrupts the requests that the pool's threads wait for. A clone of the client hears how it went.
            let _ = self.client.shutdown(timeout);
        }
        if inherited {
            std::mem::forget(pool);
        } else {
            pool.join(until.max(Instant::now() + MOMENT));
        }
    }
}

impl fmt::Debug for MixpanelProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MixpanelProvider").field("client", &self.client).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::items::{Item, Level};

    /// Of a future that waits for nothing.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn provider() -> MixpanelProvider {
        MixpanelProvider::local("t", r#"{"api_host": "http://127.0.0.1:1"}"#).unwrap()
    }

    #[test]
    fn a_panic_is_told_and_goes_no_further() {
        let provider = provider();
        let answer = guarded(provider.client(), || panic!("planted"));
        assert_eq!(answer, Err("a panic was caught: planted".to_owned()));
        let item = provider.client().next_item(Duration::ZERO).unwrap().unwrap();
        let message = "a panic was caught: planted".to_owned();
        assert_eq!(item, Item::Log { level: Level::Error, message });
    }

    #[test]
    fn why_the_client_did_not_start_is_told() {
        let mut provider = provider();
        provider.failed = Some("cannot start a thread: none is left".to_owned());
        let context = EvaluationContext::default();
        let error = now(provider.resolve_bool_value("f", &context)).unwrap_err();
        assert_eq!(error.code, EvaluationErrorCode::ProviderNotReady);
        assert_eq!(error.message.as_deref(), Some("cannot start a thread: none is left"));
        assert_eq!(provider.status(), ProviderStatus::Error);
        // The next start counts.
        now(provider.initialize(&context));
        assert_eq!(provider.failed, None);
    }
}
