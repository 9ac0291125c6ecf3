//! The corpus through the Rust API: every vector with a context kept, and with one read once.

use crate::support::{Vector, document, report, text_of, vectors};
use mpflags::{Client, Config, Context, ErrorCode, EvaluateOptions, Evaluation, ValueType};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    flags: Box<RawValue>,
    key: String,
    context: Box<RawValue>,
    #[serde(default)]
    overrides: Option<Box<RawValue>>,
    #[serde(default)]
    read: Option<String>,
    want: Want,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Want {
    outcome: String,
    reason: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    #[serde(default)]
    is_qa_tester: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    experiment_id: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    is_experiment_active: Option<Value>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    message_has: Vec<String>,
}

/// Tells null from absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Vector for Case {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

fn client(definitions: &str, overrides: Option<&RawValue>) -> Client {
    // A loopback host has no certificate to check: the roots of the system are not read for each vector.
    let overrides = overrides.map_or("{}", RawValue::get);
    let config = format!(
        r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "definitions": {definitions}, "overrides": {overrides}}}"#
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn wanted(read: Option<&str>) -> ValueType {
    match read {
        None => ValueType::Any,
        Some("boolean") => ValueType::Boolean,
        Some("string") => ValueType::String,
        Some("integer") => ValueType::Integer,
        Some("double") => ValueType::Double,
        Some("object") => ValueType::Object,
        Some(other) => panic!("unknown read `{other}`"),
    }
}

fn outcome(evaluation: &Evaluation) -> &'static str {
    match evaluation.error_code() {
        None if evaluation.has_value() => "variant",
        None if evaluation.reason().to_string() == "DISABLED" => "disabled",
        None => "no_rollout_match",
        Some(ErrorCode::FlagNotFound) => "flag_not_found",
        Some(ErrorCode::ParseError) => "malformed",
        Some(ErrorCode::TargetingKeyMissing) => "missing_context_key",
        Some(ErrorCode::TypeMismatch) => "type_mismatch",
        Some(ErrorCode::InvalidContext) => "invalid_context",
        Some(other) => panic!("unexpected {other}"),
    }
}

/// Numbers compare by value: 2 and 2.0 are one.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

fn check(case: &Case, got: &Evaluation) -> Result<(), String> {
    let want = &case.want;
    let mut wrong = Vec::new();
    let mut expect = |what: &str, wanted: String, got: String| {
        if wanted != got {
            wrong.push(format!("{what}: want {wanted}, got {got}"));
        }
    };
    expect("outcome", want.outcome.clone(), outcome(got).to_owned());
    expect("reason", want.reason.clone(), got.reason().to_string());
    expect("variant", format!("{:?}", want.variant.as_deref()), format!("{:?}", got.variant()));
    if let Some(value) = &want.value {
        let json: Value =
            got.json().map_or(Value::String("(none)".to_owned()), |j| serde_json::from_str(j).unwrap());
        if !same(value, &json) {
            expect("value", value.to_string(), json.to_string());
        }
    }
    if let Some(tester) = want.is_qa_tester {
        expect("is_qa_tester", tester.to_string(), got.is_qa_tester().to_string());
    }
    if let Some(id) = &want.experiment_id {
        expect("experiment_id", id.to_string(), Value::from(got.experiment_id()).to_string());
    }
    if let Some(active) = &want.is_experiment_active {
        expect(
            "is_experiment_active",
            active.to_string(),
            Value::from(got.is_experiment_active()).to_string(),
        );
    }
    if let Some(message) = &want.message {
        expect("message", message.clone(), got.message().unwrap_or("(none)").to_owned());
    }
    for part in &want.message_has {
        if !got.message().unwrap_or_default().contains(part.as_str()) {
            expect("message with", part.clone(), got.message().unwrap_or("(none)").to_owned());
        }
    }
    if got.error_code().is_some() != got.message().is_some() {
        wrong.push(format!("message {:?} with error {:?}", got.message(), got.error_code()));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} ({})\n    {}", case.name, case.why, wrong.join("\n    ")))
    }
}

