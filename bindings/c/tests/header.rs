//! The header: what cbindgen makes, valid C and C++, and the same as what the library exports.

#[path = "support/api.rs"]
mod api;
mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::{Api, Str, function};
use support::{compiler, library, package, root, run, succeed, target};

fn path() -> PathBuf {
    root().join("include/mpflags.h")
}

#[test]
fn is_what_cbindgen_makes() {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_config(config).with_crate(package()).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).unwrap();
    if env::var_os("MPFLAGS_UPDATE").is_some() {
        fs::write(path(), &made).unwrap();
    }
    let committed = fs::read_to_string(path()).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    assert!(
        made == committed,
        "include/mpflags.h is not what cbindgen makes; MPFLAGS_UPDATE=1 writes it. First difference: {differs:?}"
    );
}

fn compiles(compiler: &str, standard: &str, source: &Path) {
    let mut command = Command::new(compiler);
    command.args([&format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]);
    if !standard.starts_with("c++") {
        command.arg("-Wstrict-prototypes");
    }
    succeed(command.arg("-I").arg(root().join("include")).arg(source));
}

fn is_there(compiler: &str) -> bool {
    Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn compiles_alone_as_c_and_cpp() {
    let folder = target().join("c");
    fs::create_dir_all(&folder).unwrap();
    let c = folder.join("alone.c");
    // Twice: the include guard.
    fs::write(&c, "#include \"mpflags.h\"\n#include \"mpflags.h\"\nint main(void) { return 0; }\n").unwrap();
    let cpp = folder.join("alone.cpp");
    fs::copy(&c, &cpp).unwrap();
    let mut c_compilers = vec![compiler("CC", "cc")];
    let mut cpp_compilers = vec![compiler("CXX", "c++")];
    c_compilers.extend(["gcc", "clang"].map(str::to_owned).into_iter().filter(|name| is_there(name)));
    cpp_compilers.extend(["g++", "clang++"].map(str::to_owned).into_iter().filter(|name| is_there(name)));
    for compiler in c_compilers {
        compiles(&compiler, "c99", &c);
        compiles(&compiler, "c11", &c);
    }
    for compiler in cpp_compilers {
        compiles(&compiler, "c++17", &cpp);
        compiles(&compiler, "c++20", &cpp);
    }
}

#[test]
fn constants_and_layout_hold() {
    let folder = package().join("tests");
    compiles(&compiler("CC", "cc"), "c11", &folder.join("layout.c"));
    // The same text; in C++, static_assert is a keyword.
    let cpp = target().join("c/layout.cpp");
    fs::create_dir_all(target().join("c")).unwrap();
    fs::copy(folder.join("layout.c"), &cpp).unwrap();
    compiles(&compiler("CXX", "c++"), "c++17", &cpp);
}

/// The functions that the header declares, as the compiler sees them.
fn declared() -> BTreeSet<String> {
    let header = fs::read_to_string(path()).unwrap();
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let code: Vec<&str> =
        code.lines().filter(|line| !line.starts_with('#') && !line.contains("(*")).collect();
    let code = code.join("\n");
    let names = code.match_indices('(').filter_map(|(at, _)| {
        let name = code[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        name.starts_with("mpflags_").then(|| name.to_owned())
    });
    names.collect()
}

fn listed() -> BTreeSet<String> {
    let list = fs::read_to_string(package().join("symbols.txt")).unwrap();
    list.lines().map(str::to_owned).collect()
}

#[test]
fn declares_what_the_library_exports() {
    let exported = succeed(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let exported: BTreeSet<String> =
        exported.lines().map(|line| line.split_whitespace().last().unwrap().to_owned()).collect();
    let declared = declared();
    if env::var_os("MPFLAGS_UPDATE").is_some() {
        let lines: Vec<&str> = exported.iter().map(String::as_str).collect();
        fs::write(package().join("symbols.txt"), lines.join("\n") + "\n").unwrap();
    }
    assert_eq!(declared, exported, "declared against exported");
    assert_eq!(
        listed(),
        exported,
        "bindings/c/symbols.txt against exported; a new symbol needs a new revision"
    );
}

/// The first page states what holds for every function, so a comment says only what is different.
#[test]
fn every_declaration_has_a_comment_for_c() {
    let header = fs::read_to_string(path()).unwrap();
    for word in ["# Safety", "SAFETY", "[`", "::", "Option<"] {
        assert!(!header.contains(word), "{word} is not for readers of C");
    }
    for default in ["Nothing to free", "Any thread.", "annot fail:", "Cannot fail.", "Costs nothing"] {
        assert!(!header.contains(default), "\"{default}\" is on the first page");
    }
    for line in header.lines().filter(|line| line.trim_start().starts_with('*')) {
        assert!(line.chars().count() <= 110, "longer than 110: {line}");
    }
    for name in declared() {
        let (comment, declaration) = described(&header, &name);
        assert!(comment.contains(". ") || comment.contains(".\n"), "{name}: no sentence");
        if declaration.contains("timeout_ms") && !comment.contains("Like `mpflags_") {
            assert!(comment.contains("`timeout_ms`"), "{name}: what is timeout_ms?");
        }
    }
}

/// The comment right above a declaration, and the declaration.
fn described<'a>(header: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut at = 0;
    for line in header.split_inclusive('\n') {
        let named = line.contains(&format!(" {name}(")) || line.contains(&format!("*{name}("));
        if named && !line.starts_with([' ', '/', '#']) {
            let (before, after) = header.split_at(at);
            let comment =
                before.trim_end().strip_suffix("*/").unwrap_or_else(|| panic!("{name} has no comment"));
            return (&comment[comment.rfind("/**").unwrap()..], &after[..after.find(';').unwrap()]);
        }
        at += line.len();
    }
    panic!("{name} is not declared at the start of a line");
}

#[test]
fn the_library_has_its_name_and_stays() {
    let dynamic = succeed(Command::new("readelf").arg("-d").arg(library()));
    let soname = format!("[libmpflags.so.{}]", constant("MPFLAGS_ABI_VERSION"));
    assert!(dynamic.lines().any(|line| line.contains("SONAME") && line.contains(&soname)), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    // With static thread-local storage, dlopen fails in programs that have used up theirs.
    assert!(!dynamic.contains("STATIC_TLS"), "{dynamic}");
}

/// The constants of a part of the header that begin with `prefix`: what follows it, and the number.
fn numbers(part: &str, prefix: &str) -> Vec<(String, i32)> {
    let lines = part.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(prefix));
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(name, number)| (name.to_owned(), number.parse().unwrap())).collect()
}

/// The name of a number is its constant, without the prefix.
#[test]
fn every_number_has_its_name() {
    let header = fs::read_to_string(path()).unwrap();
    // The statuses have no prefix that others lack. They follow their type.
    let (constants, statuses) = header.split_once("typedef int32_t mpflags_status;").unwrap();
    let api = Api::load(library());
    let groups = [
        (function!(api, b"mpflags_status_name", fn(i32) -> Str), numbers(statuses, "MPFLAGS_")),
        (function!(api, b"mpflags_state_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_STATE_")),
        (function!(api, b"mpflags_type_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_TYPE_")),
        (function!(api, b"mpflags_kind_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_KIND_")),
        (function!(api, b"mpflags_reason_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_REASON_")),
        (function!(api, b"mpflags_error_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_ERROR_")),
        (function!(api, b"mpflags_level_name", fn(i32) -> Str), numbers(constants, "MPFLAGS_LEVEL_")),
    ];
    for (name, constants) in groups {
        assert!(constants.len() > 4, "{constants:?}");
        for number in (-1..100).chain([i32::MIN, i32::MAX]) {
            let known = constants.iter().find(|(_, known)| *known == number);
            let expected = known.map_or("unknown", |(name, _)| name);
            // SAFETY: it takes a number of 32 bits and returns a static string.
            let name = unsafe { name(number) }.text();
            assert_eq!(name.as_deref(), Some(expected), "{number} of {constants:?}");
        }
    }
}

fn constant(name: &str) -> String {
    let header = fs::read_to_string(path()).unwrap();
    let line = header.lines().find(|line| line.starts_with(&format!("#define {name} "))).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

#[test]
fn the_library_can_unwind() {
    let imported = run(Command::new("nm").args(["-D", "--undefined-only"]).arg(library()));
    let imported = String::from_utf8(imported.stdout).unwrap();
    // Not imported with panic = "abort", with which a panic would end the process.
    assert!(imported.contains("_Unwind_RaiseException"), "{imported}");
}
