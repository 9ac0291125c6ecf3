//! `/track`, `/import`, `/engage`, `/groups`: what they accept, respond and keep.

mod raw_client;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use mpflags_dev::{Endpoint, EventLog, Fault, Kind, Options, RetryAfter, Server, ServiceAccount};
use raw_client::{Reply, address, ask, connect, receive, send};
use serde_json::{Value, json};

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

fn server() -> Server {
    Server::start(Options::default()).unwrap()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// A valid event; `id` is the end of its `$insert_id`.
fn event(id: &str) -> Value {
    json!({ "event": "$experiment_started", "properties": {
        "token": "tok", "distinct_id": "user-1", "time": now_ms(), "$insert_id": format!("id-{id}"),
        "Experiment name": "new-checkout", "Variant name": "On",
    } })
}

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event["properties"][name] = value;
    event
}

fn without(mut event: Value, name: &str) -> Value {
    event["properties"].as_object_mut().unwrap().remove(name);
    event
}

/// `target` is `/track?verbose=1`; `headers` are further lines of the head.
fn post(server: &Server, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let head = format!("POST {target} HTTP/1.1\r\nContent-Type: application/json{headers}");
    ask(server.addr(), &head, body.as_ref())
}

fn import(server: &Server, batch: &Value) -> (u16, Value) {
    let reply = post(server, "/import?strict=1&project_id=7", "", batch.to_string());
    (reply.status, reply.json())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn track_accepts_arrays_objects_gzip_and_every_kind_of_form() {
    let server = server();
    let one = event("1").to_string();
    let reply = post(&server, "/track", "", &one);
    assert_eq!((reply.status, reply.text()), (200, "1"));
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    let reply = post(&server, "/track?verbose=1", "", json!([event("2"), event("3")]).to_string());
    assert_eq!((reply.status, reply.text()), (200, "{\"status\":1,\"error\":null}\n"));
    let zipped = gzip(format!("[{one}]").as_bytes());
    let reply = post(&server, "/track?verbose=1", "\r\nContent-Encoding: gzip", &zipped);
    assert_eq!(reply.json()["status"], 1);

    let form = |data: &str, rest: &str| {
        let data: String = form_urlencoded::byte_serialize(data.as_bytes()).collect();
        let head = "POST /track HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8";
        ask(server.addr(), head, format!("data={data}{rest}").as_bytes())
    };
    assert_eq!(
        form(&event("4").to_string(), "&verbose=1&ip=0").json(),
        json!({ "status": 1, "error": null })
    );
    assert_eq!(form(&STANDARD.encode(event("5").to_string()), "").text(), "1");
    assert_eq!(form(STANDARD.encode(json!([event("6")]).to_string()).trim_end_matches('='), "").text(), "1");
    let data: String =
        form_urlencoded::byte_serialize(STANDARD.encode(event("7").to_string()).as_bytes()).collect();
    assert_eq!(ask(server.addr(), &format!("GET /track?ip=0&data={data} HTTP/1.1"), b"").text(), "1");

    let events = server.events();
    let ids: Vec<_> =
        events.iter().map(|event| event.json["properties"]["$insert_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["id-1", "id-2", "id-3", "id-1", "id-4", "id-5", "id-6", "id-7"]);
    assert!(events.iter().all(|event| event.accepted() && event.endpoint == Endpoint::Track));
    assert_eq!(events[1].request, events[2].request);
    let requests = server.requests().requests;
    assert_eq!(events[3].request, requests[2].number);
    assert_eq!(events[3].received_at, requests[2].at);
    assert_eq!(requests[2].body, format!("[{one}]").into_bytes(), "decoded for reading");
    assert_eq!(requests[2].body_length, zipped.len());
}

#[test]
fn payloads_that_cannot_be_read_are_400_and_say_why() {
    let server = server();
    let verbose = |headers: &str, body: &[u8]| {
        let reply = post(&server, "/track?verbose=1", headers, body);
        let json = reply.json();
        assert_eq!(json["status"], 0);
        (reply.status, json["error"].as_str().unwrap().to_owned())
    };
    assert_eq!(verbose("", b""), (400, "data, missing or empty".to_owned()));
    assert_eq!(verbose("", b"[]"), (400, "data, missing or empty".to_owned()));
    let (status, error) = verbose("", b"[{\"event\":");
    assert_eq!(status, 400);
    assert!(error.starts_with("data, invalid JSON: EOF while parsing"), "{error}");
    let (_, error) = verbose("", b"\"text\"");
    assert!(error.contains("expected an object, or an array of them"), "{error}");
    assert_eq!(
        verbose("\r\nContent-Encoding: gzip", b"{}"),
        (400, "Content-Encoding: invalid gzip".to_owned())
    );
    let (status, error) = verbose("\r\nContent-Encoding: br", b"{}");
    assert_eq!((status, error.as_str()), (415, "Content-Encoding: only gzip is supported"));
    let reply = post(&server, "/track", "", b"{");
    assert_eq!((reply.status, reply.text()), (400, "0"));
    let form = "POST /engage HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let reply = ask(server.addr(), form, b"data=%00&verbose=1");
    assert_eq!(reply.json(), json!({ "status": 0, "error": "data, neither JSON nor base64" }));
    let (status, json) = import(&server, &json!("text"));
    assert_eq!((status, &json["code"], &json["status"]), (400, &json!(400), &json!("Bad Request")));
    assert_eq!(json["num_records_imported"], 0);
    assert_eq!(json["failed_records"], Value::Null);
    assert_eq!(ask(server.addr(), "PUT /track HTTP/1.1", b"").status, 405);
    assert_eq!(ask(server.addr(), "GET /import HTTP/1.1", b"").header("allow"), Some("POST"));
    assert!(server.events().is_empty());
    assert_eq!(server.event_counts(), mpflags_dev::EventCounts::default());
}

#[test]
fn track_drops_invalid_records_and_succeeds_if_one_is_valid() {
    let server = Server::start(Options { token: Some("tok".into()), ..Options::default() }).unwrap();
    let bad = [
        (json!({ "properties": {} }), "event", "event, missing or empty"),
        (json!({ "event": "", "properties": {} }), "event", "event, missing or empty"),
        (
            json!({ "event": "e", "properties": [1] }),
            "properties",
            "'properties' is invalid: must be an object",
        ),
        (json!({ "event": "e" }), "properties", "'properties' is invalid: must be an object"),
        (json!([1, "x"]), "record", "must be an object"),
        (without(event("1"), "token"), "properties.token", "token, missing or empty"),
        (
            with(event("1"), "token", json!("other")),
            "properties.token",
            "'properties.token' is invalid: no such project",
        ),
        (
            with(event("1"), "time", json!("yesterday")),
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds since epoch",
        ),
    ];
    for (record, _, why) in &bad {
        let reply = post(&server, "/track?verbose=1", "", json!([record]).to_string());
        assert_eq!((reply.status, reply.json()), (400, json!({ "status": 0, "error": why })), "{record}");
    }
    let mut batch: Vec<Value> = bad.iter().map(|(record, ..)| record.clone()).collect();
    batch.push(without(without(event("9"), "time"), "$insert_id"));
    assert_eq!(post(&server, "/track", "", json!(batch).to_string()).text(), "1");
    let events = server.events();
    assert_eq!(events.len(), 2 * bad.len() + 1);
    for (event, (record, field, why)) in events[bad.len()..].iter().zip(&bad) {
        let rejected = event.rejected.as_ref().unwrap();
        assert_eq!((&event.json, rejected.field.as_str(), rejected.message.as_str()), (record, *field, *why));
    }
    let counts = server.event_counts();
    assert_eq!((counts.total, counts.accepted, counts.rejected), (17, 1, 16));
    assert_eq!(counts.distinct_insert_ids, 0);
}

#[test]
fn import_names_each_failed_record_and_accepts_the_others() {
    let server = server();
    assert_eq!(
        post(&server, "/import?strict=1", "", json!([event("1"), event("2")]).to_string()).text(),
        "{\"code\":200,\"num_records_imported\":2,\"status\":\"OK\"}\n"
    );
    let time = "must be specified as seconds since epoch";
    let id = "must be specified as a non-empty string";
    let bad = [
        (json!(5), "record", "must be an object"),
        (json!({ "event": 5, "properties": {} }), "event", "event, missing or empty"),
        (json!({ "event": "e", "properties": null }), "properties", "must be an object"),
        (without(event("b"), "time"), "properties.time", time),
        (with(event("b"), "time", json!("1618716477")), "properties.time", time),
        (with(event("b"), "time", json!(31_535_999)), "properties.time", "must not be before 1971-01-01"),
        (
            with(event("b"), "time", json!(now_ms() + 3_700_000)),
            "properties.time",
            "must not be more than 1 hour in the future",
        ),
        (
            with(event("b"), "time", json!(now_ms() / 1000 + 3_700)),
            "properties.time",
            "must not be more than 1 hour in the future",
        ),
        (without(event("b"), "distinct_id"), "properties.distinct_id", "must be specified as a string"),
        (
            with(event("b"), "distinct_id", json!(["u"])),
            "properties.distinct_id",
            "must be specified as a string",
        ),
        (
            with(event("b"), "distinct_id", json!("undefined")),
            "properties.distinct_id",
            "this value is not allowed",
        ),
        (with(event("b"), "distinct_id", json!(0)), "properties.distinct_id", "this value is not allowed"),
        (without(event("b"), "$insert_id"), "properties.$insert_id", id),
        (with(event("b"), "$insert_id", json!("")), "properties.$insert_id", id),
        (with(event("b"), "$insert_id", json!(12)), "properties.$insert_id", id),
        (
            with(event("b"), "$insert_id", json!(format!("{ID}0"))),
            "properties.$insert_id",
            "must be at most 36 bytes",
        ),
        (
            with(event("b"), "$insert_id", json!("a_b")),
            "properties.$insert_id",
            "must contain only alphanumeric characters or '-'",
        ),
        (with(event("b"), "$insert_id", json!("null")), "properties.$insert_id", "this value is not allowed"),
    ];
    let good = [
        with(event("g1"), "time", json!(now_ms() as f64 / 1000.0)),
        with(event("g2"), "time", json!(31_536_000)),
        with(event("g3"), "distinct_id", json!("")),
        with(event("g4"), "distinct_id", json!(17)),
        with(event("g5"), "$insert_id", json!(ID)),
        without(event("g6"), "token"),
    ];
    let mut batch: Vec<Value> = bad.iter().map(|(record, ..)| record.clone()).collect();
    batch.extend(good.iter().cloned());
    let (status, body) = import(&server, &json!(batch));
    assert_eq!((status, &body["code"], &body["status"]), (400, &json!(400), &json!("Bad Request")));
    assert_eq!(body["error"], "some data points in the request failed validation");
    assert_eq!(body["num_records_imported"], good.len());
    let failed = body["failed_records"].as_array().unwrap();
    assert_eq!(failed.len(), bad.len());
    for (index, (failed, (record, field, why))) in failed.iter().zip(&bad).enumerate() {
        let sent = record["properties"]["$insert_id"].as_str().unwrap_or_default();
        assert_eq!((&failed["index"], &failed["$insert_id"]), (&json!(index), &json!(sent)));
        assert_eq!(failed["field"], *field);
        assert!(failed["message"].as_str().unwrap().ends_with(why), "{failed}");
    }
    assert_eq!(server.events().iter().filter(|event| event.accepted()).count(), 2 + good.len());

    let reply = post(&server, "/import?project_id=7", "", json!([event("3"), {}]).to_string());
    assert_eq!(
        (reply.status, reply.json()),
        (200, json!({ "code": 200, "num_records_imported": 1, "status": "OK" })),
        "without strict, invalid records are dropped silently"
    );
}

#[test]
fn import_requires_credentials() {
    let account = ServiceAccount { username: "robot".into(), secret: "s3".into() };
    let server = Server::start(Options {
        token: Some("tok".into()),
        service_account: Some(account),
        project_id: Some("7".into()),
        ..Options::default()
    })
    .unwrap();
    let status = |query: &str, credentials: &str| {
        let headers = match credentials {
            "" => String::new(),
            text => format!("\r\nAuthorization: Basic {}", STANDARD.encode(text)),
        };
        let reply =
            post(&server, &format!("/import?strict=1{query}"), &headers, json!([event("1")]).to_string());
        if reply.status == 401 {
            let json = reply.json();
            assert_eq!((&json["code"], &json["status"]), (&json!(401), &json!("Unauthorized")));
            assert!(!reply.text().contains("s3"));
        }
        reply.status
    };
    assert_eq!(status("&project_id=7", "robot:s3"), 200);
    assert_eq!(status("&project_id=8", "robot:s3"), 401);
    assert_eq!(status("", "robot:s3"), 401);
    assert_eq!(status("", "tok:"), 200, "a token as the user name identifies its project");
    assert_eq!(status("&project_id=7", "tok:s3"), 401);
    assert_eq!(status("&project_id=7", ""), 401);
    assert_eq!(server.event_counts().total, 2, "refused requests are not examined");

    let account = Some(ServiceAccount { username: "robot".into(), secret: "s3".into() });
    let server = Server::start(Options { service_account: account, ..Options::default() }).unwrap();
    let headers = format!("\r\nAuthorization: Basic {}", STANDARD.encode("robot:s3"));
    assert_eq!(post(&server, "/import?project_id=9", &headers, event("1").to_string()).status, 200);
    assert_eq!(
        post(&server, "/import", &headers, event("1").to_string()).status,
        401,
        "a project must be named"
    );
}

#[test]
fn too_many_events_and_too_many_bytes_are_413() {
    let server = server();
    let many: Vec<Value> = (0..2_001).map(|index| event(&index.to_string())).collect();
    let (status, body) = import(&server, &json!(many[..2_000]));
    assert_eq!((status, &body["num_records_imported"]), (200, &json!(2_000)));
    let (status, body) = import(&server, &json!(many));
    assert_eq!((status, &body["status"]), (413, &json!("Request Entity Too Large")));
    assert_eq!(body["error"], "request exceeds max limit of 2000 events");
    let large = with(event("l"), "text", json!("x".repeat(9 << 20)));
    let (status, body) = import(&server, &json!([large, event("s")]));
    assert_eq!((status, body["num_records_imported"].as_u64()), (400, Some(1)));
    assert_eq!(body["failed_records"][0]["message"], "must be smaller than 1MB");
    let larger = gzip(with(event("l"), "text", json!("x".repeat(11 << 20))).to_string().as_bytes());
    let reply = post(&server, "/track?verbose=1", "\r\nContent-Encoding: gzip", &larger);
    assert_eq!(reply.json(), json!({ "status": 0, "error": "request exceeds max limit of 10485760 bytes" }));
    assert_eq!(reply.status, 413);
    let bomb = gzip(&vec![b' '; 65 << 20]);
    assert_eq!(post(&server, "/track", "\r\nContent-Encoding: gzip", &bomb).status, 413);
    let mut wide = event("w");
    for index in 0..255 {
        wide["properties"][format!("p{index}")] = json!(index);
    }
    let (_, body) = import(&server, &wide);
    assert_eq!(
        body["failed_records"][0]["message"],
        "'properties' is invalid: must have fewer than 255 properties"
    );
}

#[test]
fn engage_requires_token_user_and_one_operation() {
    let server = Server::start(Options { token: Some("tok".into()), ..Options::default() }).unwrap();
    let update = |name: &str, operand: Value| json!({ "$token": "tok", "$distinct_id": "u", name: operand });
    let good = [
        update("$set", json!({ "a": 1 })),
        update("$set_once", json!({ "a": 1 })),
        update("$add", json!({ "a": 1 })),
        update("$append", json!({ "a": 1 })),
        update("$union", json!({ "a": [1] })),
        update("$remove", json!({ "a": 1 })),
        update("$unset", json!(["a"])),
        update("$delete", json!("")),
        update("$delete", json!(null)),
    ];
    let bad = [
        (json!({ "$distinct_id": "u", "$set": {} }), "$token", "$token, missing or empty"),
        (
            json!({ "$token": "no", "$distinct_id": "u", "$set": {} }),
            "$token",
            "'$token' is invalid: no such project",
        ),
        (json!({ "$token": "tok", "$set": {} }), "$distinct_id", "$distinct_id, missing or empty"),
        (json!({ "$token": "tok", "$distinct_id": "u" }), "record", "must have exactly one operation"),
        (
            json!({ "$token": "tok", "$distinct_id": "u", "$set": {}, "$add": {} }),
            "record",
            "must have exactly one operation",
        ),
        (update("$set", json!([])), "$set", "'$set' is invalid: must be an object"),
        (update("$add", json!({ "a": "1" })), "$add", "'$add' is invalid: values must be numbers"),
        (update("$union", json!({ "a": 1 })), "$union", "'$union' is invalid: values must be lists"),
        (update("$unset", json!({ "a": 1 })), "$unset", "'$unset' is invalid: must be a list of strings"),
        (json!(1), "record", "must be an object"),
    ];
    let reply = post(&server, "/engage?verbose=1", "", json!(good).to_string());
    assert_eq!(reply.json(), json!({ "status": 1, "error": null }));
    for (record, field, why) in &bad {
        let reply = post(&server, "/engage?verbose=1", "", json!([record]).to_string());
        assert_eq!((reply.status, reply.json()), (400, json!({ "status": 0, "error": why })), "{record}");
        let event = server.events().pop().unwrap();
        assert_eq!((event.endpoint, event.rejected.unwrap().field.as_str()), (Endpoint::Engage, *field));
    }
    let reply = post(&server, "/engage?strict=1", "", json!([good[0], bad[0].0]).to_string());
    assert_eq!((reply.status, &reply.json()["num_records_imported"]), (400, &json!(1)));
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.rejected, counts.duplicates), (10, 11, 0));
}

#[test]
fn groups_require_token_key_id_and_one_operation() {
    let server = Server::start(Options { token: Some("tok".into()), ..Options::default() }).unwrap();
    let update =
        |key: Value, id: Value| json!({ "$token": "tok", "$group_key": key, "$group_id": id, "$set": {} });
    let adding = json!({ "$token": "tok", "$group_key": "company", "$group_id": "acme", "$add": { "a": 1 } });
    let good = [update(json!("company"), json!("acme")), update(json!("company"), json!(7))];
    let bad = [
        (update(json!(""), json!("acme")), "$group_key", "$group_key, missing or empty"),
        (update(json!("company"), json!(null)), "$group_id", "$group_id, missing or empty"),
        (
            json!({ "$token": "tok", "$distinct_id": "u", "$set": {} }),
            "$group_key",
            "$group_key, missing or empty",
        ),
        (adding, "$add", "'$add' is invalid: a group has no such operation"),
    ];
    let reply = post(&server, "/groups?verbose=1", "", json!(good).to_string());
    assert_eq!(reply.json(), json!({ "status": 1, "error": null }));
    for (record, field, why) in &bad {
        let reply = post(&server, "/groups?verbose=1", "", json!([record]).to_string());
        assert_eq!((reply.status, reply.json()), (400, json!({ "status": 0, "error": why })), "{record}");
        let event = server.events().pop().unwrap();
        assert_eq!((event.endpoint, event.rejected.unwrap().field.as_str()), (Endpoint::Groups, *field));
    }
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.rejected, counts.duplicates), (2, 4, 0));
}

