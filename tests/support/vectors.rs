//! The vectors of `conformance/vectors`, for every test in Rust: reads them as the page there says, and checks results.
#![allow(dead_code, reason = "every test uses its part")]

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    suite: String,
    #[serde(default)]
    note: Option<String>,
    vectors: Vec<Box<RawValue>>,
}

/// What every vector has.
#[derive(Deserialize)]
pub(crate) struct Head {
    name: String,
    why: String,
}

/// All vectors of a suite. Fails if there are none, and for an unknown field, an empty `why` and a name that is used twice.
pub(crate) fn vectors<V: DeserializeOwned>(suite: &str) -> Vec<V> {
    let folder = root().join("conformance/vectors").join(suite);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut names = HashSet::new();
    let mut all = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let path = path.display();
        let file: Suite = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(file.suite, suite, "{path}");
        assert!(!file.vectors.is_empty(), "{path}: no vectors");
        for vector in &file.vectors {
            let Head { name, why } =
                serde_json::from_str(vector.get()).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(!why.is_empty(), "{name}: no why");
            all.push(serde_json::from_str(vector.get()).unwrap_or_else(|error| panic!("{name}: {error}")));
            assert!(names.insert(name.clone()), "{name} is used twice");
        }
    }
    assert!(!all.is_empty(), "{}: no vectors", folder.display());
    all
}

/// The root of the repository, also for the packages below it.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("conformance/vectors").is_dir()).unwrap()
}

/// The string that `json` is, if it is one. Vectors write as strings what JSON values cannot carry.
pub(crate) fn text_of(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

/// The definitions that `flags` of a vector stands for: a file's name, an object, or a string with the text.
pub(crate) fn document(flags: &RawValue) -> String {
    match text_of(flags) {
        Some(text) if text.starts_with('{') => text,
        Some(file) => fs::read_to_string(root().join("conformance/vectors/flags").join(file)).unwrap(),
        None => flags.get().to_owned(),
    }
}

/// Definitions of the flag `f`, which is on for everyone whom `field` of its rollout, a rule, admits.
pub(crate) fn one_rule(field: &str, rule: &str) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "id", "ruleset": {{"variants": [{{"key": "on", "value": true}}],
            "rollout": [{{"rollout_percentage": 1, "{field}": {rule}}}]}}}}]}}"#
    )
}

/// The configuration of a client that has everything it needs. Its loopback host has no certificate to check, so the
/// system's roots are not read for each vector.
pub(crate) fn config(definitions: &str, overrides: &str) -> String {
    format!(
        r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false,
            "definitions": {definitions}, "overrides": {overrides}}}"#
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    flags: Box<RawValue>,
    pub(crate) key: String,
    pub(crate) context: Box<RawValue>,
    #[serde(default)]
    overrides: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) read: Option<String>,
    pub(crate) want: Want,
    pub(crate) why: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Want {
    pub(crate) outcome: String,
    pub(crate) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_qa_tester: Option<bool>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) experiment_id: Option<Value>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) is_experiment_active: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) message_has: Vec<String>,
}

/// Distinguishes null from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What an evaluation resulted in, in the words of a vector.
#[derive(Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) outcome: &'static str,
    pub(crate) reason: String,
    pub(crate) variant: Option<String>,
    pub(crate) json: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) experiment_id: Option<String>,
    pub(crate) is_experiment_active: Option<bool>,
    pub(crate) is_qa_tester: bool,
}

/// The outcome of an evaluation with this reason and error code, as OpenFeature calls them.
pub(crate) fn outcome(has_value: bool, reason: &str, error_code: Option<&str>) -> &'static str {
    match error_code {
        None if has_value => "variant",
        None if reason == "DISABLED" => "disabled",
        None => "no_rollout_match",
        Some("FLAG_NOT_FOUND") => "flag_not_found",
        Some("PARSE_ERROR") => "malformed",
        Some("TARGETING_KEY_MISSING") => "missing_context_key",
        Some("TYPE_MISMATCH") => "type_mismatch",
        Some("INVALID_CONTEXT") => "invalid_context",
        Some(other) => panic!("unexpected error code {other}"),
    }
}

