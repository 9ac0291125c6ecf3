//! Responses to remote evaluations: the input is what the server sends, to the last byte. The flag has the same outcome
//! alone and among all flags, and a response that can only be read in one way has the outcome that its JSON says.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mpflags::{Client, Config, Context, ErrorCode, EvaluateOptions};
use serde_json::Value;

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::server::{self, plain};

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    server::start();
    let config = r#"{"token": "t", "mode": "remote", "api_host": "http://127.0.0.1", "report_exposures": false, "proxy": ""}"#;
    Client::new(Config::from_json(config).unwrap()).unwrap()
});

static USER: LazyLock<Context> = LazyLock::new(|| Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap());

fuzz_target!(|response: &[u8]| {
    {
        let mut exchanges = server::exchanges();
        exchanges.otherwise = response.to_owned();
        exchanges.requests.clear();
    }
    let options = EvaluateOptions::new();
    let one = CLIENT.evaluate("f", &USER, options);
    let all = CLIENT.evaluate_all(&USER, options);
    let Some((status, body)) = plain(response) else { return };
    match (all.get("f"), all.failure()) {
        (None, None) => assert_eq!(one.error_code(), Some(ErrorCode::FlagNotFound), "{one:?}"),
        (None, Some((code, _))) => assert_eq!(one.error_code(), Some(code), "{one:?}"),
        (Some(among), _) => {
            assert_eq!((one.variant(), one.json()), (among.variant(), among.json()));
            assert_eq!(
                (one.reason(), one.error_code(), one.message()),
                (among.reason(), among.error_code(), among.message())
            );
        }
    }
    if status != 200 {
        assert!(one.json().is_none() && one.error_code().is_some(), "{one:?}");
        return;
    }
    // serde_json's tree has the later of two equal keys, too.
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    match body.get("flags").and_then(Value::as_object).map(|flags| flags.get("f").unwrap_or(&Value::Null)) {
        None => assert_eq!(one.error_code(), Some(ErrorCode::General), "{one:?}"),
        Some(Value::Null) => assert_eq!(one.error_code(), Some(ErrorCode::FlagNotFound), "{one:?}"),
        Some(Value::Object(flag)) => {
            let value = flag.get("variant_value").unwrap_or(&Value::Null);
            let json = one.json().map(|json| serde_json::from_str::<Value>(json).unwrap());
            assert_eq!(json.as_ref(), Some(value));
            assert_eq!(one.variant(), flag.get("variant_key").and_then(Value::as_str));
        }
        Some(_) => assert_eq!(one.error_code(), Some(ErrorCode::ParseError), "{one:?}"),
    }
});