#[test]
fn duplicates_are_equal_in_four_fields() {
    let server = server();
    let one = event("1");
    let batch = json!([
        one,
        with(one.clone(), "Variant name", json!("Off")),
        with(one.clone(), "distinct_id", json!("user-2")),
        with(one.clone(), "time", json!(now_ms() + 7)),
        with(one.clone(), "distinct_id", json!("user-2")),
        without(one.clone(), "$insert_id"),
        without(one.clone(), "$insert_id"),
        event("2"),
    ]);
    assert_eq!(post(&server, "/track", "", batch.to_string()).text(), "1");
    let duplicates: Vec<bool> = server.events().iter().map(|event| event.duplicate).collect();
    assert_eq!(duplicates, [false, true, false, false, true, false, false, false]);
    import(&server, &json!([one]));
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.distinct_insert_ids, counts.duplicates), (9, 2, 3));
    server.clear_events();
    import(&server, &json!([one]));
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.distinct_insert_ids, counts.duplicates), (1, 1, 0));
    assert_eq!(server.requests().requests.len(), 3, "the requests are kept");
}

#[test]
fn faults_strike_before_the_events_or_spoil_the_response() {
    let server = server();
    let track = |id: &str| {
        let mut stream = connect(server.addr());
        send(&mut stream, "POST /track?verbose=1 HTTP/1.1", json!([event(id)]).to_string().as_bytes());
        raw_client::drain(&mut stream)
    };
    let fault = |kind| Fault { times: Some(1), ..Fault::new("/track", kind) };
    let taken = || server.event_counts().accepted;

    let retry_after = Some(RetryAfter::Seconds(2));
    server.set_faults(vec![Fault { status: Some(503), retry_after, ..fault(Kind::Status) }]).unwrap();
    let reply = post(&server, "/track", "", event("a").to_string());
    assert_eq!((reply.status, reply.header("retry-after"), taken()), (503, Some("2"), 0));
    server.set_faults(vec![Fault { status: Some(413), ..fault(Kind::Status) }]).unwrap();
    assert_eq!((post(&server, "/track", "", event("a").to_string()).status, taken()), (413, 0));
    server.set_faults(vec![Fault { at_byte: Some(0), status: Some(500), ..fault(Kind::Cut) }]).unwrap();
    assert_eq!((track("a").0.len(), taken()), (0, 0));
    server.set_faults(vec![Fault { body: Some("no HTTP".into()), ..fault(Kind::Raw) }]).unwrap();
    assert_eq!((track("a").0, taken()), (b"no HTTP".to_vec(), 0));

    server.set_faults(vec![fault(Kind::Reset)]).unwrap();
    assert_eq!((track("b").0.len(), taken()), (0, 1));
    server.set_faults(vec![Fault { at_byte: Some(20), ..fault(Kind::Cut) }]).unwrap();
    assert_eq!((track("c").0.len(), taken()), (20, 2));
    server.set_faults(vec![fault(Kind::Garbage)]).unwrap();
    assert_eq!((post(&server, "/track", "", event("d").to_string()).status, taken()), (200, 3));
    let body = Some("{\"status\":0,\"error\":\"no\"}".to_owned());
    server.set_faults(vec![Fault { status: Some(200), body, ..fault(Kind::Status) }]).unwrap();
    assert_eq!(post(&server, "/track", "", event("e").to_string()).json()["error"], "no");
    assert_eq!(taken(), 4);
    server.set_faults(vec![Fault { delay_ms: Some(20), ..fault(Kind::Delay) }]).unwrap();
    assert_eq!((post(&server, "/track", "", event("b").to_string()).text(), taken()), ("1", 5));
}

