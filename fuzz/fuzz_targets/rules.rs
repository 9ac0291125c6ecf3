//! Rules, compared with a slow interpreter that follows json-logic-js. The input is a rule and data as JSON, `[rule, data]`; of any other
//! input, the bytes choose a rule.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;
use serde_json::value::RawValue;

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::json_logic::{self, Stop};

const OPERATORS: &[&str] = &[
    "var",
    "missing",
    "missing_some",
    "if",
    "?:",
    "and",
    "or",
    "==",
    "===",
    "!=",
    "!==",
    "!",
    "!!",
    ">",
    ">=",
    "<",
    "<=",
    "max",
    "min",
    "+",
    "-",
    "*",
    "/",
    "%",
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
    "log",
    "semver_compare",
    "datetime_compare",
    "unknown",
];

const PATHS: &[&str] = &[
    "",
    "a",
    "b",
    "text",
    "list",
    "list.0",
    "list.1.0",
    "nested.x",
    "nested",
    "current",
    "accumulator",
    "accumulator.length",
    "current.0",
    "text.0",
    "text.1",
    "length",
    "none",
    "null",
    "1",
    "list.length",
    "A",
    "n",
    "big",
    "t",
    "v",
];

const LITERALS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "0.5",
    "1e21",
    "1e-7",
    "\"\"",
    "\"a\"",
    "\"B\"",
    "\"0\"",
    "\"1\"",
    "\" 12 \"",
    "\"0x1F\"",
    "\"-0\"",
    "\"1e3x\"",
    "\"Infinity\"",
    "\"2.1.0\"",
    "\"v2.1.0-rc.1\"",
    "\"2026-07-16T00:00:00Z\"",
    "\"<\"",
    "\">=\"",
    "\"===\"",
    "1784160000000",
    "\"ß😀É\"",
    "[]",
    "{}",
    "{\"toString\":1,\"indexOf\":2}",
    "[[]]",
    "\"a,b\"",
    "9007199254740993",
];

const DATA: &[&str] = &[
    r#"{"a":1,"b":"B","text":"a😀É","list":[1,["x",null],"2"],"nested":{"x":[],"y":2},"null":null,"1":true,"n":-0.0,"big":1e300,"t":"2026-07-16T02:00:00.5+02:00","v":"2.0.0"}"#,
    r#"[1,2,3,"a",[4,[5]],{"a":1,"b":2},null,true,0.1,""]"#,
    "{}",
    "null",
];

/// Chooses a rule. Ends with the bytes.
struct Chooser<'b>(std::slice::Iter<'b, u8>);

impl Chooser<'_> {
    fn of<'t>(&mut self, table: &[&'t str]) -> &'t str {
        table[self.byte() % table.len()]
    }

    fn byte(&mut self) -> usize {
        self.0.next().copied().unwrap_or(0).into()
    }

    fn several(&mut self, depth: usize) -> String {
        let count = self.byte() % 4;
        (0..count).map(|_| self.rule(depth)).collect::<Vec<_>>().join(",")
    }

    fn rule(&mut self, depth: usize) -> String {
        match self.byte() % 8 {
            0..=3 if depth > 0 => format!(r#"{{"{}":[{}]}}"#, self.of(OPERATORS), self.several(depth - 1)),
            4 if depth > 0 => format!("[{}]", self.several(depth - 1)),
            0..=4 | 5 => format!(r#"{{"var":"{}"}}"#, self.of(PATHS)),
            _ => self.of(LITERALS).to_owned(),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (rule, data) = match input {
        [b'[', ..] => match serde_json::from_slice::<[&RawValue; 2]>(input) {
            Ok([rule, data]) => (rule.get().to_owned(), data.get()),
            Err(_) => return,
        },
        _ => {
            let mut chooser = Chooser(input.iter());
            let data = chooser.of(DATA);
            (chooser.rule(6), data)
        }
    };
    let Some(got) = fuzzing::rule(&rule, data) else { return };
    let want = json_logic::apply(&rule, data).expect("the library reads it");
    match (got, want) {
        // The library has its own limits, which docs/evaluation.md states; the other is too slow to reach them.
        (_, Err(Stop::Exhausted)) => {}
        (Err(failure), _) if failure == "Exhausted" || failure == "Long" => {}
        (got, want) => {
            let got = got.unwrap_or_else(|_| "error".to_owned());
            let want = want.map_or_else(|_| "error".to_owned(), |want| want.to_string());
            assert_eq!(got, want, "{rule} over {data}");
        }
    }
});
