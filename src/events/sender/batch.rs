//! A batch: the events of one request as JSON, sent unchanged until they are settled.

use std::collections::VecDeque;
use std::ops::Range;

use crate::config::Config;
use crate::events::payload::{EVENT_LIMIT, Event};
use crate::json::Writer;
use crate::transport::Post;

/// The largest number of events that Mixpanel accepts in one request.
pub(super) const MOST_EVENTS: usize = 2000;
/// The largest body, in bytes of JSON.
const MOST_BYTES: usize = EVENT_LIMIT;
/// Smaller bodies are not compressed.
const COMPRESS: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Track,
    Import,
    Engage,
    Groups,
}

/// Events as JSON. Their insert ids are made here, once: a retry repeats them, and Mixpanel drops duplicates.
#[derive(Debug)]
pub(super) struct Batch {
    endpoint: Endpoint,
    /// `[{…},{…}]`.
    body: String,
    /// The range of each event in the body.
    places: VecDeque<Range<usize>>,
}

impl Batch {
    /// Takes events from the front of `queue`: as many as fit into one request, and at most `limit`.
    pub(super) fn fill(
        endpoint: Endpoint,
        queue: &mut VecDeque<Event>,
        limit: usize,
        token: &str,
    ) -> Result<Option<Self>, getrandom::Error> {
        let mut ids = InsertIds::new(queue.len().min(limit))?;
        let mut batch = Batch { endpoint, body: String::from("["), places: VecDeque::new() };
        while batch.places.len() < limit {
            let Some(event) = queue.front() else { break };
            let before = batch.body.len();
            if !batch.places.is_empty() {
                batch.body.push(',');
            }
            let start = batch.body.len();
            event.write(&mut Writer::new(&mut batch.body), token, &ids.next());
            if batch.body.len() >= MOST_BYTES && !batch.places.is_empty() {
                batch.body.truncate(before);
                break;
            }
            batch.places.push_back(start..batch.body.len());
            queue.pop_front();
        }
        batch.body.push(']');
        Ok((!batch.places.is_empty()).then_some(batch))
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_worth_compressing(&self) -> bool {
        self.body.len() > COMPRESS
    }

    /// The JSON of the first event.
    pub(super) fn first(&self) -> Option<&str> {
        self.body.get(self.places.front()?.clone())
    }

    pub(super) fn pop_first(&mut self) {
        self.places.pop_front();
    }

    /// Two batches of half the events each. None if there is only one event.
    pub(super) fn halve(&mut self) -> Option<(Batch, Batch)> {
        if self.places.len() < 2 {
            return None;
        }
        let first = self.part(0..self.places.len() / 2);
        let rest = self.part(self.places.len() / 2..self.places.len());
        Some((first, rest))
    }

    fn part(&self, events: Range<usize>) -> Batch {
        let mut part = Batch { endpoint: self.endpoint, body: String::from("["), places: VecDeque::new() };
        for place in self.places.range(events) {
            if !part.places.is_empty() {
                part.body.push(',');
            }
            let start = part.body.len();
            part.body.push_str(self.body.get(place.clone()).unwrap_or_default());
            part.places.push_back(start..part.body.len());
        }
        part.body.push(']');
        part
    }

    pub(super) fn request(&self, config: &Config, compressed: bool) -> Post<'_> {
        let (path, query) = match self.endpoint {
            Endpoint::Track => ("/track", "verbose=1&ip=0"),
            Endpoint::Import => ("/import", "strict=1"),
            Endpoint::Engage => ("/engage", "verbose=1&ip=0"),
            Endpoint::Groups => ("/groups", "verbose=1&ip=0"),
        };
        Post {
            path,
            query,
            body: self.body.as_bytes(),
            compressed,
            fresh: false,
            timeout: config.request_timeout,
        }
    }
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// Random UUIDs from the operating system, so that the child of a fork does not repeat those of its parent. Read in one
/// call.
struct InsertIds {
    random: std::vec::IntoIter<u8>,
}

impl InsertIds {
    fn new(count: usize) -> Result<Self, getrandom::Error> {
        let mut random = vec![0; count * 16];
        getrandom::fill(&mut random)?;
        Ok(InsertIds { random: random.into_iter() })
    }

    /// Version 4. Its 36 characters are the most that Mixpanel accepts.
    fn next(&mut self) -> String {
        let mut id = String::with_capacity(36);
        for (i, byte) in self.random.by_ref().take(16).enumerate() {
            let byte = match i {
                6 => byte & 0x0f | 0x40,
                8 => byte & 0x3f | 0x80,
                _ => byte,
            };
            if matches!(i, 4 | 6 | 8 | 10) {
                id.push('-');
            }
            id.extend([digit(byte >> 4), digit(byte & 0x0f)]);
        }
        id
    }
}
