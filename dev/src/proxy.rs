//! A forward proxy, for tests of clients that use one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::lock::lock;

const MOST_HEAD_BYTES: usize = 64 * 1024;

/// A running CONNECT proxy on 127.0.0.1. Dropping it closes its port and its tunnels and ends its thread.
///
/// It connects to loopback addresses only or, after [`Proxy::route_to`], to a fixed one whatever the requested name. This
/// way a client can be tested with a host name that is not loopback, because for loopback hosts clients ignore the proxy
/// of the environment.
pub struct Proxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    running: Mutex<Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>>,
}

#[derive(Default)]
struct Shared(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    requests: Vec<String>,
    authorization: Option<String>,
    target: Option<SocketAddr>,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}

impl Proxy {
    /// Returns once the proxy accepts connections.
    pub fn start() -> io::Result<Self> {
        let (send, receive) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let run = move || {
            let runtime = match Builder::new_current_thread().enable_io().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(send.send(Err(error))),
            };
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
                let listener = match bound {
                    Ok((addr, listener)) => {
                        let _ = send.send(Ok(addr));
                        listener
                    }
                    Err(error) => return drop(send.send(Err(error))),
                };
                let accepting = tokio::spawn(accept(listener, theirs));
                let _ = ended.await;
                accepting.abort();
            });
            // Dropping the runtime ends the tunnels.
        };
        let thread = thread::Builder::new().name("mpflags-dev-proxy".to_owned()).spawn(run)?;
        let gone = |_| Err(io::Error::other("the proxy's thread ended"));
        let addr = receive.recv().unwrap_or_else(gone)?;
        Ok(Self { shared, addr, running: Mutex::new(Some((end, thread))) })
    }

    /// From now on, responds 407 to requests without these Basic credentials in `Proxy-Authorization`.
    pub fn require_credentials(&self, username: &str, password: &str) {
        let required = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
        self.shared.inner().authorization = Some(required);
    }

    /// From now on, connects every tunnel to this address, whatever its request names.
    pub fn route_to(&self, target: SocketAddr) {
        self.shared.inner().target = Some(target);
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:port`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests received, including refused ones: `CONNECT host:port`, as sent. Each is recorded before the proxy
    /// responds.
    pub fn requests(&self) -> Vec<String> {
        self.shared.inner().requests.clone()
    }

    /// Closes the port and the tunnels. Clients are refused once this returns. Stopping twice has no effect.
    pub fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some((end, thread)) = running {
            drop(end);
            // If it panicked, it has ended as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // It fails only if there are no file descriptors left.
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Errors are the client's or the target's.
            let _ = serve(client, &shared).await;
        });
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (head, early) = read_head(&mut client).await?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split_whitespace();
    let (method, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let sent = lines.filter_map(|line| line.split_once(':'));
    let sent = sent.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let sent = sent.map(|(_, value)| value.trim()).next();
    let (refused, target) = {
        let mut inner = shared.inner();
        inner.requests.push(format!("{method} {name}"));
        (inner.authorization.is_some() && inner.authorization.as_deref() != sent, inner.target)
    };
    if refused {
        let why = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"mpflags-dev\"";
        return refuse(&mut client, why).await;
    }
    if method != "CONNECT" {
        return refuse(&mut client, "405 Method Not Allowed\r\nAllow: CONNECT").await;
    }
    let Some(target) = target.or_else(|| loopback(name)) else {
        return refuse(&mut client, "403 Forbidden").await;
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        return refuse(&mut client, "502 Bad Gateway").await;
    };
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    server.write_all(&early).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The head, and the bytes already received after it.
async fn read_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            return Ok((bytes, early));
        }
        if client.read_buf(&mut bytes).await? == 0 || bytes.len() > MOST_HEAD_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(response.as_bytes()).await?;
    client.shutdown().await
}

fn loopback(name: &str) -> Option<SocketAddr> {
    let name = match name.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => name.to_owned(),
    };
    name.parse().ok().filter(|addr: &SocketAddr| addr.ip().is_loopback())
}
