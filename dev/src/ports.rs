//! The ports, their connections, and the stopping and restarting of the main port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::call::Port;
use crate::listener::{self, Connections, Listener};
use crate::lock::lock;
use crate::log::Seat;
use crate::options::Options;
use crate::socket::Socket;
use crate::tls::Identity;
use crate::world::World;

/// An open connection, with what its requests may reach.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) world: Arc<World>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) id: u64,
    pub(crate) port: Port,
}

/// Serves a connection to its end. It is passed in, because requests can close the port that they came in on: ports know
/// nothing of requests, so that requests may know the ports.
pub(crate) type Serve = fn(Connection) -> Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Ports {
    world: Arc<World>,
    serve: Serve,
    pub(crate) tls: Option<Identity>,
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) control_addr: Option<SocketAddr>,
    main: tokio::sync::Mutex<Listener>,
    connections: Arc<Connections>,
    /// Counts stops. A stop cancels the restart that an earlier one has planned.
    stops: Mutex<u64>,
}

impl Ports {
    /// Binds and listens. Runs inside the server's runtime.
    pub(crate) async fn open(options: &Options, world: Arc<World>, serve: Serve) -> io::Result<Arc<Self>> {
        let tls = match &options.certificate {
            Some((chain, key)) => Some(Identity::read(chain, key)?),
            None => options.tls.map(Identity::new).transpose()?,
        };
        let (addrs, main) = listener::bind(options.host, options.port, options.ipv6)?;
        let control =
            options.control_port.map(|port| listener::bind(options.host, port, false)).transpose()?;
        let ports = Arc::new(Self {
            world,
            serve,
            tls,
            addrs,
            control_addr: control.as_ref().and_then(|(addrs, _)| addrs.first().copied()),
            main: tokio::sync::Mutex::new(main),
            connections: Arc::default(),
            stops: Mutex::new(0),
        });
        ports.main.lock().await.open(&ports.addrs, ports.accept(Port::Main))?;
        if let Some((addrs, mut control)) = control {
            // It listens until the runtime ends.
            control.open(&addrs, ports.accept(Port::Control))?;
        }
        Ok(ports)
    }

    fn accept(self: &Arc<Self>, port: Port) -> impl Fn(TcpStream) + Clone + Send + 'static {
        let ports = Arc::downgrade(self);
        move |stream| {
            let Some(ports) = ports.upgrade() else { return };
            let tls = match port {
                Port::Main => ports.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
                Port::Control => None,
            };
            let Ok(socket) = Socket::new(stream, tls, Seat::new(&ports.world.log)) else { return };
            let (connections, serve) = (Arc::clone(&ports.connections), ports.serve);
            let (world, socket) = (Arc::clone(&ports.world), Arc::new(socket));
            connections.spawn(port, |id| serve(Connection { world, ports, socket, id, port }));
        }
    }

    /// Closes the main port and its connections except `keep`, and opens it again after `back_after`. Returns when
    /// clients are refused; if `back_after` is zero, when they are accepted again.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        keep: Option<u64>,
        back_after: Option<Duration>,
    ) -> io::Result<()> {
        let ports = Arc::clone(self);
        // In a task, because a client that requests a stop and disconnects would otherwise leave it half done.
        let stopped = tokio::spawn(async move {
            let stop = {
                let mut stops = lock(&ports.stops);
                *stops += 1;
                *stops
            };
            ports.main.lock().await.close(&ports.addrs).await?;
            ports.connections.close(keep).await;
            match back_after {
                None => Ok(()),
                Some(Duration::ZERO) => ports.listen(stop).await,
                Some(after) => {
                    let later = Arc::downgrade(&ports);
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        if let Some(ports) = later.upgrade() {
                            // Nobody waits for the result, and the port was held all the time.
                            let _ = ports.listen(stop).await;
                        }
                    });
                    Ok(())
                }
            }
        });
        stopped.await.map_err(io::Error::other)?
    }

    async fn listen(self: &Arc<Self>, stop: u64) -> io::Result<()> {
        let mut main = self.main.lock().await;
        if *lock(&self.stops) != stop {
            return Ok(());
        }
        main.open(&self.addrs, self.accept(Port::Main))
    }

    pub(crate) async fn is_listening(&self) -> bool {
        matches!(*self.main.lock().await, Listener::Open(_))
    }
}
