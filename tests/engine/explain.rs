//! Explanations: the cases of explain.json, and of every vector: each agrees with the evaluation, and what it shows leads
//! to that outcome.

use crate::support::{Case, config, one_rule, vectors};
use mpflags::{Client, Config, Context, ErrorKind, EvaluateOptions};
use serde::Deserialize;
use serde_json::Value;

fn client(definitions: &str, overrides: &str) -> Client {
    Client::new(Config::from_json(&config(definitions, overrides)).unwrap()).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    key: String,
    context: Value,
    want: Value,
}

/// explain.json has a definitions document, overrides, and the explanations, written by hand.
#[test]
fn written_by_hand() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        definitions: Value,
        overrides: Value,
        cases: Vec<Written>,
    }
    let file: File = serde_json::from_str(include_str!("explain.json")).unwrap();
    let client = client(&file.definitions.to_string(), &file.overrides.to_string());
    let mut failed = Vec::new();
    for case in &file.cases {
        let context = Context::from_json(&case.context.to_string()).unwrap();
        let shown = client.explain(&case.key, &context).unwrap();
        let read: Value = serde_json::from_str(&shown).unwrap();
        if read != case.want {
            failed.push(format!("{}: want {}\n    got {shown}", case.name, case.want));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(file.cases.len() >= 10);
    println!("explain: {} cases", file.cases.len());
}

/// docs/evaluation.md shows one of the cases.
#[test]
fn page() {
    let page = include_str!("../../docs/evaluation.md");
    let (_, rest) = page.split_once("<!-- explain: ").unwrap();
    let (name, rest) = rest.split_once(" -->\n```json\n").unwrap();
    let shown: Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    let file: Value = serde_json::from_str(include_str!("explain.json")).unwrap();
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    assert_eq!(case["want"], shown);
}

/// What an explanation shows leads to the outcome: buckets, percentages and rules to the rollout, the split's table to the
/// variant.
fn follows(shown: &Value, context: &Value) -> Result<(), String> {
    let rollouts = shown["rollouts"].as_array().unwrap();
    let subject = shown["subject"]["text"].as_str();
    for (at, rollout) in rollouts.iter().enumerate() {
        let salt = rollout["salt"].as_str().unwrap();
        let bucket = rollout["bucket"].as_f64().unwrap();
        if mpflags::bucket(subject.unwrap(), salt) != bucket {
            return Err(format!("bucket of {salt}"));
        }
        let admitted = bucket < rollout["percentage"].as_f64().unwrap();
        let matches = match rollout.get("rule") {
            None => true,
            Some(_) if !admitted => rollout["matches"].is_null(),
            Some(rule) => {
                let holds = rollout["matches"].as_bool().unwrap();
                // A legacy definition shows its pairs and no value; without properties there are no values at all.
                let value = rule.get("value").or_else(|| rule.get("error").map(|_| &Value::Bool(false)));
                let seen = context["custom_properties"].is_object();
                if let Some(value) = value.filter(|_| seen)
                    && holds != truthy(value)
                {
                    return Err(format!("rollout {at}: its rule is {value}, matches is {holds}"));
                }
                holds
            }
        };
        let taken = admitted && matches;
        if rollout["admitted"] != admitted || rollout["taken"] != taken || (taken && at + 1 < rollouts.len())
        {
            return Err(format!("rollout {at}: {rollout}"));
        }
    }
    let took = rollouts.last().is_some_and(|last| last["taken"] == true);
    if (shown["step"] == "rollout") != took
        || (shown["step"] == "no_rollout_match") != (subject.is_some() && !took && shown["step"] != "tester")
    {
        return Err(format!("step {}", shown["step"]));
    }
    let choice = &shown["choice"];
    if choice.is_null() == took {
        return Err(format!("choice {choice}"));
    }
    let chosen = match choice["cumulative"].as_array() {
        None => choice["fixed"].clone(),
        Some(table) => {
            let bucket = choice["bucket"].as_f64().unwrap();
            if mpflags::bucket(subject.unwrap(), choice["salt"].as_str().unwrap()) != bucket {
                return Err("bucket of the split".to_owned());
            }
            let found = table.iter().find(|row| row["below"].as_f64().is_none_or(|below| bucket < below));
            found.or(table.last()).unwrap()["variant"].clone()
        }
    };
    if took && shown["error_code"].is_null() && chosen != shown["variant"] {
        return Err(format!("chosen {chosen}, variant {}", shown["variant"]));
    }
    Ok(())
}

/// As JSON Logic has it.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(_) => true,
    }
}

