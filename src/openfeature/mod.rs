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
use crate::engine::reason::ErrorCode;
use crate::engine::variant::ValueType;
use crate::error::Error;
use crate::items::State;
use crate::sys::clock::deadline;
use crate::sys::worker::panic_text;
use pool::{JobResult, Pool};

/// Evaluates Mixpanel's feature flags for [`open_feature`]. Needs the cargo feature `openfeature`.
///
/// ```
/// use std::time::Duration;
///
/// use mpflags::{Config, MixpanelProvider};
/// use open_feature::{EvaluationContext, EvaluationContextFieldValue, OpenFeature, StructValue};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("YOUR_PROJECT_TOKEN")
///     // Without these two, the definitions are fetched from Mixpanel.
///     .enable_polling(false)
///     .definitions(&json!({"flags": [{
///         "key": "new-checkout", "context": "distinct_id",
///         "ruleset": {
///             "variants": [{"key": "on", "value": true, "split": 1.0}],
///             "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]
///         }
///     }]}))
///     .build()?;
/// let provider = MixpanelProvider::new(config)?;
/// let mixpanel = provider.client().clone();
/// OpenFeature::singleton_mut().await.set_provider(provider).await;
/// // set_provider does not wait for the first definitions. This does, on a thread that may block.
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
/// This SDK does not pass the default to providers, so an evaluation without a value is an `Err`: use `unwrap_or`. This
/// includes two outcomes that are not errors in other languages:
///
/// | outcome | `code` |
/// | --- | --- |
/// | no rollout admits the user | `General("DEFAULT")` |
/// | the flag is disabled or archived | `General("DISABLED")` |
/// | there are no definitions yet | `ProviderNotReady` |
/// | Mixpanel refused the credentials, and there are no definitions | `General("PROVIDER_FATAL")` |
/// | no such flag; the definition is malformed | `FlagNotFound`; `ParseError` |
/// | the value has another type | `TypeMismatch` |
/// | the context lacks the key that the flag is bucketed by | `TargetingKeyMissing` |
/// | an attribute cannot be expressed in JSON | `InvalidContext` |
/// | a remote evaluation failed, anything else | `General("GENERAL")` |
///
/// There is always a `message`. `General` contains OpenFeature's name for codes that the SDK does not have.
///
/// A struct is a JSON object: an array, or an object that contains null, results in `TypeMismatch`, because the SDK has no
/// value for them. [`Client::evaluate`] returns them as JSON.
///
/// # Context
///
/// Attributes are passed on unchanged. The targeting key becomes the attribute `targetingKey`, which has no further meaning
/// unless the option `targeting_key_as` gives it one. A date-time becomes an RFC 3339 string, a whole float an integer.
///
/// A struct, such as `custom_properties`, has one of these types: [`StructValue`], [`open_feature::Value`],
/// [`open_feature::EvaluationContextFieldValue`], a `Vec<_>` or `HashMap<String, _>` of the
/// latter two, `serde_json::Value`, `serde_json::Map<String, serde_json::Value>`, or `Box<serde_json::value::RawValue>`,
/// whose text is passed on verbatim. Any other type, a float that is NaN or infinite, and a date-time that RFC 3339 cannot
/// express result in `InvalidContext` for the flags that read the attribute; the message names it.
///
/// Rules ignore case. Of two keys that differ only in case, the one that sorts last counts, because the SDK's maps have no
/// order.
///
/// # Lifecycle
///
/// [`MixpanelProvider::new`] starts nothing. The SDK initializes a provider while holding the lock that every
/// evaluation needs, so registration only starts the client and returns at once. Until the first definitions arrive,
/// evaluations result in `ProviderNotReady`; the client keeps polling. The SDK has no events and no tracking: use
/// [`Client::next_item`] for log lines, state changes and changed flags, and [`Client::track`].
///
/// Dropping the provider delivers its exposures and ends its threads, within a second. The last items, such as a report
/// of lost exposures, can still be pulled with [`Client::next_item`] from a clone of the client. The SDK drops a
/// provider when it is replaced and in `OpenFeature::shutdown`, again while holding that lock. To keep evaluations from
/// waiting, first call [`Client::shutdown`] on a thread that may block, which leaves nothing for the drop to do. The
/// SDK is a static and drops nothing when the process ends, so call either [`Client::shutdown`] or
/// `OpenFeature::shutdown` before.
///
/// # Remote evaluation
///
/// With [`Mode::Remote`](crate::Mode::Remote), requests run on the provider's own threads, named `mpflags-ask`, and do
/// not block the executor, whichever it is. There are at most 128 such threads. Up to 1,024 more evaluations wait for a
/// free one; any beyond that fail. The wait counts towards `request_timeout_ms`. Threads without work end after 10
/// seconds. Dropping the future cancels an evaluation that waits for a thread; a request in progress is completed.
/// Local providers have no such threads: their futures are ready when they are first polled, within microseconds.
///
/// # Tests without a network
///
/// Set `definitions` as above, and turn `enable_polling` and `report_exposures` off. Or set `overrides`, which need no
/// definitions.
pub struct MixpanelProvider {
    client: Arc<Client>,
    /// Whether the provider made the client, and shuts it down.
    owned: bool,
    /// Replaced in the child of a fork.
    pool: ArcSwap<Pool>,
    metadata: ProviderMetadata,
    /// Why the client could not be started.
    failed: Option<String>,
}

