//! The edges of the contract, by a C program.

mod support;

use std::process::Command;

use support::{compile, succeed};

#[test]
fn every_argument_of_every_function() {
    let output = succeed(&mut Command::new(compile("tests/contract.c")));
    println!("{output}");
}

#[test]
fn freeing_does_not_wait_again_for_a_name() {
    let output = succeed(&mut Command::new(compile("tests/slow_names.c")));
    let numbers: Vec<u64> = output.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [status, shutdown, free] = numbers[..] else { panic!("{output}") };
    assert_eq!(status, 40, "MPFLAGS_TIMEOUT: the thread is left behind");
    assert!(shutdown < 1500, "{shutdown} ms for a shutdown without time");
    assert!(free < 500, "{free} ms to free a client that is shut down");
}
