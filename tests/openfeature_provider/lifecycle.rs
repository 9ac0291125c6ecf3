//! From registration to the end: what waits for what, and what is left.

use std::fs;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mpflags::{Client, Config, ErrorKind, MixpanelProvider};
use mpflags_dev::{Fault, Kind};
use open_feature::provider::{FeatureProvider, ProviderStatus};
use open_feature::{EvaluationContext, EvaluationErrorCode, OpenFeature};

use crate::{LONG, alone, beside_others, block_on, local, register, remote, replace, server, until, user};

/// The library's threads in this process, by name. One that was joined can be listed for a moment.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let ours = ["mpflags-poll", "mpflags-send", "mpflags-ask", "mpflags-dns"];
    names.map(|name| name.trim().to_owned()).filter(|name| ours.contains(&name.as_str())).collect()
}

#[test]
fn configuration() {
    let _beside = beside_others();
    let error =
        MixpanelProvider::new(Config::builder("t").definitions_path("/nowhere/at/all.json").build().unwrap());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().starts_with("config: definitions_path: /nowhere/at/all.json: "), "{error}");
    // Numbers keep all their digits.
    let overrides = serde_json::json!({"n": 9_007_199_254_740_993_i64});
    let config = Config::builder("t\"").wrapper("ab").overrides(&overrides).build().unwrap();
    let provider = MixpanelProvider::new(config).unwrap();
    assert_eq!(block_on(provider.resolve_int_value("n", &user("u"))).unwrap().value, 9_007_199_254_740_993);
    assert_eq!(provider.metadata().name, "mixpanel-provider");
    assert!(provider.hooks().is_empty());
    assert!(!format!("{provider:?}").contains("t\\\""));
}

