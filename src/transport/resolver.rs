//! Name resolution: one look-up at a time, cached for a while; none for IP addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::sys::clock::deadline;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::{Condvar, Mutex};
use crate::sys::worker::spawn;

/// How long a result is used. ureq resolves before each request, even on an open connection.
const FRESH: Duration = Duration::from_secs(30);

/// getaddrinfo cannot be interrupted, so it runs on a separate thread, which is left behind when the request times out.
/// ureq's resolver starts such a thread for each request; here all requests share one look-up and its result, so a name
/// server that hangs blocks one thread.
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
    /// The number of look-ups that have ended.
    round: u64,
    /// The last one: the name, the addresses, the time.
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
        // ureq's array holds 16.
        for address in found.into_iter().take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl OneLookup {
    fn look_up(&self, target: &str, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let until = deadline(*timeout.after);
        let mut state = lock(&self.shared.state);
        let begun = state.round;
        loop {
            if let Some((_, found, at)) = state.last.as_ref().filter(|(name, ..)| name == target) {
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
            let Some(changed) = wait_until(&self.shared.changed, state, until) else {
                return Err(Error::Timeout(timeout.reason));
            };
            state = changed;
        }
    }
}

impl Shared {
    fn run(&self, target: String) {
        let found = target.to_socket_addrs().ok().map(Iterator::collect);
        {
            let mut state = lock(&self.state);
            state.running = false;
            state.round += 1;
            state.last = Some((target, found, Instant::now()));
        }
        self.changed.notify_all();
    }
}