impl Case {
    pub(crate) fn document(&self) -> String {
        document(&self.flags)
    }

    pub(crate) fn overrides(&self) -> &str {
        self.overrides.as_deref().map_or("{}", RawValue::get)
    }

    /// The text of the context.
    pub(crate) fn context(&self) -> String {
        text_of(&self.context).unwrap_or_else(|| self.context.get().to_owned())
    }

    pub(crate) fn check(&self, got: &Got) -> Result<(), String> {
        let want = &self.want;
        let mut wrong = Vec::new();
        let mut expect = |what: &str, wanted: &dyn Debug, got: &dyn Debug| {
            let (wanted, got) = (format!("{wanted:?}"), format!("{got:?}"));
            if wanted != got {
                wrong.push(format!("{what}: want {wanted}, got {got}"));
            }
        };
        expect("outcome", &want.outcome, &got.outcome);
        expect("reason", &want.reason, &got.reason);
        expect("variant", &want.variant, &got.variant);
        if let Some(value) = &want.value {
            let json = got.json.as_deref().map(|json| serde_json::from_str::<Value>(json).unwrap());
            if !json.as_ref().is_some_and(|json| same(value, json)) {
                expect("value", &Some(value), &json);
            }
        }
        if let Some(tester) = want.is_qa_tester {
            expect("is_qa_tester", &tester, &got.is_qa_tester);
        }
        if let Some(id) = &want.experiment_id {
            expect("experiment_id", id, &json!(got.experiment_id));
        }
        if let Some(active) = &want.is_experiment_active {
            expect("is_experiment_active", active, &json!(got.is_experiment_active));
        }
        let message = got.message.as_deref();
        // Without a match, it is there if no rule had anything to read.
        if got.outcome != "no_rollout_match" {
            expect("an error has a message", &(got.reason == "ERROR"), &message.is_some());
        }
        if want.message.is_some() {
            expect("message", &want.message.as_deref(), &message);
        }
        for part in &want.message_has {
            if !message.unwrap_or_default().contains(part) {
                expect("message with", part, &message);
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} ({})\n    {}", self.name, self.why, wrong.join("\n    ")))
        }
    }
}

/// Compares JSON by value: 2 is 2.0, but integers are compared exactly.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64() == b.as_f64() && !(a.is_i64() && b.is_i64()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleCase {
    pub(crate) name: String,
    #[serde(default)]
    rule: Option<Box<RawValue>>,
    #[serde(default)]
    rule_text: Option<String>,
    #[serde(default)]
    pub(crate) data: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) data_text: Option<String>,
    want: Value,
    why: String,
}

impl RuleCase {
    pub(crate) fn definitions(&self) -> String {
        let rule = self.rule_text.as_deref().or(self.rule.as_deref().map(RawValue::get));
        one_rule("runtime_evaluation_rule", rule.unwrap())
    }

    pub(crate) fn context(&self) -> String {
        match self.data_text.as_deref().or(self.data.as_deref().map(RawValue::get)) {
            Some(data) => format!(r#"{{"id": 1, "custom_properties": {data}}}"#),
            None => r#"{"id": 1}"#.to_owned(),
        }
    }

    pub(crate) fn check(&self, outcome: &str) -> Result<(), String> {
        let got = match outcome {
            "variant" => json!(true),
            "no_rollout_match" => json!(false),
            other => json!(other),
        };
        if got == self.want {
            return Ok(());
        }
        Err(format!("{} ({}): want {}, got {got}", self.name, self.why, self.want))
    }
}

/// Prints the result of a suite, and appends it to the file that `MPFLAGS_REPORT` names, for `make conformance`. `reason`
/// says why vectors were skipped.
pub(crate) fn report(layer: &str, suite: &str, passed: usize, skipped: usize, reason: &str) {
    let because = if skipped > 0 { format!(": {reason}") } else { String::new() };
    println!("{suite}: {passed} of {} vectors, {skipped} skipped{because}", passed + skipped);
    if let Some(path) = std::env::var_os("MPFLAGS_REPORT") {
        let line = json!({
            "layer": layer, "suite": suite, "passed": passed, "skipped": skipped, "reason": reason,
        });
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
