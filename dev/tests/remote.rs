//! `GET /flags`: remote evaluation agrees with local evaluation.

mod raw_client;

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mpflags::{Client, Config, Context, EvaluateOptions};
use mpflags_dev::{Fault, Kind, Options, Server};
use raw_client::{Reply, ask};
use serde_json::{Value, json};

fn sample() -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/definitions.json")).unwrap()
}

fn server(document: impl Into<String>) -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(document.into());
    server
}

fn get(server: &Server, context: &str, rest: &str) -> Reply {
    let context: String = form_urlencoded::byte_serialize(context.as_bytes()).collect();
    ask(server.addr(), &format!("GET /flags?token=t&context={context}{rest} HTTP/1.1"), b"")
}

fn flags(server: &Server, context: &Value) -> Value {
    let reply = get(server, &context.to_string(), "");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    assert_eq!(body["code"], 200);
    body["flags"].clone()
}

fn flag(key: &str, more: &Value) -> Value {
    let mut flag = json!({
        "key": key, "context": "distinct_id",
        "ruleset": { "variants": [{ "key": "on", "value": true, "split": 1.0 }], "rollout": [{ "rollout_percentage": 1.0 }] },
    });
    for (name, value) in more.as_object().unwrap() {
        flag[name] = value.clone();
    }
    flag
}

