//! `semver_compare` of the lines of the input, against the crate `semver`, and the laws of an order.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;
use serde_json::json;

#[path = "../reference/mod.rs"]
mod reference;

use reference::versions;

/// The order by the library, which must be the same whether the operands are part of the rule or of the data. `None` if one of
/// the two is not a version.
fn order(a: &str, b: &str) -> Option<Ordering> {
    let data = json!({"a": a, "b": b}).to_string();
    let holds = |symbol: &str| {
        let literal = json!({"semver_compare": [{"var": "a"}, symbol, b]}).to_string();
        let literal = fuzzing::rule(&literal, &data).unwrap().unwrap() == "true";
        let computed = json!({"semver_compare": [{"var": "a"}, symbol, {"var": "b"}]}).to_string();
        assert_eq!(fuzzing::rule(&computed, &data).unwrap().unwrap() == "true", literal, "{a:?} {symbol} {b:?}");
        literal
    };
    let (less, equal, greater) = (holds("<"), holds("==="), holds(">"));
    assert_eq!(holds("<="), less || equal, "{a:?} {b:?}");
    assert_eq!(holds(">="), greater || equal, "{a:?} {b:?}");
    assert_eq!(holds("!=="), less || greater, "{a:?} {b:?}");
    match (less, equal, greater) {
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
    for a in &versions {
        for b in &versions {
            let got = order(a, b);
            if versions::is_small(a) && versions::is_small(b) {
                assert_eq!(got, versions::order(a, b), "{a:?} {b:?}");
            }
            assert_eq!(order(b, a), got.map(Ordering::reverse), "{a:?} {b:?}");
        }
    }
    if let [a, b, c] = versions[..]
        && let (Some(ab), Some(bc)) = (order(a, b), order(b, c))
        && (ab == bc || bc == Ordering::Equal)
    {
        assert_eq!(order(a, c), Some(ab), "{a:?} {b:?} {c:?}");
    }
});
