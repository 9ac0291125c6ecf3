//! HTTP with ureq, which only this folder names.

use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use once_cell::race::OnceBox;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use ureq::http::{self, header};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

use super::proxy::proxy;
use super::refusal::{Refusal, words};
use super::resolver::OneLookup;
use super::tls::{Tls, Trusted};
use super::{Failure, Get, Post, Response, Transport};
use crate::config::Config;
use crate::error::Error;
use crate::sys::lock::lock;
use crate::sys::sync::Mutex;

/// The name look-up and the connect may take this long each, within the request's time limit.
const CONNECT: Duration = Duration::from_secs(3);

/// Settings of all requests, decided when the client is made. The environment is read here and never again.
pub(crate) struct Settings {
    base: String,
    /// `host:port`, and the proxy if there is one: where a connection failed.
    peer: String,
    /// `host:port` and the path of `base`: where a response is from.
    place: String,
    /// The options to check if there is no connection.
    check: &'static str,
    authorization: String,
    query: String,
    /// `&project_id=…`, with a service account.
    project: String,
    user_agent: String,
    proxy: Option<Proxy>,
    /// None if neither Mixpanel nor the proxy is https.
    roots: Option<Roots>,
    /// Parts of the environment that are ignored because they cannot be read.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let mut user_agent = concat!("mpflags/", env!("CARGO_PKG_VERSION")).to_owned();
        if let Some(wrapper) = &config.wrapper {
            let _ = write!(user_agent, " {wrapper}");
        }
        let (proxy, warnings) = proxy(config)?;
        let secure = config.api_host.is_secure()
            || proxy.as_ref().is_some_and(|p| p.protocol() == ProxyProtocol::Https);
        let authority = config.api_host.authority();
        let roots = secure.then(|| Roots::new(config.ca_file.as_deref())).transpose()?;
        Ok(Settings {
            base: config.api_host.base().to_owned(),
            peer: match &proxy {
                None => authority.clone(),
                Some(proxy) => format!("{authority} through the proxy {}:{}", proxy.host(), proxy.port()),
            },
            place: format!("{authority}{}", config.api_host.path()),
            check: if proxy.is_some() { "the option proxy, and HTTPS_PROXY" } else { "api_host" },
            authorization: authorization(config),
            query: query(config),
            project: project(config),
            user_agent,
            proxy,
            roots,
            warnings,
        })
    }

    /// A transport with its own connections.
    pub(crate) fn connect(self: &Arc<Self>) -> Http {
        let lookup = OneLookup::default();
        let agent = Mutex::new(Some(self.agent(&lookup)));
        Http { settings: self.clone(), lookup, agent }
    }

    fn agent(&self, lookup: &OneLookup) -> Agent {
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
        let tls = Tls::new(self.roots.as_ref().map(Roots::get));
        let connector = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(tls);
        Agent::with_parts(config, connector, lookup.clone())
    }
}

/// The longest URI that the http crate accepts.
const URL_LIMIT: usize = 65_534;

/// The largest response to events, in bytes. Mixpanel lists failed records with some 100 bytes each.
const RESPONSE_LIMIT: u64 = 4 * 1024 * 1024;

pub(crate) struct Http {
    settings: Arc<Settings>,
    lookup: OneLookup,
    /// None after shutdown.
    agent: Mutex<Option<Agent>>,
}

impl Http {
    fn agent(&self) -> Result<Agent, Failure> {
        let agent = { lock(&self.agent).clone() };
        agent.ok_or_else(|| Failure::transient(INTERRUPTED))
    }
}

/// The message of a request that a shutdown aborted.
const INTERRUPTED: &str = "interrupted by shutdown";

impl Transport for Http {
    fn get(&self, request: &Get<'_>) -> Result<Response, Failure> {
        let mut url = format!("{}{}?{}", self.settings.base, request.path, self.settings.query);
        for (name, value) in request.parameters {
            let _ = write!(url, "&{name}={}", percent_encoded(value));
        }
        if url.len() > URL_LIMIT {
            let message =
                format!("the request's URL would have {} bytes; the limit is {URL_LIMIT}", url.len());
            return Err(Failure { too_long: true, ..Failure::lasting(message) });
        }
        let mut call = self
            .agent()?
            .get(url)
            .header(header::AUTHORIZATION, &self.settings.authorization)
            .header("traceparent", traceparent()?);
        if let Some(etag) = request.etag {
            call = call.header(header::IF_NONE_MATCH, etag);
        }
        let mut config = call.config().timeout_global(Some(request.timeout));
        if request.fresh {
            config = config.max_idle_age(Duration::ZERO);
        }
        let response = config.build().call();
        let response =
            response.map_err(|e| Failure { ended_early: ended(&e), ..self.settings.failure(&e) })?;
        self.settings.read(response, request.path, request.limit)
    }

