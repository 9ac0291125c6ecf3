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

#[cfg(feature = "openfeature")]
mod openfeature;

mod client;
mod config;
mod events;
mod transport;

mod engine;
mod items;

mod error;
mod json;
mod sys;

pub use client::Client;
pub use client::evaluate_options::EvaluateOptions;
pub use config::{Config, ConfigBuilder, Mode, OPTIONS, OptionSpec};
pub use engine::bucket::bucket;
pub use engine::context::Context;
pub use engine::evaluation::{Evaluation, ValueKind};
pub use engine::evaluations::Evaluations;
pub use engine::reason::{ErrorCode, Reason};
pub use engine::variant::ValueType;
pub use error::{Error, ErrorKind};
pub use items::{Item, Level, State};
#[cfg(feature = "openfeature")]
pub use openfeature::MixpanelProvider;
pub use sys::fork::after_fork_in_child;

/// For this repository's bindings only: may change or disappear in any release, without notice.
pub mod unversioned {
    pub use crate::client::unversioned::{Packed, answer, evaluate_packed, log_panic, recall};
    pub use crate::engine::answer::Answer;
    pub use crate::sys::worker::set_spawn_guard;
}
