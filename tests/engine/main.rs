//! What an evaluation gives, and who may import whom. Nothing here needs a server, so nothing links mpflags-dev.

mod config;
mod conformance;
mod context;
mod explain;
mod layering;
mod oracle;
mod pages;
#[path = "../support/vectors.rs"]
mod support;
