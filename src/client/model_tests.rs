//! Models of a whole client: its threads, waits, refreshes and shutdown; see `crate::sys::model_tests`.

use std::sync::Arc;

use super::Client;
use super::snapshot::{Definitions, Overrides, Retired, Snapshot, next_serial};
use crate::engine::definitions::FlagSet;
use crate::engine::variant::FlagValue;
use crate::items::{Item, Items, State};
use crate::sys::clock::SystemClock;
use crate::sys::fork::generation;
use crate::sys::lock::lock;
use crate::sys::model_tests::{Counter, HOUR, check};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::sync::thread::{self, JoinHandle};
use crate::transport::{Failure, Get, Post, Response, Transport};
use crate::{Config, Context, ErrorKind, EvaluateOptions};

/// The server. Its definitions have one flag, `version`.
#[derive(Default)]
struct Mixpanel {
    version: AtomicUsize,
    refuses: bool,
    /// The users of the events it received, and their number.
    users: Mutex<Vec<String>>,
    events: Counter,
}

/// Other threads run during a request, and can abort it.
struct Connection {
    mixpanel: Arc<Mixpanel>,
    closed: AtomicBool,
}

impl Mixpanel {
    fn publish(&self) -> i64 {
        self.version.fetch_add(1, Ordering::SeqCst) as i64 + 1
    }

    fn received(&self, user: &str) -> usize {
        lock(&self.users).iter().filter(|received| *received == user).count()
    }
}

impl Connection {
    fn response(&self, status: u16, body: String, etag: Option<String>) -> Result<Response, Failure> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Failure::transient("aborted"));
        }
        Ok(Response {
            from: "model".to_owned(),
            status,
            etag,
            retry_after: None,
            age: None,
            body: body.into_bytes(),
        })
    }
}

impl Transport for Connection {
    fn get(&self, request: &Get<'_>) -> Result<Response, Failure> {
        let version = self.mixpanel.version.load(Ordering::SeqCst);
        if self.mixpanel.refuses {
            return self.response(401, String::new(), None);
        }
        let etag = version.to_string();
        if request.etag == Some(&etag) {
            return self.response(304, String::new(), None);
        }
        self.response(200, definitions(version), Some(etag))
    }

    fn post(&self, request: &Post<'_>) -> Result<Response, Failure> {
        let events: Vec<serde_json::Value> = serde_json::from_slice(request.body).unwrap();
        let response = self.response(200, r#"{"status": 1}"#.to_owned(), None)?;
        let users =
            events.iter().map(|event| event["properties"]["distinct_id"].as_str().unwrap().to_owned());
        lock(&self.mixpanel.users).extend(users);
        self.mixpanel.events.add(events.len());
        Ok(response)
    }

    fn renew(&self) {}

    fn shutdown(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

fn definitions(version: usize) -> String {
    format!(
        r#"{{"flags": [{{"key": "version", "context": "distinct_id", "ruleset":
            {{"variants": [{{"key": "v", "value": {version}}}], "rollout": [{{"rollout_percentage": 1}}]}}}}]}}"#
    )
}

fn client(mixpanel: &Arc<Mixpanel>) -> Arc<Client> {
    let config =
        Config::from_json(r#"{"token": "T", "event_batch_size": 2, "exposure_dedupe_capacity": 100}"#)
            .unwrap();
    let mixpanel = mixpanel.clone();
    let connect = move |_: &Arc<Items>| {
        let connection = Connection { mixpanel: mixpanel.clone(), closed: AtomicBool::new(false) };
        Arc::new(connection) as Arc<dyn Transport>
    };
    Arc::new(Client::with_transport(config, Arc::new(SystemClock), Box::new(connect), None).unwrap())
}

fn started(mixpanel: &Arc<Mixpanel>) -> Arc<Client> {
    let client = client(mixpanel);
    client.start().unwrap();
    client
}

/// Runs `call` on another thread.
fn with<T: Send + 'static>(
    client: &Arc<Client>,
    call: impl FnOnce(&Client) -> T + Send + 'static,
) -> JoinHandle<T> {
    let client = client.clone();
    thread::spawn(move || call(&client))
}

