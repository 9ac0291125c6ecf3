//! A context as JSON. The library refuses exactly what is not an object, and the outcome is the same through JSON, the
//! binary form, a builder and a handle, however the JSON is written.
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

/// With the context as it is, and with both options that change it.
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| {
    ["", r#""targeting_key_as": "distinct_id", "attributes_as_custom_properties": true,"#].map(|more| {
        let config = format!(
            r#"{{"token": "t", "enable_polling": false, "report_exposures": false, {more} "definitions": {DEFINITIONS}}}"#
        );
        Client::new(Config::from_json(&config).unwrap()).unwrap()
    })
});

fuzz_target!(|json: &[u8]| {
    let Ok(json) = str::from_utf8(json) else { return };
    let is_object = matches!(Tree::parse(json), Some(Tree::Object(_)));
    let context = unversioned::context(Encoded::Json(json));
    assert_eq!(context.is_ok(), is_object, "{:?}", context.err());
    for client in &*CLIENTS {
        for key in ["plain", "plan", "nested", "whole", "many", "legacy"] {
            let once = every_way(client, key, json, EvaluateOptions::new());
            match &context {
                Ok(context) => assert_eq!(client.evaluate(key, context, EvaluateOptions::new()), once),
                Err(error) => assert_eq!(once.message(), Some(&*error.to_string())),
            }
        }
    }
});
