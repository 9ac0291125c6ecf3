//! What the library is compared with. Written from docs/evaluation.md, and slow.
#![allow(dead_code, reason = "every target uses its part")]

pub(crate) mod datetimes;
pub(crate) mod json_logic;
pub(crate) mod server;
pub(crate) mod versions;
