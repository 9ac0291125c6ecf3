//! The program of `deadlines/run.py` for Rust: the client and the provider for OpenFeature. `deadlines URL`
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, StringArray};
use mpflags::{Client, Config, Context, EvaluateOptions, MixpanelProvider, TableOptions};
use open_feature::EvaluationContext;
use open_feature::provider::FeatureProvider;

const LIMIT: Duration = Duration::from_millis(600);
const REQUEST: Duration = Duration::from_millis(900);
/// The limit of dropping a client.
const DROP: Duration = Duration::from_secs(1);
/// For calls that another one ends.
const LONG: Duration = Duration::from_secs(30);
/// How often each local evaluation is measured.
const TIMES: usize = 100;
const DEFINITIONS: &str = r#"{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
    "variants": [{"key": "a", "value": true, "split": 1.0}], "rollout": [{"rollout_percentage": 1.0}]}}]}"#;

type Outcome = Result<(), Box<dyn Error>>;

/// How long a call may take.
#[derive(Clone, Copy)]
enum May {
    None,
    Evaluation,
    Wait(Duration),
}
use May::{Evaluation, None as Never, Wait};

fn print(may: May, name: &str, begun: Instant) {
    let took = begun.elapsed().as_micros();
    match may {
        Never => println!("none {took} {name}"),
        Evaluation => println!("evaluation {took} {name}"),
        Wait(limit) => println!("{} {took} {name}", limit.as_millis()),
    }
}

/// Makes a call, and prints how long it took.
fn measure<T>(may: May, name: &str, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = call();
    print(may, name, begun);
    result
}

async fn wait_for<T>(may: May, name: &str, future: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = future.await;
    print(may, name, begun);
    result
}

/// The configuration of a client of this server. `more` begins with a comma.
fn config(url: &str, request: Duration, more: &str) -> Result<Config, mpflags::Error> {
    Config::from_json(&format!(
        r#"{{"token": "t", "api_host": "{url}", "allow_insecure_http": true, "proxy": "", "init_timeout_ms": {},
            "request_timeout_ms": {} {more}}}"#,
        LIMIT.as_millis(),
        request.as_millis()
    ))
}

/// Started, with an event to deliver.
fn started(config: Config) -> Result<Client, mpflags::Error> {
    let client = measure(Never, "Client::new", || Client::new(config))?;
    measure(Never, "Client::start", || client.start())?;
    measure(Never, "Client::track", || client.track("E", "u", "{}"))?;
    Ok(client)
}

