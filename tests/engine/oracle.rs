//! 300,000 answers of the official Python SDK, reproduced. `tests/oracle/README.md` tells how they were made.

use std::fs;
use std::path::Path;

use mpflags::{Ask, Client, Config, Context, ErrorCode};
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
fn every_user_gets_what_the_python_sdk_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let text = fs::read_to_string(folder.join("flags.json")).unwrap();
    let document: Document = serde_json::from_str(&text).unwrap();
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    let config = format!(r#"{{"token": "t", "enable_polling": false, "definitions": {text}}}"#);
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let users: Vec<Context> = (0..10_000).map(user).collect();
    let mut checked = 0;
    for (flag, line) in document.flags.iter().zip(expected.lines()) {
        let mut names: Vec<&str> = flag.ruleset.variants.iter().map(|v| v.key.as_str()).collect();
        names.sort_unstable();
        assert_eq!(line.len(), users.len());
        for (n, (context, want)) in users.iter().zip(line.chars()).enumerate() {
            let got = client.evaluate(&flag.key, context, Ask::new());
            assert_eq!(got.error_code(), None::<ErrorCode>, "{} for user {n}", flag.key);
            let want = want.to_digit(16).map(|index| names[index as usize]);
            assert_eq!(got.variant(), want, "{} for user {n}", flag.key);
            checked += 1;
        }
    }
    assert_eq!(checked, document.flags.len() * users.len());
    assert_eq!(checked, 300_000);
    println!("oracle: {checked} of {checked} answers");
}
