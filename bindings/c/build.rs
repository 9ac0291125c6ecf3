//! Names the shared library for the linker, which rustc does not.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(mpflags_panic)");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // The number is MPFLAGS_ABI_VERSION; tests/header.rs compares.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libmpflags.so.0");
        // A library with threads and a fork handler cannot be unloaded: dlclose must leave it where it is.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
