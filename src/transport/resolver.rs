//! Name resolution: literals without a thread, one look-up at a time, remembered for a while.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::sys::clock::deadline;
use crate::sys::worker::spawn;

/// ureq resolves before each request, one on a kept connection too.
const FRESH: Duration = Duration::from_secs(30);

/// getaddrinfo cannot be interrupted, so it runs on a thread of its own that is left behind when time runs out. ureq's
/// own resolver starts one per request; here all requests share one look-up and what it found, and a name server that
/// hangs holds one thread.
#[derive(Clone, Default)]
pub(super) struct OneLookup {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    /// Look-ups ended.
    round: u64,
    /// What the last one was for, what it found, and when.
    last: Option<(String, Option<Vec<SocketAddr>>, Instant)>,
}

impl fmt::Debug for OneLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneLookup")
    }
}

impl Resolver for OneLookup {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(Error::BadUri("no host".to_owned()));
        };
        let target = DefaultResolver::host_and_port(scheme, authority).ok_or(Error::HostNotFound)?;
        let (host, port) = target.rsplit_once(':').ok_or(Error::HostNotFound)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match (bare.parse::<IpAddr>(), port.parse::<u16>()) {
            (Ok(ip), Ok(port)) => vec![SocketAddr::new(ip, port)],
            _ => self.look_up(&target, timeout)?,
        };
        let mut addresses = self.empty();
        // The array holds 16.
        for address in found.into_iter().take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl OneLookup {
    fn look_up(&self, target: &str, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let until = deadline(*timeout.after);
        let mut state = self.shared.lock();
        let begun = state.round;
        loop {
            if let Some((name, found, at)) = &state.last
                && name == target
            {
                match found {
                    Some(found) if at.elapsed() < FRESH => return Ok(found.clone()),
                    // It ended while this request waited.
                    None if state.round > begun => return Err(Error::HostNotFound),
                    _ => {}
                }
            }
            if !state.running {
                let (shared, name) = (self.shared.clone(), target.to_owned());
                spawn("mpflags-dns", move || shared.run(name))?;
                state.running = true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(Error::Timeout(timeout.reason));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn run(&self, target: String) {
        let found = target.to_socket_addrs().ok().map(Iterator::collect);
        {
            let mut state = self.lock();
            state.running = false;
            state.round += 1;
            state.last = Some((target, found, Instant::now()));
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
