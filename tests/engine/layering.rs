//! Who may import whom. A module imports modules of its own line and above, as the table says, and nothing else: what
//! the pure ring does not name, it cannot do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// module → the modules of this crate that it may import. Above the line the pure ring, below it the runtime.
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("bucket", &[]),
    ("endpoint", &[]),
    ("value", &[]),
    ("variant", &["identity"]),
    ("rules", &["identity", "value"]),
    ("context", &["bucket", "error", "identity", "rules", "value", "variant"]),
    ("definitions", &["bucket", "error", "identity", "outcome", "rules", "value", "variant"]),
    ("outcome", &["definitions", "event", "identity", "variant"]),
    ("evaluate", &["bucket", "context", "definitions", "identity", "outcome"]),
    ("identity", &["bucket"]),
    ("event", &["definitions", "error", "identity", "rules", "value", "variant"]),
    ("answer", &["outcome"]),
    ("ask", &["variant"]),
    ("evaluation", &["answer", "event", "identity", "outcome", "variant"]),
    ("evaluations", &["evaluation", "identity", "outcome", "variant"]),
    ("explain", &["context", "definitions", "evaluate", "evaluation", "identity", "outcome"]),
    ("config", &["context", "endpoint", "error", "value", "variant"]),
    // runtime
    ("fork", &[]),
    ("clock", &[]),
    ("worker", &["clock"]),
    ("stream", &["worker"]),
    ("snapshot", &["definitions", "outcome", "variant"]),
    ("status", &["error", "outcome", "stream"]),
    ("refresh", &["error", "status"]),
    ("transport", &["clock", "config", "error", "worker"]),
    ("cache", &["bucket", "config"]),
    ("dedupe", &[]),
    ("outbox", &["dedupe", "event", "stream", "worker"]),
    ("events", &["clock", "config", "dedupe", "error", "event", "identity", "outbox", "outcome", "stream"]),
    ("remote", &["clock", "error", "event", "outcome", "transport", "value", "variant"]),
    ("reporter", &["clock", "config", "event", "outbox", "stream", "transport", "worker"]),
    (
        "poller",
        &[
            "cache",
            "clock",
            "config",
            "definitions",
            "outbox",
            "refresh",
            "snapshot",
            "status",
            "stream",
            "transport",
            "worker",
        ],
    ),
    (
        "client",
        &[
            "answer",
            "ask",
            "cache",
            "clock",
            "config",
            "context",
            "definitions",
            "error",
            "evaluate",
            "evaluation",
            "evaluations",
            "event",
            "events",
            "explain",
            "fork",
            "identity",
            "outbox",
            "outcome",
            "poller",
            "refresh",
            "remote",
            "reporter",
            "snapshot",
            "status",
            "stream",
            "transport",
            "variant",
            "worker",
        ],
    ),
    // The one module that names OpenFeature's SDK; behind the cargo feature `openfeature`.
    (
        "openfeature",
        &[
            "ask",
            "client",
            "clock",
            "config",
            "error",
            "evaluation",
            "fork",
            "identity",
            "outcome",
            "rules",
            "stream",
            "value",
            "variant",
            "worker",
        ],
    ),
];

const PURE: usize = 18;

/// What the pure ring never names.
const IMPURE: &[&str] = &[
    "std::time",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
    "std::io",
    "TcpStream",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "log::",
    "getrandom",
    "ureq",
    "arc_swap",
    "println!",
    "eprintln!",
];

/// What no file on the way of an evaluation names: locks and waits.
const LOCKS: &[&str] = &["Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "OnceCell", ".lock("];

fn files(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.retain(|path| {
        path.is_file() && !path.ends_with("tests.rs") && !path.iter().any(|part| part == "tests")
    });
    assert!(!found.is_empty(), "no file for module {module}");
    found
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]" || line.starts_with(' '));
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_stands_in_the_table() {
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let mut declared: Vec<&str> = root
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(|rest| rest.trim_end_matches(';'))
        .filter(|module| !module.ends_with("_tests"))
        .collect();
    declared.sort_unstable();
    let mut known: Vec<&str> = TABLE.iter().map(|(module, _)| *module).collect();
    known.sort_unstable();
    assert_eq!(declared, known);
}

#[test]
fn imports_follow_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    for (module, allowed) in &table {
        for path in files(module) {
            for (at, _) in code(&path).match_indices("crate::") {
                let text = code(&path);
                let rest = &text[at + "crate::".len()..];
                let imported: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let fine = imported == *module || allowed.contains(&imported.as_str());
                assert!(fine, "{} imports `{imported}`, which the table does not allow", path.display());
            }
        }
    }
}

#[test]
fn the_pure_ring_is_pure() {
    let (pure, runtime) = TABLE.split_at(PURE);
    let runtime: Vec<&str> = runtime.iter().map(|(module, _)| *module).collect();
    for (module, allowed) in pure {
        assert!(allowed.iter().all(|m| !runtime.contains(m)), "{module} imports the runtime");
        for path in files(module) {
            // A duration is a number with a unit; it asks no clock.
            let code = code(&path).replace("std::time::Duration", "");
            for word in IMPURE {
                assert!(!code.contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

#[test]
fn no_lock_on_the_way_of_an_evaluation() {
    for module in [
        "answer",
        "bucket",
        "context",
        "definitions",
        "evaluate",
        "identity",
        "outcome",
        "rules",
        "snapshot",
        "value",
        "variant",
    ] {
        for path in files(module) {
            let code = code(&path);
            for word in LOCKS {
                assert!(!code.contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

#[test]
fn only_the_transport_names_the_http_library() {
    for (module, _) in TABLE {
        for path in files(module) {
            let names = code(&path).contains("ureq");
            let transport = path.iter().any(|part| part == "transport");
            assert!(!names || transport, "{} names ureq", path.display());
        }
    }
}

/// A client is shared between threads; its parts may be sent to others.
#[test]
fn send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<mpflags::Client>();
    both::<mpflags::Config>();
    both::<mpflags::Context>();
    both::<mpflags::Evaluation>();
    both::<mpflags::Error>();
    both::<mpflags::Item>();
}

/// A client owns threads and a queue: it is shared by reference or in an `Arc`, and never copied. If it were `Clone`, the
/// compiler could not choose between the two implementations.
#[test]
fn a_client_is_not_clone() {
    struct Cloned;
    trait Ambiguous<M> {
        fn chosen() {}
    }
    impl<T> Ambiguous<()> for T {}
    impl<T: Clone> Ambiguous<Cloned> for T {}
    <mpflags::Client as Ambiguous<_>>::chosen();
}
