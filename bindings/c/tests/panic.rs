//! Panics end at the boundary: in a library that is as it ships, except that every guarded function can be
//! made to panic.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{build, compile_with, package, root, run, succeed, target};

/// They return constants and have no guard: these, and `mpflags_<group>_name`.
const UNGUARDED: [&str; 3] = ["mpflags_abi_version", "mpflags_abi_revision", "mpflags_version"];

#[test]
#[ignore = "builds the library a second time, which takes minutes: `make check` runs it"]
fn no_function_lets_a_panic_through() {
    let library = build(&target().with_file_name("panic"), Path::new("release"), &["--cfg", "mpflags_panic"]);
    let built = library.parent().unwrap();
    only_panics(&compile_with("tests/panic.c", built, &[]));

    // The static library that packages ship has other unwind tables.
    let shipped = built.join("shipped");
    succeed(Command::new(root().join("packaging/strip")).arg(built).arg(&shipped));
    fs::remove_file(shipped.join("libmpflags.so")).unwrap();
    only_panics(&compile_with("tests/panic.c", &shipped, &["-Wl,--no-as-needed", "-lm"]));
}

fn only_panics(program: &Path) {
    let output = run(&mut Command::new(program));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: standard error has: {errors}", output.status);
    let panicked: BTreeSet<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let symbols = fs::read_to_string(package().join("symbols.txt")).unwrap();
    let guarded: BTreeSet<String> = symbols
        .lines()
        .filter(|name| !UNGUARDED.contains(name) && !name.ends_with("_name"))
        .map(str::to_owned)
        .collect();
    assert_eq!(panicked, guarded, "functions that panicked, and all that are guarded");
}
