//! A stand-in for Mixpanel's servers, for the tests and demos of mpflags in every language.
//!
//! [`Server`] serves `GET /flags/definitions` from a file or from memory, evaluates at `GET /flags`, accepts events at
//! `/track`, `/import`, `/engage` and `/groups`, checks credentials, records each request, and fails on demand: see [`Fault`]. Tests
//! in other languages use the same controls over HTTP, under `/__dev/`; `dev/README.md` lists them.
//!
//! ```
//! use mpflags_dev::{Fault, Kind, Options, Server};
//!
//! # fn main() -> std::io::Result<()> {
//! let server = Server::start(Options::default())?;
//! server.set_faults(vec![Fault { status: Some(503), times: Some(1), ..Fault::new("/flags/definitions", Kind::Status) }])?;
//! println!("{}", server.url());
//! # Ok(())
//! # }
//! ```
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

mod access;
mod call;
mod changes;
mod check;
mod connection;
mod control;
mod credentials;
mod definitions;
mod document;
mod evaluation;
mod events;
mod faults;
mod handlers;
mod ingestion;
mod listener;
mod live;
mod lock;
mod log;
mod names;
mod note;
mod options;
mod page;
mod ports;
mod proxy;
mod raw;
mod remote;
mod response;
mod seen;
mod server;
mod socket;
mod tls;
mod watch;
mod world;

pub use crate::changes::{Change, changes};
pub use crate::check::{Finding, Severity, check};
pub use crate::document::indented;
pub use crate::evaluation::{Evaluator, Row};
pub use crate::events::{Event, EventCounts, EventLog};
pub use crate::faults::{Fault, InvalidFault, Kind, Part, RetryAfter};
pub use crate::ingestion::{Endpoint, Rejection};
pub use crate::log::{Request, Requests};
pub use crate::note::Note;
pub use crate::options::{Options, ServiceAccount};
pub use crate::proxy::Proxy;
pub use crate::server::Server;
pub use crate::tls::Tls;