#[test]
fn it_is_the_local_evaluation() {
    let document = sample();
    let server = server(document.as_str());
    let config = format!(r#"{{"token": "t", "enable_polling": false, "definitions": {document}}}"#);
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let mut absent = 0;
    let mut variants = 0;
    for user in 0..100 {
        let properties = json!({ "plan": if user % 2 == 0 { "pro" } else { "free" }, "country": "DE" });
        let context = json!({ "distinct_id": format!("user-{user}"), "custom_properties": properties });
        let remote = flags(&server, &context);
        let context = Context::from_json(&context.to_string()).unwrap();
        for local in client.evaluate_all(&context, EvaluateOptions::new()).as_slice() {
            let remote = &remote[local.key()];
            let Some(variant) = local.variant() else {
                assert_eq!(*remote, Value::Null, "{}", local.key());
                absent += 1;
                continue;
            };
            assert_eq!(remote["variant_key"], variant);
            assert_eq!(
                remote["variant_value"],
                serde_json::from_str::<Value>(local.json().unwrap()).unwrap()
            );
            assert_eq!(remote["experiment_id"].as_str(), local.experiment_id());
            assert_eq!(remote["is_experiment_active"].as_bool(), local.is_experiment_active());
            assert_eq!(remote["is_qa_tester"], local.is_qa_tester());
            variants += 1;
        }
    }
    assert!(absent > 20 && variants > 100, "{absent} {variants}");
    let tester = flags(&server, &json!({ "distinct_id": "qa-1" }));
    assert_eq!(
        (&tester["new-checkout"]["variant_key"], &tester["new-checkout"]["is_qa_tester"]),
        (&json!("On"), &json!(true))
    );
    assert!(server.events().is_empty(), "the client reports the exposure, not the server");
}

#[test]
fn one_flag_or_none_of_them() {
    let off =
        json!({ "ruleset": { "variants": [{ "key": "on", "value": 1, "split": 1.0 }], "rollout": [] } });
    let experiment = json!({ "experiment_id": "e-1", "is_experiment_active": false });
    let list = [
        flag("a", &json!({})),
        flag("b", &experiment),
        flag("off", &off),
        flag("c", &json!({ "context": 5 })),
        json!(7),
    ];
    let server = server(json!({ "flags": list }).to_string());
    let a = json!({ "variant_key": "on", "variant_value": true, "is_qa_tester": false });
    let mut b = a.clone();
    b["experiment_id"] = json!("e-1");
    b["is_experiment_active"] = json!(false);
    let context = json!({ "distinct_id": "u" });
    assert_eq!(flags(&server, &context), json!({ "a": a, "b": b }), "only the flags that the user is in");
    let one = |key: &str| get(&server, &context.to_string(), &format!("&flag_key={key}")).json();
    assert_eq!(one("b"), json!({ "code": 200, "flags": { "b": b } }));
    assert_eq!(one("off"), json!({ "code": 200, "flags": {} }));
    assert_eq!(one("nothing"), json!({ "code": 200, "flags": {} }));
}

#[test]
fn values_keep_their_text() {
    let variant = |key: &str, value: &str| {
        flag(key, &json!({})).to_string().replace("\"value\":true", &format!("\"value\":{value}"))
    };
    let values = ["18446744073709551615", "1.0", "1e2", "{\"b\":1,\"a\":[null]}", "null"];
    let list: Vec<String> =
        values.iter().enumerate().map(|(index, value)| variant(&format!("f{index}"), value)).collect();
    let server = server(format!("{{\"flags\":[{}]}}", list.join(",")));
    let reply = get(&server, "{\"distinct_id\":\"u\"}", "");
    for value in values {
        assert!(reply.text().contains(&format!("\"variant_value\":{value}")), "{value}: {}", reply.text());
    }
}

#[test]
fn contexts_without_a_user_are_400_with_mixpanels_message() {
    let server = server(sample());
    let words =
        json!({ "error": "distinct_id must be provided in evalContext as a string", "status": "error" });
    for context in ["{}", "{\"distinct_id\":5}", "{\"distinct_id\":null}", "{\"device_id\":\"d\"}"] {
        let reply = get(&server, context, "");
        assert_eq!((reply.status, reply.json()), (400, words.clone()), "{context}");
    }
    let reply = ask(server.addr(), "GET /flags?token=t HTTP/1.1", b"");
    assert_eq!((reply.status, reply.json()), (400, words));
    for context in ["", "user-1", "[1]", "{\"distinct_id\":\"u\",\"x\":NaN}", "{\"distinct_id\":\"\\ud800\"}"]
    {
        let reply = get(&server, context, "");
        assert_eq!((reply.status, reply.json()["status"].as_str()), (400, Some("error")), "{context}");
    }
    assert_eq!(ask(server.addr(), "POST /flags HTTP/1.1", b"{}").status, 405);
}

#[test]
fn the_distinct_id_stands_for_a_missing_device_id() {
    let list = [flag("device", &json!({ "context": "device_id", "test": { "users": {} } }))];
    let server = server(json!({ "flags": list }).to_string());
    assert_eq!(flags(&server, &json!({ "distinct_id": "u" }))["device"]["variant_key"], "on");
    assert_eq!(
        flags(&server, &json!({ "distinct_id": "u", "device_id": "d" }))["device"]["variant_key"],
        "on"
    );
    assert_eq!(flags(&server, &json!({ "distinct_id": "u", "device_id": null })), json!({}));
}

#[test]
fn definitions_that_change_are_evaluated_at_once() {
    let server = server(json!({ "flags": [flag("a", &json!({}))] }).to_string());
    let context = json!({ "distinct_id": "u" });
    assert_eq!(flags(&server, &context)["a"]["variant_key"], "on");
    server.set_definitions(json!({ "flags": [flag("b", &json!({}))] }).to_string());
    let now = flags(&server, &context);
    assert_eq!((&now["a"], &now["b"]["variant_key"]), (&Value::Null, &json!("on")));
    server.set_definitions("no JSON");
    let reply = get(&server, &context.to_string(), "");
    assert_eq!((reply.status, reply.json()["status"].as_str()), (500, Some("error")));
    server.reset_definitions();
    assert_eq!(flags(&server, &context), json!({}));
}

#[test]
fn it_requires_the_same_credentials_as_definitions() {
    let server = Server::start(Options { token: Some("tok".into()), ..Options::default() }).unwrap();
    let status = |token: &str, credentials: &str| {
        let head = format!("GET /flags?token={token}&context=%7B%22distinct_id%22%3A%22u%22%7D HTTP/1.1");
        ask(server.addr(), &format!("{head}\r\nAuthorization: Basic {}", STANDARD.encode(credentials)), b"")
            .status
    };
    assert_eq!(status("tok", "tok:"), 200);
    assert_eq!(status("tik", "tok:"), 401);
    assert_eq!(status("tok", "tik:"), 401);
}

#[test]
fn a_status_fault_sends_any_response() {
    let server = server(sample());
    for body in [
        r#"{"flags":{"a":{"variant_key":"on","variant_value":true}}}"#,
        r#"{"code":200,"flags":{"a":{"variant_key":"on","variant_value":true},"sibling":{"variant_key":7}}}"#,
        r#"{"code":200,"flags":{"a":{"variant_key":"on","variant_value":null,"experiment_id":null,"is_qa_tester":null}}}"#,
    ] {
        let fault =
            Fault { status: Some(200), body: Some(body.into()), ..Fault::new("/flags", Kind::Status) };
        server.set_faults(vec![fault]).unwrap();
        let reply = get(&server, "{\"distinct_id\":\"u\"}", "&flag_key=a");
        assert_eq!((reply.status, reply.text()), (200, body));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}
