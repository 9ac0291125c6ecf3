//! The server in process: its own threads, a blocking API.

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
use crate::world::World;

/// A running stand-in. Dropping it closes its ports and connections and ends its threads.
///
/// Every call blocks until it has taken effect; none needs an async runtime, and none minds one.
pub struct Server {
    world: Arc<World>,
    ports: Arc<Ports>,
    runtime: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Returns when the server answers. Fails when a port is taken, and when the definitions file is missing or
    /// holds no definitions; the error names it.
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
                // An error means that the server was dropped: an end as well.
                let _ = runtime.block_on(ended);
            }
            // Dropping the runtime drops every socket, here and not in the caller's thread, which may be async.
        };
        let thread = thread::Builder::new().name("mpflags-dev".to_owned()).spawn(run)?;
        let gone = |_| Err(io::Error::other("the server's thread ended"));
        let (world, ports, runtime) = receive.recv().unwrap_or_else(gone)?;
        Ok(Self { world, ports, runtime, end: Some(end), thread: Some(thread) })
    }

    /// Runs a future on the server's runtime and waits for it.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
        let (send, receive) = mpsc::channel();
        self.runtime.spawn(async move {
            let _ = send.send(work.await);
        });
        receive.recv().map_err(|_| io::Error::other("the server's runtime ended"))
    }

    /// The address on 127.0.0.1; it stays the same across stops.
    pub fn addr(&self) -> SocketAddr {
        self.ports.addrs.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// `http://127.0.0.1:port`, without a slash at the end; with TLS, `https`.
    pub fn url(&self) -> String {
        let scheme = if self.ports.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    /// With TLS, the certificate to trust. With [`Tls::SelfSigned`](crate::Tls::SelfSigned) that does not
    /// help; with a certificate of one's own it is that one.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ports.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// The same of the control port, if there is one, always `http`.
    pub fn control_url(&self) -> Option<String> {
        self.ports.control_addr.map(|addr| format!("http://{addr}"))
    }

    /// What came so far.
    pub fn requests(&self) -> Requests {
        self.world.log.snapshot()
    }

    /// Waits until `count` requests have come since the last clearing, at most `timeout`, and returns what came.
    pub fn wait_requests(&self, count: usize, timeout: Duration) -> Requests {
        let world = Arc::clone(&self.world);
        // A timeout is seen in the number of requests.
        let _ = self.run(async move { tokio::time::timeout(timeout, world.log.at_least(count)).await });
        self.requests()
    }

    /// Forgets the requests and begins the high-water marks anew, at what is open and in flight now.
    pub fn clear_requests(&self) {
        self.world.log.clear();
    }

    /// The events and profile updates that are kept, oldest first: up to 1,000,000 or 512 MiB, none with
    /// [`EventLog::Count`](crate::EventLog::Count).
    pub fn events(&self) -> Vec<Event> {
        self.world.events.newest(usize::MAX)
    }

    /// How many came, kept or not.
    pub fn event_counts(&self) -> EventCounts {
        self.world.events.counts()
    }

    /// Waits until `count` events have come since the last clearing, accepted or not, at most `timeout`, and returns
    /// those that are kept.
    pub fn wait_events(&self, count: u64, timeout: Duration) -> Vec<Event> {
        let world = Arc::clone(&self.world);
        // A timeout is seen in the number of events.
        let _ = self.run(async move { tokio::time::timeout(timeout, world.events.at_least(count)).await });
        self.events()
    }

    /// Forgets the events and counts from zero; an event that came before is no duplicate any more.
    pub fn clear_events(&self) {
        self.world.events.clear();
    }

    /// Serves these bytes instead of the file, whatever they are.
    pub fn set_definitions(&self, document: impl Into<Vec<u8>>) {
        self.world.definitions.set(Some(Bytes::from(document.into())));
    }

    /// Serves the file again.
    pub fn reset_definitions(&self) {
        self.world.definitions.set(None);
    }

    /// Replaces the faults; on an error the old ones stay.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), InvalidFault> {
        self.world.faults.set(faults)
    }

    /// The same from the JSON that the control API takes.
    pub fn set_faults_json(&self, json: &str) -> Result<(), InvalidFault> {
        self.world.faults.set(Fault::list_from_json(json.as_bytes())?)
    }

    /// The faults that are left.
    pub fn faults(&self) -> Vec<Fault> {
        self.world.faults.current()
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        // An empty list has no fault that could be wrong.
        let _ = self.world.faults.set(Vec::new());
    }

    /// Closes the port and all its connections; clients are refused when this returns. Stopped twice is stopped.
    pub fn stop(&self) -> io::Result<()> {
        let ports = Arc::clone(&self.ports);
        self.run(async move { ports.stop(None, None).await })?
    }

    /// Stops, and listens on the same port again after `after`. Returns when it is stopped; with zero, when it
    /// listens again.
    pub fn restart_after(&self, after: Duration) -> io::Result<()> {
        let ports = Arc::clone(&self.ports);
        self.run(async move { ports.stop(None, Some(after)).await })?
    }
}

async fn start(options: Options) -> io::Result<(Arc<World>, Arc<Ports>)> {
    let world = Arc::new(World::new(&options)?);
    let ports = Ports::open(&options, Arc::clone(&world), connection::serve).await?;
    Ok((world, ports))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It panicked, then it has ended too.
            let _ = thread.join();
        }
    }
}
