//! What the tests share: the library under test, and a C compiler.
#![allow(dead_code, reason = "every test uses its part")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn root() -> PathBuf {
    package().ancestors().nth(2).expect("bindings/c is two levels down").to_owned()
}

/// Where cargo puts what it builds in the profile under test, `release` included.
pub(crate) fn target() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).expect("tests are in target/<profile>/deps").to_owned()
}

/// The shared library under test. Beside it is the name that programs look for.
pub(crate) fn library() -> PathBuf {
    static LINK: Once = Once::new();
    let library = target().join("libmpflags.so");
    LINK.call_once(|| link_soname(&library));
    library
}

/// Makes the SONAME of `library` a name beside it, as `make install` does.
pub(crate) fn link_soname(library: &Path) {
    assert!(library.exists(), "{}: cargo builds it with the tests", library.display());
    let name = library.with_file_name("libmpflags.so.0");
    // Test programs run at the same time: the link is made aside and moved into place.
    let aside = library.with_file_name(format!("libmpflags.so.0.{}", std::process::id()));
    symlink("libmpflags.so", &aside).unwrap();
    fs::rename(&aside, &name).unwrap();
}

pub(crate) fn compiler(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Runs a command and takes what it writes; one that cannot be run fails the test with its name.
pub(crate) fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?} cannot be run: {error}"),
    }
}

/// The same for one that has to succeed. Gives its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}

/// Compiles a C program of this package against the header and the library in `folder`. The program finds it there.
pub(crate) fn compile_with(source: impl AsRef<Path>, folder: &Path, flags: &[&str]) -> PathBuf {
    let source = package().join(source);
    let name = source.file_stem().and_then(OsStr::to_str).unwrap();
    let programs = folder.join("c");
    fs::create_dir_all(&programs).unwrap();
    let program = programs.join(name);
    succeed(
        Command::new(compiler("CC", "cc"))
            .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror"])
            .args(flags)
            .arg("-I")
            .arg(root().join("include"))
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .arg("-L")
            .arg(folder)
            .arg(format!("-Wl,-rpath,{}", folder.display()))
            .args(["-lmpflags", "-pthread"]),
    );
    program
}

pub(crate) fn compile(source: impl AsRef<Path>) -> PathBuf {
    library();
    compile_with(source, &target(), &[])
}
