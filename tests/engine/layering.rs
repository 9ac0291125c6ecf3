//! The architecture of src/, checked against the sources: a folder imports only from floors below it, the
//! files of a folder form no cycle, and the engine names nothing impure. The other crates have no cycle either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folders and files of src/, from the lowest floor up.
const FLOORS: [&str; 7] =
    ["binary error json sys", "engine items", "config", "transport", "events", "client", "openfeature"];

/// What `engine` never names.
const IMPURE: &str = "std::time std::thread std::fs std::env std::process std::io TcpStream Instant SystemTime Mutex RwLock \
                      Condvar Atomic log:: getrandom ureq arc_swap println! eprintln!";

/// What no file on the path of an evaluation names.
const LOCKS: &str = "Mutex RwLock Condvar OnceLock LazyLock OnceCell .lock(";

/// Module, as in `engine/rules/path`, → its code.
type Sources = BTreeMap<String, String>;

/// Every source of src/.
fn sources() -> Sources {
    let sources = sources_of("src");
    assert!(sources.len() > 50);
    sources
}

/// Every source in a folder, without its tests. lib.rs is left out: it imports everything.
fn sources_of(src: &str) -> Sources {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(src);
    let (mut sources, mut folders) = (Sources::new(), vec![src.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let module = path.strip_prefix(&src).unwrap().with_extension("");
            let module = module.to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !module.ends_with("tests") && !module.contains("/tests/") && module != "lib" {
                let text = fs::read_to_string(path).unwrap();
                sources.insert(module.trim_end_matches("/mod").to_owned(), code(&text));
            }
        }
    }
    sources
}

/// `text` without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate`, `super`, `self` or a submodule, resolved to a module. Other paths are
/// external.
fn imports(module: &str, sources: &Sources) -> BTreeSet<String> {
    let code = &sources[module];
    let here: Vec<&str> = module.split('/').collect();
    let parent = &here[..here.len() - 1];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("::") {
        let start = code[..at].trim_end_matches(is_name).len();
        let root = &code[start..at];
        let base = match root {
            _ if code[..start].ends_with("::") => continue,
            "crate" => vec![],
            "super" => parent.to_vec(),
            "self" => here.clone(),
            child if sources.contains_key(&format!("{module}/{child}")) => [&here[..], &[child]].concat(),
            _ => continue,
        };
        let mut paths = Vec::new();
        expand(&code[at + 2..], base, &mut paths);
        for path in paths {
            let modules = (1..=path.len()).rev().map(|len| path[..len].join("/"));
            let imported = modules.into_iter().find(|module| sources.contains_key(module));
            // A path through lib.rs or a folder without mod.rs would go unchecked.
            found.insert(imported.unwrap_or_else(|| path.join("/")));
        }
    }
    found.remove(module);
    found
}

/// Adds the paths of a use tree, as in `a::{b, c::{d, self}}`, each after `base`. Returns what follows the
/// tree.
fn expand<'a>(tree: &'a str, mut base: Vec<&'a str>, paths: &mut Vec<Vec<&'a str>>) -> &'a str {
    let mut rest = tree.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group.trim_start();
        while !rest.starts_with('}') {
            rest = expand(rest, base.clone(), paths);
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        }
        return &rest[1..];
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(rest.len());
    match &rest[..end] {
        "super" => _ = base.pop(),
        "self" | "*" | "" => {}
        name => base.push(name),
    }
    match rest[end..].strip_prefix("::") {
        Some(deeper) => expand(deeper, base, paths),
        None => {
            paths.push(base);
            // Past a renaming, `as other`.
            let end = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
            &rest[end..]
        }
    }
}

/// What is wrong with the imports, a line each.
fn violations(sources: &Sources) -> Vec<String> {
    let folder = |module: &str| module.split('/').next().unwrap().to_owned();
    let floor =
        |module: &str| FLOORS.iter().position(|floor| floor.split(' ').any(|part| part == folder(module)));
    let (mut graph, mut wrong) = (BTreeMap::new(), Vec::new());
    for module in sources.keys() {
        let imported = imports(module, sources);
        for import in &imported {
            let inside = folder(import) == folder(module);
            let pure = folder(module) != "engine"
                || ["engine", "binary", "json", "error"].contains(&&*folder(import));
            if !inside && (floor(import).is_none() || floor(import) >= floor(module)) || !pure {
                wrong.push(format!("{module} imports {import}"));
            }
        }
        graph.insert(module.clone(), imported);
    }
    wrong.extend(cycle(graph).map(|path| format!("cycle: {}", path.join(" → "))));
    wrong
}

