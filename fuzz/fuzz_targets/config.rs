//! The configuration as JSON. What is accepted is what docs/configuration.md allows, an error names an option that is
//! wrong, and no message depends on the token or the secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpflags::{Client, Config, OPTIONS};
use serde_json::value::RawValue;

#[path = "../../tests/support/forms.rs"]
mod forms;

type Members = Vec<(Vec<u8>, Box<RawValue>)>;

/// Whether the page allows this value. `None` if that takes more than its words, as for a URL.
fn is_allowed(allowed: &str, json: &str) -> Option<bool> {
    let text = serde_json::from_str::<String>(json).ok();
    let filled = text.as_ref().is_some_and(|text| !text.trim().is_empty());
    if let Some(range) = allowed.strip_prefix("an integer from ") {
        let (from, to) = range.split_once(" to ").unwrap();
        let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
        let number = serde_json::from_str::<u64>(json).ok();
        return Some(number.is_some_and(|number| from <= number && number <= to));
    }
    Some(match allowed {
        "true or false" => matches!(json, "true" | "false"),
        "a string of at most 64 visible ASCII characters" => {
            text.is_some_and(|text| text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic()))
        }
        "an object with `username`, `secret` and `project_id`" => {
            let mut members = forms::members(json).unwrap_or_default();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            members.iter().map(|(key, _)| &key[..]).eq([&b"project_id"[..], b"secret", b"username"])
                && members.iter().all(|(_, json)| is_allowed("a non-empty string", json.get()) == Some(true))
        }
        "a host, or a base URL with https:// or http://, or an array of 1 to 8 of them" => {
            let hosts = serde_json::from_str::<Vec<String>>(json);
            if text.is_some() || hosts.is_ok_and(|hosts| (1..=8).contains(&hosts.len())) {
                return None;
            }
            false
        }
        "an object of flag keys and values" if json.starts_with('{') => return None,
        allowed if allowed.starts_with("the URL") => text.is_some(),
        allowed if allowed.starts_with("a definitions document") || allowed.starts_with("an object") => {
            json.starts_with('{')
        }
        allowed if allowed.starts_with('"') => {
            text.is_some_and(|text| allowed.contains(&format!("\"{text}\"")) && !text.contains('"'))
        }
        allowed
            if ["a non-empty string", "the path of", "the name of"]
                .iter()
                .any(|start| allowed.starts_with(start)) =>
        {
            filled
        }
        other => panic!("a kind of value that this target does not know: {other}"),
    })
}

/// The members with another token and another secret, if they are strings that would be accepted.
fn with_other_secrets(members: &Members) -> String {
    let text = |key: &[u8]| serde_json::to_string(&String::from_utf8_lossy(key)).unwrap();
    let other = |key: &[u8], json: &str| -> String {
        let is_secret =
            (key == b"token" || key == b"secret") && is_allowed("a non-empty string", json) == Some(true);
        if is_secret { "\"other\"".to_owned() } else { json.to_owned() }
    };
    let each = |(key, json): &(Vec<u8>, Box<RawValue>)| {
        let json = match forms::members(json.get()) {
            Some(members) if key == b"service_account" => {
                let members =
                    members.iter().map(|(key, json)| format!("{}:{}", text(key), other(key, json.get())));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
            _ => other(key, json.get()),
        };
        format!("{}:{json}", text(key))
    };
    format!("{{{}}}", members.iter().map(each).collect::<Vec<_>>().join(","))
}

fuzz_target!(|json: &[u8]| {
    let Ok(json) = str::from_utf8(json) else { return };
    let read = |json: &str| Config::from_json(json).map_err(|error| error.to_string());
    let got = read(json);
    let Some(members) = forms::members(json) else {
        assert!(got.unwrap_err().starts_with("config: "));
        return;
    };
    let is_text = members.iter().all(|(key, _)| str::from_utf8(key).is_ok());
    if is_text {
        let other = read(&with_other_secrets(&members));
        assert_eq!(format!("{got:?}"), format!("{other:?}"), "it depends on a secret");
    }

    let given = |name: &str| members.iter().any(|(key, json)| key == name.as_bytes() && json.get() != "null");
    let mut wrong: Vec<String> = Vec::new();
    let mut uncertain: Vec<&str> = Vec::new();
    for (at, (key, json)) in members.iter().enumerate() {
        let option = OPTIONS.iter().find(|option| option.key.as_bytes() == key);
        let allowed = option.map(|option| {
            if json.get() == "null" { Some(true) } else { is_allowed(&option.allowed(), json.get()) }
        });
        let twice = members[..at].iter().any(|(other, _)| other == key);
        match (option, allowed) {
            (None, _) | (_, Some(Some(false))) => wrong.push(String::from_utf8_lossy(key).into_owned()),
            _ if twice => wrong.push(String::from_utf8_lossy(key).into_owned()),
            (Some(option), Some(None)) => uncertain.push(option.key),
            _ => {}
        }
    }
    if !given("token") {
        wrong.push("token".to_owned());
    }
    match &got {
        Ok(_) => assert!(wrong.is_empty(), "accepted: {wrong:?}"),
        Err(message) => {
            // Rules about several options.
            let mut named: Vec<&str> = wrong.iter().map(String::as_str).collect();
            named.extend(uncertain);
            if given("mode") {
                named.extend(
                    ["definitions", "definitions_path", "definitions_cache_dir"]
                        .iter()
                        .filter(|name| given(name)),
                );
            }
            if given("definitions") && given("definitions_path") {
                named.push("definitions_path");
            }
            if given("ready_from_cache") {
                named.push("ready_from_cache");
            }
            let names = |name: &&str| {
                let rest = message.strip_prefix("config: unknown key `").or(message.strip_prefix("config: "));
                rest.and_then(|rest| rest.strip_prefix(name))
                    .is_some_and(|rest| rest.starts_with([':', '.', '`', '[']))
            };
            assert!(!is_text || named.iter().any(names), "{message:?} names none of {named:?}");
        }
    }
    // Without files, and without the system's certificates.
    let files = ["ca_file", "definitions_path", "definitions_cache_dir"];
    if json.contains("http://127.0.0.1") && !files.into_iter().any(given) {
        let _ = got.map(Client::new);
    }
});
