//! No thread is left after any number of starts and shutdowns, even concurrent ones. A separate binary, because it counts the
//! threads of its process.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mpflags::{Client, Config};
use mpflags_dev::{Options, Server};

fn ours() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // The stand-in's threads have longer names of the same start.
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| ["mpflags-poll", "mpflags-send", "mpflags-dns"].contains(&name.as_str()))
        .collect()
}

fn client(server: &Server) -> Client {
    let config = format!(r#"{{"token": "t", "api_host": "{}", "polling_interval_ms": 50}}"#, server.url());
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

#[test]
fn none_is_left() {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(r#"{"flags": []}"#);
    for _ in 0..100 {
        let client = client(&server);
        client.start().unwrap();
        client.track("E", "u", "{}").unwrap();
        drop(client);
    }
    assert_eq!(server.event_counts().total, 100);
    let client = Arc::new(client(&server));
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    if n % 2 == 0 {
                        // CLOSED when a shutdown came in between.
                        let _ = client.start();
                    } else {
                        let _ = client.shutdown(Duration::from_secs(5));
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // Whatever came last, the client can be started and shut down.
    client.shutdown(Duration::from_secs(5)).unwrap();
    client.start().unwrap();
    client.wait_ready(Duration::from_secs(5)).unwrap();
    // A thread names itself when it runs.
    until(|| ours().contains(&"mpflags-poll".to_owned()));
    client.shutdown(Duration::from_secs(5)).unwrap();
    // One that was stopped while it started needs some time to end.
    until(|| ours().is_empty());
}

#[track_caller]
fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "{:?}", ours());
        std::thread::sleep(Duration::from_millis(10));
    }
}
