//! The corpus under `conformance/vectors`, read as the page there says.

use std::collections::HashSet;
use std::fs;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite<V> {
    suite: String,
    #[serde(default)]
    #[allow(dead_code, reason = "for readers of the file")]
    note: Option<String>,
    vectors: Vec<V>,
}

pub(crate) trait Vector: DeserializeOwned {
    fn name(&self) -> &str;
    fn why(&self) -> &str;
}

/// A vector of a suite that C does not run.
#[derive(Deserialize)]
pub(crate) struct Counted {
    name: String,
    why: String,
}

impl Vector for Counted {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) flags: Box<RawValue>,
    pub(crate) key: String,
    pub(crate) context: Box<RawValue>,
    #[serde(default)]
    pub(crate) overrides: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) read: Option<String>,
    pub(crate) want: Want,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Want {
    pub(crate) outcome: String,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) variant: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) value: Option<Value>,
    #[serde(default)]
    pub(crate) is_qa_tester: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) experiment_id: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) is_experiment_active: Option<Value>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) message_has: Vec<String>,
}

/// Tells null from absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleCase {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) rule: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) rule_text: Option<String>,
    #[serde(default)]
    pub(crate) data: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) data_text: Option<String>,
    pub(crate) want: Value,
    why: String,
}

impl Vector for Case {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

impl Vector for RuleCase {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

/// Every vector of a suite. No vector, an unknown field, an empty `why` or a name given twice fails.
pub(crate) fn vectors<V: Vector>(suite: &str) -> Vec<V> {
    let folder = root().join("conformance/vectors").join(suite);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
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
pub(crate) fn document(flags: &RawValue) -> String {
    match text_of(flags) {
        Some(text) if text.starts_with('{') => text,
        Some(file) => fs::read_to_string(root().join("conformance/vectors/flags").join(file)).unwrap(),
        None => flags.get().to_owned(),
    }
}

/// The string that `json` is, if it is one: the way to write what JSON values cannot carry.
pub(crate) fn text_of(json: &RawValue) -> Option<String> {
    serde_json::from_str::<String>(json.get()).ok()
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
