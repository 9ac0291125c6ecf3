//! What the core says about a flag when it loads it.

use std::time::Duration;

use mpflags::{Client, Context, EvaluateOptions, Item, Level};
use serde_json::{Value, json};

use super::finding::Findings;
use crate::names::meant;
use crate::remote;

/// How the core's warning begins, and the finding.
pub(super) const UNKNOWN_OPERATOR: &str = "unknown operator `";

fn client(flag: &str) -> Option<Client> {
    remote::client(format!("{{\"flags\": [{flag}]}}").as_bytes()).ok()
}

/// Whether loading these flags logs nothing about any of them.
pub(super) fn is_silent(flags: &[&str]) -> bool {
    let Some(client) = client(&flags.join(",")) else { return false };
    while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
        if let Item::Log { level: Level::Warning | Level::Error, message } = item
            && message.starts_with("flag")
        {
            return false;
        }
    }
    true
}

/// Reports what the core rejects or cannot check. Returns whether the flag is usable.
pub(super) fn check(flag: &str, key: Option<&str>, findings: &mut Findings) -> bool {
    let Some(client) = client(flag) else {
        findings.error("", "cannot be read");
        return false;
    };
    while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
        let Item::Log { level: Level::Warning | Level::Error, message } = item else { continue };
        let own = key.and_then(|key| about(&message, key));
        if let Some(text) = own.or_else(|| message.strip_prefix("flags[0]: ")) {
            report(text, findings);
        }
    }
    key.is_some_and(|key| !malformed(&client, key))
}

/// The rest of a line about the flag. The line has other characters for control characters in the key.
fn about<'m>(line: &'m str, key: &str) -> Option<&'m str> {
    let mut rest = line.strip_prefix("flag `")?.chars();
    key.chars().for_each(|_| _ = rest.next());
    rest.as_str().strip_prefix("`: ")
}

fn malformed(client: &Client, key: &str) -> bool {
    let Ok(context) = Context::from_json("{}") else { return false };
    let step = client.explain(key, &context).ok();
    let step = step.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    step.is_none_or(|step| step.get("step").is_some_and(|step| step == "malformed"))
}

fn report(text: &str, findings: &mut Findings) {
    if let Some(rest) = text.strip_prefix(UNKNOWN_OPERATOR) {
        let (name, rest) = rest.split_once("`: ").unwrap_or((rest, ""));
        let (consequence, places) = rest.split_once("; a newer mpflags may know it (").unwrap_or((rest, ""));
        let consequence = match consequence {
            text if text.ends_with("never matches") || text.ends_with("never match") => {
                "this rollout never matches"
            }
            _ => "this rollout does not match when its rule reaches it",
        };
        let advice = match operator_meant(name) {
            Some(known) => format!("write `{known}`"),
            None => "the operators are listed in docs/evaluation.md".to_owned(),
        };
        for place in places.trim_end_matches(')').split(", ").filter(|place| *place != "…") {
            findings.error(
                format!("{place}.runtime_evaluation_rule"),
                format!("{UNKNOWN_OPERATOR}{name}`, so {consequence}: {advice}"),
            );
        }
        return;
    }
    if let Some((places, _)) = text.split_once(" cannot be checked locally") {
        let path = places.split(", ").next().unwrap_or_default();
        return findings.warning(
            path,
            "needs Mixpanel's servers: it restricts nothing here and in clients in local mode; use remote mode",
        );
    }
    let text = text.strip_suffix("; it is ignored").unwrap_or(text);
    let (path, why) = text.split_once(": ").unwrap_or(("", text));
    findings.error(path, format!("{why}, so the flag is rejected{}", hint(path, why)));
}

/// What to write instead.
fn hint(path: &str, why: &str) -> &'static str {
    let field = path.rsplit('.').next().unwrap_or(path);
    match field {
        "key" => ": a flag needs a \"key\", a string",
        "context" => ": it is the context key that users are bucketed by; write \"context\": \"distinct_id\"",
        "rollout_percentage" => ": write a fraction such as 0.5, without quotes",
        "split" => ": write a fraction such as 0.5, without quotes",
        "variants" => ": list at least one {\"key\": …, \"value\": …, \"split\": …}",
        "rollout" => ": write a list, such as [{\"rollout_percentage\": 1.0}]",
        "ruleset" => ": write {\"variants\": […], \"rollout\": […]}",
        "status" => ": write \"enabled\", \"disabled\" or \"archived\"",
        _ if why.contains("duplicate") => ": remove one of the two",
        _ if why.contains("more than") || why.contains("nest") => ": docs/evaluation.md lists the limits",
        _ => "",
    }
}

/// The operator that was probably meant by an unknown one.
fn operator_meant(name: &str) -> Option<&'static str> {
    const HABITS: [(&str, &str); 22] = [
        ("=", "=="),
        ("eq", "=="),
        ("equals", "=="),
        ("is", "=="),
        ("<>", "!="),
        ("ne", "!="),
        ("neq", "!="),
        ("not", "!"),
        ("&&", "and"),
        ("||", "or"),
        ("gt", ">"),
        ("gte", ">="),
        ("=>", ">="),
        ("lt", "<"),
        ("lte", "<="),
        ("=<", "<="),
        ("contains", "in"),
        ("includes", "in"),
        ("semver", "semver_compare"),
        ("datetime", "datetime_compare"),
        ("date_compare", "datetime_compare"),
        ("any", "some"),
    ];
    const WORDS: [&str; 20] = [
        "var",
        "missing",
        "missing_some",
        "if",
        "and",
        "or",
        "max",
        "min",
        "map",
        "reduce",
        "filter",
        "all",
        "none",
        "some",
        "merge",
        "in",
        "cat",
        "substr",
        "semver_compare",
        "datetime_compare",
    ];
    let folded = name.to_lowercase();
    let habit = HABITS.iter().find(|(habit, _)| *habit == folded).map(|(_, known)| *known);
    habit.or_else(|| meant(name, WORDS))
}

/// Whether a rule is true for `custom_properties`, which is an object.
pub(super) fn holds(rule: &Value, custom_properties: &Value) -> Option<bool> {
    let flag = json!({
        "key": "f", "context": "distinct_id",
        "ruleset": {
            "variants": [{ "key": "on", "value": true, "split": 1 }],
            "rollout": [{ "rollout_percentage": 1, "runtime_evaluation_rule": rule }],
        },
    });
    let context = json!({ "distinct_id": "u", "custom_properties": custom_properties });
    let client = client(&flag.to_string())?;
    let context = Context::from_json(&context.to_string()).ok()?;
    let evaluation = client.evaluate("f", &context, EvaluateOptions::new().without_exposure());
    evaluation.error_code().is_none().then(|| evaluation.has_value())
}
