//! The version of the contract.

use crate::strings::mpflags_str;

/// The major number of this header's ABI, which is in the library's SONAME too. 0 until release 1.0.
pub const MPFLAGS_ABI_VERSION: u32 = 0;
/// Grows with every addition to this header.
pub const MPFLAGS_ABI_REVISION: u32 = 4;

/// Tells the `MPFLAGS_ABI_VERSION` that the library was built with.
///
/// A program that loads the library at run time calls this and `mpflags_abi_revision` before anything else, and goes
/// on only with the same version and a revision that is not smaller than its header's.
///
/// Nothing to free. Cannot fail. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_abi_version() -> u32 {
    MPFLAGS_ABI_VERSION
}

/// Tells the `MPFLAGS_ABI_REVISION` that the library was built with.
///
/// Nothing to free. Cannot fail. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_abi_revision() -> u32 {
    MPFLAGS_ABI_REVISION
}

/// Tells the release of the library, as in `"0.1.0"`.
///
/// Nothing to free: the string is static. Cannot fail. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_version() -> mpflags_str {
    mpflags_str::of_terminated(concat!(env!("CARGO_PKG_VERSION"), "\0"))
}
