//! Remote evaluations, on an executor of one thread that must not be blocked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, MixpanelProvider};
use mpflags_dev::{Fault, Kind, Request, Server};
use open_feature::EvaluationErrorCode;
use open_feature::provider::FeatureProvider;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{LONG, beside_others, block_on, register, remote, replace, server, user};

fn delay(server: &Server, ms: u64) {
    server.set_faults(vec![Fault { delay_ms: Some(ms), ..Fault::new("/flags", Kind::Delay) }]).unwrap();
}

fn asked(server: &Server) -> Vec<Request> {
    server.requests().requests.into_iter().filter(|request| request.path == "/flags").collect()
}

#[test]
fn thirty_two_are_under_way_together() {
    let _beside = beside_others();
    let server = server();
    delay(&server, 2000);
    block_on(async {
        let provider = remote(&server, r#", "request_timeout_ms": 600000"#);
        let mixpanel = provider.client().clone();
        let client = Arc::new(register("thirty-two", provider).await);
        let mut evaluations = JoinSet::new();
        for n in 0..32 {
            let client = client.clone();
            evaluations.spawn(async move {
                client.get_int_details("size", Some(&user(&format!("u{n}"))), None).await
            });
        }
        // The executor's only thread gets here with all of them under way: they do not hold it.
        tokio::task::yield_now().await;
        server.wait_requests(32, LONG);
        assert_eq!(server.requests().in_flight_max, 32);
        while let Some(details) = evaluations.join_next().await {
            let details = details.unwrap().unwrap();
            assert_eq!((details.value, details.variant.as_deref()), (50, Some("large")));
        }
        assert_eq!(mixpanel.flush(LONG).unwrap(), 0);
        assert_eq!(server.event_counts().accepted, 32, "an exposure each");
        replace("thirty-two").await;
    });
}

#[test]
fn two_hundred_take_turns() {
    let _beside = beside_others();
    let server = server();
    delay(&server, 50);
    let provider = Arc::new(remote(&server, r#", "report_exposures": false, "request_timeout_ms": 60000"#));
    block_on(async {
        let mut evaluations = JoinSet::new();
        for n in 0..200 {
            let provider = provider.clone();
            evaluations.spawn(async move {
                provider.resolve_bool_value("gate", &user(&format!("u{n}"))).await.unwrap().value
            });
        }
        assert!(evaluations.join_all().await.into_iter().all(|value| value));
    });
    assert_eq!(asked(&server).len(), 200);
    assert!((32..=128).contains(&server.requests().in_flight_max), "{}", server.requests().in_flight_max);
}

#[test]
fn waiting_for_a_turn_counts() {
    let _beside = beside_others();
    let server = server();
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    for provider in [
        remote(&server, r#", "request_timeout_ms": 2500"#),
        MixpanelProvider::from_client(handed_in(&server, r#", "request_timeout_ms": 2500"#)),
    ] {
        all_time_out(&Arc::new(provider));
    }
}

fn all_time_out(provider: &Arc<MixpanelProvider>) {
    let begun = Instant::now();
    block_on(async {
        let mut evaluations = JoinSet::new();
        for n in 0..160 {
            let provider = provider.clone();
            evaluations.spawn(async move {
                provider.resolve_bool_value("gate", &user(&format!("u{n}"))).await.unwrap_err()
            });
        }
        for error in evaluations.join_all().await {
            assert_eq!(error.code, EvaluationErrorCode::General("GENERAL".to_owned()));
            let message = error.message.unwrap();
            assert!(message.ends_with(": timed out"), "{message}");
        }
    });
    // Otherwise the second turn would take as long again.
    assert!(begun.elapsed() < Duration::from_millis(5000), "{:?}", begun.elapsed());
}

/// Whatever executor there is, or none.
#[test]
fn no_runtime_is_needed() {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _beside = beside_others();
    let server = server();
    delay(&server, 20);
    let provider = remote(&server, "");
    let user = user("u1");
    let mut evaluation = pin!(provider.resolve_bool_value("gate", &user));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut polls = 0;
    let value = loop {
        polls += 1;
        match evaluation.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(details) => break details.unwrap().value,
            Poll::Pending => std::thread::park(),
        }
    };
    assert!(value && polls >= 2, "{polls}");
}

#[test]
fn evaluations_without_a_request_start_no_thread() {
    let _beside = beside_others();
    let server = server();
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    let provider = remote(&server, r#", "overrides": {"gate": false}"#);
    block_on(async {
        // Polled once.
        let context = user("u1");
        let first = futures_free_poll(provider.resolve_bool_value("gate", &context)).unwrap().unwrap();
        assert_eq!((first.value, first.variant.as_deref()), (false, Some("override")));
        let large = user(&"x".repeat(70_000));
        let error = futures_free_poll(provider.resolve_bool_value("size", &large)).unwrap().unwrap_err();
        assert_eq!(error.code, EvaluationErrorCode::InvalidContext);
    });
    assert!(asked(&server).is_empty());
    assert!(provider.client().shutdown(LONG).is_ok());
    let error = block_on(provider.resolve_bool_value("size", &user("u1"))).unwrap_err();
    assert_eq!(error.message.as_deref(), Some("the client is shut down"));
}

/// The result, if the first poll has it.
fn futures_free_poll<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

fn handed_in(server: &Server, options: &str) -> Client {
    let config = format!(r#"{{"token": "t", "mode": "remote", "api_host": "{}"{options}}}"#, server.url());
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

#[test]
fn a_client_that_was_handed_in_is_asked_the_same_way() {
    let _beside = beside_others();
    let server = server();
    delay(&server, 100);
    let provider = Arc::new(MixpanelProvider::from_client(handed_in(&server, "")));
    block_on(async {
        let mut evaluations = JoinSet::new();
        for n in 0..32 {
            let provider = provider.clone();
            evaluations.spawn(async move {
                provider.resolve_string_value("size", &user(&format!("u{n}"))).await.unwrap_err()
            });
        }
        for error in evaluations.join_all().await {
            assert_eq!(error.code, EvaluationErrorCode::TypeMismatch);
            assert_eq!(error.message.as_deref(), Some("expected string, the variant holds an integer"));
        }
    });
    assert!(server.requests().in_flight_max > 1, "they are asked beside each other");
    let statistics: Value = serde_json::from_str(&provider.client().statistics()).unwrap();
    assert_eq!(statistics["remote_in_flight"], 0);
}
