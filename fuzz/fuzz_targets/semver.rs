//! `semver_compare` of the lines of the input, against the crate `semver`, and the laws of an order.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;
use serde_json::{Value, json};

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::versions;

/// Whether the comparison of the two holds by the library. `b` is the operand of the rule that the second version is.
fn holds(a: &str, symbol: &str, b: &str, operand: &Value) -> bool {
    let data = json!({"a": a, "b": b}).to_string();
    let rule = json!({"semver_compare": [{"var": "a"}, symbol, operand]}).to_string();
    fuzzing::rule(&rule, &data).unwrap().unwrap() == "true"
}

/// The order by the library. `None` if one of the two is not a version.
fn order(a: &str, b: &str) -> Option<Ordering> {
    match ["<", "===", ">"].map(|symbol| holds(a, symbol, b, &json!(b))).into() {
        (true, false, false) => Some(Ordering::Less),
        (false, true, false) => Some(Ordering::Equal),
        (false, false, true) => Some(Ordering::Greater),
        (false, false, false) => None,
        more => panic!("{a:?} {b:?}: {more:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    // Rules see lower case.
    let text = text.to_lowercase();
    let versions: Vec<&str> = text.split('\n').take(3).collect();
    let checked = |a: &str, b: &str| {
        let got = order(a, b);
        if versions::is_small(a) && versions::is_small(b) {
            assert_eq!(got, versions::order(a, b), "{a:?} {b:?}");
        }
        got
    };
    let [a, rest @ ..] = &versions[..] else { return };
    let itself = checked(a, a);
    assert!(itself.is_none_or(|order| order == Ordering::Equal), "{a:?}");
    let [b, rest @ ..] = rest else { return };
    let ab = checked(a, b);
    assert_eq!(checked(b, a), ab.map(Ordering::reverse), "{a:?} {b:?}");
    for (symbol, orders) in [
        ("<=", [Ordering::Less, Ordering::Equal]),
        (">=", [Ordering::Greater, Ordering::Equal]),
        ("!==", [Ordering::Less, Ordering::Greater]),
    ] {
        let want = ab.is_some_and(|order| orders.contains(&order));
        // Other code compares two operands of the data.
        for operand in [json!(b), json!({"var": "b"})] {
            assert_eq!(holds(a, symbol, b, &operand), want, "{a:?} {symbol} {b:?}");
        }
    }
    let [c] = rest else { return };
    if let (Some(ab), Some(bc)) = (ab, checked(b, c))
        && (ab == bc || bc == Ordering::Equal)
    {
        assert_eq!(checked(a, c), Some(ab), "{versions:?}");
    }
});
