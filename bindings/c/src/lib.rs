//! The C ABI of mpflags. It converts pointers, strings and errors; the core does everything else.
//!
//! All unsafe code of the project is in this crate. Handles are passed as references, so that the types say
//! what may be NULL and what is only read. Every entry point runs inside [`guard`].
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
#![allow(non_camel_case_types, reason = "types have the names that C knows them by")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the documentation becomes the header, whose first page is the safety contract"
)]

// In the order of the header; the blank lines keep rustfmt from sorting them.
mod abi;

mod status;

mod strings;

mod error;

mod client;

mod context;

mod context_builder;

mod evaluate;

mod evaluation;

mod evaluations;

mod table;

mod events;

mod text;

mod item;

mod callback;

mod encoded;

// Shared by the functions above.
mod failure;
mod fork;
mod guard;
mod handle;
#[cfg(target_os = "macos")]
mod pin;
#[cfg(mpflags_panic)]
mod planted;
#[cfg(unix)]
mod signals;
mod table_stream;

// What is `pub` in these modules is what the header declares.
pub use abi::*;
pub use callback::*;
pub use client::*;
pub use context::*;
pub use context_builder::*;
pub use encoded::*;
pub use error::*;
pub use evaluate::*;
pub use evaluation::*;
pub use evaluations::*;
pub use events::*;
pub use item::*;
pub use status::*;
pub use strings::*;
pub use table::*;
pub use text::*;
