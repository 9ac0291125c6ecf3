//! Evaluates 300,000 times like the official Python SDK. `conformance/oracle/README.md` describes how the table was made.

use std::fs;

use crate::support::root;
use mpflags::{Client, Config, Context, ErrorCode, EvaluateOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    flags: Vec<Flag>,
}

#[derive(Deserialize)]
struct Flag {
    key: String,
    ruleset: Ruleset,
}

#[derive(Deserialize)]
struct Ruleset {
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    key: String,
}

const USERS: u64 = 10_000;

fn user(n: u64) -> Context {
    let name = if n.is_multiple_of(10) { "\u{7528}\u{6237}" } else { "user" };
    let plan = ["free", "pro", "Team", "ENTERPRISE"][(n % 4) as usize];
    let country = ["DE", "fr", "US", "jp", "Br"][(n / 4 % 5) as usize];
    let json = format!(
        r#"{{"distinct_id": "{name}-{n}", "device_id": "d{:x}", "company_id": {}, "custom_properties":
            {{"Plan": "{plan}", "country": "{country}", "age": {}, "version": "1.{}.{}"}}}}"#,
        n * 2_654_435_761 % (1 << 32),
        n * 7919 % 1009 + 1,
        n % 97,
        n % 23,
        n % 7
    );
    Context::from_json(&json).unwrap()
}

#[test]
#[ignore = "`make check` runs it; a sample always runs"]
fn every_user_gets_the_variants_of_the_python_sdk() {
    assert_eq!(compare((0..USERS).collect()), 300_000);
}

/// One of every ten users, drawn with a fixed seed.
#[test]
fn a_sample_gets_the_variants_of_the_python_sdk() {
    let mut drawn: u64 = 20_261_128;
    let draw = |ten| {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ten * 10 + (drawn >> 33) % 10
    };
    assert_eq!(compare((0..USERS / 10).map(draw).collect()), 30_000);
}

/// Compares the variants of all flags for these users, and returns how many that were.
fn compare(numbers: Vec<u64>) -> usize {
    let folder = root().join("conformance/oracle");
    let text = fs::read_to_string(folder.join("flags.json")).unwrap();
    let document: Document = serde_json::from_str(&text).unwrap();
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    let config = format!(r#"{{"token": "t", "enable_polling": false, "definitions": {text}}}"#);
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let users: Vec<(u64, Context)> = numbers.into_iter().map(|n| (n, user(n))).collect();
    let mut checked = 0;
    for (flag, line) in document.flags.iter().zip(expected.lines()) {
        let mut names: Vec<&str> = flag.ruleset.variants.iter().map(|v| v.key.as_str()).collect();
        names.sort_unstable();
        assert_eq!(line.len() as u64, USERS);
        for (n, context) in &users {
            let got = client.evaluate(&flag.key, context, EvaluateOptions::new());
            assert_eq!(got.error_code(), None::<ErrorCode>, "{} for user {n}", flag.key);
            let want = char::from(line.as_bytes()[*n as usize]).to_digit(16);
            let want = want.map(|index| names[index as usize]);
            assert_eq!(got.variant(), want, "{} for user {n}", flag.key);
            checked += 1;
        }
    }
    assert_eq!(checked, document.flags.len() * users.len());
    println!("oracle: {checked} evaluations agree");
    checked
}
