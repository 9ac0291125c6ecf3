//! TLS for ureq, whose own connector does not accept a verifier: `ca_file` may contain a server's own certificate, trust
//! anchors are kept instead of whole certificates, and errors are readable.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SigningKey;
use rustls::{CertificateError, ClientConfig, ClientConnection, OtherError, RootCertStore};
use rustls::{DigitallySignedStruct, SignatureScheme, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::refusal::{Refusal, words};

/// The certificates that are trusted.
pub(super) struct Trusted {
    /// The authorities.
    pub(super) anchors: RootCertStore,
    /// The certificates of `ca_file`: each may also be a server's own.
    pub(super) own: Vec<CertificateDer<'static>>,
}

/// Adds TLS to connections whose URL says https, to Mixpanel or to a proxy.
pub(super) struct Tls {
    /// One per agent, because its session cache has a lock that the child of a fork must not inherit. None if nothing is
    /// https.
    config: Option<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl Tls {
    pub(super) fn new(trusted: Option<Arc<Trusted>>) -> Self {
        Tls { config: trusted.map(config) }
    }
}

fn config(trusted: Arc<Trusted>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    let verifier = Verifier { trusted, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        // rustls calls any custom verifier dangerous. This one differs from its own only for certificates of `ca_file`.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Client certificates are not supported, so the code that would sign with them is not linked.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".to_owned()))
    }
}

struct Verifier {
    trusted: Arc<Trusted>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        if self.trusted.own.iter().any(|own| own == end_entity) {
            // Trusted no matter who signed it. Without any anchor, the check covers only dates and purpose.
            let no_anchors = RootCertStore::empty();
            match verify_server_cert_signed_by_trust_anchor(&certificate, &no_anchors, &[], now, algorithms) {
                Err(error) if !is_about_issuer(&error) => return Err(error),
                _ => {}
            }
        } else {
            let anchors = &self.trusted.anchors;
            verify_server_cert_signed_by_trust_anchor(&certificate, anchors, intermediates, now, algorithms)?;
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the error is allowed for a certificate that is trusted itself: an unknown issuer, or that it is an authority, as
/// `openssl req -x509` makes it. Its dates are checked before either.
fn is_about_issuer(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
            matches!(why.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Stream>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let peer = format!("{host}:{}", details.uri.port_u16().unwrap_or(443));
        let refused = |error: rustls::Error| Error::Other(Box::new(Refusal::new(&peer, &words(&error))));
        let config = self.config.clone().unwrap_or(Err(rustls::Error::UnsupportedNameType));
        let config = config.map_err(refused)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| Error::Other(Box::new(Refusal::new(&peer, "not a host name"))))?;
        let mut connection = ClientConnection::new(config, name).map_err(refused)?;
        let socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        let mut socket = Watched { socket, first: Vec::new() };
        socket.socket.set_timeout(left(details));
        if let Err(error) = connection.complete_io(&mut socket) {
            if socket.first.starts_with(b"HTTP/") {
                return Err(Error::Other(Box::new(Refusal::plain_http(&peer))));
            }
            return Err(match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let why = Refusal::new(&peer, "the connection ended during the handshake");
                    Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, why))
                }
                _ => broken(&peer, error),
            });
        }
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Stream { buffers, stream: StreamOwned::new(connection, socket), peer })))
    }
}

/// A connection, and the first bytes that the peer sent: a server without TLS answers in HTTP.
struct Watched {
    socket: TransportAdapter,
    first: Vec<u8>,
}

impl io::Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(buffer)?;
        let room = 8_usize.saturating_sub(self.first.len());
        self.first.extend(buffer.iter().take(read.min(room)));
        Ok(read)
    }
}

impl io::Write for Watched {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// The time left for connecting. `details` has the time before the name look-up.
fn left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(then), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.saturating_duration_since(then)));
    }
    timeout
}

/// TLS errors get readable messages; others stay as they are.
fn broken(peer: &str, error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => Error::Other(Box::new(Refusal::new(peer, &words(error)))),
        None => error.into(),
    }
}

pub(super) struct Stream {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, Watched>,
    /// `host:port`, for errors.
    peer: String,
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().socket.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|e| broken(&self.peer, e))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().socket.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input).map_err(|e| broken(&self.peer, e))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().socket.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}