/// The definitions in use.
fn version(client: &Client) -> i64 {
    let context = Context::from_json(r#"{"distinct_id": "u"}"#).unwrap();
    let options = EvaluateOptions::default().without_exposure();
    client.evaluate("version", &context, options).integer().unwrap_or(-1)
}

#[test]
fn waiting_for_definitions_ends() {
    check(|| {
        let client = client(&Arc::default());
        let waiting = [0, 1].map(|_| {
            with(&client, |client| match client.wait_ready(HOUR) {
                Ok(()) => assert_eq!(version(client), 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "before the start"),
            })
        });
        client.start().unwrap();
        client.wait_ready(HOUR).unwrap();
        assert_eq!((client.state(), version(&client)), (State::Ready, 0));
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        client.shutdown(HOUR).unwrap();
    });
}

#[test]
fn refused_credentials_end_the_wait() {
    check(|| {
        let client = started(&Arc::new(Mixpanel { refuses: true, ..Mixpanel::default() }));
        let waiting = with(&client, |client| client.wait_ready(HOUR).unwrap_err().kind());
        assert_eq!(client.wait_ready(HOUR).unwrap_err().kind(), ErrorKind::CredentialsRefused);
        assert_eq!(waiting.join().unwrap(), ErrorKind::CredentialsRefused);
        client.shutdown(HOUR).unwrap();
    });
}

#[test]
fn a_shutdown_ends_every_wait() {
    check(|| {
        let client = started(&Arc::default());
        let waiting = [
            with(&client, |client| client.wait_ready(HOUR).err()),
            with(&client, |client| client.refresh(HOUR).err()),
            with(&client, |client| client.flush(HOUR).err()),
        ];
        client.shutdown(HOUR).unwrap();
        for error in waiting.map(|thread| thread.join().unwrap()).into_iter().flatten() {
            // A call may find the client closed, and the start undone.
            assert!([ErrorKind::Closed, ErrorKind::InvalidArgument].contains(&error.kind()), "{error}");
        }
    });
}

/// The fetch of a refresh starts after the call, even if another one is running.
#[test]
fn a_refresh_sees_what_was_published_before_it() {
    check(|| {
        let mixpanel = Arc::new(Mixpanel::default());
        let client = started(&mixpanel);
        let refreshing = [0, 1].map(|_| {
            let mixpanel = mixpanel.clone();
            with(&client, move |client| {
                let published = mixpanel.publish();
                client.refresh(HOUR).unwrap();
                assert!(version(client) >= published);
            })
        });
        refreshing.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(version(&client), 2);
        client.shutdown(HOUR).unwrap();
    });
}

/// It does not wait for events that come later, which nobody flushes.
#[test]
fn a_flush_sends_what_was_tracked_before_it() {
    check(|| {
        let mixpanel = Arc::new(Mixpanel::default());
        let client = started(&mixpanel);
        let tracking = with(&client, |client| client.track("e", "later", "{}").unwrap());
        let flushing = ["a", "b"].map(|user| {
            let mixpanel = mixpanel.clone();
            with(&client, move |client| {
                client.track("e", user, "{}").unwrap();
                assert_eq!(client.flush(HOUR).unwrap(), 0);
                assert_eq!(mixpanel.received(user), 1);
            })
        });
        flushing.into_iter().for_each(|thread| thread.join().unwrap());
        tracking.join().unwrap();
        client.shutdown(HOUR).unwrap();
        assert_eq!(mixpanel.events.get(), 3);
    });
}

/// Nobody flushes, and the pause between two requests never ends: a full batch wakes the sender, also one that fills up during the
/// start.
#[test]
fn a_full_batch_is_sent() {
    check(|| {
        let mixpanel = Arc::new(Mixpanel::default());
        let client = client(&mixpanel);
        let tracking =
            ["a", "b"].map(|user| with(&client, move |client| client.track("e", user, "{}").unwrap()));
        client.start().unwrap();
        tracking.into_iter().for_each(|thread| thread.join().unwrap());
        mixpanel.events.wait_for(2);
        client.shutdown(HOUR).unwrap();
    });
}

/// Events are sent or counted as lost, whatever a shutdown meets.
#[test]
fn a_shutdown_loses_no_event_uncounted() {
    check(|| {
        let mixpanel = Arc::new(Mixpanel::default());
        let client = started(&mixpanel);
        let tracking =
            ["a", "b"].map(|user| with(&client, move |client| client.track("e", user, "{}").is_ok()));
        let other = with(&client, |client| client.shutdown(HOUR).unwrap());
        client.shutdown(HOUR).unwrap();
        other.join().unwrap();
        let accepted = tracking.map(|thread| thread.join().unwrap()).into_iter().filter(|ok| *ok).count();
        let counts: serde_json::Value = serde_json::from_str(&client.statistics()).unwrap();
        let (received, lost) = (mixpanel.events.get(), &counts["dropped"]["shutdown"]);
        assert_eq!(counts["enqueued"], accepted);
        assert_eq!(counts["sent"], received);
        assert!(received <= accepted && lost.as_u64().unwrap() as usize >= accepted - received, "{counts}");
        assert_eq!(counts["queue_length"], 0);
    });
}

/// Starts and shutdowns at once: whatever comes last counts, and a client that is shut down has no threads.
#[test]
fn starts_and_shutdowns_may_meet() {
    check(|| {
        let client = client(&Arc::default());
        let threads = [
            with(&client, |client| client.start().err()),
            with(&client, |client| client.shutdown(HOUR).err()),
            with(&client, |client| client.start().err()),
        ];
        for error in threads.map(|thread| thread.join().unwrap()).into_iter().flatten() {
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        if !client.runtime.load().is_closed() {
            client.wait_ready(HOUR).unwrap();
            client.shutdown(HOUR).unwrap();
        }
        // The checker reports a thread that still waits for something, unless its handle was dropped.
        std::mem::forget(client);
    });
}

/// A start that comes as soon as a shutdown has begun makes new threads, and the old ones end.
#[test]
fn a_start_during_a_shutdown_leaves_no_thread() {
    check(|| {
        let client = started(&Arc::default());
        let starting = with(&client, |client| client.start().err());
        client.shutdown(HOUR).unwrap();
        starting.join().unwrap();
        if !client.runtime.load().is_closed() {
            client.shutdown(HOUR).unwrap();
        }
        std::mem::forget(client);
    });
}

#[test]
fn the_callback_receives_every_item() {
    check(|| {
        let client = client(&Arc::default());
        let (items, over) = (Arc::new(Counter::default()), Arc::new(AtomicBool::new(false)));
        let (theirs, after) = (items.clone(), over.clone());
        client
            .on_item(Box::new(move |item| {
                assert!(!after.load(Ordering::SeqCst), "after the shutdown");
                theirs.add(match item {
                    Item::State { state: State::Ready, .. } => 1,
                    Item::Log { message, .. } if message.contains("unknown") => 10,
                    _ => 0,
                });
            }))
            .unwrap();
        client.start().unwrap();
        client.wait_ready(HOUR).unwrap();
        // Logged by this thread.
        client.boolean("unknown", &Context::from_json("{}").unwrap(), false);
        items.wait_for(11);
        client.shutdown(HOUR).unwrap();
        over.store(true, Ordering::SeqCst);
        assert_eq!(items.get(), 11);
    });
}

#[test]
fn pulling_items_ends_with_the_shutdown() {
    check(|| {
        let client = started(&Arc::default());
        let pulling = with(&client, |client| {
            let mut states = Vec::new();
            while let Ok(item) = client.next_item(HOUR) {
                states.extend(item.filter(|item| matches!(item, Item::State { .. })));
            }
            states.len()
        });
        client.wait_ready(HOUR).unwrap();
        client.shutdown(HOUR).unwrap();
        assert_eq!(pulling.join().unwrap(), 1);
    });
}

/// The child of a fork makes one new runtime, however many threads notice the fork at once.
#[test]
fn a_fork_replaces_the_runtime_once() {
    check(|| {
        let client = client(&Arc::default());
        let before = client.runtime.load_full();
        let threads = [0, 1, 2].map(|_| {
            with(&client, |client| {
                // The static that counts forks belongs to all models.
                client.rebuild(generation() + 1);
                client.runtime.load_full()
            })
        });
        let [first, second, third] = threads.map(|thread| thread.join().unwrap());
        assert!(!Arc::ptr_eq(&first, &before));
        assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &third));
    });
}

