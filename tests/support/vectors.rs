//! The corpus under `conformance/vectors`, read as the page there says.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite<V> {
    suite: String,
    #[serde(default)]
    #[allow(dead_code)]
    note: Option<String>,
    vectors: Vec<V>,
}

/// One case, whatever its suite.
pub(crate) trait Vector: DeserializeOwned {
    fn name(&self) -> &str;
    fn why(&self) -> &str;
}

/// Every vector of the suite in folder `suite`. No vector, an unknown field, an empty `why` or a name given twice fails.
pub(crate) fn vectors<V: Vector>(suite: &str) -> Vec<V> {
    let folder = root().join("conformance/vectors").join(suite);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the corpus is there").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let read: Suite<V> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(read.suite, suite, "{}", path.display());
        assert!(!read.vectors.is_empty(), "{}: no vectors", path.display());
        all.extend(read.vectors);
    }
    assert!(!all.is_empty(), "{}: no vectors", folder.display());
    let mut names = HashSet::new();
    for vector in &all {
        assert!(names.insert(vector.name().to_owned()), "{} is given twice", vector.name());
        assert!(!vector.why().is_empty(), "{}: no why", vector.name());
    }
    all
}

/// The text of what stands under `flags`: a file's, an inline object's, or a string's.
#[allow(dead_code)]
pub(crate) fn document(flags: &RawValue) -> String {
    match text_of(flags) {
        Some(text) if text.ends_with(".json") && !text.contains('{') => {
            fs::read_to_string(root().join("conformance/vectors/flags").join(text)).unwrap()
        }
        Some(text) => text,
        None => flags.get().to_owned(),
    }
}

/// The string that `json` is, if it is one: the way to write what JSON values cannot carry.
#[allow(dead_code)]
pub(crate) fn text_of(json: &RawValue) -> Option<String> {
    serde_json::from_str::<String>(json.get()).ok()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Prints what a suite came to, and appends it to the file that `MPFLAGS_REPORT` names, for `make conformance`.
#[allow(dead_code, clippy::print_stdout, reason = "not every test runs vectors")]
pub(crate) fn report(layer: &str, suite: &str, passed: usize, skipped: usize, reason: &str) {
    println!(
        "{suite}: {passed} of {} vectors, {skipped} skipped{}{reason}",
        passed + skipped,
        if skipped > 0 { ": " } else { "" }
    );
    if let Some(path) = std::env::var_os("MPFLAGS_REPORT") {
        use std::io::Write;
        let line = serde_json::json!({
            "layer": layer, "suite": suite, "passed": passed, "skipped": skipped, "reason": reason,
        });
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
