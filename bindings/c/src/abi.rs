//! Versions.

use crate::strings::mpflags_str;

/// The major version of the ABI, which is also in the SONAME. 0 until release 1.0.
pub const MPFLAGS_ABI_VERSION: u32 = 0;
/// Grows with every addition to this header.
pub const MPFLAGS_ABI_REVISION: u32 = 7;

/// Returns the `MPFLAGS_ABI_VERSION` that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_abi_version() -> u32 {
    MPFLAGS_ABI_VERSION
}

/// Returns the `MPFLAGS_ABI_REVISION` that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_abi_revision() -> u32 {
    MPFLAGS_ABI_REVISION
}

/// Returns the library's release, for example `"0.1.0"`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_version() -> mpflags_str {
    mpflags_str::of_terminated(concat!(env!("CARGO_PKG_VERSION"), "\0"))
}