    fn post(&self, request: &Post<'_>) -> Result<Response, Failure> {
        let project = if request.path == "/import" { self.settings.project.as_str() } else { "" };
        let url = format!("{}{}?{}{project}", self.settings.base, request.path, request.query);
        let mut call = self
            .agent()?
            .post(url)
            .header(header::AUTHORIZATION, &self.settings.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .header("traceparent", traceparent()?);
        let body = if request.compressed {
            call = call.header(header::CONTENT_ENCODING, "gzip");
            Cow::Owned(gzip(request.body)?)
        } else {
            Cow::Borrowed(request.body)
        };
        let call = call.config().timeout_global(Some(request.timeout)).build();
        let response = call.send(&*body).map_err(|e| self.settings.failure(&e))?;
        self.settings.read(response, request.path, RESPONSE_LIMIT)
    }

    fn renew(&self) {
        let old = {
            let mut agent = lock(&self.agent);
            let new = agent.is_some().then(|| self.settings.agent(&self.lookup));
            std::mem::replace(&mut *agent, new)
        };
        old.into_iter().for_each(Agent::shutdown);
    }

    fn shutdown(&self) {
        let agent = { lock(&self.agent).take() };
        agent.into_iter().for_each(Agent::shutdown);
    }
}

fn gzip(body: &[u8]) -> Result<Vec<u8>, Failure> {
    // The fastest level: a batch shrinks to a tenth at every level.
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 8), flate2::Compression::fast());
    let done = encoder.write_all(body).and_then(|()| encoder.finish());
    done.map_err(|e| Failure::lasting(format!("gzip: {e}")))
}

impl Settings {
    fn read(&self, mut response: http::Response<Body>, path: &str, limit: u64) -> Result<Response, Failure> {
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let status = response.status().as_u16();
        let (etag, retry_after) = (text(header::ETAG), text(header::RETRY_AFTER));
        let gzip = text(header::CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let mut raw = io::BufReader::new(response.body_mut().as_reader());
        let mut body = Vec::new();
        // A response without a body, such as a 304, may still say that its body is gzip.
        let gzip = gzip && !raw.fill_buf().map_err(|e| self.read_failure(e, false))?.is_empty();
        // One byte more than the limit tells a body that fits from one that does not.
        let read = if gzip {
            flate2::read::MultiGzDecoder::new(raw).take(limit + 1).read_to_end(&mut body)
        } else {
            raw.take(limit + 1).read_to_end(&mut body)
        };
        match read {
            Err(error) => Err(self.read_failure(error, gzip)),
            Ok(_) if body.len() as u64 > limit => {
                Err(Failure::lasting(self.at_peer(&format!("the response is larger than {limit} bytes"))))
            }
            Ok(_) => Ok(Response { from: format!("{}{path}", self.place), status, etag, retry_after, body }),
        }
    }

    fn at_peer(&self, what: &str) -> String {
        format!("{}: {what}", self.peer)
    }

    fn read_failure(&self, error: io::Error, gzip: bool) -> Failure {
        if gzip && matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) {
            return Failure::lasting(self.at_peer("the response is not gzip"));
        }
        // While a body is read, ureq wraps its own errors in io errors.
        self.failure(&ureq::Error::from(error))
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        let failed = |what: &str| Failure::transient(self.at_peer(what));
        let no_connection = |what: &str| failed(&format!("{what}; check {}", self.check));
        match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve) => failed("name look-up timed out"),
            ureq::Error::Timeout(ureq::Timeout::Connect) => failed("connect timed out"),
            ureq::Error::Timeout(_) => failed("timed out"),
            ureq::Error::HostNotFound => no_connection("host not found"),
            ureq::Error::Io(error) => match (error.kind(), error.get_ref()) {
                (_, Some(inner)) if inner.is::<Refusal>() => Failure::transient(inner.to_string()),
                (io::ErrorKind::ConnectionRefused, _) => no_connection("connection refused"),
                (io::ErrorKind::ConnectionReset, _) => failed("connection reset"),
                (io::ErrorKind::UnexpectedEof, _) => {
                    failed("the connection was closed before the response was complete")
                }
                // Only a shutdown causes this.
                (io::ErrorKind::NotConnected, _) => Failure::transient(INTERRUPTED),
                _ => failed(&error.to_string()),
            },
            ureq::Error::ConnectionFailed => failed("connection failed"),
            ureq::Error::Rustls(error) => failed(&format!("TLS: {}", words(error))),
            ureq::Error::Other(error) => match error.downcast_ref::<Refusal>() {
                Some(refusal) => Failure {
                    misconfigured: refusal.is_plain_http(),
                    ..Failure::transient(refusal.to_string())
                },
                None => failed(&error.to_string()),
            },
            // Without the size, which differs each time, while a failure that repeats is logged once.
            ureq::Error::LargeResponseHeader(_, limit) => {
                failed(&format!("the response's headers are larger than {limit} bytes"))
            }
            ureq::Error::BodyStalled => failed("the response is not HTTP (the size of a chunk has no end)"),
            ureq::Error::Protocol(error) => {
                let text = error.to_string();
                let hint = match self.base.split_once("://") {
                    // Later parts of a response would not be reached.
                    Some(("http", rest)) if text.starts_with("http parse fail") => {
                        format!("; if the port expects TLS, write https://{rest}")
                    }
                    _ => String::new(),
                };
                failed(&format!("the response is not HTTP ({text}){hint}"))
            }
            // The rest may quote a URL.
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
                Failure::lasting(self.at_peer("the request could not be formed"))
            }
            other => failed(&other.to_string()),
        }
    }
}

