//! Shared by the tests: the library under test, and a C compiler.
#![allow(dead_code, reason = "every test uses its part")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn root() -> PathBuf {
    package().ancestors().nth(2).expect("bindings/c is two levels down").to_owned()
}

/// The folder of what cargo builds in the profile under test.
pub(crate) fn target() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).expect("tests are in target/<profile>/deps").to_owned()
}

/// The shared library under test: the one that `MPFLAGS_LIBRARY` names, as in every language, or one of the
/// profile that the test has. Cargo does not build a cdylib for tests, which cannot link it as a crate, so it
/// is built here.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| match env::var_os("MPFLAGS_LIBRARY") {
        Some(path) => {
            named(fs::canonicalize(&path).unwrap_or_else(|error| panic!("MPFLAGS_LIBRARY: {error}")))
        }
        None => build(target().parent().unwrap(), &target(), &[]),
    })
}

/// Builds the library into `folder`, in the profile whose folder is called `profile`, with arguments for
/// rustc.
pub(crate) fn build(folder: &Path, profile: &Path, rustc: &[&str]) -> PathBuf {
    let profile = profile.file_name().unwrap();
    let name = if profile == "debug" { OsStr::new("dev") } else { profile };
    succeed(
        Command::new(env!("CARGO"))
            .args(["rustc", "--locked", "--offline", "--quiet", "-p", "mpflags-c", "--lib", "--profile"])
            .arg(name)
            .arg("--target-dir")
            .arg(folder)
            .arg("--")
            .args(rustc)
            .current_dir(root()),
    );
    named(folder.join(profile).join(LINKED))
}

/// The names that the linker and the loader look for.
const LINKED: &str = if cfg!(target_os = "macos") { "libmpflags.dylib" } else { "libmpflags.so" };
const LOADED: &str = if cfg!(target_os = "macos") { "libmpflags.0.dylib" } else { "libmpflags.so.0" };

/// Makes the name that programs load.
fn named(library: PathBuf) -> PathBuf {
    // As `make install` does. Renamed into place, because programs of other tests may be loading it.
    let aside = library.with_file_name(format!("{LOADED}.{}", std::process::id()));
    symlink(LINKED, &aside).unwrap();
    fs::rename(&aside, library.with_file_name(LOADED)).unwrap();
    library
}

pub(crate) fn compiler(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Runs a command and returns its output. Fails the test if it cannot be run.
pub(crate) fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?} cannot be run: {error}"),
    }
}

/// Runs a command that has to succeed, and returns its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}

/// Compiles a C program of this package with the header and the library in `folder`, where the program finds
/// it.
pub(crate) fn compile_with(source: impl AsRef<Path>, folder: &Path, flags: &[&str]) -> PathBuf {
    let source = package().join(source);
    let name = source.file_stem().and_then(OsStr::to_str).unwrap();
    let programs = folder.join("c");
    fs::create_dir_all(&programs).unwrap();
    let program = programs.join(name);
    // Two tests may compile and run the same program at the same time.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let aside =
        programs.join(format!("{name}.{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    succeed(
        Command::new(compiler("CC", "cc"))
            .args([
                "-std=gnu11",
                "-O1",
                "-g",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Wstrict-prototypes",
                "-Werror",
            ])
            .args(flags)
            .arg("-I")
            .arg(root().join("include"))
            .arg(&source)
            .arg("-o")
            .arg(&aside)
            .arg("-L")
            .arg(folder)
            // An RPATH: cargo sets LD_LIBRARY_PATH for tests, and a RUNPATH comes after that.
            .args(cfg!(target_os = "linux").then_some("-Wl,--disable-new-dtags"))
            .arg(format!("-Wl,-rpath,{}", folder.display()))
            .args(["-lmpflags", "-pthread"]),
    );
    // A library for another processor: the tests start a script that starts the program in an emulator.
    if let Some(runner) = env::var("RUNNER").ok().filter(|runner| !runner.is_empty()) {
        let foreign = programs.join(format!("{name}.foreign"));
        fs::rename(&aside, &foreign).unwrap();
        fs::write(&aside, format!("#!/bin/sh\nexec {runner} {} \"$@\"\n", foreign.display())).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::rename(&aside, &program).unwrap();
    program
}

pub(crate) fn compile(source: impl AsRef<Path>) -> PathBuf {
    compile_with(source, library().parent().unwrap(), &[])
}