/// The least time for threads to end after they were interrupted.
const JOIN_SLACK: Duration = Duration::from_millis(50);

impl MixpanelProvider {
    /// Makes a provider with its own client. Opens no connection and starts no thread: registering the provider does.
    ///
    /// Fails as [`Client::new`] does.
    pub fn new(config: Config) -> Result<Self, Error> {
        let mut provider = Self::from_client(Client::new(config)?);
        provider.owned = true;
        Ok(provider)
    }

    /// Makes a provider for an existing client. Registering the provider starts the client. Dropping the provider does not
    /// shut the client down; dropping the last `Arc` of it does.
    pub fn from_client(client: impl Into<Arc<Client>>) -> Self {
        MixpanelProvider {
            client: client.into(),
            owned: false,
            pool: ArcSwap::from_pointee(Pool::new()),
            metadata: ProviderMetadata::new("mixpanel-provider"),
            failed: None,
        }
    }

    /// The provider's client: to wait until it is ready, to evaluate without OpenFeature, to track events. Clone it before
    /// the provider is registered. Even if you hold a clone, dropping the provider shuts the client down.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    async fn evaluate(
        &self,
        key: &str,
        context: &EvaluationContext,
        options: EvaluateOptions,
    ) -> EvaluationResult<Evaluation> {
        let (json, unfit) = context::json(context);
        // Without time for a request, a client evaluates what needs none: a local client everything, a remote client
        // overrides and invalid contexts. Only the rest fails with GENERAL, and is worth a thread.
        let at_once = EvaluateOptions { timeout: Some(Duration::ZERO), ..options };
        let mut result = guarded(&self.client, || self.client.evaluate_json(key, &json, at_once));
        if result.as_ref().is_ok_and(|evaluation| evaluation.error_code() == Some(ErrorCode::General)) {
            result = self.evaluate_on_thread(key, json, options).await;
        }
        let evaluation = result.map_err(resolution::general)?;
        if evaluation.error_code() == Some(ErrorCode::InvalidContext) {
            if let Some(unfit) = context::spoiling(&unfit, evaluation.message().unwrap_or_default()) {
                return Err(resolution::invalid_context(unfit.to_string()));
            }
        }
        match (evaluation.error_code(), &self.failed) {
            (Some(ErrorCode::ProviderNotReady), Some(why)) => Err(EvaluationError {
                code: EvaluationErrorCode::ProviderNotReady,
                message: Some(why.clone()),
            }),
            _ => Ok(evaluation),
        }
    }

    fn evaluate_on_thread(
        &self,
        key: &str,
        json: String,
        options: EvaluateOptions,
    ) -> impl Future<Output = JobResult> + Send + use<> {
        let (client, key, begun) = (self.client.clone(), key.to_owned(), Instant::now());
        self.pool().run(move || {
            // If the wait for the thread took too long, the client reports a timeout.
            let timeout = Some(client.request_timeout().saturating_sub(begun.elapsed()));
            let options = EvaluateOptions { timeout, ..options };
            guarded(&client, || client.evaluate_json(&key, &json, options))
        })
    }

    fn pool(&self) -> Arc<Pool> {
        let pool = self.pool.load_full();
        if !pool.is_inherited() {
            return pool;
        }
        // Another thread may replace it first.
        self.pool.compare_and_swap(&pool, Arc::new(Pool::new()));
        // Forgotten, not dropped: its threads do not exist in this process.
        std::mem::forget(pool);
        self.pool.load_full()
    }
}

