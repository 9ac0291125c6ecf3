//! Date-times: `datetime_compare` against a count of years and months, and printing against reading.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing::{self, CompiledRule};
use serde_json::{Value, json};

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::datetimes;
use oracle::json_logic::holds;

/// 9999-12-31T23:59:59.999Z: the last millisecond whose year has four digits.
const LAST: u64 = 253_402_300_799_999;

const SYMBOLS: [&str; 6] = ["===", "!==", "<", "<=", ">", ">="];

/// A rule that compares `t` of the data with the operand.
fn comparison_with(symbol: &str, operand: &Value) -> CompiledRule {
    let rule = json!({"datetime_compare": [{"var": "t"}, symbol, operand]});
    CompiledRule::new(&rule.to_string()).unwrap()
}

/// With an operand of the data. Reading a rule takes longer than using it.
static COMPARISONS: LazyLock<[CompiledRule; 6]> =
    LazyLock::new(|| SYMBOLS.map(|symbol| comparison_with(symbol, &json!({"var": "target"}))));

fuzz_target!(|input: &[u8]| {
    if let Some(ms) = input.first_chunk() {
        let ms = u64::from_le_bytes(*ms) % (LAST + 1);
        let text = fuzzing::date_time(ms);
        assert_eq!(fuzzing::milliseconds(&text), Some(ms as i64), "{text}");
        assert_eq!(datetimes::seconds(&text), Some(ms as i64 / 1000), "{text}");
    }
    let Ok(text) = str::from_utf8(input) else { return };
    let text = text.to_lowercase();
    let seconds = datetimes::seconds(&text);
    assert_eq!(fuzzing::milliseconds(&text).map(|ms| ms.div_euclid(1000)), seconds, "{text:?}");
    // Each input with one of them: more inputs find more than all of them would.
    let sum: usize = input.iter().map(|byte| usize::from(*byte)).sum();
    let offset = [0, 999, -999, 1000, -1000][sum % 5];
    let target = seconds.unwrap_or(0) * 1000 + offset;
    // Truncated toward 1970.
    let order = seconds.map(|seconds| seconds.cmp(&(target / 1000)));
    let data = json!({"t": text, "target": target}).to_string();
    let chosen = sum / 5 % SYMBOLS.len();
    for (symbol, comparison) in SYMBOLS.iter().zip(&*COMPARISONS) {
        let want = Some(Ok(order.is_some_and(|order| holds(order, symbol)).to_string()));
        assert_eq!(comparison.result(&data), want, "{text:?} {symbol} {target}");
        if *symbol == SYMBOLS[chosen] {
            // Other code compares with an operand of the rule.
            assert_eq!(
                comparison_with(symbol, &json!(target)).result(&data),
                want,
                "{text:?} {symbol} {target}"
            );
        }
    }
});
