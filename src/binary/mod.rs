//! The binary form of a context, specified in docs/binary.md. A binding writes it with a few appends, and reading
//! it borrows every string.

mod layout;
mod raw;
mod read;
mod write;

pub(crate) use layout::{EMPTY, MAX_LEVELS};
pub(crate) use raw::{Members, Raw};
pub(crate) use read::{Container, Fault, Simple, read};
pub(crate) use write::{Open, TooLong, Writer};
