//! The engine against the official suite, the golden vectors, and every sentence of docs/evaluation.md about
//! rules.

mod suites;

use super::operand::Operand;
use super::shown::text;
use super::{Legacy, Properties, Rule, RuleError, budget};
use crate::engine::rules::value::{FoldedValue, Object, Value};

fn folded(json: &str) -> Value<'_> {
    let FoldedValue(value) = serde_json::from_str(json).unwrap();
    value
}

fn object(json: &str) -> Object<'_> {
    match folded(json) {
        Value::Object(object) => *object,
        other => panic!("no object: {other:?}"),
    }
}

fn rule(json: &str) -> Rule {
    Rule::compile(json).unwrap().unwrap_or_else(|| panic!("no rule: {json}"))
}

fn matches(json: &str, data: &str) -> bool {
    rule(json).matches(&object(data))
}

/// The result as text, or the failure.
fn result(json: &str, data: &str) -> String {
    match rule(json).evaluate(&folded(data)) {
        Ok(operand) => text(&operand),
        Err(failure) => format!("{failure:?}"),
    }
}

fn check(rows: &[(&str, &str, &str)]) {
    for (json, data, want) in rows {
        assert_eq!(result(json, data), *want, "{json} over {data}");
    }
}

fn check_matches(rows: &[(&str, &str, bool)]) {
    for (json, data, want) in rows {
        assert_eq!(matches(json, data), *want, "{json} over {data}");
    }
}

