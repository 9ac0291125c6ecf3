//! The hosts of `api_host`, of which the first that works gets the requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::http::Http;
use super::settings::Settings;
use super::{Failure, Get, Post, Response, Transport};
use crate::config::Config;
use crate::error::Error;
use crate::items::{Items, Level};
use crate::sys::clock::{Clock, random_fraction};
use crate::sys::sync::atomic::{AtomicU64, Ordering};

/// The shortest pause before a failed host is tried again.
const SHORTEST: Duration = Duration::from_secs(1);

/// The hosts of a client. All its transports share them; it has no lock, because the process may fork.
pub(crate) struct Hosts {
    hosts: Vec<Host>,
    clock: Arc<dyn Clock>,
    start: Instant,
    polling_interval: Duration,
    /// Parts of the environment that are ignored because they cannot be read.
    pub(crate) warnings: Vec<String>,
}

struct Host {
    settings: Arc<Settings>,
    /// If it has failed: when to try it again, in ms since `start`. Otherwise 0.
    retry_at: AtomicU64,
    /// How many requests it failed.
    failures: AtomicU64,
}

impl Hosts {
    pub(crate) fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (mut roots, mut warnings, mut hosts) = (None, Vec::new(), Vec::new());
        for endpoint in config.api_host.iter() {
            let settings = Settings::new(config, endpoint, &mut roots, &mut warnings)?;
            let (retry_at, failures) = (AtomicU64::new(0), AtomicU64::new(0));
            hosts.push(Host { settings: Arc::new(settings), retry_at, failures });
        }
        let start = clock.now();
        Ok(Hosts { hosts, clock, start, polling_interval: config.polling_interval, warnings })
    }

    /// A transport with its own connections.
    pub(crate) fn connect(self: &Arc<Self>, items: &Arc<Items>) -> Arc<dyn Transport> {
        match self.hosts.as_slice() {
            [only] => Arc::new(Http::new(&only.settings)),
            several => {
                let connections = several.iter().map(|host| Http::new(&host.settings)).collect();
                Arc::new(Failover { hosts: self.clone(), connections, items: items.clone() })
            }
        }
    }

    /// For `statistics`: null for a single host, whose failures are those of its requests.
    pub(crate) fn statistics(&self) -> serde_json::Value {
        if self.hosts.len() == 1 {
            return serde_json::Value::Null;
        }
        let listed = self.hosts.iter().map(|host| {
            serde_json::json!({
                "host": host.settings.authority,
                "failed": host.retry_at.load(Ordering::Relaxed) != 0,
                "failures": host.failures.load(Ordering::Relaxed),
            })
        });
        listed.collect()
    }

    fn now(&self) -> u64 {
        self.clock.now().saturating_duration_since(self.start).as_millis() as u64
    }

    /// When to try a host again that fails now.
    fn next_try(&self) -> u64 {
        let pause = pause(self.polling_interval, random_fraction());
        // Never 0, which means that the host works.
        self.now().saturating_add(pause.as_millis() as u64).max(1)
    }

    /// Whether the host works, as far as is known, or may be tried again.
    fn is_usable(&self, host: &Host) -> bool {
        let retry_at = host.retry_at.load(Ordering::Relaxed);
        retry_at == 0 || self.now() >= retry_at
    }

    /// Whether this request is the one that tries a host again, if it has failed: the others need not wait for it.
    fn may_try(&self, host: &Host) -> bool {
        let retry_at = host.retry_at.load(Ordering::Relaxed);
        let claim = || {
            host.retry_at.compare_exchange(retry_at, self.next_try(), Ordering::Relaxed, Ordering::Relaxed)
        };
        retry_at == 0 || self.now() >= retry_at && claim().is_ok()
    }
}

/// The pause before a failed host is tried again. It ends before the next poll, which is an interval ± 10 % after the last one.
fn pause(polling_interval: Duration, random: f64) -> Duration {
    polling_interval.mul_f64(0.5 + 0.4 * random).max(SHORTEST)
}

/// The connections to several hosts.
struct Failover {
    hosts: Arc<Hosts>,
    /// One for each host.
    connections: Vec<Http>,
    items: Arc<Items>,
}

