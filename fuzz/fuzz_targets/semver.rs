//! `semver_compare` of the lines of the input, against the crate `semver`, and the laws of an order.
#![no_main]

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing::CompiledRule;
use serde_json::{Value, json};

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::versions;

/// A rule that compares `a` of the data with the operand.
fn comparison(symbol: &str, operand: &Value) -> CompiledRule {
    let rule = json!({"semver_compare": [{"var": "a"}, symbol, operand]});
    CompiledRule::new(&rule.to_string()).unwrap()
}

/// With an operand of the data. Reading a rule takes longer than using it.
static COMPARISONS: LazyLock<HashMap<&str, CompiledRule>> = LazyLock::new(|| {
    let symbols = ["<", "===", ">", "<=", "!==", ">="];
    symbols.into_iter().map(|symbol| (symbol, comparison(symbol, &json!({"var": "b"})))).collect()
});

fn holds(comparison: &CompiledRule, a: &str, b: &str) -> bool {
    comparison.result(&json!({"a": a, "b": b}).to_string()).unwrap().unwrap() == "true"
}

/// The order by the library. `None` if one of the two is not a version.
fn order(a: &str, b: &str) -> Option<Ordering> {
    match ["<", "===", ">"].map(|symbol| holds(&COMPARISONS[symbol], a, b)).into() {
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
        ("<", &[Ordering::Less][..]),
        ("===", &[Ordering::Equal]),
        (">", &[Ordering::Greater]),
        ("<=", &[Ordering::Less, Ordering::Equal]),
        (">=", &[Ordering::Greater, Ordering::Equal]),
        ("!==", &[Ordering::Less, Ordering::Greater]),
    ] {
        let want = ab.is_some_and(|order| orders.contains(&order));
        assert_eq!(holds(&COMPARISONS[symbol], a, b), want, "{a:?} {symbol} {b:?}");
        // Other code compares with an operand of the rule.
        assert_eq!(holds(&comparison(symbol, &json!(b)), a, b), want, "{a:?} {symbol} {b:?}");
    }
    let [c] = rest else { return };
    if let (Some(ab), Some(bc)) = (ab, checked(b, c))
        && (ab == bc || bc == Ordering::Equal)
    {
        assert_eq!(checked(a, c), Some(ab), "{versions:?}");
    }
});
