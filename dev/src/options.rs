//! How a server starts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::mpsc;

use crate::events::EventLog;
use crate::note::Note;
use crate::tls::Tls;

/// How a server starts. By default it serves no flags, on a free port, and accepts any credentials.
#[derive(Clone)]
pub struct Options {
    /// The definitions file, read again for each request. `None` serves `{"flags":[]}`.
    pub definitions: Option<PathBuf>,
    /// The address to listen on. On any other than a loopback address there must be a `token`, which is then the user name
    /// for the control API, too.
    pub host: IpAddr,
    /// The port; 0 picks a free one.
    pub port: u16,
    /// Also listens on `[::1]`, on the same port.
    pub ipv6: bool,
    /// A second port for the control API alone, which stays open while the server is stopped; 0 picks a free one.
    pub control_port: Option<u16>,
    /// The project token. If set, `Basic base64(token:)` is accepted, and a request's parameter `token` must be this one, if it
    /// has one.
    pub token: Option<String>,
    /// Whether requests with a parameter `token` are refused, because a query ends up in access logs.
    pub header_only: bool,
    /// A service account. If set, its Basic credentials are accepted.
    pub service_account: Option<ServiceAccount>,
    /// The project. If set, requests that authenticate with a service account must name it in `project_id`, and so
    /// must all requests if there is no token.
    pub project_id: Option<String>,
    /// Serves https on the port, with this certificate; the control port stays http.
    pub tls: Option<Tls>,
    /// Serves https with a certificate from files: the chain and its key, PEM. Excludes `tls`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether events are kept or only counted.
    pub events: EventLog,
    /// Receives a text for each request except control calls: a line with method, path and status, followed by a line
    /// with name, flag, variant and `distinct_id` for each of its events.
    pub lines: Option<mpsc::Sender<String>>,
    /// Receives what changes in the definitions, and the mistakes in them. They are checked only if somebody listens.
    pub notes: Option<mpsc::Sender<Note>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            definitions: None,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            ipv6: false,
            control_port: None,
            token: None,
            header_only: false,
            service_account: None,
            project_id: None,
            tls: None,
            certificate: None,
            events: EventLog::default(),
            lines: None,
            notes: None,
        }
    }
}

/// A Mixpanel service account.
#[derive(Clone)]
pub struct ServiceAccount {
    /// The user name.
    pub username: String,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("username", &self.username).finish_non_exhaustive()
    }
}