/// The SDK holds its lock while a provider is initialised: this one releases it although its server never responds.
#[test]
fn an_evaluation_does_not_wait_for_the_first_definitions() {
    let _beside = beside_others();
    let server = server();
    server.set_faults(vec![Fault::new("/flags/definitions", Kind::Hang)]).unwrap();
    block_on(async {
        let slow = local(&server, r#", "request_timeout_ms": 600000, "init_timeout_ms": 600000"#);
        let mixpanel = slow.client().clone();
        let begun = Instant::now();
        let client = register("hanging", slow).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(server.wait_requests(1, LONG).requests.len(), 1, "the request is under way");
        let error = client.get_bool_value("gate", Some(&user("u1")), None).await.unwrap_err();
        assert_eq!(error.code, EvaluationErrorCode::ProviderNotReady);
        assert_eq!(error.message.as_deref(), Some("no definitions have been fetched yet"));
        assert!(server.requests().requests[0].status.is_none(), "and still is");
        // Another provider under another name, meanwhile.
        let other = register("beside hanging", local(&server, r#", "overrides": {"gate": true}"#)).await;
        assert!(other.get_bool_value("gate", Some(&user("u1")), None).await.unwrap());
        // The definitions arrive without a call for them.
        server.clear_faults();
        server.restart_after(Duration::ZERO).unwrap();
        tokio::task::spawn_blocking(move || mixpanel.wait_ready(LONG)).await.unwrap().unwrap();
        assert!(client.get_bool_value("gate", Some(&user("u1")), None).await.unwrap());
        replace("hanging").await;
        replace("beside hanging").await;
    });
}

#[test]
fn status() {
    let _beside = beside_others();
    let server = server();
    let refuse = |status| {
        let fault = Fault { status: Some(status), ..Fault::new("/flags/definitions", Kind::Status) };
        server.set_faults(vec![fault]).unwrap();
    };
    let mut provider = local(&server, r#", "polling_interval_ms": 50, "retry_base_ms": 10"#);
    assert_eq!(provider.status(), ProviderStatus::NotReady);
    refuse(401);
    block_on(provider.initialize(&EvaluationContext::default()));
    until("refused", || provider.status() == ProviderStatus::Error);
    let error = block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap_err();
    assert_eq!(error.code, EvaluationErrorCode::General("PROVIDER_FATAL".to_owned()));
    let message = error.message.unwrap();
    assert!(message.starts_with("Mixpanel refused the credentials: HTTP 401 from 127.0.0.1:"), "{message}");
    // It heals.
    server.clear_faults();
    until("ready", || provider.status() == ProviderStatus::Ready);
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    refuse(500);
    until("stale", || provider.status() == ProviderStatus::STALE);
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    assert_eq!(remote(&server, "").status(), ProviderStatus::Ready);
}

#[test]
fn a_provider_that_is_replaced_delivers_its_exposures_and_ends() {
    let _alone = alone();
    let server = server();
    block_on(async {
        for made in [local, remote] {
            server.clear_events();
            // Nothing is sent before the end.
            let provider =
                made(&server, r#", "event_flush_interval_ms": 3600000, "shutdown_timeout_ms": 20000"#);
            let mixpanel = provider.client().clone();
            let client = register("replaced", provider).await;
            mixpanel.wait_ready(LONG).unwrap();
            for n in 0..20 {
                let user = user(&format!("u{n}"));
                assert_eq!(client.get_int_value("size", Some(&user), None).await.unwrap(), 50);
            }
            // A thread names itself when it runs.
            until("its threads", || threads().len() >= 2);
            assert_eq!(server.event_counts().total, 0);
            replace("replaced").await;
            assert_eq!(server.event_counts().accepted, 20);
            until("no thread", || threads().is_empty());
            assert_eq!(mixpanel.flush(LONG).unwrap_err().kind(), ErrorKind::Closed, "its clone is shut down");
        }
    });
}

#[test]
fn the_end_is_bounded() {
    let _alone = alone();
    let server = server();
    server.set_faults(vec![Fault::new("/track", Kind::Hang)]).unwrap();
    let mut provider = local(&server, r#", "shutdown_timeout_ms": 300, "request_timeout_ms": 600000"#);
    block_on(provider.initialize(&EvaluationContext::default()));
    provider.client().wait_ready(LONG).unwrap();
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    let begun = Instant::now();
    drop(provider);
    // The bound is 300 ms; what is over it is the machine's.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    until("threads", || threads().is_empty());
}

#[test]
fn evaluations_that_their_callers_gave_up_are_interrupted() {
    let _alone = alone();
    let server = server();
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    let mut provider = remote(&server, r#", "shutdown_timeout_ms": 60000, "request_timeout_ms": 600000"#);
    block_on(async {
        provider.initialize(&EvaluationContext::default()).await;
        let user = user("u1");
        for n in 1..=8 {
            let mut ask = pin!(provider.resolve_bool_value("gate", &user));
            // Given up when it is under way: one that waits for a thread would be taken back.
            while server.requests().requests.len() < n {
                assert!(tokio::time::timeout(Duration::from_millis(1), ask.as_mut()).await.is_err());
            }
        }
    });
    assert_eq!(threads().iter().filter(|name| *name == "mpflags-ask").count(), 8, "{:?}", threads());
    let begun = Instant::now();
    drop(provider);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    until("no thread", || threads().is_empty());
}

/// What keeps evaluations from waiting for the last delivery: the SDK drops the old provider with its lock held.
#[test]
fn a_client_shut_down_before_leaves_dropping_nothing_to_do() {
    let _alone = alone();
    let server = server();
    server.set_faults(vec![Fault::new("/track", Kind::Hang)]).unwrap();
    block_on(async {
        let provider = local(&server, r#", "shutdown_timeout_ms": 600000"#);
        let mixpanel = provider.client().clone();
        let client = register("ended before", provider).await;
        mixpanel.wait_ready(LONG).unwrap();
        assert!(client.get_bool_value("gate", Some(&user("u1")), None).await.unwrap());
        let ending = mixpanel.clone();
        tokio::task::spawn_blocking(move || ending.shutdown(Duration::from_secs(1))).await.unwrap().unwrap();
        // It continues with its definitions until it is replaced.
        assert!(client.get_bool_value("gate", Some(&user("u1")), None).await.unwrap());
        until("no thread", || threads().is_empty());
        // With its ten minutes, this would not end.
        replace("ended before").await;
    });
}

#[test]
fn a_client_that_was_handed_in_stays_the_programs() {
    let _beside = beside_others();
    let server = server();
    let config = format!(r#"{{"token": "t", "api_host": "{}"}}"#, server.url());
    let client = Arc::new(Client::new(Config::from_json(&config).unwrap()).unwrap());
    let mut provider = MixpanelProvider::from_client(client.clone());
    assert!(Arc::ptr_eq(provider.client(), &client));
    block_on(provider.initialize(&EvaluationContext::default()));
    client.wait_ready(LONG).unwrap();
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    drop(provider);
    // It runs on.
    assert_eq!(client.flush(LONG).unwrap(), 0);
    assert_eq!(server.event_counts().accepted, 1);
    let again = MixpanelProvider::from_client(client.clone());
    assert!(block_on(again.resolve_bool_value("gate", &user("u2"))).unwrap().value);
    // A client by value is the provider's alone, and its own end is the provider's.
    let config = format!(r#"{{"token": "t", "mode": "remote", "api_host": "{}"}}"#, server.url());
    let remote = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let mut provider = MixpanelProvider::from_client(remote);
    block_on(provider.initialize(&EvaluationContext::default()));
    assert!(block_on(provider.resolve_bool_value("gate", &user("u3"))).unwrap().value);
    drop(provider);
    assert_eq!(server.event_counts().accepted, 2);
    client.shutdown(LONG).unwrap();
    assert_eq!(server.event_counts().accepted, 3);
}

/// The same for the SDK as a whole, which is a static and is never dropped.
#[test]
fn the_sdks_shutdown_delivers() {
    let _alone = alone();
    if std::env::var_os("MPFLAGS_CHILD").is_none() {
        in_a_process_of_its_own("lifecycle::the_sdks_shutdown_delivers");
        return;
    }
    let server = server();
    block_on(async {
        let provider = local(&server, r#", "event_flush_interval_ms": 3600000"#);
        let mixpanel = provider.client().clone();
        let mut api = OpenFeature::singleton_mut().await;
        api.set_provider(provider).await;
        mixpanel.wait_ready(LONG).unwrap();
        assert!(api.create_client().get_bool_value("gate", Some(&user("u1")), None).await.unwrap());
        api.shutdown().await;
        assert_eq!(server.event_counts().accepted, 1);
        until("no thread", || threads().is_empty());
    });
}

/// In the child of a fork the threads of a pool do not exist. This process says that it is one, and the old threads are
/// not asked any more.
#[test]
fn a_fork() {
    let _alone = alone();
    if std::env::var_os("MPFLAGS_CHILD").is_none() {
        in_a_process_of_its_own("lifecycle::a_fork");
        return;
    }
    let server = server();
    let mut provider = remote(&server, "");
    block_on(provider.initialize(&EvaluationContext::default()));
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    let asks = || threads().iter().filter(|name| *name == "mpflags-ask").count();
    until("its name", || asks() == 1);
    mpflags::after_fork_in_child();
    // The idle thread of before is not asked.
    assert!(block_on(provider.resolve_bool_value("gate", &user("u2"))).unwrap().value);
    until("another thread", || asks() == 2);
    let provider = Arc::new(provider);
    let ready = Arc::new(AtomicBool::new(false));
    let racing: Vec<_> = (0..8)
        .map(|n| {
            let (provider, ready) = (provider.clone(), ready.clone());
            std::thread::spawn(move || {
                while !ready.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                block_on(provider.resolve_bool_value("gate", &user(&format!("v{n}")))).unwrap().value
            })
        })
        .collect();
    ready.store(true, Ordering::Relaxed);
    assert!(racing.into_iter().all(|thread| thread.join().unwrap()));
    drop(Arc::into_inner(provider).unwrap());
    // In a real child the inherited one is not there either.
    assert_eq!(asks(), 1);
    // One that is dropped in the child without another evaluation.
    let mut provider = remote(&server, "");
    block_on(provider.initialize(&EvaluationContext::default()));
    assert!(block_on(provider.resolve_bool_value("gate", &user("u1"))).unwrap().value);
    mpflags::after_fork_in_child();
    drop(provider);
}

fn in_a_process_of_its_own(test: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env("MPFLAGS_CHILD", "1").output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("1 passed"), "{out}");
}
