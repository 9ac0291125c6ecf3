//! The contract at its edges, tested by C programs.

mod support;

use std::process::Command;

use support::{compile, succeed};

#[test]
fn every_argument_of_every_function() {
    let output = succeed(&mut Command::new(compile("tests/contract.c")));
    println!("{output}");
}

#[test]
fn tables() {
    let output = succeed(&mut Command::new(compile("tests/table.c")));
    println!("{output}");
}

#[test]
fn freeing_does_not_wait_for_a_name_again() {
    let output = succeed(&mut Command::new(compile("tests/slow_names.c")));
    let numbers: Vec<u64> = output.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [status, shutdown, free] = numbers[..] else { panic!("{output}") };
    assert_eq!(status, 40, "MPFLAGS_TIMEOUT: the thread is left behind");
    assert!(shutdown < 1500, "{shutdown} ms for a shutdown with timeout 0");
    assert!(free < 500, "{free} ms to free a client that is shut down");
}
