//! Names the shared library for the linker, which rustc does not.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(mpflags_panic)");
    // The number is MPFLAGS_ABI_VERSION; tests/header.rs compares.
    let arguments: &[&str] = match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // A library with threads and a fork handler cannot be unloaded: dlclose must leave it where it is.
        Ok("linux") => &["-Wl,-soname,libmpflags.so.0", "-Wl,-z,nodelete"],
        // Programs find it by their rpath. src/pin.rs keeps it loaded.
        Ok("macos") => &["-Wl,-install_name,@rpath/libmpflags.0.dylib"],
        _ => &[],
    };
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
