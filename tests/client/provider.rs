//! The provider vectors through the Rust client: the evaluations that an OpenFeature provider passes to its SDK.

use std::time::Duration;

use crate::support::{report, vectors};
use crate::vector::{Case, Setup, setup};
use mpflags::{Client, Config, Context, EvaluateOptions, Evaluation, ValueType};
use mpflags_dev::Server;
use serde_json::{Value, json};

/// The client that the case is about, and the server that it may need.
fn client(case: &Case) -> (Client, Option<Server>) {
    let Setup { options: mut config, remote, started, ready, server } = setup(case);
    config.insert("token".to_owned(), json!("t"));
    config.insert("mode".to_owned(), json!(if remote { "remote" } else { "local" }));
    let client = Client::new(Config::from_json(&Value::Object(config).to_string()).unwrap()).unwrap();
    if started {
        client.start().unwrap();
        assert_eq!(client.wait_ready(Duration::from_secs(10)).is_ok(), ready, "{}", case.name);
    }
    (client, server)
}

fn value(evaluation: &Evaluation, case: &Case) -> Value {
    if !evaluation.has_value() {
        return case.default.clone();
    }
    match case.r#type.as_str() {
        "boolean" => json!(evaluation.boolean()),
        "string" => json!(evaluation.string()),
        "integer" => json!(evaluation.integer()),
        "double" => json!(evaluation.double()),
        _ => serde_json::from_str(evaluation.json().unwrap()).unwrap(),
    }
}

#[test]
fn provider() {
    let cases = vectors::<Case>("provider");
    let (mut failed, mut skipped) = (Vec::new(), 0);
    for case in &cases {
        if case.nan_attribute.is_some() {
            skipped += 1;
            continue;
        }
        let wanted = match case.r#type.as_str() {
            "boolean" => ValueType::Boolean,
            "string" => ValueType::String,
            "integer" => ValueType::Integer,
            "double" => ValueType::Double,
            "object" => ValueType::Object,
            other => panic!("unknown type `{other}`"),
        };
        let mut context = case.attributes.clone();
        if let Some(key) = &case.targeting_key {
            context.insert("targetingKey".to_owned(), json!(key));
        }
        let context = Value::Object(context).to_string();
        let (client, server) = client(case);
        let ask = EvaluateOptions::new().value_type(wanted);
        let once = client.evaluate_json(&case.key, &context, ask);
        let kept = client.evaluate(&case.key, &Context::from_json(&context).unwrap(), ask);
        if server.is_none() && once != kept {
            failed.push(format!("{}: once {once:?}, kept {kept:?}", case.name));
        }
        let want = &case.want;
        let message = once.message().unwrap_or_default();
        let got = json!({
            "value": value(&once, case), "reason": once.reason().to_string(), "variant": once.variant(),
            "error_code": once.error_code().map(|code| code.to_string()),
            "metadata": serde_json::from_str::<Value>(once.metadata_json()).unwrap(),
            "message": want.message.as_ref().map(|_| message),
            "message_has": want.message_has.iter().filter(|part| message.contains(part.as_str())).collect::<Vec<_>>(),
        });
        let wanted = json!({
            "value": want.value, "reason": want.reason, "variant": want.variant, "error_code": want.error_code,
            "metadata": want.metadata, "message": want.message, "message_has": want.message_has,
        });
        if got != wanted || (want.error_code.is_none() && !message.is_empty()) {
            failed.push(format!("{} ({}): want {wanted}, got {got}", case.name, case.why));
        }
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    report("Rust", "provider", cases.len() - skipped, skipped, "JSON cannot represent NaN");
}
