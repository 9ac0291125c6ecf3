//! https, with certificates generated at startup: a CA, and a leaf that is valid or has a chosen defect.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// The names of a good certificate. The last two are for clients that reach the server through a
/// [`Proxy`](crate::Proxy), under a name that is not loopback.
const NAMES: [&str; 5] = ["localhost", "127.0.0.1", "::1", "mixpanel.test", "*.mixpanel.test"];

/// The certificate that the port serves https with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// Signed by the server's CA, for localhost, 127.0.0.1, ::1, mixpanel.test and *.mixpanel.test.
    Good,
    /// Like `Good`, but it expired at the end of 2020.
    Expired,
    /// Signed by the CA, for wrong.mixpanel.invalid only.
    WrongName,
    /// For the right names, but signed by itself and not by the CA.
    SelfSigned,
}

/// The server's TLS configuration, and the certificate that clients have to trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

impl Identity {
    pub(crate) fn new(tls: Tls) -> io::Result<Self> {
        let (ca_pem, leaf, key) = certificates(tls).map_err(io::Error::other)?;
        Self::of(ca_pem, vec![leaf], PrivateKeyDer::from(key))
    }

    /// From PEM files: the chain, starting with the server's certificate, and its key.
    pub(crate) fn read(chain: &Path, key: &Path) -> io::Result<Self> {
        let named = |file: &Path, error: &dyn std::fmt::Display| {
            io::Error::other(format!("{}: {error}", file.display()))
        };
        let pem = fs::read_to_string(chain).map_err(|e| named(chain, &e))?;
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|e| named(chain, &e))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| named(key, &e))?;
        Self::of(pem, certificates, private)
    }

    fn of(
        ca_pem: String,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> io::Result<Self> {
        let provider = ring::default_provider();
        // `with_single_cert` would parse the certificate, and cannot parse version 1.
        let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

fn certificates(tls: Tls) -> Result<(String, CertificateDer<'static>, KeyPair), rcgen::Error> {
    let mut ca = named("mpflags-dev CA", &[])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    let names: &[&str] = if tls == Tls::WrongName { &["wrong.mixpanel.invalid"] } else { &NAMES };
    let mut leaf = named("mpflags-dev", names)?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python uses OpenSSL's strict checks, which require it.
    leaf.use_authority_key_identifier_extension = true;
    if tls == Tls::Expired {
        leaf.not_after = date_time_ymd(2020, 12, 31);
    }
    let key = KeyPair::generate()?;
    let leaf = match tls {
        Tls::SelfSigned => leaf.self_signed(&key)?,
        Tls::Good | Tls::Expired | Tls::WrongName => leaf.signed_by(&key, &ca)?,
    };
    Ok((ca.pem(), leaf.der().clone(), key))
}

fn named(name: &str, subjects: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let subjects: Vec<String> = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let mut params = CertificateParams::new(subjects)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
