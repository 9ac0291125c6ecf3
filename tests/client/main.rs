//! The client through real sockets, against mpflags-dev.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

mod client;
mod ends;
mod events;
mod examples;
mod network;
mod provider;
mod refresh;
mod remote;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/provider.rs"]
mod vector;
