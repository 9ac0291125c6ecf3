//! The C ABI of mpflags: pointers in, statuses out, and nothing else. What it does is the core's doing.
//!
//! All unsafe code of the project is in this crate. Handles cross as references, so that the types say what may be NULL
//! and what is only read; strings and callbacks cross as C has them. Every entry point runs inside [`guard`].
#![allow(non_camel_case_types, reason = "types have the names that C knows them by")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the documentation becomes the header, whose first page is the safety contract"
)]

// What stands in the header, in its order; the blank lines keep rustfmt from sorting.
mod abi;

mod status;

mod strings;

mod error;

mod client;

mod context;

mod evaluate;

mod evaluation;

mod evaluations;

mod events;

mod item;

mod callback;

mod encoded;

// What keeps it safe.
mod fork;
mod guard;
mod handle;
mod signals;

// What is `pub` in them is exactly what stands in the header.
pub use abi::*;
pub use callback::*;
pub use client::*;
pub use context::*;
pub use encoded::*;
pub use error::*;
pub use evaluate::*;
pub use evaluation::*;
pub use evaluations::*;
pub use events::*;
pub use item::*;
pub use status::*;
pub use strings::*;
