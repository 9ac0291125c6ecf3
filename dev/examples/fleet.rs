//! Many clients in one process, as `fleet/run.py` runs them: `fleet CONFIG COUNT`.
//!
//! Evaluates the integer flag `version` with each client, 20 times a second, and reads one command a line: `report` prints a JSON object,
//! `track` makes each client report an event. It ends with its input.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mpflags::{Client, Config, Context, Item, Level, State};
use serde_json::{Value, json};

/// What no flag has.
const NONE: i64 = -1;

#[derive(Default)]
struct Seen {
    evaluations: u64,
    /// Evaluations that got the default although the client had definitions before.
    defaults: u64,
    values: Vec<i64>,
    /// When the first and the last client got a value, in ms since 1970.
    changed: BTreeMap<i64, (u64, u64)>,
    warnings: u64,
    infos: u64,
    /// The last other warning.
    other: String,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn look(clients: &[Client], user: &Context, seen: &mut Seen) {
    seen.values.resize(clients.len(), NONE);
    for (at, client) in clients.iter().enumerate() {
        let value = client.integer("version", user, NONE);
        let before = std::mem::replace(&mut seen.values[at], value);
        seen.evaluations += 1;
        if value == NONE {
            seen.defaults += u64::from(before != NONE);
            // It counts until the client has definitions again.
            seen.values[at] = before;
        } else if value != before {
            seen.changed.entry(value).or_insert((now(), 0)).1 = now();
        }
        while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
            match item {
                Item::Log { level: Level::Warning, message } if message.starts_with("api_host") => {
                    seen.warnings += 1
                }
                Item::Log { level: Level::Info, message } if message.starts_with("api_host") => {
                    seen.infos += 1
                }
                Item::Log { level: Level::Warning, message } => seen.other = message,
                _ => {}
            }
        }
    }
}

fn report(clients: &[Client], seen: &Seen) -> Value {
    let mut values = BTreeMap::<String, u64>::new();
    seen.values.iter().for_each(|value| *values.entry(value.to_string()).or_default() += 1);
    let ready = clients.iter().filter(|client| client.state() == State::Ready).count();
    let (mut sent, mut waiting, mut dropped) = (0, 0, 0);
    for client in clients {
        let statistics: Value = serde_json::from_str(&client.statistics()).unwrap_or_default();
        sent += statistics["sent"].as_u64().unwrap_or(0);
        waiting += statistics["queue_length"].as_u64().unwrap_or(0);
        let causes = statistics["dropped"].as_object().into_iter().flatten();
        dropped += causes.filter_map(|(_, count)| count.as_u64()).sum::<u64>();
    }
    let changed: BTreeMap<String, _> =
        seen.changed.iter().map(|(value, at)| (value.to_string(), at)).collect();
    json!({"clients": clients.len(), "ready": ready, "values": values, "changed": changed, "evaluations": seen.evaluations,
        "defaults": seen.defaults, "warnings": seen.warnings, "infos": seen.infos, "sent": sent, "waiting": waiting,
        "dropped": dropped, "other": seen.other})
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, count] = arguments.as_slice() else { return Err("usage: fleet CONFIG COUNT".into()) };
    let clients = (0..count.parse::<usize>()?).map(|_| Client::new(Config::from_json(config)?));
    let clients = Arc::new(clients.collect::<Result<Vec<_>, _>>()?);
    clients.iter().try_for_each(Client::start)?;
    let user = Context::from_json(r#"{"distinct_id": "u1"}"#)?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    {
        let (clients, seen) = (clients.clone(), seen.clone());
        thread::spawn(move || {
            loop {
                look(&clients, &user, &mut lock(&seen));
                thread::sleep(Duration::from_millis(50));
            }
        });
    }
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "report" => {
                let text = report(&clients, &lock(&seen)).to_string();
                writeln!(std::io::stdout(), "{text}")?;
            }
            "track" => clients.iter().try_for_each(|client| client.track("beat", "u1", ""))?,
            other => return Err(format!("unknown command {other}").into()),
        }
    }
    // The threads of all clients end together.
    thread::scope(|scope| {
        for part in clients.chunks(clients.len().div_ceil(16).max(1)) {
            scope.spawn(move || part.iter().for_each(|client| _ = client.shutdown(Duration::from_secs(2))));
        }
    });
    Ok(())
}
