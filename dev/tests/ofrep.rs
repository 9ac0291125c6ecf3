//! The OpenFeature Remote Evaluation Protocol.

mod raw_client;

use std::fs;

use mpflags_dev::{Fault, Kind, Options, Server};
use raw_client::{Reply, ask};
use serde_json::{Value, json};

fn server(token: Option<&str>) -> Server {
    let sample =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/definitions.json")).unwrap();
    let mut document: Value = serde_json::from_str(&sample).unwrap();
    let flags = document["flags"].as_array_mut().unwrap();
    flags.push(json!({ "key": "off", "context": "distinct_id", "status": "disabled",
                       "ruleset": { "variants": [{ "key": "a", "value": 1 }], "rollout": [] } }));
    flags.push(json!({ "key": "bad flag/+", "context": 1 }));
    let server = Server::start(Options { token: token.map(str::to_owned), ..Options::default() }).unwrap();
    server.set_definitions(document.to_string());
    server
}

fn post(server: &Server, key: &str, headers: &str, body: &str) -> Reply {
    ask(server.addr(), &format!("POST /ofrep/v1/evaluate/flags{key} HTTP/1.1{headers}"), body.as_bytes())
}

#[test]
fn one_flag_is_evaluated() {
    let server = server(None);
    let premium = r#"{"context":{"targetingKey":"user-1","plan":"premium","country":"DE"}}"#;
    for (key, body, status, want) in [
        (
            "/premium-chat",
            premium,
            200,
            json!({ "key": "premium-chat", "reason": "TARGETING_MATCH", "variant": "On", "value": true }),
        ),
        (
            "/premium-chat",
            r#"{"context":{"targetingKey":"user-1"}}"#,
            200,
            json!({ "key": "premium-chat", "reason": "DEFAULT" }),
        ),
        ("/off", premium, 200, json!({ "key": "off", "reason": "DISABLED" })),
        ("/nope", premium, 404, json!({ "key": "nope", "errorCode": "FLAG_NOT_FOUND" })),
        ("/banner", "", 400, json!({ "key": "banner", "errorCode": "TARGETING_KEY_MISSING" })),
        ("/banner", "{", 400, json!({ "key": "banner", "errorCode": "PARSE_ERROR" })),
        ("/banner", r#"{"context":[1]}"#, 400, json!({ "key": "banner", "errorCode": "INVALID_CONTEXT" })),
        ("/bad%20flag%2F+", premium, 400, json!({ "key": "bad flag/+", "errorCode": "PARSE_ERROR" })),
    ] {
        let reply = post(&server, key, "", body);
        let mut found = reply.json();
        found.as_object_mut().unwrap().retain(|name, _| name != "errorDetails" && name != "metadata");
        assert_eq!((reply.status, found), (status, want), "{key} {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn all_flags_have_an_etag() {
    let server = server(None);
    let body = r#"{"context":{"targetingKey":"qa-1"}}"#;
    let reply = post(&server, "", "", body);
    let flags = reply.json()["flags"].as_array().unwrap().clone();
    assert_eq!((reply.status, flags.len()), (200, 8));
    let find = |key: &str| flags.iter().find(|flag| flag["key"] == key).unwrap().clone();
    assert_eq!(find("button-color")["value"], "#1a7f37");
    assert_eq!(find("bad flag/+")["errorCode"], "PARSE_ERROR");
    assert_eq!(find("off").get("value"), None);
    let tag = reply.header("etag").unwrap();
    let again = post(&server, "", &format!("\r\nIf-None-Match: {tag}"), body);
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
    let other =
        post(&server, "", &format!("\r\nIf-None-Match: {tag}"), r#"{"context":{"targetingKey":"user-9"}}"#);
    assert_eq!(other.status, 200);
}

#[test]
fn the_token_is_required_and_pages_of_this_machine_may_ask() {
    let server = server(Some("tok"));
    for (headers, status) in [
        ("", 401),
        ("\r\nAuthorization: Bearer tik", 401),
        ("\r\nAuthorization: Bearer tok", 200),
        ("\r\nX-API-Key: tok", 200),
    ] {
        assert_eq!(post(&server, "", headers, "{}").status, status, "{headers}");
    }
    for (origin, allowed) in
        [("http://localhost:3000", true), ("http://127.0.0.1:5173", true), ("https://evil.example", false)]
    {
        let head = format!("OPTIONS /ofrep/v1/evaluate/flags HTTP/1.1\r\nOrigin: {origin}");
        let reply = ask(server.addr(), &head, b"");
        assert_eq!(
            (reply.status, reply.header("access-control-allow-origin")),
            (204, allowed.then_some(origin))
        );
        let reply = post(&server, "", &format!("\r\nX-API-Key: tok\r\nOrigin: {origin}"), "{}");
        assert_eq!(reply.header("access-control-allow-origin"), allowed.then_some(origin));
    }
    assert_eq!(ask(server.addr(), "GET /ofrep/v1/evaluate/flags HTTP/1.1", b"").status, 405);
    assert_eq!(ask(server.addr(), "POST /ofrep/v1/evaluate/flagship HTTP/1.1", b"").status, 404);
    let fault = Fault {
        status: Some(503),
        times: Some(1),
        ..Fault::new("/ofrep/v1/evaluate/flags/banner", Kind::Status)
    };
    server.set_faults(vec![fault]).unwrap();
    assert_eq!(post(&server, "/banner", "\r\nX-API-Key: tok", "{}").status, 503);
}
