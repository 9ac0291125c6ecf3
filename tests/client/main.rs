//! The client through real sockets, against mpflags-dev.

mod client;
mod disks;
mod ends;
mod events;
mod examples;
mod hostile;
mod messages;
mod network;
mod provider;
mod refresh;
mod remote;
mod surroundings;
#[path = "../support/vectors.rs"]
mod support;
#[path = "../support/provider.rs"]
mod vector;
mod victim;
