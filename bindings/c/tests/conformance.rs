//! The corpus through the C functions: every vector with a context handle, and with the context in the call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic, in its helpers too, and says what it ran"
)]

#[path = "support/api.rs"]
mod api;
mod support;
#[path = "support/vectors.rs"]
mod vectors;

use std::ffi::{CString, c_char};
use std::ptr;

use api::{Api, Handle, function};
use serde_json::Value;
use serde_json::value::RawValue;
use support::{library, root};
use vectors::{Case, Counted, RuleCase, document, report, text_of, vectors};

const REASONS: [&str; 7] = ["UNKNOWN", "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR"];

/// An evaluation, told by the accessors.
#[derive(Debug, PartialEq)]
struct Told {
    outcome: &'static str,
    reason: &'static str,
    kind: i32,
    json: Option<String>,
    variant: Option<String>,
    message: Option<String>,
    experiment_id: Option<String>,
    is_experiment_active: Option<bool>,
    is_qa_tester: bool,
    key: Option<String>,
    metadata: Option<String>,
    boolean: bool,
    int64: i64,
    double: f64,
    string: Option<String>,
}

struct Runner {
    api: Api,
    client: Handle,
}

impl Runner {
    fn new(definitions: &str, overrides: Option<&RawValue>) -> Self {
        let overrides = overrides.map_or("{}", RawValue::get);
        // A loopback host has no certificate to check: the roots of the system are not read for each vector.
        let config = format!(
            r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "definitions": {definitions}, "overrides": {overrides}}}"#
        );
        let api = Api::load(library());
        let client = api.client(&config).unwrap();
        Runner { api, client }
    }

    fn with_handle(&self, key: &str, context: Handle, value_type: u32) -> Told {
        let evaluate = function!(
            self.api,
            b"mpflags_client_evaluate",
            fn(Handle, *const c_char, usize, Handle, u32, u32, u32, *mut Handle, *mut Handle) -> i32
        );
        let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
        let text = key.as_ptr().cast();
        // SAFETY: the handles are alive, the key lives during the call, and both places are there.
        let status =
            unsafe { evaluate(self.client, text, key.len(), context, value_type, 0, 0, &mut out, &mut err) };
        assert_eq!(status, 0, "{key}");
        self.tell(out)
    }

    fn encoded(&self, key: &str, context: &str, value_type: u32) -> Told {
        let evaluate = function!(
            self.api,
            b"mpflags_client_evaluate_encoded",
            fn(
                Handle,
                *const c_char,
                usize,
                *const c_char,
                usize,
                i32,
                u32,
                u32,
                u32,
                *mut Handle,
                *mut Handle,
            ) -> i32
        );
        let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
        let (text, json) = (key.as_ptr().cast(), context.as_ptr().cast());
        // SAFETY: the client is alive, both texts live during the call, and both places are there.
        let status = unsafe {
            evaluate(
                self.client,
                text,
                key.len(),
                json,
                context.len(),
                1,
                value_type,
                0,
                0,
                &mut out,
                &mut err,
            )
        };
        assert_eq!(status, 0, "{key}");
        self.packed_agrees(key, context, value_type, out);
        self.tell(out)
    }

    /// The packed calls tell what the evaluation tells, and an answer is told again as it was.
    fn packed_agrees(&self, key: &str, context: &str, value_type: u32, evaluation: Handle) {
        let packed = function!(
            self.api,
            b"mpflags_client_evaluate_packed",
            fn(Handle, *const c_char, usize, *const c_char, usize, u32) -> u64
        );
        let terminated = function!(
            self.api,
            b"mpflags_client_evaluate_packed_z",
            fn(Handle, *const c_char, *const c_char, u32) -> u64
        );
        let recall =
            function!(self.api, b"mpflags_client_answer", fn(Handle, *const c_char, usize, u64) -> Handle);
        let answer = function!(self.api, b"mpflags_evaluation_answer", fn(Handle) -> u64);
        let (text, json) = (key.as_ptr().cast(), context.as_ptr().cast());
        // SAFETY: the client is alive, and both texts live during the call.
        let mut told =
            vec![unsafe { packed(self.client, text, key.len(), json, context.len(), value_type | 1 << 8) }];
        if let (Ok(key), Ok(context)) = (CString::new(key), CString::new(context)) {
            // SAFETY: the client is alive, and both texts end with a NUL and live during the call.
            told.push(unsafe {
                terminated(self.client, key.as_ptr(), context.as_ptr(), value_type | 1 << 8)
            });
        }
        // SAFETY: the caller frees the evaluation later.
        let wanted = unsafe { answer(evaluation) };
        for told in told {
            if told % 2 == 0 {
                assert!(told != 0 && wanted == 0, "{key}: {told} for {wanted}");
                assert_eq!(self.tell(told as Handle), self.seen(evaluation), "{key}");
                continue;
            }
            assert_eq!(told, wanted, "{key}");
            // SAFETY: the client is alive, and the key lives during the call.
            let again = unsafe { recall(self.client, text, key.len(), told) };
            assert_eq!(self.tell(again), self.seen(evaluation), "{key}");
        }
    }

    fn tell(&self, evaluation: Handle) -> Told {
        let told = self.seen(evaluation);
        self.api.free(b"mpflags_evaluation_free", evaluation);
        told
    }

    fn seen(&self, evaluation: Handle) -> Told {
        let api = &self.api;
        let text = |name: &[u8]| api.text(name, evaluation);
        let int64 = function!(api, b"mpflags_evaluation_int64", fn(Handle) -> i64);
        let double = function!(api, b"mpflags_evaluation_double", fn(Handle) -> f64);
        let has_value = api.truth(b"mpflags_evaluation_has_value", evaluation);
        let reason = REASONS[api.number(b"mpflags_evaluation_reason", evaluation) as usize];
        let outcome = match api.number(b"mpflags_evaluation_error_code", evaluation) {
            0 if has_value => "variant",
            0 if reason == "DISABLED" => "disabled",
            0 => "no_rollout_match",
            2 => "flag_not_found",
            3 => "malformed",
            4 => "type_mismatch",
            5 => "missing_context_key",
            6 => "invalid_context",
            other => panic!("unexpected error code {other}"),
        };
        Told {
            outcome,
            reason,
            kind: api.number(b"mpflags_evaluation_kind", evaluation),
            json: text(b"mpflags_evaluation_json"),
            variant: text(b"mpflags_evaluation_variant"),
            message: text(b"mpflags_evaluation_message"),
            experiment_id: text(b"mpflags_evaluation_experiment_id"),
            is_experiment_active: match api.number(b"mpflags_evaluation_is_experiment_active", evaluation) {
                0 => None,
                told => Some(told == 2),
            },
            is_qa_tester: api.truth(b"mpflags_evaluation_is_qa_tester", evaluation),
            key: text(b"mpflags_evaluation_key"),
            metadata: text(b"mpflags_evaluation_metadata_json"),
            boolean: api.truth(b"mpflags_evaluation_boolean", evaluation),
            // SAFETY: the caller frees the evaluation later.
            int64: unsafe { int64(evaluation) },
            // SAFETY: the caller frees the evaluation later.
            double: unsafe { double(evaluation) },
            string: text(b"mpflags_evaluation_string"),
        }
    }

    /// The short read of a type agrees with the evaluation of that type.
    fn short_read_agrees(&self, read: &str, key: &str, context: Handle, told: &Told) -> bool {
        let has_value = told.outcome == "variant";
        let text: *const c_char = key.as_ptr().cast();
        match read {
            "boolean" => {
                let get = function!(
                    self.api,
                    b"mpflags_client_get_boolean",
                    fn(Handle, *const c_char, usize, Handle, i32) -> bool
                );
                // SAFETY: the handles are alive, and the key lives during the call.
                let got =
                    [0, 1].map(|default| unsafe { get(self.client, text, key.len(), context, default) });
                got == if has_value { [told.boolean; 2] } else { [false, true] }
            }
            "integer" => {
                let get = function!(
                    self.api,
                    b"mpflags_client_get_int64",
                    fn(Handle, *const c_char, usize, Handle, i64) -> i64
                );
                // SAFETY: the handles are alive, and the key lives during the call.
                let got = unsafe { get(self.client, text, key.len(), context, -7) };
                got == if has_value { told.int64 } else { -7 }
            }
            "double" => {
                let get = function!(
                    self.api,
                    b"mpflags_client_get_double",
                    fn(Handle, *const c_char, usize, Handle, f64) -> f64
                );
                // SAFETY: the handles are alive, and the key lives during the call.
                let got = unsafe { get(self.client, text, key.len(), context, -7.5) };
                got == if has_value { told.double } else { -7.5 }
            }
            _ => true,
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.api.free(b"mpflags_client_free", self.client);
    }
}