/// The explanation of every vector agrees with the evaluation, and leads to its outcome.
#[test]
fn every_vector() {
    let cases = vectors::<Case>("evaluate");
    let (mut failed, mut explained) = (Vec::new(), 0);
    for case in &cases {
        let text = case.context();
        let Ok(context) = Context::from_json(&text) else { continue };
        let client = client(&case.document(), case.overrides());
        let evaluation = client.evaluate(&case.key, &context, EvaluateOptions::new());
        let shown = client.explain(&case.key, &context).unwrap();
        let shown: Value =
            serde_json::from_str(&shown).unwrap_or_else(|e| panic!("{}: {e}: {shown}", case.name));
        explained += 1;
        let json = |text: Option<&str>| text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        let wanted = [
            ("flag", Value::from(case.key.as_str())),
            ("variant", Value::from(evaluation.variant())),
            ("reason", Value::from(evaluation.reason().to_string())),
            ("error_code", Value::from(evaluation.error_code().map(|code| code.to_string()))),
            ("message", Value::from(evaluation.message())),
            ("value", json(evaluation.json())),
            ("metadata", json(Some(evaluation.metadata_json()))),
        ];
        for (field, wanted) in wanted {
            if shown[field] != wanted {
                failed.push(format!("{}: {field}: want {wanted}, got {}", case.name, shown[field]));
            }
        }
        // A context with an unusable attribute is not JSON for serde_json.
        let context: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Err(why) = follows(&shown, &context) {
            failed.push(format!("{}: {why}: {shown}", case.name));
        }
    }
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), failed.join("\n"));
    println!("explain: {explained} of {} vectors; the context of the others cannot be read", cases.len());
}

/// The explanation of the rule of a rollout, or of its legacy definition.
fn rule_of(field: &str, rule: &str, properties: &str) -> Value {
    let context = format!(r#"{{"id": 1, "custom_properties": {properties}}}"#);
    let client = client(&one_rule(field, rule), "{}");
    let shown = client.explain("f", &Context::from_json(&context).unwrap()).unwrap();
    let mut shown: Value = serde_json::from_str(&shown).unwrap_or_else(|e| panic!("{rule}: {e}: {shown}"));
    shown["rollouts"][0]["rule"].take()
}

#[test]
fn parts_of_a_rule() {
    let data = r#"{"a": {"b": 1}, "d": "1970-01-01T00:00:00Z", "v": "1.2.0", "l": [1, 2], "m": {"x": 1, "y": [true, null]},
        "many": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}"#;
    let rows = [
        (r#"{"var": "a.b"}"#, r#"{"var": "a.b", "value": 1}"#),
        (r#"{"var": "a.b.c"}"#, r#"{"var": "a.b.c", "value": null, "missing": true}"#),
        (r#"{"var": "m"}"#, r#"{"var": "m", "value": {"x": 1, "y": [true, null]}}"#),
        (
            r#"[{"var": "a.b"}, 1, "Two"]"#,
            r#"{"list": [{"var": "a.b", "value": 1}, 1, "two"], "value": [1, 1, "two"]}"#,
        ),
        (
            r#"{"datetime_compare": [{"var": "d"}, "<", 1500]}"#,
            r#"{"operator": "datetime_compare", "operands": [{"var": "d", "value": "1970-01-01t00:00:00z"}, "<", 1000],
                "value": true}"#,
        ),
        (
            r#"{"datetime_compare": [{"var": "d"}, ">=", "1500"]}"#,
            r#"{"operator": "datetime_compare", "operands": [{"var": "d", "value": "1970-01-01t00:00:00z"}, ">=", null],
                "value": false}"#,
        ),
        (
            r#"{"semver_compare": [{"var": "v"}, ">", "V1.2-rc.1+build"]}"#,
            r#"{"operator": "semver_compare", "operands": [{"var": "v", "value": "1.2.0"}, ">", "1.2.0-rc.1"], "value": true}"#,
        ),
        (
            r#"{"semver_compare": [{"var": "v"}, "===", "no version"]}"#,
            r#"{"operator": "semver_compare", "operands": [{"var": "v", "value": "1.2.0"}, "===", null], "value": false}"#,
        ),
        (
            r#"{"<": [{"var": "age"}, 18]}"#,
            r#"{"operator": "<", "operands": [{"var": "age", "value": null, "missing": true}, 18], "value": true}"#,
        ),
        (
            r#"{"<": [{"var": ["age", 7]}, 18]}"#,
            r#"{"operator": "<", "operands": [{"var": "age", "value": 7, "missing": true}, 18], "value": true}"#,
        ),
        (
            r#"{"==": [{"var": "a.c"}, {"operator": "and", "value": true, "operands": []}]}"#,
            r#"{"operator": "==", "operands": [{"var": "a.c", "value": null, "missing": true},
                {"literal": {"operator": "and", "value": true, "operands": []}}], "value": false}"#,
        ),
        (
            r#"{"in": [1, [{"var": "x", "value": 1}]]}"#,
            r#"{"operator": "in", "operands": [1, {"literal": [{"var": "x", "value": 1}]}], "value": false}"#,
        ),
        (r#"{"nope": [1]}"#, r#"{"operator": "nope", "error": "unknown operator"}"#),
        (r#"{"*": []}"#, r#"{"operator": "*", "operands": [], "error": "an operand cannot be converted"}"#),
        (
            r#"{"reduce": [{"var": "many"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x"]}"#,
            r#"{"operator": "reduce", "operands": [
                {"var": "many", "value": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]},
                {"operator": "cat", "operands": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x"],
                "error": "too costly to explain"}"#,
        ),
        (r#"{"+": ["x"]}"#, r#"{"operator": "+", "operands": ["x"], "value": null}"#),
        (r#"{"/": [1, 0]}"#, r#"{"operator": "/", "operands": [1, 0], "value": null}"#),
        (
            r#"{"map": [{"var": "l"}, {"var": "x"}]}"#,
            r#"{"operator": "map", "operands": [{"var": "l", "value": [1, 2]}, {"var": "x"}], "value": [null, null]}"#,
        ),
        (
            r#"{"reduce": [[1], {"var": ""}, 0]}"#,
            r#"{"operator": "reduce", "operands": [[1], {"var": ""}, 0], "value": {"current": 1, "accumulator": 0}}"#,
        ),
    ];
    for (rule, want) in rows {
        let want: Value = serde_json::from_str(want).unwrap();
        assert_eq!(rule_of("runtime_evaluation_rule", rule, data), want, "{rule}");
    }
    let want = r#"{"legacy": [{"property": "a", "expected": null, "value": {"b": 1}}, {"property": "nope", "expected": "x"},
        {"property": "v", "expected": "1.2.0", "value": "1.2.0"}]}"#;
    assert_eq!(
        rule_of(
            "runtime_evaluation_definition",
            r#"{"a": {"toString": 1}, "nope": "x", "v": "1.2.0"}"#,
            data
        ),
        serde_json::from_str::<Value>(want).unwrap()
    );
}

