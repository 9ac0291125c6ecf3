//! The vectors through the provider.

use std::collections::BTreeMap;

use mpflags::MixpanelProvider;
use mpflags_dev::{Fault, Kind};
use open_feature::provider::{FeatureProvider, ResolutionDetails};
use open_feature::{
    Client, EvaluationContext, EvaluationContextFieldValue as Field, EvaluationDetails, EvaluationErrorCode,
    EvaluationResult, FlagMetadata, FlagMetadataValue, StructValue, Value,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use crate::support::{Case, Head, RuleCase, report, same, text_of, vectors};
use crate::vector::{self, Setup, setup};
use crate::{LONG, beside_others, block_on, new_provider, register, replace, server};

const LAYER: &str = "Rust provider";

/// A result, as JSON: `value`, `reason`, `variant`, `metadata`; or `code` and `message`.
fn as_json<D>(result: EvaluationResult<D>, fields: impl FnOnce(D) -> Json) -> Json {
    match result {
        Ok(details) => fields(details),
        Err(error) => json!({"code": error.code.to_string(), "message": error.message}),
    }
}

fn details<T>(details: EvaluationDetails<T>, value: impl Fn(T) -> Json) -> Json {
    json!({
        "value": value(details.value), "reason": details.reason.unwrap().to_string(),
        "variant": details.variant, "metadata": metadata(details.flag_metadata),
    })
}

fn resolution<T>(resolution: ResolutionDetails<T>, value: impl Fn(T) -> Json) -> Json {
    json!({
        "value": value(resolution.value), "reason": resolution.reason.unwrap().to_string(),
        "variant": resolution.variant, "metadata": metadata(resolution.flag_metadata.unwrap_or_default()),
    })
}

fn metadata(metadata: FlagMetadata) -> Json {
    let json = |value| match value {
        FlagMetadataValue::Bool(b) => json!(b),
        FlagMetadataValue::Int(i) => json!(i),
        FlagMetadataValue::Float(f) => json!(f),
        FlagMetadataValue::String(s) => json!(s),
    };
    metadata.values.into_iter().map(|(key, value)| (key, json(value))).collect::<Map<_, _>>().into()
}

fn plain<T: Into<Json>>(value: T) -> Json {
    value.into()
}

pub(crate) fn structure(value: StructValue) -> Json {
    fn json(value: Value) -> Json {
        match value {
            Value::Bool(b) => json!(b),
            Value::Int(i) => json!(i),
            Value::Float(f) => json!(f),
            Value::String(s) => json!(s),
            Value::Array(items) => items.into_iter().map(json).collect(),
            Value::Struct(value) => structure(value),
        }
    }
    value.fields.into_iter().map(|(key, value)| (key, json(value))).collect::<Map<_, _>>().into()
}

/// Resolves with the provider's own methods.
pub(crate) async fn by_trait(
    provider: &MixpanelProvider,
    r#type: &str,
    key: &str,
    context: &EvaluationContext,
) -> Json {
    match r#type {
        "boolean" => as_json(provider.resolve_bool_value(key, context).await, |d| resolution(d, plain)),
        "string" => as_json(provider.resolve_string_value(key, context).await, |d| resolution(d, plain)),
        "integer" => as_json(provider.resolve_int_value(key, context).await, |d| resolution(d, plain)),
        "double" => as_json(provider.resolve_float_value(key, context).await, |d| resolution(d, plain)),
        "object" => as_json(provider.resolve_struct_value(key, context).await, |d| resolution(d, structure)),
        other => panic!("unknown type `{other}`"),
    }
}

/// Evaluates with the SDK's client.
async fn by_sdk(client: &Client, r#type: &str, key: &str, context: &EvaluationContext) -> Json {
    let context = Some(context);
    match r#type {
        "boolean" => as_json(client.get_bool_details(key, context, None).await, |d| details(d, plain)),
        "string" => as_json(client.get_string_details(key, context, None).await, |d| details(d, plain)),
        "integer" => as_json(client.get_int_details(key, context, None).await, |d| details(d, plain)),
        "double" => as_json(client.get_float_details(key, context, None).await, |d| details(d, plain)),
        "object" => as_json(client.get_struct_details(key, context, None).await, |d| details(d, structure)),
        other => panic!("unknown type `{other}`"),
    }
}

/// An attribute as a program would write it: a scalar, a `StructValue`, a list of values, or serde_json's value if the SDK
/// has none.
fn field(json: &Json) -> Field {
    match json {
        Json::Bool(b) => Field::Bool(*b),
        Json::Number(n) if n.is_i64() => Field::Int(n.as_i64().unwrap()),
        Json::Number(n) if n.is_f64() => Field::Float(n.as_f64().unwrap()),
        Json::String(s) => Field::String(s.clone()),
        other => match value(other) {
            Some(Value::Struct(value)) => Field::new_struct(value),
            Some(Value::Array(items)) => Field::new_struct(items),
            Some(value) => Field::new_struct(value),
            None => Field::new_struct(other.clone()),
        },
    }
}

fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) if n.is_u64() && !n.is_i64() => return None,
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        Json::String(s) => Value::String(s.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect::<Option<_>>()?),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| Some((key.clone(), value(field)?)));
            Value::Struct(StructValue { fields: fields.collect::<Option<_>>()? })
        }
    })
}

fn context(attributes: &Map<String, Json>) -> EvaluationContext {
    let mut context = EvaluationContext::default();
    for (key, json) in attributes {
        context.add_custom_field(key, field(json));
    }
    context
}

/// The error code of a result in this SDK, which has no PROVIDER_FATAL and needs an error for every default.
fn code(want: &Json) -> String {
    let code = want["error_code"].as_str().or(want["reason"].as_str()).unwrap();
    match code {
        "PROVIDER_FATAL" | "GENERAL" | "DEFAULT" | "DISABLED" => {
            EvaluationErrorCode::General(code.to_owned()).to_string()
        }
        code => code.to_owned(),
    }
}

const NO_VALUE: &str = "OpenFeature's Rust SDK has no array at the top of a value, and no null";

fn check(want: &Json, got: &Json) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: want {want}, got {got}"));
    if let Some(variant) = want["variant"].as_str() {
        for field in ["value", "reason", "metadata"] {
            if !same(&want[field], &got[field]) {
                return wrong(field);
            }
        }
        return if got["variant"] == variant { Ok(()) } else { wrong("variant") };
    }
    if got["code"] != code(want) {
        return wrong("code");
    }
    let message = got["message"].as_str().unwrap_or_default();
    let parts = want["message_has"].as_array().into_iter().flatten();
    let exact = want["message"].as_str().is_none_or(|wanted| wanted == message);
    if message.is_empty() || !exact || !parts.into_iter().all(|part| message.contains(part.as_str().unwrap()))
    {
        return wrong("message");
    }
    Ok(())
}

#[test]
fn provider() {
    let _beside = beside_others();
    // The vectors whose value the SDK cannot express, and the error that it gets instead.
    let mismatches = BTreeMap::from([
        ("provider/object-of-array", "expected object, the variant holds an array"),
        (
            "provider/object",
            "the variant holds null at `nested.list[2]`, which OpenFeature's Rust SDK cannot express",
        ),
    ]);
    let cases = vectors::<vector::Case>("provider");
    let (mut failed, mut skipped) = (Vec::new(), 0);
    block_on(async {
        for case in &cases {
            let mut want = json!({
                "value": case.want.value, "reason": case.want.reason, "error_code": case.want.error_code,
                "message": case.want.message, "message_has": case.want.message_has,
                "variant": case.want.variant, "metadata": case.want.metadata,
            });
            if let Some(message) = mismatches.get(case.name.as_str()) {
                skipped += 1;
                want = json!({"value": case.default, "error_code": "TYPE_MISMATCH", "message": message});
            }
            let mut context = context(&case.attributes);
            context.targeting_key.clone_from(&case.targeting_key);
            if let Some(name) = &case.nan_attribute {
                context.add_custom_field(name, f64::NAN);
            }
            for sdk in [false, true] {
                let Setup { mut options, remote, started, ready, server: _server } = setup(case);
                let hanging = server();
                hanging.set_faults(vec![Fault::new("/flags/definitions", Kind::Hang)]).unwrap();
                options.entry("api_host").or_insert(json!(hanging.url()));
                let options = Json::Object(options).to_string();
                let mut provider = new_provider(if remote { "remote" } else { "local" }, &options).unwrap();
                let mixpanel = provider.client().clone();
                let got = if sdk {
                    // The SDK initialises every provider; a vector that does not start one then has a server that does not respond.
                    let client = register(&case.name, provider).await;
                    if started {
                        assert_eq!(mixpanel.wait_ready(LONG).is_ok(), ready, "{}", case.name);
                    }
                    let got = by_sdk(&client, &case.r#type, &case.key, &context).await;
                    replace(&case.name).await;
                    got
                } else {
                    if started {
                        provider.initialize(&EvaluationContext::default()).await;
                        assert_eq!(mixpanel.wait_ready(LONG).is_ok(), ready, "{}", case.name);
                    }
                    by_trait(&provider, &case.r#type, &case.key, &context).await
                };
                // The value that the program ends up with.
                let value = got.get("value").unwrap_or(&case.default);
                if let Err(why) = check(&want, &got) {
                    failed.push(format!("{} ({}), SDK {sdk}: {why}", case.name, case.why));
                } else if !same(value, &want["value"]) {
                    failed.push(format!("{}, SDK {sdk}: the program gets {value}", case.name));
                }
            }
        }
    });
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(skipped, mismatches.len(), "a vector that the SDK cannot express is gone");
    report(LAYER, "provider", cases.len() - skipped, skipped, NO_VALUE);
}

/// The context of this text, with the text of each attribute as it is.
fn texts(json: &str) -> Option<EvaluationContext> {
    let attributes: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
    let mut context = EvaluationContext::default();
    for (key, json) in attributes {
        context.add_custom_field(key, Field::new_struct(json));
    }
    Some(context)
}

fn provider_with(definitions: &str, overrides: &str) -> MixpanelProvider {
    // As text, because a JSON value cannot carry all definitions.
    let options = format!(
        r#"{{"api_host": "http://127.0.0.1:1", "report_exposures": false, "enable_polling": false,
            "definitions": {definitions}, "overrides": {overrides}}}"#
    );
    new_provider("local", &options).unwrap()
}