#[test]
fn a_fault_rejects_chosen_records() {
    let server = server();
    server
        .set_faults_json(
            r#"[{"path": "/import", "kind": "reject_records", "times": 1, "properties": {"Variant name": "Off"},
                 "message": "no such variant"},
                {"path": "/track", "kind": "reject_records", "indexes": [1, 2, 9], "field": "event"}]"#,
        )
        .unwrap();
    let off = with(event("2"), "Variant name", json!("Off"));
    let (status, body) = import(&server, &json!([event("1"), off, event("3")]));
    assert_eq!((status, &body["num_records_imported"]), (400, &json!(2)));
    let failed = json!([{ "index": 1, "$insert_id": "id-2", "field": "properties.Variant name", "message": "no such variant" }]);
    assert_eq!(body["failed_records"], failed);
    assert_eq!(import(&server, &json!([off])).0, 200, "once");
    let reply = post(&server, "/track?verbose=1", "", json!([event("4"), event("5"), {}]).to_string());
    let failed = &reply.json()["failed_records"];
    assert_eq!((&failed[0]["index"], &failed[0]["field"]), (&json!(1), &json!("event")));
    assert_eq!(failed[1]["message"], "event, missing or empty", "an invalid record keeps its own reason");
    let rejected: Vec<bool> = server.events().iter().map(|event| !event.accepted()).collect();
    assert_eq!(rejected, [false, true, false, false, false, true, true]);
    assert_eq!(server.event_counts().duplicates, 0, "rejected records do not count for duplicates");
    for (json, why) in [
        (r#"[{"path":"/track","kind":"reject_records"}]"#, "needs `indexes` or `properties`"),
        (
            r#"[{"path":"/track","kind":"reject_records","indexes":[1],"status":400}]"#,
            "`status` has no effect",
        ),
        (r#"[{"path":"/track","kind":"status","status":400,"indexes":[1]}]"#, "`indexes` has no effect"),
    ] {
        let error = server.set_faults_json(json).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn count_only_counts_and_keeps_nothing() {
    let server = Server::start(Options { events: EventLog::Count, ..Options::default() }).unwrap();
    let body = json!([event("1"), event("2"), {}]).to_string();
    for _ in 0..2 {
        assert_eq!(post(&server, "/track", "", &body).text(), "1");
    }
    let events = server.wait_events(6, Duration::from_secs(5));
    assert!(events.is_empty());
    let counts = server.event_counts();
    assert_eq!((counts.total, counts.accepted, counts.rejected), (6, 4, 2));
    assert_eq!((counts.distinct_insert_ids, counts.duplicates), (2, 2));
    let request = server.requests().requests.pop().unwrap();
    assert_eq!((request.body.len(), request.body_length, request.status), (0, body.len(), Some(200)));
}

fn control(addr: SocketAddr, call: &str) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let reply = ask(addr, &format!("{method} /__dev/{path} HTTP/1.1"), b"");
    (reply.status, reply.json())
}

#[test]
fn the_control_api_returns_events_and_waits_for_them() {
    let server = Server::start(Options { control_port: Some(0), ..Options::default() }).unwrap();
    let dev = address(&server.control_url().unwrap());
    let waiting = std::thread::spawn(move || control(dev, "GET events?at_least=3&within_ms=10000").1);
    let first = event("1");
    import(&server, &json!([first, {}]));
    import(&server, &json!([first]));
    let seen = waiting.join().unwrap();
    let counts =
        json!({ "total": 3, "accepted": 2, "rejected": 1, "distinct_insert_ids": 1, "duplicates": 1 });
    assert_eq!((&seen["counts"], &seen["forgotten"]), (&counts, &json!(0)));
    let [good, bad, again] = seen["events"].as_array().unwrap().as_slice() else { panic!("{seen}") };
    assert_eq!(
        (&good["endpoint"], &good["json"], &good["accepted"]),
        (&json!("/import"), &first, &json!(true))
    );
    assert_eq!(
        (&good["rejected"], &good["duplicate"], &good["request"]),
        (&json!(null), &json!(false), &json!(0))
    );
    assert_eq!(bad["rejected"], json!({ "field": "event", "message": "event, missing or empty" }));
    assert_eq!((&again["duplicate"], &again["request"]), (&json!(true), &json!(1)));
    assert!(again["received_at_ms"].as_u64() >= good["received_at_ms"].as_u64());

    let (_, newest) = control(dev, "GET events?limit=1");
    assert_eq!(newest["events"], json!([again]));
    let (_, none) = control(dev, "GET events?limit=0");
    assert_eq!((&none["events"], &none["counts"]), (&json!([]), &counts));
    let start = std::time::Instant::now();
    assert_eq!(control(dev, "GET events?at_least=4&within_ms=50").1["counts"], counts);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(control(dev, "GET events?atleast=4").0, 400);
    assert_eq!(control(dev, "POST events").0, 405);
    assert_eq!(control(dev, "DELETE events").0, 200);
    let (_, none) = control(dev, "GET events");
    assert_eq!((&none["events"], &none["counts"]["total"]), (&json!([]), &json!(0)));
}

#[test]
fn numbers_out_of_range_do_not_hide_an_event() {
    let server = server();
    let text = event("1").to_string().replace("\"On\"", "1e400");
    assert_eq!(post(&server, "/track", "", format!("[{text},{}]", event("2"))).text(), "1");
    let events = server.events();
    assert_eq!((&events[0].json, events.len()), (&json!(text), 2));
}

#[test]
fn many_batches_on_one_connection() {
    let server = server();
    let mut stream = connect(server.addr());
    for index in 0..50 {
        let batch: Vec<Value> = (0..20).map(|i| event(&format!("{index}-{i}"))).collect();
        let head = "POST /import?strict=1 HTTP/1.1\r\nContent-Encoding: gzip";
        send(&mut stream, head, &gzip(json!(batch).to_string().as_bytes()));
        assert_eq!(receive(&mut stream).json()["num_records_imported"], 20);
    }
    let events = server.wait_events(1_000, Duration::from_secs(5));
    assert_eq!((events.len(), server.event_counts().distinct_insert_ids), (1_000, 1_000));
    assert_eq!(server.requests().connections_opened, 1);
}
