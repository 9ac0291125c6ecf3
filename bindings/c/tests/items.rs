//! Items, pulled and passed to a callback, with a server that changes and fails.

#[path = "support/program.rs"]
mod program;
mod support;

use mpflags_dev::{Fault, Kind, Options, Server};
use program::Program;
use support::compile;

/// One flag with this value for everyone.
fn definitions(page_size: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "search-page-size", "context": "distinct_id", "ruleset": {{
            "variants": [{{"key": "v", "value": {page_size}, "split": 1}}],
            "rollout": [{{"rollout_percentage": 1}}]}}}}]}}"#
    )
}

fn items(mode: &str) -> Vec<String> {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(definitions(20));
    let mut program = Program::start(&compile("tests/items.c"), &[mode, &server.url()]);
    program.expect("state 2");
    server.set_definitions(definitions(50));
    // The new definitions are in use when the change is reported, so an evaluation at that moment sees them.
    program.expect("change search-page-size, page size 50");
    let broken = Fault { status: Some(503), ..Fault::new("/flags/definitions", Kind::Status) };
    server.set_faults(vec![broken]).unwrap();
    program.expect("log 3 fetching definitions failed: HTTP 503");
    let stale = program.expect("state 3");
    assert!(stale.contains("503"), "{stale}");
    server.clear_faults();
    program.expect("state 2");
    program.say("end");
    let (status, seen) = program.end();
    assert!(status.success(), "{status}: {seen:#?}");
    assert_eq!(seen.last().map(String::as_str), Some("end"), "{seen:#?}");
    threads_block_signals(&seen);
    seen
}

/// All except those that cannot be blocked: SIGKILL, SIGSTOP, and the two that glibc reserves.
fn threads_block_signals(seen: &[String]) {
    let mut polls = false;
    for line in seen.iter().filter(|line| line.starts_with("signals ")) {
        let mask = line.split_whitespace().last().unwrap();
        assert_eq!(mask, "fffffffe7ffbfeff", "{line}");
        polls |= line.contains("mpflags-poll");
    }
    assert!(polls, "no mpflags-poll: {seen:#?}");
}

#[test]
fn are_pulled_until_the_client_is_shut_down() {
    let seen = items("pull");
    let closed = seen.iter().position(|line| line == "closed").expect("next_item ends with CLOSED");
    let shut_down = seen.iter().position(|line| line == "shut down").unwrap();
    assert!(closed < shut_down, "{seen:#?}");
}

#[test]
fn are_passed_to_a_callback_until_it_is_dropped() {
    let seen = items("callback");
    assert_eq!(seen.iter().filter(|line| *line == "dropped").count(), 1, "{seen:#?}");
    let dropped = seen.iter().position(|line| line == "dropped").unwrap();
    let late = seen
        .iter()
        .skip(dropped)
        .find(|line| ["log", "state", "change"].iter().any(|kind| line.starts_with(kind)));
    assert_eq!(late, None, "no item after drop: {seen:#?}");
}
