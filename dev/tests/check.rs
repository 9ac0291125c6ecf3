//! `check`: each planted mistake is found, and nothing in good flags.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mpflags_dev::{Severity, check};
use serde_json::{Value, json};

/// A flag without a mistake, changed by one.
fn flag(change: impl FnOnce(&mut Value)) -> Value {
    let mut flag = json!({
        "key": "shop", "context": "distinct_id", "status": "enabled", "hash_salt": "s",
        "ruleset": {
            "variants": [{ "key": "a", "value": "A", "split": 0.5 }, { "key": "b", "value": "B", "split": 0.5 }],
            "rollout": [
                { "rollout_percentage": 0.5, "runtime_evaluation_rule": { "==": [{ "var": "plan" }, "pro"] } },
                { "rollout_percentage": 1 },
            ],
            "test": { "users": { "qa": "a" } },
        },
    });
    change(&mut flag);
    flag
}

fn document(flags: &[Value]) -> Vec<u8> {
    json!({ "flags": flags }).to_string().into_bytes()
}

fn findings(document: &[u8]) -> Vec<String> {
    let line = |finding: &mpflags_dev::Finding| {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity}: {finding}")
    };
    check(document).iter().map(line).collect()
}

const RULE: &str = "/ruleset/rollout/0/runtime_evaluation_rule";