/// Whether the connection was closed, as happens to idle connections.
fn ended(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(e) if matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

fn authorization(config: &Config) -> String {
    let pair = match &config.service_account {
        Some(account) => format!("{}:{}", account.username, account.secret),
        None => format!("{}:", config.token),
    };
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn query(config: &Config) -> String {
    format!(
        "mp_lib=mpflags&lib_version={}&token={}{}",
        env!("CARGO_PKG_VERSION"),
        percent_encoded(&config.token),
        project(config)
    )
}

fn project(config: &Config) -> String {
    let account = config.service_account.as_ref();
    account
        .map_or_else(String::new, |account| format!("&project_id={}", percent_encoded(&account.project_id)))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The header of W3C's Trace Context: version, trace id, parent id, sampled.
fn traceparent() -> Result<String, Failure> {
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random).map_err(|e| Failure::lasting(format!("no random bytes: {e}")))?;
    let mut text = "00-".to_owned();
    for (i, byte) in random.iter().enumerate() {
        if i == 16 {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str("-01");
    Ok(text)
}

/// Whether the system has a store of certificates besides files, which a company's own authority is added to.
const HAS_STORE: bool = cfg!(any(target_os = "macos", windows));

/// The certificates to trust: the bundled ones, for images that have none; the system's, for a company's proxy that signs
/// with its own authority; and those of `ca_file`.
struct Roots {
    own: Vec<CertificateDer<'static>>,
    /// Where the system keeps its certificates. No path means its own store: macOS's keychain, Windows's certificate store.
    system: (Option<PathBuf>, Vec<PathBuf>),
    /// Read before the first connection: 140 files and 4 ms that a client which never connects does not pay for.
    made: OnceBox<Arc<Trusted>>,
}

impl Roots {
    fn new(ca_file: Option<&Path>) -> Result<Self, Error> {
        let mut own = Vec::new();
        if let Some(path) = ca_file {
            let broken = |e: &dyn std::fmt::Display| {
                Error::config(format!("config: ca_file: {}: {e}", path.display()))
            };
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            own = read.map_err(|e| match e {
                pem::Error::Io(_) | pem::Error::SectionTooLarge => broken(&e),
                _ => broken(&"not a PEM file: a certificate in it has no end, or is not base64"),
            })?;
            if own.is_empty() {
                return Err(broken(&"no certificate in it"));
            }
            // The system's store may contain ancient certificates, but this file was chosen for us.
            for (number, der) in (1..).zip(&own) {
                if RootCertStore::empty().add(der.clone()).is_err() {
                    return Err(broken(&format_args!("certificate {number} in it is malformed")));
                }
            }
        }
        // As in openssl, one variable replaces both places.
        let file = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let folders = env::var_os("SSL_CERT_DIR").map_or_else(Vec::new, |paths| {
            env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()).collect()
        });
        let system = if file.is_some() || !folders.is_empty() {
            (file, folders)
        } else if HAS_STORE {
            (None, Vec::new())
        } else {
            let found = openssl_probe::probe();
            (found.cert_file, found.cert_dir)
        };
        Ok(Roots { own, system, made: OnceBox::new() })
    }

    /// Takes no lock, because the process may fork meanwhile.
    fn get(&self) -> Arc<Trusted> {
        self.made.get_or_init(|| Box::new(Arc::new(self.read()))).clone()
    }

    fn read(&self) -> Trusted {
        let mut anchors = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let (file, folders) = &self.system;
        let mut folders = folders.iter();
        // If the system's store cannot be read, the bundled ones remain.
        let mut found = if HAS_STORE && file.is_none() && folders.len() == 0 {
            load_native_certs().certs
        } else {
            load_certs_from_paths(file.as_deref(), folders.next().map(PathBuf::as_path)).certs
        };
        folders.for_each(|folder| found.extend(load_certs_from_paths(None, Some(folder)).certs));
        anchors.add_parsable_certificates(found.into_iter().chain(self.own.iter().cloned()));
        Trusted { anchors, own: self.own.clone() }
    }
}
