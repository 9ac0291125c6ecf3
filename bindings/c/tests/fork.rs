//! Forks: parent and children go on, each for itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

#[path = "support/program.rs"]
mod program;
mod support;

use mpflags_dev::{Options, Server};
use program::Program;
use support::compile;

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
