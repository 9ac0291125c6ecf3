//! Entry points for the fuzz targets: the parts of the library that read input from outside, without the thread or the file
//! that it comes from.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Client;
use super::cache::{self, Cached};
use super::remote::rfc3339;
use super::snapshot::{Definitions, Retired, next_serial};
use crate::config::Config;
use crate::engine::definitions::{Entry, FlagSet};
use crate::engine::rules::shown::{is_longer, text};
use crate::engine::rules::value::FoldedValue;
use crate::engine::rules::{Rule, text_milliseconds};
use crate::error::Error;
use crate::sys::clock::Clock;
use crate::transport::memory::{SERVER, Server};

/// Definitions that were put into use.
#[derive(Debug)]
pub struct Replaced {
    /// The keys of all flags, and whether each can be evaluated.
    pub flags: Vec<(String, bool)>,
    /// A line for each flag that was rejected.
    pub rejected: Vec<String>,
    /// The keys of flags that differ from the definitions before; `None` if there were none.
    pub changed: Option<Vec<String>>,
}

/// Puts definitions into use, as a poll does. Without `keep`, as if they were the first.
pub fn replace_definitions(client: &Client, body: &[u8], keep: bool) -> Result<Replaced, Error> {
    let snapshot = &client.shared.snapshot;
    let previous = if keep { snapshot.flags() } else { None };
    let (set, report) = FlagSet::parse(body, previous.as_deref(), next_serial)?;
    let flags =
        set.iter().map(|(key, entry)| (key.to_owned(), matches!(entry, Entry::Flag { .. }))).collect();
    snapshot.replace(&Definitions { flags: Arc::new(set), etag: None }, &mut Retired::default());
    Ok(Replaced { flags, rejected: report.rejected, changed: report.changed })
}

/// Longer results are not compared; counted in values and characters. Within its budget, a rule can make a result that has a
/// hundred million values when it is printed.
const LONG: usize = 1_000_000;

/// A compiled rule, to evaluate over many inputs.
#[derive(Debug)]
pub struct CompiledRule(Rule);

impl CompiledRule {
    /// `None` if there is no rule, or if it does not compile.
    pub fn new(rule: &str) -> Option<Self> {
        Rule::compile(rule).ok()?.map(CompiledRule)
    }

    /// The result over the data, as text. An error is the name of the failure, or `Long`. `None` if the data is not JSON.
    /// Also checks that the shorter way to a truth value agrees with it.
    pub fn result(&self, data: &str) -> Option<Result<String, String>> {
        let FoldedValue(data) = serde_json::from_str(data).ok()?;
        Some(match self.0.evaluate(&data) {
            Ok(result) if is_longer(&result, &mut { LONG }) => Err("Long".to_owned()),
            Ok(result) => Ok(text(&result)),
            Err(failure) => Err(format!("{failure:?}")),
        })
    }
}

/// The result of a rule over the data, as above.
pub fn rule(rule: &str, data: &str) -> Option<Result<String, String>> {
    CompiledRule::new(rule)?.result(data)
}

/// Milliseconds since 1970 of a date-time of RFC 3339.
pub fn milliseconds(text: &str) -> Option<i64> {
    text_milliseconds(text)
}

/// The date-time that is `ms` milliseconds after 1970.
pub fn date_time(ms: u64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_millis(ms))
}

/// The file of the definitions cache with these contents.
pub fn cache_file(etag: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    // A vector accepts everything.
    let _ = cache::encode(&mut file, etag, body);
    file
}

/// The ETag and the definitions in a file of the cache. `None` if it is damaged.
pub fn cached(file: &[u8]) -> Option<(Option<String>, Vec<u8>)> {
    cache::decode(file).map(|Cached { etag, body }| (etag, body))
}

/// From now on, every connection is to this server instead of a socket.
pub fn serve(server: Server) {
    // The same one again changes nothing.
    let _ = SERVER.set(server);
}

/// A client that pauses for a thousandth of the time, so that a target need not wait for retries.
pub fn hurried(config: Config) -> Result<Client, Error> {
    Client::with_clock(config, Arc::new(Hurried))
}

#[derive(Debug)]
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    // Not zero, or a thread with nothing to do would never sleep.
    fn wait_for(&self, span: Duration) -> Duration {
        span / 1000
    }
}