#[test]
fn some_values_mean_no_rule() {
    for json in ["null", "{}", "[]", "false", "0", "-0", "0.0", "0e5", "\"\"", " null "] {
        assert_eq!(Rule::compile(json), Ok(None), "{json}");
    }
    check_matches(&[
        ("true", "{}", true),
        ("1", "{}", true),
        ("\"no\"", "{}", true),
        ("[0]", "{}", true),
        ("[{\"bad\":1}]", "{}", false),
        (r#"{"a":1,"b":2}"#, "{}", true),
    ]);
}

#[test]
fn case_is_folded_on_both_sides() {
    check_matches(&[
        (r#"{"==":[{"var":"Plan"},"PREMIUM"]}"#, r#"{"pLAN":"Premium"}"#, true),
        (r#"{"==":[{"var":"A.B"},"x"]}"#, r#"{"a":{"b":"X"}}"#, true),
        (r#"{"in":["ΟΔΟΣ",{"var":"l"}]}"#, r#"{"l":["οδος"]}"#, true),
        (r#"{"==":[{"var":"s"},"ß"]}"#, r#"{"s":"ẞ"}"#, true),
        (r#"{"==":[{"var":"s"},"ss"]}"#, r#"{"s":"ß"}"#, false),
        (r#"{"==":[{"var":"İ"},1]}"#, r#"{"İ":1}"#, true),
        // The later of two keys that are equal after folding.
        (r#"{"==":[{"var":"k"},2]}"#, r#"{"K":1,"k":2}"#, true),
        (r#"{"==":[{"var":"k"},1]}"#, r#"{"k":2,"K":1}"#, true),
        // The results of operators are not folded.
        (r#"{"==":[{"cat":[{"var":"o"}]},"[object Object]"]}"#, r#"{"o":{}}"#, false),
    ]);
    // Operator names and the keys of literal objects are not folded.
    check(&[
        (r#"{"VAR":"a"}"#, r#"{"a":1}"#, "UnknownOperator"),
        (r#"{"if":[true,{"Key":"Text","b":1}]}"#, "{}", r#"{"Key":"text","b":1}"#),
    ]);
}

#[test]
fn errors_are_no_match_and_only_when_reached() {
    check_matches(&[
        (r#"{"bad":1}"#, "{}", false),
        (r#"{"!":{"bad":1}}"#, "{}", false),
        (r#"{"or":[true,{"bad":1}]}"#, "{}", true),
        (r#"{"or":[{"bad":1},true]}"#, "{}", false),
        (r#"{"!":[{"and":[false,{"bad":1}]}]}"#, "{}", true),
        (r#"{"if":[true,1,{"bad":1}]}"#, "{}", true),
        (r#"{"?:":[false,{"bad":1},1]}"#, "{}", true),
        (r#"{"==":[1,1,{"bad":1}]}"#, "{}", false),
        (r#"{"var":["a",{"bad":1}]}"#, r#"{"a":1}"#, false),
        (r#"{"none":[[],{"bad":1}]}"#, "{}", true),
        (r#"{"*":[]}"#, "{}", false),
        (r#"{"!":{"semver_compare":[{"bad":1},"<","1"]}}"#, "{}", false),
    ]);
}

#[test]
fn custom_comparisons_are_false_under_every_symbol_when_invalid() {
    for symbol in ["===", "!==", "<", "<=", ">", ">="] {
        for operands in [
            format!(r#"{{"var":"a"}},"{symbol}","1.2.3""#),
            format!(r#""1.2.3","{symbol}","x""#),
            format!(r#""1.2.3","{symbol}",1"#),
            format!(r#""1.2.3","{symbol}""#),
            format!(r#""1.2.3","{symbol}","1.2.3","1.2.3""#),
        ] {
            assert_eq!(result(&format!(r#"{{"semver_compare":[{operands}]}}"#), "{}"), "false", "{operands}");
        }
        for operands in [
            format!(r#"{{"var":"a"}},"{symbol}",0"#),
            format!(r#"0,"{symbol}",0"#),
            format!(r#""1970-01-01T00:00:00Z","{symbol}",true"#),
            format!(r#""1970-01-01T00:00:00Z","{symbol}","0""#),
            format!(r#""1970-01-01T00:00:00Z","{symbol}",9223372036854775808"#),
            format!(r#""1970-01-01T00:00:00Z","{symbol}""#),
        ] {
            assert_eq!(
                result(&format!(r#"{{"datetime_compare":[{operands}]}}"#), "{}"),
                "false",
                "{operands}"
            );
        }
    }
    for symbol in ["==", "=", "", "<>"] {
        assert_eq!(result(&format!(r#"{{"semver_compare":["1","{symbol}","1"]}}"#), "{}"), "false");
    }
    check(&[
        (r#"{"semver_compare":"1"}"#, "{}", "false"),
        (r#"{"semver_compare":["1",["==="],"1"]}"#, "{}", "false"),
        (r#"{"semver_compare":[{"cat":["1.","2"]},{"cat":["<","="]},{"cat":["1.2.","0"]}]}"#, "{}", "true"),
        (r#"{"semver_compare":[{"cat":["V1.","2"]},"===","1.2+Build"]}"#, "{}", "true"),
        (r#"{"datetime_compare":[{"var":"d"},"<",1000]}"#, r#"{"d":"1970-01-01T00:00:00.999Z"}"#, "true"),
        (
            r#"{"datetime_compare":[{"var":"d"},"===",{"+":[500,499]}]}"#,
            r#"{"d":"1970-01-01T00:00:00Z"}"#,
            "true",
        ),
    ]);
}

#[test]
fn var_reaches_own_properties_indexes_and_length() {
    let data =
        r#"{"a":{"b":{"c":1}},"l":[5,[6]],"s":"x😀","n":null,"length":7,"":{"":8},"1":9,"o":{"length":3}}"#;
    check(&[
        (r#"{"var":"a.b.c"}"#, data, "1"),
        (r#"{"var":["a.x","d"]}"#, data, "\"d\""),
        (r#"{"var":["n","d"]}"#, data, "null"),
        (r#"{"var":["n.x","d"]}"#, data, "\"d\""),
        (r#"{"var":"l.1.0"}"#, data, "6"),
        (r#"{"var":"l.01"}"#, data, "null"),
        (r#"{"var":"l.-1"}"#, data, "null"),
        (r#"{"var":"l.length"}"#, data, "2"),
        (r#"{"var":"s.length"}"#, data, "3"),
        (r#"{"var":"s.0"}"#, data, "\"x\""),
        (r#"{"var":"s.1"}"#, data, "\"\\ud83d\""),
        (r#"{"cat":[{"var":"s.1"},{"var":"s.2"}]}"#, data, "\"😀\""),
        (r#"{"==":[{"cat":[{"var":"s.1"},{"var":"s.2"}]},{"substr":[{"var":"s"},1]}]}"#, data, "true"),
        (r#"{"in":[{"var":"s.1"},{"var":"s"}]}"#, data, "true"),
        (r#"{"var":{"var":"s.1"}}"#, data, "null"),
        (r#"{"var":"length"}"#, data, "7"),
        (r#"{"var":"o.length"}"#, data, "3"),
        (r#"{"var":"a.length"}"#, data, "null"),
        (r#"{"var":1}"#, data, "9"),
        (r#"{"var":"."}"#, data, "8"),
        (r#"{"var":[[]]}"#, data, r#"{"":8}"#),
        (r#"{"var":"a.b.c.toString"}"#, data, "null"),
        (r#"{"var":"constructor"}"#, data, "null"),
        (r#"{"var":"s.trim"}"#, data, "null"),
        (r#"{"var":"__proto__"}"#, data, "null"),
        (r#"{"==":[{"var":""},{"var":[]}]}"#, data, "true"),
    ]);
}

#[test]
fn arrays_and_objects_are_equal_to_themselves_only() {
    let data = r#"{"l":[1],"o":{}}"#;
    check(&[
        (r#"{"==":[{"var":"l"},{"var":"l"}]}"#, data, "true"),
        (r#"{"===":[[1],[1]]}"#, data, "false"),
        (r#"{"==":[{"var":"l"},1]}"#, data, "true"),
        (r#"{"==":[{"var":"o"},{"var":"o"}]}"#, data, "true"),
        (r#"{"in":[{"var":"l"},[{"var":"l"}]]}"#, data, "true"),
        // A literal array is new each time, a literal object is not.
        (
            r#"{"reduce":[{"map":[[1,2],[5]]},{"if":[{"var":"accumulator"},{"===":[{"var":"current"},{"var":"accumulator"}]},{"var":"current"}]}]}"#,
            data,
            "false",
        ),
        (
            r#"{"reduce":[{"map":[[1,2],{"x":5,"y":1}]},{"if":[{"var":"accumulator"},{"===":[{"var":"current"},{"var":"accumulator"}]},{"var":"current"}]}]}"#,
            data,
            "true",
        ),
    ]);
}

#[test]
fn data_are_never_run_as_a_rule() {
    let data = r#"{"k":{"var":"x"},"l":[{"var":"x"}],"o":{"a":1,"b":2}}"#;
    check(&[
        (r#"{"missing":{"var":"k"}}"#, data, "UnknownOperator"),
        (r#"{"missing_some":[1,{"var":"l"}]}"#, data, "UnknownOperator"),
        (r#"{"missing":{"var":"o"}}"#, data, r#"[{"a":1,"b":2}]"#),
        (r#"{"missing":[[["x","given"],"y"]]}"#, data, r#"["y"]"#),
    ]);
    // The search for one is bounded, here by 500 made arrays around 120 of the data.
    let data = format!(r#"{{"l":[{}0],"d":{}1{}}}"#, "0,".repeat(499), "[".repeat(120), "]".repeat(120));
    let made = r#"{"reduce":[{"var":"l"},[{"var":"accumulator"}],{"var":"d"}]}"#;
    assert_eq!(result(&format!(r#"{{"missing":[[["x",{made}]]]}}"#), &data), "Exhausted");
}

#[test]
fn rules_over_their_limits_do_not_compile() {
    let nested = |n: usize, open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    assert!(Rule::compile(&nested(64, r#"{"!":"#, "}")).is_ok());
    assert!(Rule::compile(&nested(64, r#"{"!":[["#, "]]}")).is_ok());
    assert_eq!(Rule::compile(&nested(65, r#"{"!":"#, "}")), Err(RuleError::Operators));
    assert_eq!(Rule::compile(&nested(65, r#"{"bad":"#, "}")), Err(RuleError::Operators));
    assert!(Rule::compile(&nested(65, r#"{"a":0,"b":"#, "}")).is_ok());
    assert!(Rule::compile(&nested(512, "[", "]")).is_ok());
    assert_eq!(Rule::compile(&nested(513, "[", "]")), Err(RuleError::Levels));
    assert_eq!(Rule::compile(&"[".repeat(100_000)), Err(RuleError::Levels));
    assert_eq!(Rule::compile(&r#"{"a":"#.repeat(100_000)), Err(RuleError::Levels));
    let flat = |n: usize| format!("[{}1]", "1,".repeat(n - 2));
    assert!(Rule::compile(&flat(10_000)).is_ok());
    assert_eq!(Rule::compile(&flat(10_001)), Err(RuleError::Values));
    let texts =
        ["more than 64 nested operators", "more than 10,000 values", "more than 512 levels of nesting"];
    for (error, text) in [RuleError::Operators, RuleError::Values, RuleError::Levels].iter().zip(texts) {
        assert_eq!(error.to_string(), text);
    }
    for json in ["", "{", "1e400", r#""\ud800""#, "true false", r#"{"==":[1,1]} x"#, "{\"a\":\"\u{1}\"}"] {
        assert!(matches!(Rule::compile(json), Err(RuleError::Json(_))), "{json}");
        assert!(Legacy::compile(json).is_err(), "{json}");
    }
}

#[test]
fn evaluation_is_bounded() {
    let data = format!(r#"{{"l":[{}0]}}"#, "0,".repeat(5_000));
    let rows = [
        r#"{"reduce":[{"var":"l"},{"cat":[{"var":"accumulator"},{"var":"accumulator"}]},"xx"]}"#,
        r#"{"reduce":[{"var":"l"},{"merge":[{"var":"accumulator"},{"var":"accumulator"}]},[1]]}"#,
        r#"{"reduce":[{"var":"l"},[{"var":"accumulator"},{"var":"accumulator"}],1]}"#,
        r#"{"reduce":[{"var":"l"},{"var":""}]}"#,
        r#"{"map":[{"var":"l"},{"map":[[1,2,3],{"map":[[1,2,3,4,5,6,7,8,9,0],{"map":[[1,2,3,4,5,6,7,8,9,0],1]}]}]}]}"#,
        r#"{"reduce":[{"var":"l"},{"map":[{"merge":[{"var":"accumulator"},{"var":"accumulator"}]},1]},[1]]}"#,
        r#"{"cat":{"reduce":[[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0],[{"var":"accumulator"},{"var":"accumulator"}],"x"]}}"#,
    ];
    let steps_alone = [
        r#"{"reduce":[{"var":"l"},{"reduce":[[1,2,3,4,5,6,7,8,9,0],{"reduce":[[1,2,3,4,5,6,7,8,9,0],{"reduce":[[1,2,3,4,5],1,0]},0]},0]},0]}"#,
    ];
    for json in rows.into_iter().chain(steps_alone) {
        assert_eq!(rule(json).evaluate(&folded(&data)).unwrap_err(), budget::Failure::Exhausted, "{json}");
        assert!(!matches(json, &data));
    }
    // A long list is within the budget.
    assert_eq!(result(r#"{"reduce":[{"var":"l"},{"+":[{"var":"accumulator"},1]},0]}"#, &data), "5001");
}

#[test]
fn long_text_and_long_lists_cost_steps() {
    let data = format!(r#"{{"l":[{}0]}}"#, "0,".repeat(5_000));
    let (short, long) = ("a".repeat(256), "a".repeat(400 * 256));
    // Within what one step may read, and beyond it: once, and with each of 5,001 elements.
    for (within, beyond) in [
        (format!(r#"{{"in":["x","{short}"]}}"#), format!(r#"{{"in":["x","{long}"]}}"#)),
        (format!(r#"{{"in":["{short}b",["{short}"]]}}"#), format!(r#"{{"in":["{long}b",["{long}"]]}}"#)),
        (
            format!(r#"{{"in":["x",[{}0]]}}"#, "\"y\",".repeat(31)),
            format!(r#"{{"in":["x",[{}0]]}}"#, "\"y\",".repeat(400)),
        ),
    ] {
        let often = |json: &str| format!(r#"{{"some":[{{"var":"l"}},{json}]}}"#);
        assert_eq!(result(&often(&within), &data), "false");
        assert_eq!(result(&beyond, &data), "false");
        assert_eq!(result(&often(&beyond), &data), "Exhausted");
    }
}

#[test]
fn nesting_is_bounded() {
    let data = |elements: usize| {
        format!(r#"{{"l":[{}0],"d":{}1{}}}"#, "0,".repeat(elements - 1), "[".repeat(120), "]".repeat(120))
    };
    for body in [r#"[{"var":"accumulator"}]"#, r#"{"var":""}"#] {
        let json = format!(r#"{{"!!":{{"reduce":[{{"var":"l"}},{body},1]}}}}"#);
        assert_eq!(result(&json, &data(512)), "true", "{body}");
        assert_eq!(result(&json, &data(513)), "Exhausted", "{body}");
    }
    // Made arrays around one of the data, converted to text.
    let json = r#"{"cat":{"reduce":[{"var":"l"},[{"var":"accumulator"}],{"var":"d"}]}}"#;
    assert_eq!(result(json, &data(480)), "\"1\"");
    assert_eq!(result(json, &data(481)), "Exhausted");
}

/// A build without optimisation needs several times the stack.
const STACK: usize = if cfg!(debug_assertions) { 1536 << 10 } else { 320 << 10 };

#[test]
fn the_deepest_rule_fits_a_small_stack() {
    let deep = (0..64).fold("1".to_owned(), |inner, _| format!(r#"{{"map":[[1],{inner}]}}"#));
    let arrays = format!("{}1{}", "[".repeat(512), "]".repeat(512));
    let text = format!(r#"{{"cat":[{}1{}]}}"#, "[".repeat(500), "]".repeat(500));
    let run = move || {
        for json in [deep, arrays, text] {
            assert!(matches(&json, "{}"), "{json}");
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

#[test]
fn properties_are_those_that_a_rule_reads() {
    let only = |names: &[&str]| Properties::Only(names.iter().map(|name| (*name).into()).collect());
    let rows = [
        ("true", only(&[])),
        (r#"{"==":[{"var":"Plan"},"x"]}"#, only(&["plan"])),
        (r#"{"and":[{"var":"b.c"},{"var":["a",1]},{"var":"b"}]}"#, only(&["a", "b"])),
        (r#"{"var":["a",{"var":"b"}]}"#, only(&["a", "b"])),
        (r#"{"some":[{"var":"list"},{"==":[{"var":"x"},1]}]}"#, only(&["list"])),
        (r#"{"reduce":[{"var":"l"},{"var":"current"},{"var":"i"}]}"#, only(&["i", "l"])),
        (r#"{"map":[{"var":"l"},{"var":{"var":"x"}}]}"#, only(&["l"])),
        (r#"{"missing":["A","b.c"]}"#, only(&["a", "b"])),
        (r#"{"missing":[["a"]]}"#, only(&["a"])),
        (r#"{"missing_some":[1,["a","b"]]}"#, only(&["a", "b"])),
        (r#"{"missing":{"merge":["a"]}}"#, Properties::All),
        (r#"{"var":""}"#, Properties::All),
        (r#"{"var":null}"#, Properties::All),
        (r#"{"var":[]}"#, Properties::All),
        (r#"{"var":{"var":"x"}}"#, Properties::All),
        (r#"{"var":[["a"]]}"#, Properties::All),
        (r#"{"map":[{"var":""},1]}"#, Properties::All),
        (r#"{"var":1}"#, only(&["1"])),
    ];
    for (json, want) in rows {
        assert_eq!(*rule(json).properties(), want, "{json}");
    }
    assert_eq!(*Legacy::compile(r#"{"B":1,"a":2}"#).unwrap().unwrap().properties(), only(&["a", "b"]));
}

#[test]
fn rules_with_one_meaning_are_equal() {
    assert_eq!(rule(r#"{"var":"Plan"}"#), rule(r#"{ "var": ["plan"] }"#));
    assert_ne!(rule(r#"{"var":"plan"}"#), rule(r#"{"var":["plan",1]}"#));
}

#[test]
fn legacy_definitions_compare_texts() {
    let holds =
        |definition: &str, data: &str| Legacy::compile(definition).unwrap().unwrap().matches(&object(data));
    let rows = [
        (r#"{"plan":"Premium"}"#, r#"{"PLAN":"pREMIUM"}"#, true),
        (r#"{"Plan":"x"}"#, r#"{"plan":"x"}"#, true),
        (r#"{"plan":"x","age":5}"#, r#"{"plan":"x"}"#, false),
        (r#"{"plan":"x","age":5}"#, r#"{"plan":"x","age":"5"}"#, true),
        (r#"{"a":1e21}"#, r#"{"a":"1E+21"}"#, true),
        (r#"{"a":"1e+21"}"#, r#"{"a":1e21}"#, true),
        (r#"{"a":true}"#, r#"{"a":"TRUE"}"#, true),
        (r#"{"a":null}"#, r#"{"a":null}"#, true),
        (r#"{"a":null}"#, r#"{}"#, false),
        (r#"{"a":"null"}"#, r#"{"a":null}"#, true),
        (r#"{"a":["B",[1,null]]}"#, r#"{"a":"b,1,"}"#, true),
        (r#"{"a":"[object Object]"}"#, r#"{"a":{"x":1}}"#, true),
        (r#"{"a":{"toString":1}}"#, r#"{"a":{}}"#, false),
        (r#"{"a":""}"#, r#"{"a":[]}"#, true),
        (r#"{"a.b":1}"#, r#"{"a.b":1}"#, true),
    ];
    for (definition, data, want) in rows {
        assert_eq!(holds(definition, data), want, "{definition} over {data}");
    }
    assert_eq!(Legacy::compile("{}"), Ok(None));
    for json in ["[]", "1", "null", "\"x\"", "false"] {
        assert_eq!(Legacy::compile(json), Err(RuleError::NotAnObject), "{json}");
    }
}

#[test]
fn rules_are_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Rule>();
    shared::<Legacy>();
}
