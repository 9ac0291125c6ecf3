//! The edges of the contract, by a C program.

mod support;

use std::process::Command;

use support::{compile, succeed};

#[test]
fn every_argument_of_every_function() {
    let output = succeed(&mut Command::new(compile("tests/contract.c")));
    println!("{output}");
}
