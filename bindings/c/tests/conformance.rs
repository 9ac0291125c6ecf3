//! The vectors through the C functions, each with its context in every form: as JSON and in the binary form,
//! read for a single call; made by a builder; parsed into a handle.

#[path = "support/api.rs"]
mod api;
#[path = "support/builder.rs"]
mod builder;
#[path = "../../../tests/support/forms.rs"]
mod forms;
mod support;
#[path = "../../../tests/support/vectors.rs"]
mod vectors;

use std::ffi::{CString, c_char};
use std::ptr;

use api::{Api, Handle, function};
use builder::Builder;
use forms::Tree;
use serde_json::Value;
use support::library;
use vectors::{Case, Got, Head, RuleCase, config, outcome, report, root, vectors};

const REASONS: [&str; 7] = ["UNKNOWN", "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR"];
const ERROR_CODES: [Option<&str>; 9] = [
    None,
    Some("PROVIDER_NOT_READY"),
    Some("FLAG_NOT_FOUND"),
    Some("PARSE_ERROR"),
    Some("TYPE_MISMATCH"),
    Some("TARGETING_KEY_MISSING"),
    Some("INVALID_CONTEXT"),
    Some("PROVIDER_FATAL"),
    Some("GENERAL"),
];

/// An evaluation, read by all accessors.
#[derive(Debug, PartialEq)]
struct Read {
    got: Got,
    key: Option<String>,
    metadata: Option<String>,
    context_key: Option<String>,
    kind: i32,
    boolean: bool,
    int64: i64,
    double: f64,
    string: Option<String>,
}

impl Read {
    /// The two forms hold text that is not text differently.
    fn comparable(&self) -> String {
        let text = format!("{self:?}");
        ["a string", "a key"].iter().fold(text, |text, what| {
            text.replace(&format!("{what} that is not UTF-8"), "a lone surrogate is not text")
        })
    }

    /// Without what an answer, which stands for the evaluations of many users, does not have.
    fn of_every_user(mut self) -> Self {
        let mut metadata: serde_json::Map<String, Value> =
            serde_json::from_str(self.metadata.as_deref().unwrap()).unwrap();
        metadata.remove("contextId");
        self.metadata = Some(Value::Object(metadata).to_string());
        self
    }
}

struct Runner {
    api: Api,
    client: Handle,
}

impl Runner {
    fn new(definitions: &str, overrides: &str) -> Self {
        let api = Api::load(library());
        let client = api.client(&config(definitions, overrides)).unwrap();
        Runner { api, client }
    }

    fn with_handle(&self, key: &str, context: Handle, value_type: u32) -> Read {
        let evaluate = function!(
            self.api,
            b"mpflags_client_evaluate",
            fn(Handle, *const c_char, usize, Handle, u32, u32, u32, *mut Handle, *mut Handle) -> i32
        );
        let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
        let text = key.as_ptr().cast();
        // SAFETY: the handles are alive, the key lives during the call, and both outputs are variables.
        let status =
            unsafe { evaluate(self.client, text, key.len(), context, value_type, 0, 0, &mut out, &mut err) };
        assert_eq!(status, 0, "{key}");
        self.take(out)
    }

    fn encoded(&self, key: &str, context: &[u8], encoding: i32, value_type: u32) -> Read {
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
        // SAFETY: the client is alive, both texts live during the call, and both outputs are variables.
        let status = unsafe {
            evaluate(
                self.client,
                text,
                key.len(),
                json,
                context.len(),
                encoding,
                value_type,
                0,
                0,
                &mut out,
                &mut err,
            )
        };
        assert_eq!(status, 0, "{key}");
        self.packed_agrees(key, context, encoding, value_type, out);
        self.take(out)
    }

    /// The packed calls agree with the evaluation, and so does what `mpflags_client_answer` returns for an
    /// answer.
    fn packed_agrees(&self, key: &str, context: &[u8], encoding: i32, value_type: u32, evaluation: Handle) {
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
        let packed_options = value_type | 1 << 8 | (encoding as u32) << 24;
        // SAFETY: the client is alive, and both texts live during the call.
        let mut numbers =
            vec![unsafe { packed(self.client, text, key.len(), json, context.len(), packed_options) }];
        if encoding == 1
            && let (Ok(key), Ok(context)) = (CString::new(key), CString::new(context))
        {
            // SAFETY: the client is alive, and both texts end with a NUL and live during the call.
            numbers.push(unsafe {
                terminated(self.client, key.as_ptr(), context.as_ptr(), value_type | 1 << 8)
            });
        }
        // SAFETY: the caller frees the evaluation later.
        let wanted = unsafe { answer(evaluation) };
        for number in numbers {
            if number % 2 == 0 {
                assert!(number != 0 && wanted == 0, "{key}: {number} for {wanted}");
                assert_eq!(self.take(number as Handle), self.read(evaluation), "{key}");
                continue;
            }
            assert_eq!(number, wanted, "{key}");
            // SAFETY: the client is alive, and the key lives during the call.
            let again = unsafe { recall(self.client, text, key.len(), number) };
            assert_eq!(self.take(again).of_every_user(), self.read(evaluation).of_every_user(), "{key}");
        }
    }

