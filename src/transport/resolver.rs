//! Name resolution: literals without a thread, and one look-up at a time.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::worker::spawn;

/// getaddrinfo cannot be interrupted, so it runs on a thread of its own that is left behind when time runs out. ureq's
/// own resolver starts one per request; here a name server that hangs costs one thread, not one per poll.
#[derive(Default)]
pub(super) struct OneLookup {
    under_way: Arc<Mutex<()>>,
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
            _ => self.look_up(target, timeout)?,
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
    fn look_up(&self, target: String, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let under_way = self.under_way.clone();
        spawn("mpflags-dns", move || {
            // A caller whose time ran out while it waited here has hung up, and its look-up is skipped.
            let found = {
                let _one = under_way.lock().unwrap_or_else(PoisonError::into_inner);
                target.to_socket_addrs().map(Iterator::collect)
            };
            let _ = sender.send(found);
        })?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(found) => found.map_err(|_| Error::HostNotFound),
            Err(_) => Err(Error::Timeout(timeout.reason)),
        }
    }
}
