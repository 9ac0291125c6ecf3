//! The OpenFeature provider: through its trait, through the SDK's client, and against a server that fails.

mod context;
mod lifecycle;
mod remote;
#[path = "../support/vectors.rs"]
mod support;
mod values;
#[path = "../support/provider.rs"]
mod vector;
mod vectors;

use std::future::Future;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use mpflags::{Config, Error, MixpanelProvider};
use mpflags_dev::{Options, Server};
use open_feature::provider::NoOpProvider;
use open_feature::{Client, EvaluationContext, OpenFeature};

const LONG: Duration = Duration::from_secs(30);

const DEFINITIONS: &str = r#"{"flags": [
    {"key": "gate", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "size", "context": "distinct_id", "experiment_id": "e-1", "is_experiment_active": true,
     "ruleset": {"variants": [{"key": "large", "value": 50}], "rollout": [{"rollout_percentage": 1}]}}
]}"#;

/// The threads of the process are counted by tests that run alone.
static THREADS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    THREADS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    THREADS.write().unwrap_or_else(PoisonError::into_inner)
}

/// One thread: what blocks it stops everything.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn server() -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(DEFINITIONS);
    server
}

/// A provider of this mode. `options`: a JSON object of other options.
fn new_provider(mode: &str, options: &str) -> Result<MixpanelProvider, Error> {
    let options = options.trim().strip_prefix('{').unwrap();
    let comma = if options == "}" { "" } else { "," };
    let config = format!(r#"{{"token": "t", "mode": "{mode}"{comma}{options}"#);
    Config::from_json(&config).and_then(MixpanelProvider::new)
}

fn local(server: &Server, more: &str) -> MixpanelProvider {
    new_provider("local", &format!(r#"{{"api_host": "{}" {more}}}"#, server.url())).unwrap()
}

fn remote(server: &Server, more: &str) -> MixpanelProvider {
    new_provider("remote", &format!(r#"{{"api_host": "{}" {more}}}"#, server.url())).unwrap()
}

/// A provider in the SDK, under a name that only the test uses, and the SDK's client for it.
async fn register(name: &str, provider: MixpanelProvider) -> Client {
    OpenFeature::singleton_mut().await.set_named_provider(name, provider).await;
    OpenFeature::singleton().await.create_named_client(name)
}

/// Another provider takes its place, and the SDK drops it.
async fn replace(name: &str) {
    OpenFeature::singleton_mut().await.set_named_provider(name, NoOpProvider::default()).await;
}

fn user(id: &str) -> EvaluationContext {
    EvaluationContext::default().with_custom_field("distinct_id", id)
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn send_and_sync() {
    fn both<T: Send + Sync + 'static>(_: T) {}
    both(new_provider("local", "{}").unwrap());
}
