//! Definitions. Each flag of a document is evaluated as if it were alone, whatever the others are; a malformed one
//! keeps its last good version; a document that cannot be read changes nothing; and the same document again changes
//! nothing either.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mpflags::{Client, Config, Context, EvaluateOptions, fuzzing};
use serde::Deserialize;
use serde_json::value::RawValue;

#[path = "../../tests/support/every_way.rs"]
mod every_way;
#[path = "../../tests/support/forms.rs"]
mod forms;

use every_way::DEFINITIONS;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let config = r#"{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "report_exposures": false}"#;
    Client::new(Config::from_json(config).unwrap()).unwrap()
});

static CONTEXTS: LazyLock<Vec<Context>> = LazyLock::new(|| {
    let contexts = [
        r#"{"distinct_id": "u1", "company": "c", "custom_properties": {"plan": "pro", "tags": ["a"], "a": 1}}"#,
        r#"{"distinct_id": 7, "device_id": "d", "targetingKey": "u2"}"#,
    ];
    contexts.into_iter().map(|json| Context::from_json(json).unwrap()).collect()
});

/// Definitions that come before those of the input. One of their flags has the key that the vectors use.
static BEFORE: LazyLock<String> = LazyLock::new(|| DEFINITIONS.replacen("plain", "f", 1));

/// What each of their flags says.
static SAID_BEFORE: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let flags = fuzzing::replace_definitions(&CLIENT, BEFORE.as_bytes(), false).unwrap().flags;
    flags.into_iter().map(|(key, _)| (key.clone(), said(&key))).collect()
});

/// What an evaluation of the flag says, in each context.
fn said(key: &str) -> Vec<String> {
    let one = |context: &Context| {
        let evaluation = CLIENT.evaluate(key, context, EvaluateOptions::new().without_exposure());
        let said = (evaluation.reason(), evaluation.variant(), evaluation.json(), evaluation.message());
        format!("{said:?} {:?} {}", evaluation.error_code(), evaluation.metadata_json())
    };
    CONTEXTS.iter().map(one).collect()
}

/// Checks that the explanation of an evaluation agrees with it.
fn explain(key: &str) {
    for context in &*CONTEXTS {
        let evaluation = CLIENT.evaluate(key, context, EvaluateOptions::new().without_exposure());
        let explained = CLIENT.explain(key, context).unwrap();
        let explained: Explained<'_> = serde_json::from_str(&explained).unwrap();
        assert_eq!(explained.reason, evaluation.reason().to_string(), "{key:?}");
        assert_eq!(explained.variant.as_deref(), evaluation.variant(), "{key:?}");
        assert_eq!(explained.message.as_deref(), evaluation.message(), "{key:?}");
        let value = explained.value.map_or("null", RawValue::get);
        assert_eq!(value, evaluation.json().unwrap_or("null"), "{key:?}");
    }
}

#[derive(Deserialize)]
struct Explained<'a> {
    reason: String,
    variant: Option<String>,
    message: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// The flags of a document, as JSON. `None` if it is not a document. The outer `None` if that cannot be said.
fn split(body: &[u8]) -> Option<Option<Vec<Box<RawValue>>>> {
    let text = str::from_utf8(body).ok()?;
    let members = forms::members(text);
    // A name that is not text belongs to no flag: the library may refuse the document.
    if members.as_ref().is_some_and(|members| members.iter().any(|(key, _)| str::from_utf8(key).is_err())) {
        return None;
    }
    let mut flags = members.into_iter().flatten().filter(|(key, _)| key == b"flags").map(|(_, flags)| flags);
    Some(match (flags.next(), flags.next()) {
        (Some(flags), None) => serde_json::from_str(flags.get()).ok(),
        _ => None,
    })
}

fuzz_target!(|body: &[u8]| {
    let split = split(body);
    if split.as_ref().is_some_and(|flags| flags.as_ref().is_some_and(|flags| flags.len() > 12)) {
        return;
    }
    // Each flag alone: whether it is good, and what it says. Of two with one key the later counts.
    let mut alone = BTreeMap::new();
    for flag in split.iter().flatten().flatten() {
        let document = format!(r#"{{"flags": [{flag}]}}"#);
        let flags =
            fuzzing::replace_definitions(&CLIENT, document.as_bytes(), false).expect("a document").flags;
        assert!(flags.len() <= 1);
        for (key, good) in flags {
            explain(&key);
            let said = said(&key);
            alone.insert(key, (good, said));
        }
    }
    // All of them, after others.
    let before = &*SAID_BEFORE;
    fuzzing::replace_definitions(&CLIENT, BEFORE.as_bytes(), false).unwrap();
    let replaced = fuzzing::replace_definitions(&CLIENT, body, true);
    if let Some(flags) = &split {
        assert_eq!(replaced.is_ok(), flags.is_some(), "{replaced:?}");
    }
    let Ok(replaced) = replaced else {
        before.iter().for_each(|(key, saying)| assert_eq!(said(key), *saying, "{key:?}"));
        return;
    };
    let served: Vec<String> = replaced.flags.iter().map(|(key, _)| key.clone()).collect();
    let changed = replaced.changed.expect("there were definitions");
    if split.is_some() {
        assert_eq!(served, Vec::from_iter(alone.keys().cloned()));
        let malformed = alone.values().filter(|(good, _)| !good).count();
        assert!(replaced.rejected.len() >= malformed, "{:?}", replaced.rejected);
    }
    for (key, (good, saying)) in &alone {
        let kept = before.get(key).filter(|_| !good);
        assert_eq!(said(key), *kept.unwrap_or(saying), "{key:?}");
        assert!(kept.is_none() || !changed.contains(key), "{key:?}");
        assert!(before.contains_key(key) || changed.contains(key), "{key:?}");
    }
    for key in before.keys().filter(|key| !served.contains(key)) {
        assert!(changed.contains(key), "{key:?}");
    }
    // Again.
    let sayings: Vec<Vec<String>> = served.iter().map(|key| said(key)).collect();
    let again = fuzzing::replace_definitions(&CLIENT, body, true).expect("it was accepted before");
    assert_eq!(again.changed, Some(Vec::new()));
    assert_eq!(again.flags, replaced.flags);
    served.iter().zip(sayings).for_each(|(key, saying)| assert_eq!(said(key), saying, "{key:?}"));
});
