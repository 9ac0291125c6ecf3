//! `semver_compare` of the lines of the input, against the crate `semver`, and the laws of an order.
#![no_main]

use std::cmp::Ordering;
use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;
use serde_json::json;

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::versions;

/// The order by the library. `None` if one of the two is not a version.
fn order(a: &str, b: &str) -> Option<Ordering> {
    let data = json!({"a": a, "b": b}).to_string();
    let holds = |symbol: &str| {
        let rule = json!({"semver_compare": [{"var": "a"}, symbol, b]}).to_string();
        fuzzing::rule(&rule, &data).unwrap().unwrap() == "true"
    };
    // Other code compares two operands of the data.
    let computed = json!({"semver_compare": [{"var": "a"}, "<=", {"var": "b"}]}).to_string();
    assert_eq!(fuzzing::rule(&computed, &data).unwrap().unwrap() == "true", holds("<="), "{a:?} {b:?}");
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
    let all = 0..versions.len();
    let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
    let orders: HashMap<(usize, usize), Option<Ordering>> =
        pairs.map(|(a, b)| ((a, b), order(versions[a], versions[b]))).collect();
    for ((a, b), got) in &orders {
        assert_eq!(orders[&(*b, *a)], got.map(Ordering::reverse), "{versions:?}");
        let (a, b) = (versions[*a], versions[*b]);
        if versions::is_small(a) && versions::is_small(b) {
            assert_eq!(*got, versions::order(a, b), "{a:?} {b:?}");
        }
    }
    if let (3, Some(Some(ab)), Some(Some(bc))) = (versions.len(), orders.get(&(0, 1)), orders.get(&(1, 2)))
        && (ab == bc || *bc == Ordering::Equal)
    {
        assert_eq!(orders[&(0, 2)], Some(*ab), "{versions:?}");
    }
});
