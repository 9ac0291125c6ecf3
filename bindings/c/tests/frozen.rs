//! A process that is frozen between calls, as AWS Lambda does: tests what docs/operations.md recommends.

#[path = "support/program.rs"]
mod program;
mod support;

use std::thread;
use std::time::Duration;

use mpflags_dev::{Fault, Kind, Options, Server};
use program::Program;
use support::compile;

const PATH: &str = "/flags/definitions";

fn definitions(page_size: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "page-size", "context": "distinct_id", "ruleset": {{
            "variants": [{{"key": "v{page_size}", "value": {page_size}, "split": 1}}],
            "rollout": [{{"rollout_percentage": 1}}]}}}}]}}"#
    )
}

/// Changes the world while the program does not run.
fn frozen(program: &Program, change: impl FnOnce()) {
    program.signal(libc::SIGSTOP);
    change();
    thread::sleep(Duration::from_millis(300));
    program.signal(libc::SIGCONT);
}

fn call(program: &mut Program, line: &str) -> String {
    program.say(line);
    program.expect("page size")
}

#[test]
fn new_flags_with_a_refresh_old_ones_without_and_every_event() {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(definitions(20));
    let mut program = Program::start(&compile("tests/frozen.c"), &[&server.url()]);
    assert_eq!(call(&mut program, "plain u1"), "page size 20, 0 undelivered");

    frozen(&program, || server.set_definitions(definitions(50)));
    assert_eq!(call(&mut program, "plain u2"), "page size 20, 0 undelivered");
    assert_eq!(call(&mut program, "refresh u3"), "page size 50, 0 undelivered");

    // Slow, and every connection died meanwhile.
    frozen(&program, || {
        server.restart_after(Duration::ZERO).unwrap();
        server.set_faults(vec![Fault { delay_ms: Some(150), ..Fault::new(PATH, Kind::Delay) }]).unwrap();
        server.set_definitions(definitions(70));
    });
    assert_eq!(call(&mut program, "refresh u4"), "page size 70, 0 undelivered");

    // Frozen during a fetch, whose connection is gone when the process continues.
    server.set_faults(vec![Fault { times: Some(1), ..Fault::new(PATH, Kind::Hang) }]).unwrap();
    server.clear_requests();
    program.say("refresh u5");
    server.wait_requests(1, Duration::from_secs(20));
    frozen(&program, || {
        server.restart_after(Duration::ZERO).unwrap();
        server.set_definitions(definitions(90));
    });
    assert_eq!(program.expect("page size"), "page size 70, 0 undelivered");
    assert_eq!(call(&mut program, "refresh u6"), "page size 90, 0 undelivered");

    let mut users: Vec<_> = server
        .events()
        .iter()
        .map(|event| event.json["properties"]["distinct_id"].as_str().unwrap().to_owned())
        .collect();
    users.sort();
    assert_eq!(users, ["u1", "u2", "u3", "u4", "u5", "u6"]);
    program.say("");
    let (status, seen) = program.end();
    assert!(status.success(), "{status}: {seen:#?}");
}
