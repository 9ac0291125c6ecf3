//! The client through real sockets, against mpflags-dev.

mod client;
mod ends;
mod events;
mod examples;
mod messages;
mod network;
mod provider;
mod refresh;
mod remote;
#[path = "../support/vectors.rs"]
mod support;
#[path = "../support/provider.rs"]
mod vector;
