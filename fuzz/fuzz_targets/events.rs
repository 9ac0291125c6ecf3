//! Responses to events: what the server sends, one after the other, separated by the byte 0xff, and then its acceptance
//! of everything. Every event is sent or dropped with a count, and none is sent again after it was accepted.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mpflags::{Client, Config, fuzzing};
use serde_json::Value;

#[path = "../oracle/mod.rs"]
mod oracle;

use oracle::server::{self, ok, plain};

/// With the token, which sends to `/track`, and with a service account, which sends to `/import`.
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| {
    server::start();
    ["", r#""service_account": {"username": "u", "secret": "s", "project_id": "1"},"#].map(|account| {
        let config = format!(
            r#"{{"token": "t", "api_host": "http://127.0.0.1", {account} "enable_polling": false,
                "definitions": {{"flags": []}}, "event_retry_base_ms": 10, "event_retry_max_ms": 10, "proxy": ""}}"#
        );
        let client = fuzzing::hurried(Config::from_json(&config).unwrap()).unwrap();
        client.start().unwrap();
        client
    })
});

const EVENTS: usize = 3;

/// The numbers of events that were sent, and of those that were rejected.
fn counts(client: &Client) -> (u64, u64) {
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    let dropped = &statistics["dropped"];
    assert_eq!((&dropped["queue_full"], &dropped["shutdown"]), (&Value::from(0), &Value::from(0)));
    (statistics["sent"].as_u64().unwrap(), dropped["rejected"].as_u64().unwrap())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Sent,
    Rejected,
}

/// What a response means for all events of its request. `None` if they are sent again, or if it means more than that.
fn end(response: &[u8], imports: bool) -> Option<End> {
    let (200, body) = plain(response)? else { return None };
    match &serde_json::from_slice::<Value>(body).ok()?.as_object()?.get("status")? {
        Value::Null => None,
        _ if imports => Some(End::Sent),
        status if *status == 1 => Some(End::Sent),
        status if *status == 0 => Some(End::Rejected),
        _ => None,
    }
}

/// How many events a response rejects, if it says of each which it is.
fn rejected_one_by_one(response: &[u8]) -> Option<u64> {
    let (400, body) = plain(response)? else { return None };
    let body: Value = serde_json::from_slice(body).ok()?;
    let records = body.get("failed_records")?.as_array()?.iter();
    let numbers: HashSet<u64> = records.map(|record| record.get("index")?.as_u64()).collect::<Option<_>>()?;
    (!numbers.is_empty()).then(|| numbers.into_iter().filter(|number| *number < EVENTS as u64).count() as u64)
}

fuzz_target!(|input: &[u8]| {
    let [first, responses @ ..] = input else { return };
    let imports = *first % 2 == 1;
    let client = &CLIENTS[usize::from(imports)];
    {
        let mut exchanges = server::exchanges();
        exchanges.responses = responses.split(|byte| *byte == 0xff).take(4).map(<[u8]>::to_vec).collect();
        exchanges.otherwise = ok(r#"{"status":1,"error":null}"#);
        exchanges.requests.clear();
    }
    let before = counts(client);
    for n in 0..EVENTS {
        client.track(&format!("event {n}"), "u1", "{}").unwrap();
    }
    assert_eq!(client.flush(Duration::from_secs(8)).unwrap(), 0, "{}", client.statistics());
    let after = counts(client);
    let (sent, rejected) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(sent + rejected, EVENTS as u64, "{sent} sent, {rejected} rejected");

    let mut exchanges = server::exchanges();
    let mut ends: HashMap<String, Option<End>> = HashMap::new();
    if let [(_, response)] = &exchanges.requests[..] {
        assert!(rejected_one_by_one(response).is_none_or(|count| count == rejected), "{rejected} rejected");
    }
    for (body, response) in exchanges.requests.drain(..) {
        let events: Vec<Value> = serde_json::from_slice(&body).unwrap();
        for event in events {
            let id = event["properties"]["$insert_id"].as_str().unwrap().to_owned();
            let earlier = ends.insert(id, end(&response, imports));
            assert!(
                !matches!(earlier, Some(Some(_))),
                "sent again after a response that settles it: {earlier:?}"
            );
        }
    }
    assert_eq!(ends.len(), EVENTS, "requests with all events, and with the same ids");
    let count = |wanted: End| ends.values().filter(|end| **end == Some(wanted)).count() as u64;
    assert!(
        sent >= count(End::Sent) && rejected >= count(End::Rejected),
        "{sent} sent, {rejected} rejected: {ends:?}"
    );
});
