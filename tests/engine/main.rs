//! What an evaluation gives, and who may import whom. Nothing here needs a server, so nothing links mpflags-dev.

mod binary;
mod config;
mod conformance;
mod context;
#[path = "../support/every_way.rs"]
mod every_way;
mod explain;
#[path = "../support/forms.rs"]
mod forms;
mod layering;
mod oracle;
mod pages;
#[path = "../support/vectors.rs"]
mod support;