    /// Reads an evaluation and frees it.
    fn take(&self, evaluation: Handle) -> Read {
        let read = self.read(evaluation);
        self.api.free(b"mpflags_evaluation_free", evaluation);
        read
    }

    fn read(&self, evaluation: Handle) -> Read {
        let api = &self.api;
        let text = |name: &[u8]| api.text(name, evaluation);
        let number = |name: &[u8]| api.get::<i32>(name, evaluation);
        let truth = |name: &[u8]| api.get::<bool>(name, evaluation);
        let reason = REASONS[number(b"mpflags_evaluation_reason") as usize];
        let code = ERROR_CODES[number(b"mpflags_evaluation_error_code") as usize];
        Read {
            got: Got {
                outcome: outcome(truth(b"mpflags_evaluation_has_value"), reason, code),
                reason: reason.to_owned(),
                variant: text(b"mpflags_evaluation_variant"),
                json: text(b"mpflags_evaluation_json"),
                message: text(b"mpflags_evaluation_message"),
                experiment_id: text(b"mpflags_evaluation_experiment_id"),
                is_experiment_active: match number(b"mpflags_evaluation_is_experiment_active") {
                    0 => None,
                    active => Some(active == 2),
                },
                is_qa_tester: truth(b"mpflags_evaluation_is_qa_tester"),
            },
            key: text(b"mpflags_evaluation_key"),
            metadata: text(b"mpflags_evaluation_metadata_json"),
            context_key: text(b"mpflags_evaluation_context_key"),
            kind: number(b"mpflags_evaluation_kind"),
            boolean: truth(b"mpflags_evaluation_boolean"),
            int64: api.get(b"mpflags_evaluation_int64", evaluation),
            double: api.get(b"mpflags_evaluation_double", evaluation),
            string: text(b"mpflags_evaluation_string"),
        }
    }

    fn typed<D, T>(&self, name: &[u8], key: &str, context: Handle, default: D) -> T {
        type Get<D, T> = unsafe extern "C" fn(Handle, *const c_char, usize, Handle, D) -> T;
        // SAFETY: the caller names the get function of these types.
        let get = unsafe { self.api.library().get::<Get<D, T>>(name) }.unwrap();
        // SAFETY: the handles are alive, and the key lives during the call.
        unsafe { get(self.client, key.as_ptr().cast(), key.len(), context, default) }
    }

    /// The typed read agrees with the evaluation of that type.
    fn typed_read_agrees(&self, case: &Case, context: Handle, read: &Read) -> bool {
        let (key, has_value) = (case.key.as_str(), read.got.outcome == "variant");
        match case.read.as_deref() {
            Some("boolean") => {
                let name = b"mpflags_client_get_boolean";
                let got: [bool; 2] = [0, 1].map(|default: i32| self.typed(name, key, context, default));
                got == if has_value { [read.boolean; 2] } else { [false, true] }
            }
            Some("integer") => {
                let got: i64 = self.typed(b"mpflags_client_get_int64", key, context, -7_i64);
                got == if has_value { read.int64 } else { -7 }
            }
            Some("double") => {
                let got: f64 = self.typed(b"mpflags_client_get_double", key, context, -7.5);
                got == if has_value { read.double } else { -7.5 }
            }
            _ => true,
        }
    }
}

/// How often a context could be passed in a form.
#[derive(Default)]
struct Forms {
    cases: usize,
    binary: usize,
    builder: usize,
}

impl Forms {
    /// Evaluates in the forms that the context has besides JSON, and compares with `json`. Returns what differs.
    fn compare(
        &mut self,
        runner: &Runner,
        key: &str,
        context: &str,
        value_type: u32,
        json: &Read,
    ) -> Vec<String> {
        self.cases += 1;
        let mut different = Vec::new();
        let mut compare = |form: &str, read: Read| {
            if read.comparable() != json.comparable() {
                different.push(format!("{form} {read:?}\n    JSON {json:?}"));
            }
        };
        let Some(tree @ Tree::Object(_)) = Tree::parse(context) else { return different };
        self.binary += 1;
        compare("binary", runner.encoded(key, &tree.form(), 2, value_type));
        if tree.fits_a_builder() {
            self.builder += 1;
            let handle = Builder::new(&runner.api).build(&tree).unwrap();
            // The first evaluation reads the form, the second one what was kept.
            compare("builder", runner.with_handle(key, handle, value_type));
            compare("builder, again", runner.with_handle(key, handle, value_type));
            runner.api.free(b"mpflags_context_free", handle);
        }
        different
    }

