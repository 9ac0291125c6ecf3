//! mpflags evaluates Mixpanel feature flags in process: definitions are polled in the background, an evaluation reads
//! what is there and never waits.
//!
//! ```
//! use mpflags::{Client, Config, Context};
//!
//! let client = Client::new(Config::from_json(
//!     r#"{
//!         "token": "project-token",
//!         "enable_polling": false,
//!         "definitions": {"flags": [{
//!             "key": "new-checkout", "context": "distinct_id",
//!             "ruleset": {"variants": [{"key": "on", "value": true, "split": 1.0}], "rollout": [{"rollout_percentage": 1.0}]}
//!         }]}
//!     }"#,
//! )?)?;
//! let context = Context::from_json(r#"{"distinct_id": "user-1"}"#)?;
//! assert!(client.boolean("new-checkout", &context, false));
//! # Ok::<(), mpflags::Error>(())
//! ```
#![forbid(unsafe_code)]

// pure: no clock, thread, socket, log
mod answer;
mod ask;
mod bucket;
mod config;
mod context;
mod definitions;
mod endpoint;
mod error;
mod evaluate;
mod evaluation;
mod evaluations;
mod event;
mod explain;
mod identity;
mod outcome;
mod rules;
mod value;
mod variant;

// runtime: threads, time, HTTP, files
mod cache;
mod client;
mod clock;
mod dedupe;
mod events;
mod fork;
#[cfg(feature = "openfeature")]
mod openfeature;
mod outbox;
mod poller;
mod refresh;
mod remote;
mod reporter;
mod snapshot;
mod status;
mod stream;
mod transport;
mod worker;

#[cfg(test)]
mod outage_tests;

#[doc(hidden)]
pub use answer::Answer;
pub use ask::Ask;
pub use bucket::bucket;
pub use client::Client;
#[doc(hidden)]
pub use client::Packed;
pub use config::{Config, OPTIONS, OptionSpec};
pub use context::Context;
pub use error::{Error, ErrorKind};
pub use evaluation::{Evaluation, ValueKind};
pub use evaluations::Evaluations;
pub use fork::after_fork_in_child;
#[cfg(feature = "openfeature")]
pub use openfeature::MixpanelProvider;
pub use outcome::{ErrorCode, Reason};
pub use stream::{Item, Level, State};
pub use variant::ValueType;
#[doc(hidden)]
pub use worker::set_spawn_guard;
