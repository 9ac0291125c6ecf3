//! Evaluation with a context handle allocates nothing, takes no lock and makes no system call. Run with `--release` for
//! the library that ships.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

mod support;

use std::env;
use std::fs;
use std::process::Command;

use support::{compile, succeed, target};

#[test]
fn allocates_nothing() {
    println!("{}", succeed(Command::new(compile("tests/quiet.c")).arg("allocations")));
}

#[test]
fn makes_no_system_call_while_another_thread_swaps() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("CI").is_none(), "CI needs strace");
        println!("skipped: strace is not installed, and nothing else sees the system calls of one thread");
        return;
    }
    let program = compile("tests/quiet.c");
    let traces = target().join(format!("c/quiet-trace-{}", std::process::id()));
    let _ = fs::remove_dir_all(&traces);
    fs::create_dir_all(&traces).unwrap();
    let run = succeed(
        Command::new("strace").args(["-ff", "-o"]).arg(traces.join("thread")).arg(&program).arg("trace"),
    );
    let mut evaluating = 0;
    for entry in fs::read_dir(&traces).unwrap() {
        let trace = fs::read_to_string(entry.unwrap().path()).unwrap();
        let Some((_, after)) = trace.split_once("write(-4242, \"begin\"") else { continue };
        let (between, _) = after.split_once("write(-4242, \"end\"").expect("the thread came to its end");
        let calls: Vec<&str> = between.lines().skip(1).filter(|line| !line.is_empty()).collect();
        assert!(calls.is_empty(), "{} calls between the marks: {:#?} …", calls.len(), &calls[..calls.len().min(5)]);
        evaluating += 1;
    }
    assert_eq!(evaluating, 4);
    fs::remove_dir_all(&traces).unwrap();
    println!("4 threads, 100,000 rounds each, 0 system calls; {run}");
}