#[test]
fn evaluate() {
    let cases = vectors::<Case>("evaluate");
    let mut failed = Vec::new();
    for case in &cases {
        let client = client(&document(&case.flags), case.overrides.as_deref());
        let text = text_of(&case.context).unwrap_or_else(|| case.context.get().to_owned());
        let wanted = wanted(case.read.as_deref());
        let once = client.evaluate_json(&case.key, &text, EvaluateOptions::new().value_type(wanted));
        failed.extend(check(case, &once).err());
        match Context::from_json(&text) {
            Err(error) => {
                // An override answers before the context is read.
                if case.want.outcome != "invalid_context" {
                    failed.push(format!("{}: {error}", case.name));
                }
            }
            Ok(context) => {
                let kept = client.evaluate(&case.key, &context, EvaluateOptions::new().value_type(wanted));
                if kept != once {
                    failed.push(format!("{}: kept {kept:?}\n    once {once:?}", case.name));
                }
                if wanted == ValueType::Any {
                    let all = client.evaluate_all(&context, EvaluateOptions::new());
                    assert!(all.as_slice().is_sorted_by(|a, b| a.key() < b.key()), "{}", case.name);
                    let same = all.get(&case.key);
                    if same.is_some_and(|same| *same != kept)
                        || same.is_none() != (case.want.outcome == "flag_not_found")
                    {
                        failed.push(format!("{}: among all {same:?}", case.name));
                    }
                }
                failed.extend(reads(&client, case, &context, &kept));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    report("Rust", "evaluate", cases.len(), 0, "");
}

/// The short reads agree with the evaluation of the same type.
fn reads(client: &Client, case: &Case, context: &Context, kept: &Evaluation) -> Option<String> {
    let agrees = match case.read.as_deref() {
        Some("boolean") => client.boolean(&case.key, context, false) == kept.boolean().unwrap_or(false),
        Some("integer") => client.integer(&case.key, context, -7) == kept.integer().unwrap_or(-7),
        Some("double") => client.double(&case.key, context, -7.5) == kept.double().unwrap_or(-7.5),
        Some("string") => client.string(&case.key, context, "default") == kept.string().unwrap_or("default"),
        _ => true,
    };
    (!agrees).then(|| format!("{}: the short read disagrees with {kept:?}", case.name))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    name: String,
    subject: String,
    salt: String,
    want: f64,
    why: String,
}

impl Vector for Bucket {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

#[test]
fn bucket() {
    let cases = vectors::<Bucket>("bucket");
    for case in &cases {
        assert_eq!(mpflags::bucket(&case.subject, &case.salt), case.want, "{}", case.name);
    }
    report("Rust", "bucket", cases.len(), 0, "");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleCase {
    name: String,
    #[serde(default)]
    rule: Option<Box<RawValue>>,
    #[serde(default)]
    rule_text: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    data_text: Option<String>,
    want: Value,
    why: String,
}

impl Vector for RuleCase {
    fn name(&self) -> &str {
        &self.name
    }
    fn why(&self) -> &str {
        &self.why
    }
}

#[test]
fn rules() {
    let cases = vectors::<RuleCase>("rules");
    let mut failed = Vec::new();
    for case in &cases {
        let rule = case.rule_text.clone().or_else(|| case.rule.as_ref().map(|r| r.get().to_owned())).unwrap();
        let data = case.data_text.clone().or_else(|| case.data.as_ref().map(|d| d.get().to_owned()));
        let document = format!(
            r#"{{"flags": [{{"key": "f", "context": "id", "ruleset": {{"variants": [{{"key": "on", "value": true}}],
                "rollout": [{{"rollout_percentage": 1, "runtime_evaluation_rule": {rule}}}]}}}}]}}"#
        );
        let context = match data {
            Some(data) => format!(r#"{{"id": 1, "custom_properties": {data}}}"#),
            None => r#"{"id": 1}"#.to_owned(),
        };
        let client = client(&document, None);
        let once = client.evaluate_json("f", &context, EvaluateOptions::new());
        let kept = client.evaluate("f", &Context::from_json(&context).unwrap(), EvaluateOptions::new());
        let got = match outcome(&once) {
            "variant" => Value::Bool(true),
            "no_rollout_match" => Value::Bool(false),
            other => Value::from(other),
        };
        if once != kept || got != case.want {
            failed.push(format!("{} ({}): want {}, got {got}", case.name, case.why, case.want));
        }
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    report("Rust", "rules", cases.len(), 0, "");
}
