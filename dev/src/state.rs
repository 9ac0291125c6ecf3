//! What all connections share, and the stopping and restarting of the port.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::connection::Port;
use crate::credentials::{Credentials, ServiceAccount};
use crate::definitions::Definitions;
use crate::events::{EventLog, Events};
use crate::faults::Faults;
use crate::listener::{self, Connections, Listener};
use crate::log::Log;
use crate::remote::Remote;
use crate::tls::{Identity, Tls};

/// How a server starts. The default serves no flags on a free port and takes any credentials.
#[derive(Clone, Default)]
pub struct Options {
    /// The file with the definitions, read anew for each request. None: `{"flags":[]}`.
    pub definitions: Option<PathBuf>,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Listens on `[::1]` too, on the same port.
    pub ipv6: bool,
    /// A second port for the control API alone, which stays open while the server is stopped; 0 takes a free one.
    pub control_port: Option<u16>,
    /// The project token. Given, it is asked for in the `token` query, and `Basic base64(token:)` is let in.
    pub token: Option<String>,
    /// A service account. Given, its Basic credentials are let in.
    pub service_account: Option<ServiceAccount>,
    /// The project. Given, a request with a service account, or without any credentials asked for, must name it.
    pub project_id: Option<String>,
    /// Speaks https on the port, with this certificate; the control port stays http.
    pub tls: Option<Tls>,
    /// The same with a certificate of one's own: the files of the chain and of its key, PEM. Excludes `tls`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether events are kept or only counted.
    pub events: EventLog,
    /// Gets a text for each request that is no control call: a line with method, path and status, and a line for each
    /// of its events with name, flag, variant and `distinct_id`.
    pub lines: Option<mpsc::Sender<String>>,
}

pub(crate) struct State {
    pub(crate) log: Arc<Log>,
    pub(crate) faults: Faults,
    pub(crate) definitions: Definitions,
    pub(crate) remote: Remote,
    pub(crate) credentials: Credentials,
    pub(crate) events: Events,
    pub(crate) lines: Option<mpsc::Sender<String>>,
    pub(crate) tls: Option<Identity>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) control_addr: Option<SocketAddr>,
    main: tokio::sync::Mutex<Listener>,
    control: tokio::sync::Mutex<Option<Listener>>,
    /// Counts stops: the return that an earlier stop had planned does not happen.
    plan: Mutex<u64>,
}

impl State {
    /// Binds and listens. Runs inside the server's runtime.
    pub(crate) async fn start(options: Options) -> io::Result<Arc<Self>> {
        let definitions = Definitions::new(options.definitions)?;
        let (addrs, main) = listener::bind(options.port, options.ipv6)?;
        let (control_addr, control) = match options.control_port {
            Some(port) => {
                let (addrs, control) = listener::bind(port, false)?;
                (addrs.first().copied(), Some(control))
            }
            None => (None, None),
        };
        let state = Arc::new(Self {
            log: Arc::new(Log::new()),
            faults: Faults::default(),
            definitions,
            remote: Remote::default(),
            credentials: Credentials::new(options.token, options.service_account, options.project_id),
            tls: match options.certificate {
                Some((chain, key)) => Some(Identity::read(&chain, &key)?),
                None => options.tls.map(Identity::new).transpose()?,
            },
            events: Events::new(options.events),
            lines: options.lines,
            connections: Arc::default(),
            addrs,
            control_addr,
            main: tokio::sync::Mutex::new(main),
            control: tokio::sync::Mutex::new(control),
            plan: Mutex::new(0),
        });
        state.main.lock().await.open(&state, Port::Main, &state.addrs)?;
        if let Some(control) = state.control.lock().await.as_mut() {
            control.open(&state, Port::Control, control_addr.as_slice())?;
        }
        Ok(state)
    }

    fn new_plan(&self) -> u64 {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan += 1;
        *plan
    }

    fn is_plan(&self, number: u64) -> bool {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) == number
    }

    /// Closes the port and its connections but `keep`, and opens the port again after `back_after`. Returns when
    /// clients are refused; when `back_after` is zero, when they are let in again.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        keep: Option<u64>,
        back_after: Option<Duration>,
    ) -> io::Result<()> {
        let state = Arc::clone(self);
        // A task of its own: a client that asks for a stop and goes would leave half of one.
        let stopped = tokio::spawn(async move {
            let plan = state.new_plan();
            state.main.lock().await.close(&state.addrs).await?;
            state.connections.close(keep).await;
            match back_after {
                None => Ok(()),
                Some(Duration::ZERO) => state.listen(plan).await,
                Some(after) => {
                    let later = Arc::downgrade(&state);
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        if let Some(state) = later.upgrade() {
                            // There is nobody to tell, and hardly a reason: the port was held all the time.
                            let _ = state.listen(plan).await;
                        }
                    });
                    Ok(())
                }
            }
        });
        stopped.await.map_err(io::Error::other)?
    }

    async fn listen(self: &Arc<Self>, plan: u64) -> io::Result<()> {
        let mut main = self.main.lock().await;
        if !self.is_plan(plan) {
            return Ok(());
        }
        main.open(self, Port::Main, &self.addrs)
    }

    pub(crate) async fn is_listening(&self) -> bool {
        matches!(*self.main.lock().await, Listener::Open(_))
    }
}