/// A topological sort: takes away the modules that import nothing that is left. From any of the others a walk
/// ends in a cycle.
fn cycle(mut graph: BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    loop {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        for imported in graph.values_mut() {
            imported.retain(|module| left.contains(module));
        }
        graph.retain(|_, imported| !imported.is_empty());
        if graph.len() == left.len() {
            break;
        }
    }
    let mut path = vec![graph.keys().next()?.clone()];
    loop {
        let next = graph[path.last()?].first()?.clone();
        if let Some(at) = path.iter().position(|module| *module == next) {
            return Some([&path[at..], &[next]].concat());
        }
        path.push(next);
    }
}

#[test]
fn imports_lead_down() {
    assert_eq!(violations(&sources()), [""; 0]);
}

#[test]
fn the_other_crates_have_no_cycle() {
    for (src, least) in [("bindings/c/src", 15), ("dev/src", 25)] {
        let sources = sources_of(src);
        assert!(sources.len() > least, "{src}: {}", sources.len());
        let graph = sources.keys().map(|module| (module.clone(), imports(module, &sources))).collect();
        assert_eq!(cycle(graph), None, "{src}");
    }
}

#[test]
fn every_part_has_one_floor() {
    let parts: BTreeSet<String> = sources().keys().map(|m| m.split('/').next().unwrap().to_owned()).collect();
    let mut floors: Vec<&str> = FLOORS.iter().flat_map(|floor| floor.split(' ')).collect();
    floors.sort_unstable();
    assert_eq!(floors, Vec::from_iter(&parts));
}

/// The checks themselves: each finds what it is for, however the import is written.
#[test]
fn planted_faults_are_found() {
    let check = |files: &[(&str, &str)]| {
        violations(&files.iter().map(|(module, text)| (module.to_string(), code(text))).collect())
    };
    let below = [("error", ""), ("engine/b", "use crate::error::Error;"), ("engine", "mod a; mod b;")];
    let with = |files: &[(&'static str, &'static str)]| check(&[&below[..], files].concat());
    assert_eq!(
        with(&[("engine/a", "use super::b::{self, B};\nuse std::{fmt, mem::{self, swap}};")]),
        [""; 0]
    );
    for upward in [
        "use crate::client::Client;",
        "use crate::{error::Error, client::{self, Client}};",
        "fn f() { super::super::client::g(); }",
        "use super::{b::B, super::client::Client};",
    ] {
        assert_eq!(with(&[("client", ""), ("engine/a", upward)]), ["engine/a imports client"], "{upward}");
    }
    assert_eq!(with(&[("sys", ""), ("engine/a", "use crate::sys::f;")]), ["engine/a imports sys"]);
    assert_eq!(with(&[("json", "use crate::error::Error;")]), ["json imports error"]);
    assert_eq!(with(&[("engine/a", "use crate::Client;")]), ["engine/a imports Client"]);
    for back in ["use super::a::A;", "use crate::{engine::a, error::Error};", "fn f() { super::c::g(); }"] {
        let found = check(&[
            ("engine", "mod a; pub(crate) mod b; mod c;"),
            ("engine/a", "use super::b::{B as Other, C};"),
            ("engine/b", back),
            ("engine/c", "use super::a::A;"),
            ("error", ""),
        ]);
        assert_eq!(found.len(), 1, "{back}: {found:?}");
        assert!(found[0].starts_with("cycle: engine/a → engine/b → "), "{back}: {found:?}");
    }
    assert_eq!(
        check(&[("client", "mod a;\nuse a::A;"), ("client/a", "use super::B;")]),
        ["cycle: client → client/a → client"]
    );
}

/// Which of the `words` occur in the modules that `is_checked` picks.
fn names(words: &str, is_checked: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (module, code) in sources().iter().filter(|(module, _)| is_checked(module)) {
        let named = words.split_whitespace().filter(|word| code.contains(word));
        found.extend(named.map(|word| format!("{module} names {word}")));
    }
    found
}

#[test]
fn the_engine_is_pure() {
    assert_eq!(names(IMPURE, |module| module.starts_with("engine")), [""; 0]);
}

#[test]
fn no_lock_on_the_path_of_an_evaluation() {
    assert_eq!(names(LOCKS, |module| module.starts_with("engine") || module == "client/snapshot"), [""; 0]);
}

#[test]
fn only_the_transport_names_the_http_library() {
    assert_eq!(names("ureq", |module| !module.starts_with("transport")), [""; 0]);
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

/// A client owns threads and a queue: it is shared by reference or in an `Arc`, and never copied. If it were
/// `Clone`, the compiler could not choose between the two implementations.
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
