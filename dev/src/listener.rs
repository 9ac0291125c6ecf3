//! A port that can be closed and opened again, and the tasks of its connections.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::call::Port;
use crate::lock::lock;

const BACKLOG: u32 = 1024;
/// With IPv6, a free port must be free on both addresses.
const TRIES: usize = 16;

/// The sockets of one port.
pub(crate) enum Listener {
    Open(Vec<JoinHandle<()>>),
    /// Bound but not listening: clients are refused, and no other socket, such as a client's own end, can take the port.
    Closed(Vec<TcpSocket>),
}

/// Binds one port of `host`, and with `ipv6` of `[::1]`. A tokio runtime must be entered.
pub(crate) fn bind(host: IpAddr, port: u16, ipv6: bool) -> io::Result<(Vec<SocketAddr>, Listener)> {
    let mut tries = TRIES;
    loop {
        let first = hold(SocketAddr::new(host, port))?;
        let mut addrs = vec![first.local_addr()?];
        let mut sockets = vec![first];
        if ipv6 {
            let bound = addrs.first().map_or(port, SocketAddr::port);
            match hold(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), bound)) {
                Ok(socket) => {
                    addrs.push(socket.local_addr()?);
                    sockets.push(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 && tries > 1 => {
                    tries -= 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        return Ok((addrs, Listener::Closed(sockets)));
    }
}

fn hold(addr: SocketAddr) -> io::Result<TcpSocket> {
    let name = |error: io::Error| io::Error::new(error.kind(), format!("{addr}: {error}"));
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier run may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr).map_err(name)?;
    Ok(socket)
}

impl Listener {
    /// Listens, and calls `accept` for each connection. Has no effect on an open port. If it fails, the port is closed.
    pub(crate) fn open(
        &mut self,
        addrs: &[SocketAddr],
        accept: impl Fn(TcpStream) + Clone + Send + 'static,
    ) -> io::Result<()> {
        let Self::Closed(sockets) = self else { return Ok(()) };
        if sockets.is_empty() {
            // Binding or listening failed last time.
            *sockets = addrs.iter().copied().map(hold).collect::<io::Result<_>>()?;
        }
        let mut listeners = Vec::new();
        for socket in std::mem::take(sockets) {
            listeners.push(socket.listen(BACKLOG)?);
        }
        let spawn = |listener| tokio::spawn(accept_all(listener, accept.clone()));
        *self = Self::Open(listeners.into_iter().map(spawn).collect());
        Ok(())
    }

    /// Returns once clients are refused.
    pub(crate) async fn close(&mut self, addrs: &[SocketAddr]) -> io::Result<()> {
        let Self::Open(tasks) = self else { return Ok(()) };
        for task in std::mem::take(tasks) {
            task.abort();
            // The error is that it was aborted. Its socket is closed now.
            let _ = task.await;
        }
        *self = Self::Closed(Vec::new());
        let held: io::Result<Vec<_>> = addrs.iter().copied().map(hold).collect();
        *self = Self::Closed(held?);
        Ok(())
    }
}

async fn accept_all(listener: TcpListener, accept: impl Fn(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => accept(stream),
            // Out of file descriptors, which passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The open connections, so that a stop can end them.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    next: u64,
    tasks: HashMap<u64, (Port, JoinHandle<()>)>,
}

impl Connections {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }

    /// Runs what `serve` makes of the connection's number.
    pub(crate) fn spawn<F>(self: &Arc<Self>, port: Port, serve: impl FnOnce(u64) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Held until the task is in the map, where its end looks for it.
        let mut inner = self.inner();
        inner.next += 1;
        let id = inner.next;
        let connection = serve(id);
        let all = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            connection.await;
            if let Some(all) = all.upgrade() {
                all.inner().tasks.remove(&id);
            }
        });
        inner.tasks.insert(id, (port, task));
    }

    /// Ends the connections of the main port except `keep`.
    pub(crate) async fn close(&self, keep: Option<u64>) {
        let closing: Vec<_> = {
            let mut inner = self.inner();
            let chosen =
                |&(id, (port, _)): &(&u64, &(Port, JoinHandle<()>))| *port == Port::Main && Some(*id) != keep;
            let ids: Vec<u64> = inner.tasks.iter().filter(chosen).map(|(id, _)| *id).collect();
            ids.into_iter().filter_map(|id| inner.tasks.remove(&id)).collect()
        };
        for (_, task) in closing {
            task.abort();
            let _ = task.await;
        }
    }
}
