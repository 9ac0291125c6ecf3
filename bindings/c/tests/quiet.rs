//! Evaluation with a context handle allocates nothing, takes no lock and makes no system call. `--release`
//! tests the library that ships.

mod support;

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mpflags_dev::{Options, Server};
use support::{compile, package, succeed, target};

const DEFINITIONS: &str = include_str!("quiet.json");

#[test]
fn allocates_nothing() {
    let definitions = package().join("tests/quiet.json");
    println!("{}", succeed(Command::new(compile("tests/quiet.c")).arg("alone").arg(definitions)));
}

/// Runs the program under the command `arguments`, while the definitions change faster than it polls.
fn swapped(arguments: &mut Command) -> String {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(DEFINITIONS);
    let arguments = arguments.arg(compile("tests/quiet.c")).arg("swapped").arg(server.url());
    let program = arguments.stdout(Stdio::piped()).spawn().unwrap();
    let running = thread::spawn(move || program.wait_with_output().unwrap());
    for round in 1.. {
        if running.is_finished() {
            break;
        }
        server.set_definitions(DEFINITIONS.replace("\"value\": 0", &format!("\"value\": {round}")));
        thread::sleep(Duration::from_millis(30));
    }
    let output = running.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

#[test]
fn frees_nothing_that_is_swapped() {
    println!("{}", swapped(&mut Command::new("env")));
}

#[test]
fn makes_no_system_call() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("CI").is_none(), "CI needs strace");
        println!("skipped: strace is not installed");
        return;
    }
    let traces = target().join(format!("c/quiet-trace-{}", std::process::id()));
    let _ = fs::remove_dir_all(&traces);
    fs::create_dir_all(&traces).unwrap();
    let run = swapped(Command::new("strace").args(["-ff", "-o"]).arg(traces.join("thread")));
    let mut evaluating = 0;
    for entry in fs::read_dir(&traces).unwrap() {
        let trace = fs::read_to_string(entry.unwrap().path()).unwrap();
        let Some((_, after)) = trace.split_once("write(-4242, \"begin\"") else { continue };
        let (between, _) = after.split_once("write(-4242, \"end\"").expect("the thread ended");
        let calls: Vec<&str> = between.lines().skip(1).filter(|line| !line.is_empty()).collect();
        assert!(
            calls.is_empty(),
            "{} calls between the marks: {:#?} …",
            calls.len(),
            &calls[..calls.len().min(5)]
        );
        evaluating += 1;
    }
    assert_eq!(evaluating, 4);
    fs::remove_dir_all(&traces).unwrap();
    println!("0 system calls by 4 threads; {run}");
}
