//! What an evaluation gives, and who may import whom. Nothing here needs a server, so nothing links mpflags-dev.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

mod config;
mod conformance;
mod context;
mod explain;
mod layering;
mod oracle;
mod pages;
#[path = "../support/mod.rs"]
mod support;
