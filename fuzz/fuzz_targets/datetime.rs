//! Date-times: `datetime_compare` against a count of years and months, and printing against reading.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;
use serde_json::json;

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::datetimes;
use oracle::json_logic::holds;

/// 9999-12-31T23:59:59.999Z: the last millisecond whose year has four digits.
const LAST: u64 = 253_402_300_799_999;

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
    // Each input with one of them, because most of the time goes into reading rules.
    let offset = [0, 999, -999, 1000, -1000][input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 5];
    let target = seconds.unwrap_or(0) * 1000 + offset;
    // Truncated toward 1970.
    let order = seconds.map(|seconds| seconds.cmp(&(target / 1000)));
    let data = json!({"t": text, "target": target}).to_string();
    for symbol in ["===", "!==", "<", "<=", ">", ">="] {
        let want = order.is_some_and(|order| holds(order, symbol)).to_string();
        // Other code compares two operands of the data.
        for operand in [json!(target), json!({"var": "target"})] {
            let rule = json!({"datetime_compare": [{"var": "t"}, symbol, operand]}).to_string();
            assert_eq!(fuzzing::rule(&rule, &data), Some(Ok(want.clone())), "{text:?} {symbol} {target}");
        }
    }
});
