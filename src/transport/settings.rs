//! The settings of all requests to one host, decided when the client is made. The environment is read here and never again.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::proxy::proxy;
use super::punctual::Punctual;
use super::resolver::OneLookup;
use super::roots::Roots;
use super::tls::Tls;
use crate::config::Config;
use crate::config::endpoint::Endpoint;
use crate::error::Error;

/// The name look-up and the connect may take this long each, within the request's time limit.
const CONNECT: Duration = Duration::from_secs(3);

pub(super) struct Settings {
    pub(super) base: String,
    /// `host:port`.
    pub(super) authority: String,
    /// `host:port`, and the proxy if there is one: where a connection failed.
    pub(super) peer: String,
    /// `host:port` and the path of `base`: where a response is from.
    pub(super) place: String,
    /// The options to check if there is no connection.
    pub(super) check: &'static str,
    pub(super) authorization: String,
    pub(super) query: String,
    /// `&project_id=…`, with a service account.
    pub(super) project: String,
    user_agent: String,
    proxy: Option<Proxy>,
    /// None if neither the host nor the proxy is https.
    roots: Option<Arc<Roots>>,
}

impl Settings {
    /// `roots`: those of the hosts before, to be shared. Parts of the environment that are ignored because they cannot be read are
    /// added to `warnings`.
    pub(super) fn new(
        config: &Config,
        host: &Endpoint,
        roots: &mut Option<Arc<Roots>>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let mut user_agent = concat!("mpflags/", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(wrapper) = &config.wrapper {
            let _ = write!(user_agent, " {wrapper}");
        }
        let proxy = proxy(config, host, warnings)?;
        let secure = host.is_secure() || proxy.as_ref().is_some_and(|p| p.protocol() == ProxyProtocol::Https);
        if secure && roots.is_none() {
            *roots = Some(Arc::new(Roots::new(config.ca_file.as_deref())?));
        }
        let authority = host.authority();
        Ok(Settings {
            base: host.base().to_owned(),
            peer: match &proxy {
                None => authority.clone(),
                Some(proxy) => format!("{authority} through the proxy {}:{}", proxy.host(), proxy.port()),
            },
            place: format!("{authority}{}", host.path()),
            check: if proxy.is_some() { "the option proxy, and HTTPS_PROXY" } else { "api_host" },
            authority,
            authorization: authorization(config),
            query: query(config),
            project: project(config),
            user_agent,
            proxy,
            roots: roots.clone().filter(|_| secure),
        })
    }

    pub(super) fn agent(&self, lookup: &OneLookup) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Following a redirect would send the credentials wherever it points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(self.user_agent.as_str())
            .accept_encoding("gzip")
            .proxy(self.proxy.clone())
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .build();
        let tls = Tls::new(self.roots.as_ref().map(|roots| roots.get()));
        let sockets = ();
        #[cfg(fuzzing)]
        let sockets = sockets.chain(super::memory::Memory);
        let sockets = sockets.chain(ConnectProxyConnector::default()).chain(TcpConnector::default());
        let connector = sockets.chain(Punctual).chain(tls);
        Agent::with_parts(config, connector, lookup.clone())
    }
}

fn authorization(config: &Config) -> String {
    let pair = match &config.service_account {
        Some(account) => format!("{}:{}", account.username, account.secret),
        None => format!("{}:", config.token),
    };
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn query(config: &Config) -> String {
    let mut query = format!("mp_lib=mpflags&lib_version={}", env!("CARGO_PKG_VERSION"));
    if config.token_in_query {
        let _ = write!(query, "&token={}", percent_encoded(&config.token));
    }
    query + &project(config)
}

fn project(config: &Config) -> String {
    let account = config.service_account.as_ref();
    account
        .map_or_else(String::new, |account| format!("&project_id={}", percent_encoded(&account.project_id)))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
