//! mpflags evaluates Mixpanel feature flags in process. A background thread polls the definitions and another sends
//! exposures, so an evaluation never waits for the network. With [`Mode::Remote`], each evaluation sends a request to
//! Mixpanel instead.
//!
//! ```
//! use mpflags::{Client, Config, Context};
//! use serde_json::json;
//!
//! let config = Config::builder("YOUR_PROJECT_TOKEN")
//!     // Without these two, start() fetches the definitions from Mixpanel and keeps them up to date.
//!     .enable_polling(false)
//!     .definitions(&json!({"flags": [{
//!         "key": "new-checkout", "context": "distinct_id",
//!         "ruleset": {"variants": [{"key": "on", "value": true, "split": 1.0}], "rollout": [{"rollout_percentage": 1.0}]}
//!     }]}))
//!     .build()?;
//! let client = Client::new(config)?;
//!
//! let user = Context::new(&json!({"distinct_id": "user-1"}))?;
//! assert!(client.boolean("new-checkout", &user, false));
//! # Ok::<(), mpflags::Error>(())
//! ```
//!
//! mpflags is not on crates.io yet. Add it to `Cargo.toml` from a clone or from git:
//!
//! ```toml
//! [dependencies]
//! mpflags = { git = "https://github.com/mpflags/mpflags", features = ["openfeature"] }
//! serde_json = "1"
//! ```
//!
//! Start with [`Config::builder`], [`Client`] and [`Context`]. The cargo feature `openfeature` adds `MixpanelProvider`,
//! and `arrow` adds `Client::evaluate_table`, for tables of users.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

#[cfg(feature = "openfeature")]
mod openfeature;

mod client;
mod config;
mod events;
mod transport;

mod engine;
mod items;

mod binary;
mod error;
mod json;
mod sys;

pub use client::Client;
pub use client::evaluate_options::EvaluateOptions;
#[cfg(feature = "arrow")]
pub use client::table::TableEvaluation;
pub use config::{Config, ConfigBuilder, Mode, OPTIONS, OptionSpec};
pub use engine::bucket::bucket;
pub use engine::context::{Context, ContextBuilder, ContextValue};
pub use engine::evaluation::{Evaluation, ValueKind};
pub use engine::evaluations::Evaluations;
pub use engine::reason::{ErrorCode, Reason};
#[cfg(feature = "arrow")]
pub use engine::table::TableOptions;
pub use engine::variant::ValueType;
pub use error::{Error, ErrorKind};
pub use items::{Item, Level, State};
#[cfg(feature = "openfeature")]
pub use openfeature::MixpanelProvider;
pub use sys::fork::after_fork_in_child;

/// For fuzz/ only, and compiled only there.
#[cfg(fuzzing)]
pub use client::fuzzing;

/// For this repository's bindings only: may change or disappear in any release, without notice.
pub mod unversioned {
    #[cfg(feature = "arrow")]
    pub use crate::client::unversioned::evaluate_rows;
    pub use crate::client::unversioned::{
        Packed, answer, context, context_key, evaluate_encoded, evaluate_packed, log_panic, recall,
    };
    pub use crate::engine::answer::Answer;
    pub use crate::engine::context::Encoded;
    pub use crate::sys::worker::set_spawn_guard;
}