#[test]
fn evaluate() {
    let _beside = beside_others();
    let cases = vectors::<Case>("evaluate");
    let (mut failed, mut skipped) = (Vec::new(), 0);
    block_on(async {
        for case in &cases {
            let context = match text_of(&case.context) {
                Some(text) => texts(&text),
                None => serde_json::from_str(case.context.get()).ok().map(|json| context(&json)),
            };
            let Some(context) = context else {
                skipped += 1;
                continue;
            };
            let provider = provider_with(&case.document(), case.overrides());
            let r#type = match (&case.read, &case.want.value) {
                (Some(read), _) => read.as_str(),
                (None, Some(Json::String(_))) => "string",
                (None, Some(Json::Number(n))) if n.is_i64() => "integer",
                (None, Some(Json::Number(_))) => "double",
                (None, Some(Json::Object(_) | Json::Array(_) | Json::Null)) => "object",
                (None, Some(Json::Bool(_)) | None) => "boolean",
            };
            let mut got = by_trait(&provider, r#type, &case.key, &context).await;
            let mut want = json!(case.want);
            let held = want["value"].is_object() && value(&want["value"]).is_some();
            if r#type == "object" && want["outcome"] == "variant" && !held {
                skipped += 1;
                want = json!({"error_code": "TYPE_MISMATCH"});
            }
            if want["outcome"] == "variant" {
                if want.get("value").is_none() && got["code"] == "TYPE_MISMATCH" {
                    // The vector does not say the value: one of the types reads it.
                    for r#type in ["string", "double", "object"] {
                        if got.get("variant").is_none() {
                            got = by_trait(&provider, r#type, &case.key, &context).await;
                        }
                    }
                }
                if want.get("value").is_none() {
                    want["value"] = got["value"].clone();
                }
                let mut metadata = got["metadata"].as_object().cloned().unwrap_or_default();
                for field in ["experiment_id", "is_experiment_active"] {
                    match want.get(field) {
                        Some(Json::Null) => _ = metadata.remove(field),
                        Some(value) => _ = metadata.insert(field.to_owned(), value.clone()),
                        None => {}
                    }
                }
                match want["is_qa_tester"].as_bool() {
                    Some(true) => _ = metadata.insert("is_qa_tester".to_owned(), json!(true)),
                    Some(false) => _ = metadata.remove("is_qa_tester"),
                    None => {}
                }
                want["metadata"] = Json::Object(metadata);
            } else if want["reason"] == "ERROR" {
                want["error_code"] = json!(match want["outcome"].as_str().unwrap() {
                    "malformed" => "PARSE_ERROR".to_owned(),
                    "missing_context_key" => "TARGETING_KEY_MISSING".to_owned(),
                    other => other.to_uppercase(),
                });
            }
            if let Err(why) = check(&want, &got) {
                failed.push(format!("{} ({}) as {type}: {why}", case.name, case.why));
            }
        }
    });
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), failed.join("\n"));
    assert!(skipped < cases.len() / 10, "{skipped} of {} skipped", cases.len());
    let reason =
        format!("an OpenFeature context is always an object and cannot hold malformed JSON; {NO_VALUE}");
    report(LAYER, "evaluate", cases.len() - skipped, skipped, &reason);
}

#[test]
fn rules() {
    let _beside = beside_others();
    let cases = vectors::<RuleCase>("rules");
    let mut failed = Vec::new();
    block_on(async {
        for case in &cases {
            let provider = provider_with(&case.definitions(), "{}");
            let mut context = EvaluationContext::default().with_custom_field("id", 1);
            if let Some(text) = &case.data_text {
                let text = RawValue::from_string(text.clone()).unwrap();
                context.add_custom_field("custom_properties", Field::new_struct(text));
            } else if let Some(data) = &case.data {
                context
                    .add_custom_field("custom_properties", field(&serde_json::from_str(data.get()).unwrap()));
            }
            let got = by_trait(&provider, "boolean", "f", &context).await;
            let outcome = match got["code"].as_str() {
                None if got["value"] == true => "variant",
                None | Some("DEFAULT") => "no_rollout_match",
                Some("PARSE_ERROR") => "malformed",
                Some(other) => other,
            };
            failed.extend(case.check(outcome).err());
        }
    });
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), failed.join("\n"));
    report(LAYER, "rules", cases.len(), 0, "");
}

/// Counted for the table of all layers.
#[test]
fn bucket() {
    report(
        LAYER,
        "bucket",
        0,
        vectors::<Head>("bucket").len(),
        "providers have no function that returns a bucket",
    );
}
