//! Models of the outbox and of the exposures that it remembers; see `crate::sys::model_tests`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::events::dedupe::Seen;
use crate::events::outbox::{End, Offered, Outbox};
use crate::events::payload::{Event, Track};
use crate::sys::model_tests::check;
use crate::sys::sync::thread::{self, JoinHandle};

const WINDOW_MS: u64 = 1000;

fn outbox(capacity: usize) -> Arc<Outbox> {
    Arc::new(Outbox::new(capacity, 2, Seen::new(100, WINDOW_MS)))
}

fn event() -> Event {
    Event::Track(Track::new("e", "u", "{}", 0).unwrap())
}

/// Offers the exposure `tag`.
fn offer(outbox: &Outbox, tag: u64) -> Offered {
    outbox.offer(tag, 0, |pending| pending.push(event()))
}

/// A thread that offers these exposures, and returns how many were taken.
fn offering(outbox: &Arc<Outbox>, tags: [u64; 2]) -> JoinHandle<usize> {
    let outbox = outbox.clone();
    thread::spawn(move || tags.into_iter().filter(|tag| offer(&outbox, *tag) == Offered::Taken).count())
}

/// What the sender does: takes everything out, and delivers it.
fn deliver(outbox: &Outbox) -> usize {
    let mut events = VecDeque::new();
    outbox.drain(&mut events);
    outbox.settle(events.len(), End::Sent);
    events.len()
}

fn counts(outbox: &Outbox) -> serde_json::Value {
    serde_json::from_str(&outbox.statistics(serde_json::Map::new())).unwrap()
}

#[test]
fn an_exposure_is_taken_once() {
    check(|| {
        let outbox = outbox(10);
        let threads = [offering(&outbox, [1, 2]), offering(&outbox, [2, 1])];
        let mut delivered = deliver(&outbox);
        let taken: usize = threads.map(|thread| thread.join().unwrap()).iter().sum();
        delivered += deliver(&outbox);
        assert_eq!((taken, delivered), (2, 2));
        assert_eq!(counts(&outbox)["deduplicated"], 2);
    });
}

#[test]
fn a_refused_exposure_is_not_remembered() {
    check(|| {
        let outbox = outbox(1);
        let other = outbox.clone();
        let offering = thread::spawn(move || offer(&other, 1));
        let mine = offer(&outbox, 2);
        let mut delivered = deliver(&outbox);
        let theirs = offering.join().unwrap();
        delivered += deliver(&outbox);
        for (offered, tag) in [(theirs, 1), (mine, 2)] {
            let again = offer(&outbox, tag);
            assert_eq!(again, if offered == Offered::Full { Offered::Taken } else { Offered::Repeat });
            delivered += deliver(&outbox);
        }
        assert_eq!(delivered, 2, "each exposure once");
    });
}

#[test]
fn no_more_events_wait_than_the_capacity() {
    check(|| {
        let outbox = outbox(2);
        let threads = [offering(&outbox, [1, 2]), offering(&outbox, [3, 4])];
        let taken: usize = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!((taken, outbox.waiting()), (2, 2));
        assert_eq!(counts(&outbox)["dropped"]["queue_full"], 2);
    });
}

/// A shutdown while threads report and the sender sends: whatever was taken is counted as sent or as lost, and nothing is both.
#[test]
fn every_event_ends_once() {
    check(|| {
        let outbox = outbox(10);
        let threads = [offering(&outbox, [1, 2]), offering(&outbox, [3, 4])];
        let other = outbox.clone();
        let sender = thread::spawn(move || deliver(&other) + deliver(&other));
        let lost = outbox.abandon(false);
        let taken: usize = threads.map(|thread| thread.join().unwrap()).iter().sum();
        let drained = sender.join().unwrap() as u64;
        let counts = counts(&outbox);
        let (sent, dropped) = (counts["sent"].as_u64().unwrap(), &counts["dropped"]["shutdown"]);
        assert_eq!(counts["enqueued"], taken);
        assert_eq!(sent + lost, taken as u64, "{counts}");
        assert!(sent <= drained, "{counts}");
        assert_eq!(*dropped, lost + (4 - taken as u64), "{counts}");
        assert_eq!(counts["queue_length"], 0);
    });
}