#[test]
fn every_operator_and_symbol_has_its_name() {
    let operators = "missing missing_some if and or == === != !== ! !! > >= < <= max min + - * / % map reduce filter all \
        none some merge in cat substr log semver_compare datetime_compare";
    for name in operators.split_whitespace() {
        let rule = format!(r#"{{"{name}": [1, 2]}}"#);
        assert_eq!(rule_of("runtime_evaluation_rule", &rule, "{}")["operator"], name);
    }
    for symbol in ["===", "!==", "<", "<=", ">", ">="] {
        let rule = format!(r#"{{"semver_compare": ["1", "{symbol}", "1"]}}"#);
        assert_eq!(rule_of("runtime_evaluation_rule", &rule, "{}")["operands"][1], symbol);
    }
}

#[test]
fn deep_parts_are_left_out() {
    let nested = |levels: usize, inner: &str| {
        let rule = format!("{}{inner}{}", r#"{"!": ["#.repeat(levels), "]}".repeat(levels));
        let mut part = rule_of("runtime_evaluation_rule", &rule, "{}");
        for _ in 0..levels {
            part = part["operands"][0].take();
        }
        part
    };
    let (cat, semver) = (r#"{"cat": ["1"]}"#, r#"{"semver_compare": [{"cat": ["1"]}, "===", "1"]}"#);
    assert_eq!(nested(23, cat)["operands"][0], "1");
    assert_eq!(nested(24, cat)["operands"], "\u{2026}");
    assert_eq!(nested(22, semver)["operands"][0]["operands"][0], "1");
    assert_eq!(nested(23, semver)["operands"][0]["operands"], "\u{2026}");
    assert_eq!(nested(24, semver)["operands"], "\u{2026}");

    let value = |levels: usize, open: &str, close: &str, step: &dyn Fn(&mut Value) -> Value| {
        let data = format!(r#"{{"x": {}1{}}}"#, open.repeat(levels), close.repeat(levels));
        let mut value = rule_of("runtime_evaluation_rule", r#"{"var": "x"}"#, &data)["value"].take();
        for _ in 0..32 {
            value = step(&mut value);
        }
        value
    };
    let (first, under) = (|value: &mut Value| value[0].take(), |value: &mut Value| value["a"].take());
    assert_eq!(value(32, "[", "]", &first), 1);
    assert_eq!(value(33, "[", "]", &first), "\u{2026}");
    assert_eq!(value(32, r#"{"a": "#, "}", &under), 1);
    assert_eq!(value(33, r#"{"a": "#, "}", &under), "\u{2026}");
}

#[test]
fn a_remote_client_cannot_explain() {
    let config = r#"{"token": "t", "mode": "remote", "overrides": {"forced": 1}}"#;
    let client = Client::new(Config::from_json(config).unwrap()).unwrap();
    let error = client.explain("gate", &Context::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "explain: Mixpanel decides for a remote client, and does not say why");
    assert!(client.explain("forced", &Context::default()).unwrap().contains("\"step\":\"override\""));
}

#[test]
fn long_parts_are_cut() {
    let rule = |rule: &str, properties: &str| rule_of("runtime_evaluation_rule", rule, properties);
    let size = |shown: &Value| shown.to_string().len();
    let literals = vec![format!("\"{}\"", "x".repeat(1000)); 300].join(",");
    let read = rule(&format!(r#"{{"merge": [{literals}]}}"#), "{}");
    assert!(size(&read) < 70_000, "{}", size(&read));
    assert_eq!(read["operands"].as_array().unwrap().last().unwrap(), "\u{2026}");
    assert_eq!(read["value"], "\u{2026}");

    let numbers = vec!["12345"; 20_000].join(",");
    let read = rule(r#"{"var": "l"}"#, &format!(r#"{{"l": [{numbers}]}}"#));
    assert!(size(&read) < 70_000, "{}", size(&read));
    assert_eq!(read["value"].as_array().unwrap().last().unwrap(), "\u{2026}");

    let entries: Vec<String> = (10_000..20_000).map(|n| format!("\"k{n}\": {n}")).collect();
    let read = rule(r#"{"var": "o"}"#, &format!(r#"{{"o": {{{}}}}}"#, entries.join(",")));
    assert!(size(&read) < 70_000, "{}", size(&read));
    assert_eq!(read["value"]["k10000"], 10_000);
    assert_eq!(read["value"].get("k19999"), None);
}

/// A value whose parts are shared is small in memory and would be endless as text.
#[test]
fn a_value_that_shares_its_parts() {
    let list: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let rule = format!(
        r#"{{"reduce": [[{}], [{{"var": "accumulator"}}, {{"var": "accumulator"}}], 1]}}"#,
        list.join(",")
    );
    let client = client(&one_rule("runtime_evaluation_rule", &rule), "{}");
    let context = Context::from_json(r#"{"id": 1, "custom_properties": {}}"#).unwrap();
    let shown = client.explain("f", &context).unwrap();
    assert!(shown.len() < 200_000, "{}", shown.len());
    let read: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(read["step"], "rollout");

    // Many parts, each of which is all of a large context.
    let parts = vec![r#"{"var": ""}"#; 2000].join(",");
    let rule = format!(r#"{{"merge": [{parts}]}}"#);
    let client = self::client(&one_rule("runtime_evaluation_rule", &rule), "{}");
    let large = format!(r#"{{"id": 1, "custom_properties": {{"text": "{}"}}}}"#, "x".repeat(50_000));
    let shown = client.explain("f", &Context::from_json(&large).unwrap()).unwrap();
    assert!(shown.len() < 300_000, "{}", shown.len());
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["step"], "rollout");
}

/// Explaining takes bounded time and reports no exposure.
#[test]
fn bounded() {
    let mut rule = r#"{"var": "plan"}"#.to_owned();
    for _ in 0..63 {
        rule = format!(r#"{{"and": [{rule}, true]}}"#);
    }
    let client = client(&one_rule("runtime_evaluation_rule", &rule), "{}");
    let context = Context::from_json(r#"{"id": 1, "custom_properties": {"plan": "pro"}}"#).unwrap();
    let shown: Value = serde_json::from_str(&client.explain("f", &context).unwrap()).unwrap();
    assert_eq!(shown["step"], "rollout");
    assert!(client.statistics().contains("\"enqueued\":0"), "{}", client.statistics());
}