#[test]
fn each_planted_mistake_is_found_and_nothing_else() {
    let planted = |path: &'static str, value: Value| flag(|flag| *flag.pointer_mut(path).unwrap() = value);
    let field = |path: &'static str, name: &'static str, value: Value| {
        flag(|flag| {
            _ = flag.pointer_mut(path).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value)
        })
    };
    let rule = |rule: Value| planted(RULE, rule);
    let renamed = |path: &'static str, from: &'static str, to: &'static str| {
        flag(|flag| {
            let fields = flag.pointer_mut(path).unwrap().as_object_mut().unwrap();
            let value = fields.remove(from).unwrap();
            fields.insert(to.to_owned(), value);
        })
    };
    let without = |path: &'static str, name: &'static str| {
        flag(|flag| _ = flag.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name))
    };
    let cases = [
        (
            without("", "context"),
            &[
                r#"error: context: required, so the flag is rejected: it is the context key that users are bucketed by; write "context": "distinct_id""#,
            ][..],
        ),
        (
            planted("/ruleset/variants", json!([])),
            &[
                r#"error: ruleset.variants: expected at least one variant, so the flag is rejected: list at least one {"key": …, "value": …, "split": …}"#,
            ][..],
        ),
        (
            planted("/ruleset/rollout/0/rollout_percentage", json!("50%")),
            &[
                "error: ruleset.rollout[0].rollout_percentage: expected a number, found a string, so the flag is rejected: write a fraction such as 0.5, without quotes",
            ][..],
        ),
        (
            planted("/ruleset/rollout/0/rollout_percentage", json!(50)),
            &[
                "error: ruleset.rollout[0].rollout_percentage: 50 means 5000 %, so everybody is admitted: write 0.5",
            ][..],
        ),
        (
            planted("/ruleset/rollout/0/rollout_percentage", json!(-0.5)),
            &[
                "error: ruleset.rollout[0].rollout_percentage: -0.5 is negative, so nobody is admitted: write a fraction from 0 to 1",
            ][..],
        ),
        (
            planted("/ruleset/rollout/0/rollout_percentage", json!(0.125)),
            &[
                "warning: ruleset.rollout[0].rollout_percentage: buckets are hundredths, so 0.125 admits 13 % of users",
            ][..],
        ),
        (
            planted("/ruleset/variants/0/split", json!(0.4)),
            &[
                r#"error: ruleset.variants: the splits add up to 0.9, and "b", the last in order, gets the missing 0.1: make them add up to 1"#,
            ][..],
        ),
        (
            planted("/ruleset/variants/0/split", json!(50)),
            &[
                "error: ruleset.variants: the splits add up to 50.5, and the last ones get less than their share: write fractions, such as 0.5 for 50 %",
            ][..],
        ),
        (
            planted("/ruleset/variants/0/split", json!(-0.5)),
            &["error: ruleset.variants[0].split: -0.5 is negative: write a fraction from 0 to 1"][..],
        ),
        (
            planted("/status", json!("Disabled")),
            &[
                r#"error: status: "Disabled" is not a status, so the flag counts as enabled: write "disabled""#,
            ][..],
        ),
        (
            planted("/status", json!("off")),
            &[
                r#"error: status: "off" is not a status, so the flag counts as enabled: write "enabled", "disabled" or "archived""#,
            ][..],
        ),
        (
            planted("/ruleset/variants/0/key", json!("b")),
            &[
                r#"error: ruleset.variants[1].key: two variants are called "b": rename or remove one of them"#,
                r#"error: ruleset.test.users.qa: no variant is called "a", so this tester is evaluated like everybody else: the variants are b, b"#,
            ][..],
        ),
        (
            planted("/ruleset/variants/0/key", json!("B")),
            &[
                r#"error: ruleset.variants[1].key: differs from "B" only in case, and overrides and testers ignore case: rename one of them"#,
                r#"error: ruleset.test.users.qa: no variant is called "a", so this tester is evaluated like everybody else: the variants are B, b"#,
            ][..],
        ),
        (
            planted("/ruleset/variants/0/value", json!(1)),
            &[
                "warning: ruleset.variants: the values have different types (number, string): a typed read returns its default for some of them",
            ][..],
        ),
        (
            renamed("", "hash_salt", "hash_slat"),
            &["error: hash_slat: nothing reads this field: did you mean `hash_salt`?"][..],
        ),
        (
            renamed("/ruleset", "rollout", "rolout"),
            &[
                r#"error: ruleset.rollout: required, so the flag is rejected: write a list, such as [{"rollout_percentage": 1.0}]"#,
                "error: ruleset.rolout: nothing reads this field: did you mean `rollout`?",
            ][..],
        ),
        (
            renamed("/ruleset/rollout/0", "runtime_evaluation_rule", "runtime_evaluation"),
            &[
                "error: ruleset.rollout[0].runtime_evaluation: nothing reads this field: did you mean `runtime_evaluation_rule`?",
            ][..],
        ),
        (
            field("/ruleset/rollout/0", "cohort_hash", json!("c")),
            &[
                "warning: ruleset.rollout[0].cohort_hash: needs Mixpanel's servers: it restricts nothing here and in clients in local mode; use remote mode",
            ][..],
        ),
        (
            field("/ruleset/rollout/0", "variant_override", json!({ "key": "c" })),
            &[
                r#"error: ruleset.rollout[0].variant_override.key: no variant is called "c", so the split decides: the variants are a, b"#,
            ][..],
        ),
        (
            field("/ruleset/rollout/0", "variant_splits", json!({ "A": 0.2, "b": 0.5 })),
            &[
                r#"error: ruleset.rollout[0].variant_splits.A: no variant is called "A", so this share is ignored: did you mean "a"?"#,
            ][..],
        ),
        (
            field("/ruleset/rollout/0", "variant_splits", json!({ "a": 0.2 })),
            &[
                r#"error: ruleset.rollout[0].variant_splits: the splits add up to 0.7, and "b", the last in order, gets the missing 0.3: make them add up to 1"#,
            ][..],
        ),
        (
            planted("/ruleset/test/users/qa", json!("on")),
            &[
                r#"error: ruleset.test.users.qa: no variant is called "on", so this tester is evaluated like everybody else: the variants are a, b"#,
            ][..],
        ),
        (
            flag(|flag| flag["ruleset"]["rollout"].as_array_mut().unwrap().reverse()),
            &[
                "error: ruleset.rollout[1]: never reached: ruleset.rollout[0] admits everybody; move this one before it, or remove it",
            ][..],
        ),
        (
            flag(|flag| {
                flag["hash_salt"] = Value::Null;
                flag["ruleset"]["rollout"] =
                    json!([{ "rollout_percentage": 0.3 }, { "rollout_percentage": 0.2 }]);
            }),
            &[
                "error: ruleset.rollout[1]: never reached: without a hash_salt, all rollouts use the same bucket, and ruleset.rollout[0] admits all of these users; move this one before it, or remove it",
            ][..],
        ),
        (
            flag(|flag| {
                flag["ruleset"]["variants"][0]["split"] = json!(1);
                flag["ruleset"]["variants"][1]["split"] = json!(0.005);
            }),
            &[
                r#"error: ruleset.variants[1].split: nobody gets "b": buckets are hundredths, and its share covers none; make it 0, or at least 0.01"#,
            ][..],
        ),
        (
            rule(json!({ "=": [{ "var": "plan" }, "pro"] })),
            &[
                "error: ruleset.rollout[0].runtime_evaluation_rule: unknown operator `=`, so this rollout never matches: write `==`",
            ][..],
        ),
        (
            rule(
                json!({ "or": [{ "==": [{ "var": "a" }, 1] }, { "geo_within": [{ "var": "plan" }, "pro"] }] }),
            ),
            &[
                "error: ruleset.rollout[0].runtime_evaluation_rule: unknown operator `geo_within`, so this rollout does not match when its rule reaches it: the operators are listed in docs/evaluation.md",
            ][..],
        ),
        (
            rule(json!({ "==": ["plan", "pro"] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.==: never true, because it reads no property: write {"var": "plan"} for the property"#,
            ][..],
        ),
        (
            rule(json!({ "==": [{ "var": "plan" }, "pro"], "in": [{ "var": "c" }, ["DE"]] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule: an object with several operators (`==`, `in`) is a value, which is always true: write {"and": [ … ]} around them"#,
            ][..],
        ),
        (
            rule(
                json!({ "and": [{ "==": [{ "var": "plan" }, "pro"] }, { "==": [{ "var": "plan" }, "free"] }] }),
            ),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.and: never true: plan cannot be "pro" and "free" at once; write `or` where one of several is enough"#,
            ][..],
        ),
        (
            rule(json!({ "and": [{ ">": [{ "var": "age" }, 65] }, { "<": [{ "var": "age" }, 18] }] })),
            &[
                "error: ruleset.rollout[0].runtime_evaluation_rule.and: never true: age cannot be above 65 and below 18 at once; write `or` where one of several is enough",
            ][..],
        ),
        (
            rule(json!({ "in": [{ "var": "country" }, []] })),
            &[
                "error: ruleset.rollout[0].runtime_evaluation_rule.in[1]: never true, because the list is empty: add values, or remove the rollout",
            ][..],
        ),
        (
            rule(json!({ "in": [["DE", "FR"], { "var": "country" }] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.in: never true: the property comes first and the list second: write {"in": [{"var":"country"}, ["DE","FR"]]}"#,
            ][..],
        ),
        (
            rule(json!({ "semver_compare": [{ "var": "version" }, "==", "2.0.0"] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.semver_compare[1]: never true, because it does not know "==": write "===""#,
            ][..],
        ),
        (
            rule(json!({ "semver_compare": [{ "var": "version" }, ">=", "two"] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.semver_compare[2]: never true, because "two" is not a version: write a version such as "2.3.0""#,
            ][..],
        ),
        (
            rule(json!({ "datetime_compare": [{ "var": "since" }, "<", "2026-01-01"] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.datetime_compare[2]: never true, because "2026-01-01" is not a time: write the time in milliseconds since 1970, as a number"#,
            ][..],
        ),
        (
            rule(json!({ "===": [{ "var": "plan" }, ["pro"]] })),
            &[
                "error: ruleset.rollout[0].runtime_evaluation_rule.===: never true, because lists are compared by identity: use `in`, or compare the elements",
            ][..],
        ),
        (
            rule(json!({ "==": [{ "var": "custom_properties.plan" }, "pro"] })),
            &[
                r#"error: ruleset.rollout[0].runtime_evaluation_rule.==[0].var: rules see the custom_properties themselves, so this is always missing: write {"var": "plan"}"#,
            ][..],
        ),
        (
            rule(json!({ "==": [{ "var": "distinct_id" }, "u1"] })),
            &[
                "warning: ruleset.rollout[0].runtime_evaluation_rule.==[0].var: rules see custom_properties only: distinct_id must be one of them, too",
            ][..],
        ),
    ];
    assert!(cases.len() >= 20);
    for (flag, want) in cases {
        let found = findings(&document(std::slice::from_ref(&flag)));
        let found: Vec<String> = found.iter().map(|line| line.replacen("shop: ", "", 1)).collect();
        assert_eq!(found, want, "{flag}");
    }
    assert_eq!(findings(&document(&[flag(|_| ())])), [""; 0]);
}

#[test]
fn documents_that_cannot_be_read_have_one_finding_with_its_line() {
    let same = b"{\"flags\": [\n{\"key\": \"k\", \"context\": 1},\n{\"key\": \"k\", \"context\": \"c\",\n\"status\": 1}]}";
    for (text, line, want) in [
        (
            &b"{\"flags\": [\n{\"key\": }]}"[..],
            2,
            "not a definitions document, which is {\"flags\": […]}: expected value at line 2 column 9",
        ),
        (
            b"{}",
            1,
            "not a definitions document, which is {\"flags\": […]}: missing field `flags` at line 1 column 2",
        ),
        (
            b"",
            1,
            "not a definitions document, which is {\"flags\": […]}: EOF while parsing a value at line 1 column 0",
        ),
        (b"{\"flags\": [\n5]}", 2, "flags[0]: expected an object, found a number, so the flag is rejected"),
        (b"\n\xff", 2, "not valid UTF-8: save the file as UTF-8"),
    ] {
        let found = check(text);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (finding.line, finding.severity, finding.to_string().as_str()),
            (line, Severity::Error, want)
        );
    }
    let found: Vec<(usize, String)> =
        check(same).iter().map(|finding| (finding.line, finding.path.clone())).collect();
    let want = [(2, "context"), (3, "key"), (4, "status")].map(|(line, path)| (line, path.to_owned()));
    assert_eq!(found, want);
}

/// Vectors whose flags contain a mistake on purpose, by the beginning of their names.
const MISTAKEN: [&str; 57] = [
    "bucketing/995-permille",
    "bucketing/index-counts-",
    "bucketing/negative-percent",
    "bucketing/odd-percent",
    "bucketing/over-100-percent",
    "bucketing/payload-order-not-percentage-order",
    "bucketing/rule-error-next-group",
    "bucketing/tiny-percent",
    "context/constant-rule",
    "context/later-rollout",
    "differences/and-is-lazy",
    "differences/fold-tester-variant-sharp-s",
    "differences/greater-with-three-operands",
    "differences/if-is-lazy",
    "differences/is-qa-tester-after-override",
    "differences/only-the-wrong-typed-flag",
    "differences/or-is-lazy",
    "differences/rule-error-alone",
    "differences/semver-four-operands",
    "differences/ternary-is-lazy",
    "legacy/rule-wins",
    "lookup/earlier-duplicate-malformed",
    "lookup/later-duplicate",
    "lookup/unknown-status",
    "malformed/field-twice-beside-good",
    "model/cohort-event-sticky-ignored",
    "model/entry-",
    "model/every-optional-null",
    "model/huge-",
    "model/key-",
    "model/lone-",
    "model/malformed-beside-good",
    "overrides/malformed-flag",
    "reasons/default-earlier-failing-rule",
    "reasons/default-earlier-rule-995",
    "reasons/split-earlier-tiny-group",
    "reasons/split-override-unknown",
    "reasons/static-995",
    "reasons/static-earlier-negative-group",
    "reasons/static-group-splits",
    "reasons/static-later-rule",
    "reasons/static-no-splits",
    "reasons/static-override-of-split",
    "reasons/static-unreached-split",
    "testers/before-override",
    "testers/empty-name-falls-through",
    "testers/several",
    "testers/unknown-name",
    "variants/last-of-zero-split",
    "variants/negative-split",
    "variants/no-splits-last",
    "variants/order-u",
    "variants/override",
    "variants/split",
    "variants/sum-",
    "variants/tester-keys-differing-in-case",
    "variants/zero-splits-last",
];

fn vectors(suite: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors").join(suite);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |file| -> Value { serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap() };
    files.flat_map(|file| read(file)["vectors"].as_array().unwrap().clone()).collect()
}

#[test]
fn good_flags_have_no_findings() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/definitions.json");
    assert_eq!(findings(&fs::read(sample).unwrap()), [""; 0]);
    let (mut good, mut surprises) = (0, Vec::new());
    let mut unused: BTreeSet<&str> = MISTAKEN.into();
    for vector in vectors("evaluate") {
        let document = match &vector["flags"] {
            Value::String(text) if text.starts_with('{') => text.clone().into_bytes(),
            // The name of a file.
            Value::String(_) => continue,
            other => other.to_string().into_bytes(),
        };
        let name = vector["name"].as_str().unwrap();
        let found = findings(&document);
        let mistaken = MISTAKEN.into_iter().find(|start| name.starts_with(start));
        if vector["want"]["outcome"] == "malformed" {
            assert!(found.iter().any(|line| line.starts_with("error: ")), "{name}: {found:?}");
        } else if let Some(start) = mistaken {
            if !found.is_empty() {
                unused.remove(start);
            }
        } else {
            good += 1;
            if !found.is_empty() {
                surprises.push((name.to_owned(), found));
            }
        }
    }
    assert!(
        surprises.is_empty(),
        "if these flags are wrong on purpose, add them to MISTAKEN: {surprises:#?}"
    );
    assert!(good >= 150, "{good}");
    assert_eq!(unused, BTreeSet::new(), "these have no findings: remove them from MISTAKEN");
}

#[test]
fn what_is_said_of_rules_is_true_of_every_vector() {
    let (mut never, mut always) = (0, 0);
    for vector in vectors("rules") {
        let (Some(rule), Some(want)) = (vector.get("rule"), vector["want"].as_bool()) else { continue };
        if vector.get("data").is_none() {
            continue;
        }
        let flag = flag(|flag| *flag.pointer_mut(RULE).unwrap() = rule.clone());
        for line in findings(&document(&[flag])) {
            // About the rule as a whole, not about a part of it.
            let Some(rest) = line.strip_prefix("error: shop: ruleset.rollout[0].runtime_evaluation_rule")
            else {
                continue;
            };
            let (path, message) = rest.split_once(": ").unwrap();
            let whole = path.matches(['.', '[']).count() <= 1
                || path.ends_with("_compare[1]")
                || path.ends_with("_compare[2]");
            if whole && path.matches('.').count() <= 1 && message.starts_with("never true") {
                never += 1;
                assert!(!want, "{}: {line}", vector["name"]);
            }
            if whole && path.matches('.').count() <= 1 && message.contains("always true") {
                always += 1;
                assert!(want, "{}: {line}", vector["name"]);
            }
        }
        let ours = vector["name"].as_str().unwrap().starts_with("rules/ui/");
        if ours {
            let flag = self::flag(|flag| *flag.pointer_mut(RULE).unwrap() = rule.clone());
            assert_eq!(findings(&document(&[flag])), [""; 0], "{}", vector["name"]);
        }
    }
    assert!(never >= 5 && always >= 5, "{never} {always}");
}
