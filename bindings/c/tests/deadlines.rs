//! The longest time that each C function blocks: a time limit holds whatever the server, the resolver or the network does, and the
//! others do not wait at all.

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use mpflags_dev::{Fault, Kind, Options, Server};
use program::Program;
use support::{compile, root, succeed};

/// How much longer than its limit a call may take, in ms: other tests run at the same time.
const SLACK: u64 = 400;

/// function → (the longest limit that it was called with, the longest time that it took)
fn calls(url: &str, resolver: &str) -> BTreeMap<String, (u64, u64)> {
    let printed = succeed(Command::new(compile("tests/deadlines.c")).args([url, resolver]));
    let mut calls = BTreeMap::new();
    for line in printed.lines() {
        let [name, limit, took] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (limit, took): (u64, u64) = (limit.parse().unwrap(), took.parse().unwrap());
        assert!(took <= limit + SLACK, "{name} took {took} ms; its limit is {limit} ms");
        let longest = calls.entry(name.to_owned()).or_insert((0, 0));
        *longest = (limit.max(longest.0), took.max(longest.1));
    }
    println!("{calls:#?}");
    calls
}

/// A limit of 300 ms was used up, so the call did wait for what hangs.
#[track_caller]
fn waited(calls: &BTreeMap<String, (u64, u64)>) {
    for name in ["wait_ready", "refresh", "flush", "evaluate", "evaluate_all", "evaluate_encoded"] {
        let (limit, took) = calls[&format!("mpflags_client_{name}")];
        assert!(limit == 300 && took >= 290, "{name} took {took} of {limit} ms: nothing hangs");
    }
}

#[test]
fn a_server_that_hangs() {
    let server = Server::start(Options::default()).unwrap();
    server.set_faults(vec![Fault::new("*", Kind::Hang)]).unwrap();
    waited(&calls(&server.url(), "works"));
}

#[test]
fn a_resolver_that_hangs() {
    waited(&calls("http://names.invalid", "hangs"));
}

/// Its port is open, since the system accepts connections for a stopped process.
#[test]
fn a_server_that_is_stopped() {
    let dev = env::var_os("MPFLAGS_DEV").map_or_else(|| support::target().join("mpflags-dev"), Into::into);
    let mut server = Program::start(&dev, &["--stop-with-stdin"]);
    let line = server.expect("mpflags-dev listening on ");
    server.signal(libc::SIGSTOP);
    waited(&calls(line.trim_start_matches("mpflags-dev listening on "), "works"));
    server.signal(libc::SIGCONT);
}

/// Every function of a client that takes time is among those that were called.
#[test]
fn every_call_is_in_the_table() {
    let server = Server::start(Options::default()).unwrap();
    let calls = calls(&server.url(), "works");
    let symbols = std::fs::read_to_string(root().join("bindings/c/symbols.txt")).unwrap();
    let clients = symbols.lines().filter(|name| name.starts_with("mpflags_client_"));
    // They evaluate as mpflags_client_evaluate_encoded does, for bindings.
    let same =
        ["mpflags_client_evaluate_packed", "mpflags_client_evaluate_packed_z", "mpflags_client_answer"];
    let missing: Vec<_> = clients.filter(|name| !calls.contains_key(*name) && !same.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
