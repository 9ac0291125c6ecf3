//! The official suite of JSON Logic and the golden vectors of the official Python SDK.

use std::path::PathBuf;

use super::{Operand, Rule, folded, matches, text};

/// The folder named by `variable`, or else `otherwise` in the repository. If there is none, says that the test is
/// skipped.
fn folder(variable: &str, otherwise: Option<&str>) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let found = named
        .or_else(|| Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(otherwise?)))
        .filter(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: {variable} is not set to a folder");
    }
    found
}

#[test]
fn the_official_suite_passes() {
    let Some(folder) = folder("MPFLAGS_SHARED_DATA", None) else { return };
    let suite = std::fs::read_to_string(folder.join("jsonlogic/tests.json")).unwrap();
    let rows: Vec<&serde_json::value::RawValue> = serde_json::from_str(&suite).unwrap();
    let mut passed = 0;
    let mut cases = 0;
    for row in rows.iter().filter(|row| row.get().starts_with('[')) {
        let [json, data, want]: [&serde_json::value::RawValue; 3] = serde_json::from_str(row.get()).unwrap();
        let (data, want) = (folded(data.get()), folded(want.get()));
        let want = text(&Operand::from(&want));
        cases += 1;
        let got = match Rule::compile(json.get()).unwrap() {
            Some(rule) => rule.evaluate(&data).map(|operand| text(&operand)),
            // Some literals of the suite mean "no rule" to us.
            None => Ok(text(&Operand::from(&folded(json.get())))),
        };
        assert_eq!(got, Ok(want), "{}", row.get());
        passed += 1;
    }
    println!("{passed} of {cases}");
    assert_eq!((passed, cases), (278, 278));
}

#[test]
fn the_golden_vectors_pass() {
    let Some(folder) = folder("MPFLAGS_GOLDEN", Some("build/golden/mixpanel/flags/test-data")) else {
        return;
    };
    let mut passed = 0;
    for (operator, file) in
        [("semver_compare", "semver_compare_tests.json"), ("datetime_compare", "datetime_compare_tests.json")]
    {
        let rows: Vec<serde_json::Value> =
            serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        for row in rows.iter().filter_map(|row| row.as_array()) {
            let (operands, want) = row.split_at(row.len() - 1);
            let want = want[0].as_bool().unwrap();
            // Once with literal operands, and once with operands from the data, which other code evaluates.
            let literal = serde_json::json!({ operator: operands });
            assert_eq!(matches(&literal.to_string(), "{}"), want, "{literal}");
            let names = ["a", "b", "c", "d", "e"];
            let vars: Vec<_> =
                names.iter().take(operands.len()).map(|n| serde_json::json!({ "var": n })).collect();
            let data: serde_json::Map<_, _> = names
                .iter()
                .zip(operands)
                .map(|(name, operand)| ((*name).to_owned(), operand.clone()))
                .collect();
            let data = serde_json::Value::Object(data).to_string();
            assert_eq!(matches(&serde_json::json!({ operator: vars }).to_string(), &data), want, "{literal}");
            if let [_, symbol, target] = operands {
                let mixed = serde_json::json!({ operator: [{ "var": "a" }, symbol, target] });
                assert_eq!(matches(&mixed.to_string(), &data), want, "{literal}");
            }
            passed += 1;
        }
    }
    println!("{passed} of 203");
    assert_eq!(passed, 203);
}