fn flags(version: usize) -> Definitions {
    let set = FlagSet::parse(definitions(version).as_bytes(), None, next_serial).unwrap().0;
    Definitions { flags: Arc::new(set), etag: None }
}

/// Definitions in use by a reader are freed later, by the thread that replaces them.
#[test]
fn readers_never_free_definitions() {
    check(|| {
        let first = flags(0);
        let watched = Arc::downgrade(&first.flags);
        let snapshot = Arc::new(Snapshot::new(Some(first), Overrides::new()));
        let readers = [0, 1].map(|_| {
            let snapshot = snapshot.clone();
            thread::spawn(move || {
                let current = snapshot.load();
                let watched = Arc::downgrade(current.flags.as_ref().unwrap());
                thread::yield_now();
                assert_eq!(current.flags.as_ref().unwrap().iter().len(), 1);
                drop(current);
                // No other thread has run since.
                assert!(watched.upgrade().is_some(), "a reader freed them");
            })
        });
        let mut retired = Retired::default();
        for version in 1..3 {
            snapshot.replace(&flags(version), &mut retired);
            thread::yield_now();
            retired.sweep();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        retired.sweep();
        assert!(watched.upgrade().is_none(), "and they are freed");
    });
}

/// Two threads change the snapshot at once, and neither change is lost.
#[test]
fn changes_of_the_snapshot_do_not_overwrite_each_other() {
    check(|| {
        let snapshot = Arc::new(Snapshot::new(None, Overrides::new()));
        let threads = ["a", "b"].map(|key| {
            let snapshot = snapshot.clone();
            thread::spawn(move || {
                let change = |overrides: &mut Overrides| {
                    // Another thread may change it now.
                    thread::yield_now();
                    overrides.insert(key.into(), FlagValue::Null);
                };
                snapshot.change_overrides(change, &mut Retired::default());
            })
        });
        snapshot.replace(&flags(1), &mut Retired::default());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let current = snapshot.load();
        assert!(current.flags.is_some() && current.overrides.len() == 2);
    });
}