fn user(id: &str) -> Result<(String, Context), mpflags::Error> {
    let json = format!(r#"{{"distinct_id": "{id}"}}"#);
    let context = Context::from_json(&json)?;
    Ok((json, context))
}

/// The calls for which a local client waits. They fail, since nothing responds.
fn local(url: &str) -> Outcome {
    let short = r#", "shutdown_timeout_ms": 600"#;
    let client = started(config(url, REQUEST, short)?)?;
    let _ = measure(Wait(LIMIT), "Client::wait_ready", || client.wait_ready(LIMIT));
    let _ = measure(Wait(LIMIT), "Client::refresh", || client.refresh(LIMIT));
    measure(Wait(LIMIT), "Client::flush", || client.flush(LIMIT))?;
    while client.next_item(Duration::ZERO)?.is_some() {}
    measure(Wait(LIMIT / 2), "Client::next_item", || client.next_item(LIMIT / 2))?;
    let _ = measure(Wait(LIMIT), "Client::shutdown", || client.shutdown(LIMIT));
    measure(Never, "drop of a client", || drop(client));

    let client = started(config(url, REQUEST, short)?)?;
    measure(Wait(LIMIT), "drop of a client", || drop(client));
    let client = Client::new(config(url, LONG, "")?)?;
    measure(Never, "Client::on_item", || client.on_item(Box::new(|_| ())))?;
    client.start()?;
    client.track("E", "u", "{}")?;
    measure(Wait(DROP), "drop of a client", || drop(client));
    Ok(())
}

fn table(client: &Client) -> Outcome {
    let column: Arc<dyn arrow_array::Array> = Arc::new(StringArray::from(vec!["u"]));
    let users = RecordBatch::try_from_iter([("distinct_id", column)])?;
    measure(Evaluation, "Client::evaluate_table", || {
        client.evaluate_table(&users.schema(), &TableOptions::new())?.evaluate(&users)
    })?;
    Ok(())
}

/// Evaluates in every way without a timeout.
fn evaluate(may: May, client: &Client, id: &str) -> Outcome {
    let (json, user) = user(id)?;
    let options = EvaluateOptions::default();
    measure(may, "Client::boolean", || client.boolean("f", &user, false));
    measure(may, "Client::integer", || client.integer("f", &user, 0));
    measure(may, "Client::double", || client.double("f", &user, 0.0));
    measure(may, "Client::string", || client.string("f", &user, ""));
    measure(may, "Client::evaluate", || client.evaluate("f", &user, options));
    measure(may, "Client::evaluate_json", || client.evaluate_json("f", &json, options));
    measure(may, "Client::evaluate_all", || client.evaluate_all(&user, options));
    Ok(())
}

/// Evaluates in every way, as OpenFeature's SDK does, and at the same time.
async fn resolve(may: May, provider: &MixpanelProvider, id: &str) {
    let user = EvaluationContext::default().with_custom_field("distinct_id", id);
    let _ = tokio::join!(
        wait_for(may, "MixpanelProvider::resolve_bool_value", provider.resolve_bool_value("f", &user)),
        wait_for(may, "MixpanelProvider::resolve_int_value", provider.resolve_int_value("f", &user)),
        wait_for(may, "MixpanelProvider::resolve_float_value", provider.resolve_float_value("f", &user)),
        wait_for(may, "MixpanelProvider::resolve_string_value", provider.resolve_string_value("f", &user)),
        wait_for(may, "MixpanelProvider::resolve_struct_value", provider.resolve_struct_value("f", &user)),
    );
}

/// The calls for which a local client does not wait, while threads wait in it.
async fn busy(url: &str) -> Outcome {
    let more = format!(r#", "shutdown_timeout_ms": 600, "definitions": {DEFINITIONS}"#);
    let client = Arc::new(started(config(url, REQUEST, &more)?)?);
    let (refreshing, flushing) = (client.clone(), client.clone());
    let threads = [
        thread::spawn(move || _ = refreshing.refresh(LONG)),
        thread::spawn(move || _ = flushing.flush(LONG)),
    ];
    let mut provider =
        measure(Never, "MixpanelProvider::from_client", || MixpanelProvider::from_client(client.clone()));
    let begin = EvaluationContext::default();
    wait_for(Never, "MixpanelProvider::initialize", provider.initialize(&begin)).await;
    for number in 0..TIMES {
        // Another user each time, so that each has an exposure to report.
        evaluate(Evaluation, &client, &format!("u{number}"))?;
        table(&client)?;
        resolve(Evaluation, &provider, &format!("p{number}")).await;
    }
    let (_, user) = user("other")?;
    let quiet = client.evaluate("f", &user, EvaluateOptions::default().without_exposure());
    measure(Never, "Client::track_exposure", || client.track_exposure(&quiet))?;
    measure(Never, "Client::explain", || client.explain("f", &user))?;
    measure(Never, "Client::wait_ready", || client.wait_ready(LIMIT))?;
    measure(Never, "Client::start", || client.start())?;
    measure(Never, "Client::state", || client.state());
    measure(Never, "Client::init_timeout", || client.init_timeout());
    measure(Never, "Client::request_timeout", || client.request_timeout());
    measure(Never, "Client::shutdown_timeout", || client.shutdown_timeout());
    measure(Never, "Client::statistics", || client.statistics());
    measure(Never, "Client::set_override", || client.set_override("o", "true"))?;
    measure(Never, "Client::clear_override", || client.clear_override("o"));
    measure(Never, "Client::people_update", || client.people_update("$set", "u", r#"{"a": 1}"#))?;
    measure(Never, "Client::group_update", || client.group_update("$set", "company", "a", r#"{"a": 1}"#))?;
    let _ = measure(Never, "Client::refresh", || client.refresh(Duration::ZERO));
    measure(Never, "Client::flush", || client.flush(Duration::ZERO))?;
    measure(Never, "Client::next_item", || client.next_item(Duration::ZERO))?;
    measure(Never, "MixpanelProvider::client", || provider.client().clone());
    measure(Never, "MixpanelProvider::status", || provider.status());
    measure(Never, "MixpanelProvider::metadata", || provider.metadata().name.clone());
    // The client goes on.
    measure(Never, "drop of a provider", || drop(provider));
    let _ = measure(Wait(LIMIT), "Client::shutdown", || client.shutdown(LIMIT));
    threads.into_iter().for_each(|thread| _ = thread.join());
    Ok(())
}

async fn remote(url: &str) -> Outcome {
    let more = r#", "mode": "remote", "shutdown_timeout_ms": 600"#;
    let client = started(config(url, REQUEST, more)?)?;
    measure(Never, "Client::wait_ready", || client.wait_ready(LIMIT))?;
    measure(Never, "Client::refresh", || client.refresh(LIMIT))?;
    evaluate(Wait(REQUEST), &client, "u")?;
    let (json, user) = user("u")?;
    let options = EvaluateOptions::default().timeout(LIMIT);
    measure(Wait(LIMIT), "Client::evaluate", || client.evaluate("f", &user, options));
    measure(Wait(LIMIT), "Client::evaluate_json", || client.evaluate_json("f", &json, options));
    measure(Wait(LIMIT), "Client::evaluate_all", || client.evaluate_all(&user, options));
    measure(Wait(LIMIT), "drop of a client", || drop(client));

    let provider = measure(Never, "MixpanelProvider::new", || {
        MixpanelProvider::new(config(url, REQUEST, r#", "mode": "remote""#)?)
    });
    let mut provider = provider?;
    wait_for(Never, "MixpanelProvider::initialize", provider.initialize(&EvaluationContext::default())).await;
    resolve(Wait(REQUEST), &provider, "u").await;
    drop(provider);
    // The SDK drops it, with an event to deliver.
    let mut provider = MixpanelProvider::new(config(url, LONG, "")?)?;
    provider.initialize(&EvaluationContext::default()).await;
    provider.client().track("E", "u", "{}")?;
    measure(Wait(DROP), "drop of a provider", || drop(provider));
    Ok(())
}

fn main() -> Outcome {
    let url = env::args().nth(1).ok_or("usage: deadlines URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    local(&url)?;
    runtime.block_on(busy(&url))?;
    runtime.block_on(remote(&url))
}