fn value_type(read: Option<&str>) -> u32 {
    let names = ["any", "boolean", "string", "integer", "double", "object"];
    let read = read.unwrap_or("any");
    let at = names.iter().position(|name| *name == read).unwrap_or_else(|| panic!("unknown read `{read}`"));
    at as u32
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

fn wrong(case: &Case, told: &Told) -> Vec<String> {
    let want = &case.want;
    let mut wrong = Vec::new();
    let mut expect = |what: &str, wanted: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
        let (wanted, got) = (format!("{wanted:?}"), format!("{got:?}"));
        if wanted != got {
            wrong.push(format!("{}: {what}: want {wanted}, got {got}", case.name));
        }
    };
    expect("outcome", &want.outcome, &told.outcome);
    expect("reason", &want.reason, &told.reason);
    expect("variant", &want.variant, &told.variant);
    expect("key", &Some(&case.key), &told.key);
    expect("message", &told.message.is_some(), &(told.reason == "ERROR"));
    if let Some(value) = &want.value {
        let got = told.json.as_deref().map(|json| serde_json::from_str::<Value>(json).unwrap());
        if !got.as_ref().is_some_and(|got| same(value, got)) {
            expect("value", &Some(value), &got.as_ref());
        }
        let typed = match value {
            Value::String(text) => told.string.as_ref() == Some(text) && told.kind == 2,
            Value::Bool(truth) => told.boolean == *truth && told.kind == 1,
            Value::Number(number) => Some(told.double) == number.as_f64() && [3, 4].contains(&told.kind),
            Value::Object(_) => told.kind == 5,
            Value::Array(_) => told.kind == 6,
            Value::Null => told.kind == 7,
        };
        expect("typed value", &true, &typed);
    }
    if let Some(tester) = want.is_qa_tester {
        expect("is_qa_tester", &tester, &told.is_qa_tester);
    }
    if let Some(id) = &want.experiment_id {
        expect("experiment_id", &id.as_str(), &told.experiment_id.as_deref());
    }
    if let Some(active) = &want.is_experiment_active {
        expect("is_experiment_active", &active.as_bool(), &told.is_experiment_active);
    }
    if let Some(message) = &want.message {
        expect("message", &Some(message), &told.message.as_ref());
    }
    for part in &want.message_has {
        expect(part, &true, &told.message.as_deref().unwrap_or_default().contains(part.as_str()));
    }
    wrong
}

