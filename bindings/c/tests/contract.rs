//! The edges of the contract, by a C program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

mod support;

use std::process::Command;

use support::{compile, succeed};

#[test]
fn every_argument_of_every_function() {
    let output = succeed(&mut Command::new(compile("tests/contract.c")));
    println!("{output}");
}
