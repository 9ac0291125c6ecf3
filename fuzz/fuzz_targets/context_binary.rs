//! The binary form of a context. Whatever the bytes are, the library refuses exactly what docs/binary.md calls malformed, and
//! an evaluation has the same outcome whether the context is kept or not. If JSON can express the context, its outcome
//! through JSON, the binary form, a builder and a handle is the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mpflags::unversioned::{self, Encoded};
use mpflags::{Client, Config, EvaluateOptions};

#[path = "../../tests/support/every_way.rs"]
mod every_way;
#[path = "../../tests/support/forms.rs"]
mod forms;

use every_way::{DEFINITIONS, every_way};
use forms::Tree;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let config = format!(
        r#"{{"token": "t", "enable_polling": false, "report_exposures": false, "definitions": {DEFINITIONS}}}"#
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
});

fuzz_target!(|form: &[u8]| {
    let options = EvaluateOptions::new();
    let tree = Tree::read(form);
    let context = unversioned::context(Encoded::Binary(form));
    assert_eq!(context.is_ok(), tree.is_some(), "{:?}", context.err());
    let json = tree.filter(Tree::fits_json).map(|tree| tree.json());
    for key in ["plain", "plan", "nested", "whole", "many", "legacy"] {
        let once = unversioned::evaluate_encoded(&CLIENT, key, Encoded::Binary(form), options);
        match &context {
            Ok(context) => assert_eq!(CLIENT.evaluate(key, context, options), once),
            Err(error) => assert_eq!(once.message(), Some(&*error.to_string())),
        }
        if let Some(json) = &json {
            assert_eq!(every_way(&CLIENT, key, json, options), once, "{json}");
        }
    }
});
