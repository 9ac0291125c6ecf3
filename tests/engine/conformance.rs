//! The vectors through the Rust API: each with a context that is kept, with one that is read for a single call, in the binary
//! form, and from a builder.

use crate::every_way::every_way;
use crate::support::{Case, Got, RuleCase, config, outcome, report, vectors};
use mpflags::{Client, Config, Context, EvaluateOptions, Evaluation, ValueType};
use serde::Deserialize;

fn client(definitions: &str, overrides: &str) -> Client {
    Client::new(Config::from_json(&config(definitions, overrides)).unwrap()).unwrap()
}

fn value_type(read: Option<&str>) -> ValueType {
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

fn got(evaluation: &Evaluation) -> Got {
    let reason = evaluation.reason().to_string();
    let code = evaluation.error_code().map(|code| code.to_string());
    Got {
        outcome: outcome(evaluation.has_value(), &reason, code.as_deref()),
        reason,
        variant: evaluation.variant().map(str::to_owned),
        json: evaluation.json().map(str::to_owned),
        message: evaluation.message().map(str::to_owned),
        experiment_id: evaluation.experiment_id().map(str::to_owned),
        is_experiment_active: evaluation.is_experiment_active(),
        is_qa_tester: evaluation.is_qa_tester(),
    }
}

#[test]
fn evaluate() {
    let cases = vectors::<Case>("evaluate");
    let mut failed = Vec::new();
    for case in &cases {
        let client = client(&case.document(), case.overrides());
        let text = case.context();
        let options = EvaluateOptions::new().value_type(value_type(case.read.as_deref()));
        let once = every_way(&client, &case.key, &text, options);
        failed.extend(case.check(&got(&once)).err());
        match Context::from_json(&text) {
            Err(error) => {
                if case.want.outcome != "invalid_context" {
                    failed.push(format!("{}: {error}", case.name));
                }
            }
            Ok(context) => {
                let kept = client.evaluate(&case.key, &context, options);
                if kept != once {
                    failed.push(format!("{}: kept {kept:?}\n    once {once:?}", case.name));
                }
                if case.read.is_none() {
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

/// The typed reads agree with the evaluation of the same type.
fn reads(client: &Client, case: &Case, context: &Context, kept: &Evaluation) -> Option<String> {
    let agrees = match case.read.as_deref() {
        Some("boolean") => client.boolean(&case.key, context, false) == kept.boolean().unwrap_or(false),
        Some("integer") => client.integer(&case.key, context, -7) == kept.integer().unwrap_or(-7),
        Some("double") => client.double(&case.key, context, -7.5) == kept.double().unwrap_or(-7.5),
        Some("string") => client.string(&case.key, context, "default") == kept.string().unwrap_or("default"),
        _ => true,
    };
    (!agrees).then(|| format!("{}: the typed read disagrees with {kept:?}", case.name))
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

#[test]
fn bucket() {
    let cases = vectors::<Bucket>("bucket");
    for Bucket { name, subject, salt, want, why } in &cases {
        assert_eq!(mpflags::bucket(subject, salt), *want, "{name} ({why})");
    }
    report("Rust", "bucket", cases.len(), 0, "");
}

#[test]
fn rules() {
    let cases = vectors::<RuleCase>("rules");
    let mut failed = Vec::new();
    for case in &cases {
        let client = client(&case.definitions(), "{}");
        let context = case.context();
        let once = every_way(&client, "f", &context, EvaluateOptions::new());
        let kept = client.evaluate("f", &Context::from_json(&context).unwrap(), EvaluateOptions::new());
        if once != kept {
            failed.push(format!("{}: kept {kept:?}\n    once {once:?}", case.name));
        }
        failed.extend(case.check(got(&once).outcome).err());
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    report("Rust", "rules", cases.len(), 0, "");
}
