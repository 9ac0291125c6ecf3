//! Forks: parent and children continue independently.

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::HashSet;
use std::env;
use std::process::Command;

use mpflags_dev::{Options, Server};
use program::Program;
use support::{compile, succeed};

fn definitions(page_size: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "search-page-size", "context": "distinct_id", "ruleset": {{
            "variants": [{{"key": "v", "value": {page_size}, "split": 1}}],
            "rollout": [{{"rollout_percentage": 1}}]}}}}]}}"#
    )
}

fn server() -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(definitions(20));
    server
}

#[test]
fn parent_and_child_see_what_changes_after_the_fork() {
    let server = server();
    let mut program = Program::start(&compile("tests/fork.c"), &["change", &server.url()]);
    program.expect("child evaluates");
    if !program.seen().iter().any(|line| line == "parent forked") {
        program.expect("parent forked");
    }
    server.set_definitions(definitions(50));
    let (status, seen) = program.end();
    assert!(status.success(), "{status}: {seen:#?}");
    for line in ["child sees the change", "parent sees the change", "parent ends"] {
        assert!(seen.iter().any(|seen| seen == line), "`{line}` is missing: {seen:#?}");
    }
}

#[test]
fn any_moment_is_good_for_a_fork() {
    let server = server();
    let program = Program::start(&compile("tests/fork.c"), &["storm", &server.url()]);
    let (status, seen) = program.end();
    assert!(status.success(), "{status}: {seen:#?}");
}

const EVENTS: &str = r#"{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
    "variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}"#;

/// Runs fork_events, under `wrapper` if there is one. Every exposure of every process arrives, and none
/// twice.
fn exposures_over_forks(wrapper: &[&str], children: u64, users: u64) {
    let program = compile("tests/fork_events.c");
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(EVENTS);
    let mut command = match wrapper {
        [] => Command::new(&program),
        [wrapper, arguments @ ..] => {
            let mut command = Command::new(wrapper);
            command.args(arguments).arg(&program);
            command
        }
    };
    succeed(command.args([server.url(), children.to_string(), users.to_string()]));
    let counts = server.event_counts();
    // Twice from the parent, once from each child but the two that exit at once, and one more from the parent
    // per child.
    let expected = 2 * users + (children - 2) * users + children;
    assert_eq!((counts.accepted, counts.distinct_insert_ids, counts.duplicates), (expected, expected, 0));
    let users: HashSet<String> =
        server.events().iter().map(|event| event.json["properties"]["distinct_id"].to_string()).collect();
    assert_eq!(users.len() as u64, expected, "every user once");
}

#[test]
fn every_exposure_is_sent_once_over_forks() {
    for _ in 0..5 {
        exposures_over_forks(&[], 6, 50);
    }
}

#[test]
fn every_exposure_is_sent_once_under_valgrind() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "CI needs valgrind");
        println!("skipped: valgrind is not installed");
        return;
    }
    let options = ["--quiet", "--error-exitcode=9", "--leak-check=no", "--fair-sched=yes"];
    exposures_over_forks(&[&["valgrind"], &options[..]].concat(), 4, 10);
}