    fn report(&self, suite: &str) {
        let all = self.cases;
        report("C, JSON", suite, all, 0, "");
        let reason = "a context that is not a JSON object has no binary form";
        report("C, binary", suite, self.binary, all - self.binary, reason);
        let reason = "a builder refuses what is not a JSON object, lone surrogates and too deep nesting, and merges \
                      `custom_properties` that are set twice";
        report("C, builder", suite, self.builder, all - self.builder, reason);
        report("C, handle", suite, all, 0, "");
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

/// The accessors that a vector does not name agree with it.
fn check(case: &Case, read: &Read) -> Result<(), String> {
    case.check(&read.got)?;
    let typed = match &case.want.value {
        Some(Value::String(text)) => read.string.as_ref() == Some(text) && read.kind == 2,
        Some(Value::Bool(truth)) => read.boolean == *truth && read.kind == 1,
        Some(Value::Number(number)) => Some(read.double) == number.as_f64() && [3, 4].contains(&read.kind),
        Some(Value::Object(_)) => read.kind == 5,
        Some(Value::Array(_)) => read.kind == 6,
        Some(Value::Null) => read.kind == 7,
        None => true,
    };
    let right = typed && read.key.as_ref() == Some(&case.key);
    if right { Ok(()) } else { Err(format!("{}: the accessors disagree: {read:?}", case.name)) }
}

#[test]
fn evaluate() {
    let cases = vectors::<Case>("evaluate");
    let mut failed = Vec::new();
    let mut forms = Forms::default();
    for case in &cases {
        let runner = Runner::new(&case.document(), case.overrides());
        let context = case.context();
        let value_type = value_type(case.read.as_deref());
        let encoded = runner.encoded(&case.key, context.as_bytes(), 1, value_type);
        let different = forms.compare(&runner, &case.key, &context, value_type, &encoded);
        failed.extend(different.into_iter().map(|different| format!("{}: {different}", case.name)));
        failed.extend(check(case, &encoded).err());
        match runner.api.context(&context) {
            Err(message) => {
                if case.want.outcome != "invalid_context" || encoded.got.message.as_ref() != Some(&message) {
                    failed.push(format!("{}: context: {message}", case.name));
                }
            }
            Ok(handle) => {
                let read = runner.with_handle(&case.key, handle, value_type);
                if read != encoded {
                    failed.push(format!("{}: handle {read:?}\n    encoded {encoded:?}", case.name));
                }
                if !runner.typed_read_agrees(case, handle, &read) {
                    failed.push(format!("{}: the typed read disagrees with {read:?}", case.name));
                }
                runner.api.free(b"mpflags_context_free", handle);
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    forms.report("evaluate");
}

#[test]
fn rules() {
    let cases = vectors::<RuleCase>("rules");
    let mut failed = Vec::new();
    let mut forms = Forms::default();
    for case in &cases {
        let runner = Runner::new(&case.definitions(), "{}");
        let context = case.context();
        let encoded = runner.encoded("f", context.as_bytes(), 1, 0);
        let different = forms.compare(&runner, "f", &context, 0, &encoded);
        failed.extend(different.into_iter().map(|different| format!("{}: {different}", case.name)));
        let handle = runner.api.context(&context).unwrap();
        let read = runner.with_handle("f", handle, 0);
        runner.api.free(b"mpflags_context_free", handle);
        if read != encoded {
            failed.push(format!("{}: handle {read:?}\n    encoded {encoded:?}", case.name));
        }
        failed.extend(case.check(read.got.outcome).err());
    }
    assert!(failed.is_empty(), "{} of {} vectors fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    forms.report("rules");
}

/// Every suite is run here, or skipped with a reason.
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
        let reason = match suite.as_str() {
            "evaluate" | "rules" => continue,
            "bucket" => "the C interface has no function that returns a bucket",
            "provider" => "there is no provider for C",
            other => panic!("conformance/vectors/{other} is neither run nor skipped"),
        };
        for form in ["JSON", "binary", "builder", "handle"] {
            report(&format!("C, {form}"), &suite, 0, vectors::<Head>(&suite).len(), reason);
        }
    }
}
