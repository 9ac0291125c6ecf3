//! The server for use in process: a blocking API over threads of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::connection;
use crate::events::{Event, EventCounts};
use crate::faults::{Fault, InvalidFault};
use crate::log::Requests;
use crate::options::Options;
use crate::ports::Ports;
use crate::watch::watch;
use crate::world::World;

/// A running stand-in. Dropping it closes its ports and connections and ends its threads.
///
/// Each method blocks until it has taken effect. It needs no async runtime, and may be called within one.
pub struct Server {
    world: Arc<World>,
    ports: Arc<Ports>,
    runtime: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Returns once the server accepts connections. Fails if a port is taken, or if the definitions file is missing or is
    /// not definitions; the error names the port or the file.
    pub fn start(options: Options) -> io::Result<Self> {
        let (send, receive) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let run = move || {
            let built = Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("mpflags-dev-io")
                .enable_io()
                .enable_time()
                .build();
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(send.send(Err(error))),
            };
            let started = runtime.block_on(start(options));
            let go = started.is_ok();
            // It fails only if the starting thread is gone.
            let _ = send.send(started.map(|(world, ports)| (world, ports, runtime.handle().clone())));
            if go {
                // An error means that the server was dropped, which ends it as well.
                let _ = runtime.block_on(ended);
            }
            // Dropping the runtime closes every socket: here, not in the caller's thread, which may be async.
        };
        let thread = thread::Builder::new().name("mpflags-dev".to_owned()).spawn(run)?;
        let gone = |_| Err(io::Error::other("the server's thread ended"));
        let (world, ports, runtime) = receive.recv().unwrap_or_else(gone)?;
        Ok(Self { world, ports, runtime, end: Some(end), thread: Some(thread) })
    }

    /// Runs a future on the server's runtime, and waits for it.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
        let (send, receive) = mpsc::channel();
        self.runtime.spawn(async move {
            let _ = send.send(work.await);
        });
        receive.recv().map_err(|_| io::Error::other("the server's runtime ended"))
    }

    /// The address to connect to from this machine. It stays the same across stops.
    pub fn addr(&self) -> SocketAddr {
        reachable(self.ports.addrs.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    /// `http://127.0.0.1:port`, with TLS `https`, without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.ports.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    /// With TLS, the certificate for clients to trust: the CA's, or the one from [`Options::certificate`]. Trusting the CA
    /// does not help with [`Tls::SelfSigned`](crate::Tls::SelfSigned).
    pub fn ca_pem(&self) -> Option<&str> {
        self.ports.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// The URL of the control port, if there is one; always `http`.
    pub fn control_url(&self) -> Option<String> {
        self.ports.control_addr.map(|addr| format!("http://{}", reachable(addr)))
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        self.world.log.snapshot()
    }

    /// Waits up to `timeout` until `count` requests have arrived since the log was last cleared, and returns all of them.
    pub fn wait_requests(&self, count: usize, timeout: Duration) -> Requests {
        let world = Arc::clone(&self.world);
        // The number of requests shows a timeout.
        let _ = self.run(async move { tokio::time::timeout(timeout, world.log.at_least(count)).await });
        self.requests()
    }

    /// Clears the requests, and resets the maxima to what is open and in flight now.
    pub fn clear_requests(&self) {
        self.world.log.clear();
    }

    /// The events and profile updates kept, oldest first: at most 1,000,000 or 512 MiB; none with
    /// [`EventLog::Count`](crate::EventLog::Count).
    pub fn events(&self) -> Vec<Event> {
        self.world.events.newest(usize::MAX)
    }

    /// The counts of all events, kept or not.
    pub fn event_counts(&self) -> EventCounts {
        self.world.events.counts()
    }

    /// Waits up to `timeout` until `count` events, accepted or not, have arrived since they were last cleared, and returns
    /// those kept.
    pub fn wait_events(&self, count: u64, timeout: Duration) -> Vec<Event> {
        let world = Arc::clone(&self.world);
        // The number of events shows a timeout.
        let _ = self.run(async move { tokio::time::timeout(timeout, world.events.at_least(count)).await });
        self.events()
    }

    /// Clears the events and their counts. A repetition of an earlier event is then not a duplicate.
    pub fn clear_events(&self) {
        self.world.events.clear();
    }

    /// How many flags the current definitions have. Fails if they are not definitions.
    pub fn flag_count(&self) -> io::Result<usize> {
        self.world.definitions.flag_count()
    }

    /// Serves these bytes, valid or not, instead of the file.
    pub fn set_definitions(&self, document: impl Into<Vec<u8>>) {
        self.world.definitions.set(Some(Bytes::from(document.into())));
    }

    /// Serves the file again.
    pub fn reset_definitions(&self) {
        self.world.definitions.set(None);
    }

    /// Replaces the faults. If one is invalid, the old ones stay.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), InvalidFault> {
        self.world.faults.set(faults)
    }

    /// Like [`set_faults`](Self::set_faults), with the JSON of the control API.
    pub fn set_faults_json(&self, json: &str) -> Result<(), InvalidFault> {
        self.world.faults.set(Fault::list_from_json(json.as_bytes())?)
    }

    /// The faults not used up yet.
    pub fn faults(&self) -> Vec<Fault> {
        self.world.faults.current()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        // An empty list cannot be invalid.
        let _ = self.world.faults.set(Vec::new());
    }

    /// Closes the port and all its connections. Clients are refused once this returns. Stopping twice has no effect.
    pub fn stop(&self) -> io::Result<()> {
        let ports = Arc::clone(&self.ports);
        self.run(async move { ports.stop(None, None).await })?
    }

    /// Stops, and listens on the same port again after `after`. Returns once it is stopped or, if `after` is zero, once it
    /// listens again.
    pub fn restart_after(&self, after: Duration) -> io::Result<()> {
        let ports = Arc::clone(&self.ports);
        self.run(async move { ports.stop(None, Some(after)).await })?
    }
}

/// The wildcard address cannot be connected to everywhere.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(addr) if addr.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], addr.port())),
        SocketAddr::V6(addr) if addr.ip().is_unspecified() => {
            SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], addr.port()))
        }
        addr => addr,
    }
}

async fn start(options: Options) -> io::Result<(Arc<World>, Arc<Ports>)> {
    if !options.host.is_loopback() && options.token.is_none() {
        let why = format!("on {}, other machines reach the server, so it needs a token", options.host);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let world = Arc::new(World::new(&options)?);
    if let Some(notes) = &options.notes {
        tokio::spawn(watch(&world, notes.clone()));
    }
    let ports = Ports::open(&options, Arc::clone(&world), connection::serve).await?;
    Ok((world, ports))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has ended as well.
            let _ = thread.join();
        }
    }
}