impl Transport for Failover {
    fn get(&self, request: &Get<'_>) -> Result<Response, Failure> {
        self.request(request.timeout, |http, timeout, fresh| {
            http.get(&Get { timeout, fresh: request.fresh || fresh, ..*request })
        })
    }

    fn post(&self, request: &Post<'_>) -> Result<Response, Failure> {
        self.request(request.timeout, |http, timeout, fresh| {
            http.post(&Post { timeout, fresh: request.fresh || fresh, ..*request })
        })
    }

    fn renew(&self) {
        self.connections.iter().for_each(Http::renew);
    }

    fn shutdown(&self) {
        self.connections.iter().for_each(Http::shutdown);
    }
}

impl Failover {
    /// Sends a request to the hosts that work, then to those that have failed, in order, until one responds. Each gets an equal
    /// share of the time that is left, so that one which hangs does not take all of it.
    fn request(
        &self,
        timeout: Duration,
        send: impl Fn(&Http, Duration, bool) -> Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let begun = Instant::now();
        let left = || timeout.saturating_sub(begun.elapsed());
        let hosts = self.hosts.hosts.iter().zip(&self.connections);
        let (mut usable, mut rest): (VecDeque<_>, VecDeque<_>) =
            hosts.partition(|(host, _)| self.hosts.is_usable(host));
        let mut worst: Option<Result<Response, Failure>> = None;
        loop {
            let ((host, http), others) = match usable.pop_front() {
                // Another request tries it. If no other host is left, this one does too.
                Some(next) if !self.hosts.may_try(next.0) => {
                    rest.push_back(next);
                    continue;
                }
                Some(next) => (next, usable.len()),
                None => match rest.pop_front() {
                    Some(next) => (next, rest.len()),
                    None => break,
                },
            };
            let share = left().checked_div(others as u32 + 1).unwrap_or_default();
            if share.is_zero() {
                break;
            }
            let first = Instant::now();
            let mut result = send(http, share, false);
            if result.as_ref().is_err_and(|failure| failure.ended_early) {
                // Most likely the host closed an idle connection, which does not mean that it fails.
                let share = share.saturating_sub(first.elapsed());
                result = send(http, share.max(Duration::from_millis(1)), true);
            }
            let why = match &result {
                Ok(response) if response.status >= 500 => response.described(),
                Err(failure) if failure.of_host => failure.message.clone(),
                Ok(_) => {
                    self.works(host);
                    return result;
                }
                Err(_) => return result,
            };
            self.fails(host, &why);
            worst = Some(match worst {
                Some(before) => combined(before, result),
                None => result,
            });
        }
        worst.unwrap_or_else(|| Err(Failure::transient("timed out")))
    }

    fn works(&self, host: &Host) {
        if host.retry_at.swap(0, Ordering::Relaxed) != 0 {
            let line = format!("api_host: {} works again", host.settings.authority);
            self.items.log(Level::Info, line);
        }
    }

    fn fails(&self, host: &Host, why: &str) {
        host.failures.fetch_add(1, Ordering::Relaxed);
        let before = host.retry_at.swap(self.hosts.next_try(), Ordering::Relaxed);
        let line =
            || format!("api_host: {} has failed, so other hosts are tried: {why}", host.settings.authority);
        if before == 0 { self.items.log(Level::Warning, line()) } else { self.items.debug(line) }
    }
}

/// What two hosts led to: a response if there is one, because it may ask for a pause, or else both failures.
fn combined(before: Result<Response, Failure>, last: Result<Response, Failure>) -> Result<Response, Failure> {
    match (before, last) {
        (_, Ok(response)) | (Ok(response), Err(_)) => Ok(response),
        (Err(before), Err(last)) => Err(Failure {
            message: format!("{before}; then {last}"),
            transient: before.transient || last.transient,
            ended_early: before.ended_early && last.ended_early,
            misconfigured: before.misconfigured && last.misconfigured,
            ..last
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_host_is_tried_again_before_the_next_poll_but_not_at_once() {
        let pauses = |interval| [0.0, 0.5, 1.0].map(|random| pause(interval, random).as_millis());
        assert_eq!(pauses(Duration::from_secs(60)), [30_000, 42_000, 54_000]);
        assert_eq!(pauses(Duration::from_millis(50)), [1_000; 3]);
    }
}