#[test]
fn evaluate() {
    let cases = vectors::<Case>("evaluate");
    let mut failed = Vec::new();
    for case in &cases {
        let runner = Runner::new(&document(&case.flags), case.overrides.as_deref());
        let context = text_of(&case.context).unwrap_or_else(|| case.context.get().to_owned());
        let value_type = value_type(case.read.as_deref());
        let encoded = runner.encoded(&case.key, &context, value_type);
        failed.extend(wrong(case, &encoded));
        match runner.api.context(&context) {
            Err(message) => {
                if case.want.outcome != "invalid_context" || encoded.message.as_ref() != Some(&message) {
                    failed.push(format!("{}: context: {message}", case.name));
                }
            }
            Ok(handle) => {
                let told = runner.with_handle(&case.key, handle, value_type);
                let read = case.read.as_deref().unwrap_or_default();
                if told != encoded {
                    failed.push(format!("{}: handle {told:?}\n    encoded {encoded:?}", case.name));
                }
                if !runner.short_read_agrees(read, &case.key, handle, &told) {
                    failed.push(format!("{}: the short read disagrees with {told:?}", case.name));
                }
                runner.api.free(b"mpflags_context_free", handle);
            }
        }
    }
    assert!(failed.is_empty(), "of {} vectors:\n{}", cases.len(), failed.join("\n"));
    report("C", "evaluate", cases.len(), 0, "");
}

#[test]
fn rules() {
    let cases = vectors::<RuleCase>("rules");
    let mut failed = Vec::new();
    for case in &cases {
        let rule =
            case.rule_text.clone().or_else(|| case.rule.as_ref().map(|rule| rule.get().to_owned())).unwrap();
        let data = case.data_text.clone().or_else(|| case.data.as_ref().map(|data| data.get().to_owned()));
        let runner = Runner::new(
            &format!(
                r#"{{"flags": [{{"key": "f", "context": "id", "ruleset": {{"variants": [{{"key": "on", "value": true}}],
                    "rollout": [{{"rollout_percentage": 1, "runtime_evaluation_rule": {rule}}}]}}}}]}}"#
            ),
            None,
        );
        let properties = data.map_or_else(String::new, |data| format!(r#", "custom_properties": {data}"#));
        let context = format!(r#"{{"id": 1{properties}}}"#);
        let encoded = runner.encoded("f", &context, 0);
        let handle = runner.api.context(&context).unwrap();
        let told = runner.with_handle("f", handle, 0);
        runner.api.free(b"mpflags_context_free", handle);
        let got = match told.outcome {
            "variant" => Value::Bool(true),
            "no_rollout_match" => Value::Bool(false),
            other => Value::from(other),
        };
        if told != encoded || got != case.want {
            failed.push(format!("{}: want {}, got {got}", case.name, case.want));
        }
    }
    assert!(failed.is_empty(), "of {} vectors:\n{}", cases.len(), failed.join("\n"));
    report("C", "rules", cases.len(), 0, "");
}

/// A new suite is run or skipped here, and a skip says why.
#[test]
fn every_suite_is_known() {
    let mut suites: Vec<String> = std::fs::read_dir(root().join("conformance/vectors"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir() && entry.file_name() != "flags")
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    suites.sort();
    for suite in suites {
        match suite.as_str() {
            "evaluate" | "rules" => {}
            "bucket" => {
                report("C", "bucket", 0, vectors::<Counted>("bucket").len(), "no C function gives a bucket")
            }
            "provider" => {
                report("C", "provider", 0, vectors::<Counted>("provider").len(), "there is no provider for C")
            }
            other => panic!("conformance/vectors/{other} is neither run nor skipped"),
        }
    }
}
