//! The client through real sockets, against mpflags-dev.

mod caches;
mod client;
mod disks;
mod ends;
mod events;
mod examples;
mod hostile;
mod hosts;
mod messages;
mod network;
mod provider;
mod refresh;
mod remote;
#[path = "../support/vectors.rs"]
mod support;
mod surroundings;
#[path = "../support/provider.rs"]
mod vector;
mod victim;