/// Turns a panic into an error, because a bug in this library must not end the caller's task.
fn guarded(client: &Client, evaluate: impl FnOnce() -> Evaluation) -> JobResult {
    // Unwind safe: an evaluation leaves nothing half changed, as at the C boundary.
    catch_unwind(AssertUnwindSafe(evaluate)).map_err(|panic| {
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
        let options = EvaluateOptions::new().value_type(ValueType::Boolean);
        let evaluation = self.evaluate(flag_key, evaluation_context, options).await?;
        resolution::details(&evaluation, Evaluation::boolean)
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        let options = EvaluateOptions::new().value_type(ValueType::Integer);
        let evaluation = self.evaluate(flag_key, evaluation_context, options).await?;
        resolution::details(&evaluation, Evaluation::integer)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        let options = EvaluateOptions::new().value_type(ValueType::Double);
        let evaluation = self.evaluate(flag_key, evaluation_context, options).await?;
        resolution::details(&evaluation, Evaluation::double)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        let options = EvaluateOptions::new().value_type(ValueType::String);
        let evaluation = self.evaluate(flag_key, evaluation_context, options).await?;
        resolution::details(&evaluation, |evaluation| evaluation.string().map(str::to_owned))
    }

    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        // The exposure is reported only if the SDK can express the value, which it cannot for arrays and null.
        let options = EvaluateOptions::new().value_type(ValueType::ObjectOrArray).without_exposure();
        let evaluation = self.evaluate(flag_key, evaluation_context, options).await?;
        let details = resolution::object(&evaluation)?;
        self.client.report_shown(&evaluation);
        Ok(details)
    }
}

impl Drop for MixpanelProvider {
    /// Shuts the client down within a second, if the provider made it.
    fn drop(&mut self) {
        let pool = self.pool.load_full();
        let inherited = pool.is_inherited();
        if !inherited {
            pool.close();
        }
        let mut until = Instant::now();
        if self.owned {
            // Short, because the SDK holds its lock meanwhile.
            let timeout = self.client.shutdown_timeout().min(DROP);
            until = deadline(timeout);
            // Aborts the requests of the pool's threads. The result can be pulled as items from a clone of the client.
            let _ = self.client.shutdown(timeout);
        }
        if inherited {
            std::mem::forget(pool);
        } else {
            pool.join(until.max(Instant::now() + JOIN_SLACK));
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

    /// The value of a future that is ready.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn provider() -> MixpanelProvider {
        MixpanelProvider::new(Config::builder("t").api_host("http://127.0.0.1:1").build().unwrap()).unwrap()
    }

    #[test]
    fn a_panic_is_logged_and_caught() {
        let provider = provider();
        let result = guarded(provider.client(), || panic!("planted"));
        assert_eq!(result, Err("a panic was caught: planted".to_owned()));
        let item = provider.client().next_item(Duration::ZERO).unwrap().unwrap();
        let message = "a panic was caught: planted".to_owned();
        assert_eq!(item, Item::Log { level: Level::Error, message });
    }

    #[test]
    fn an_error_says_why_the_client_did_not_start() {
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
