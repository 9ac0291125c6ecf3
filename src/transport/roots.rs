//! The certificates to trust.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::race::OnceBox;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use super::tls::Trusted;
use crate::error::Error;

/// Whether the system has a store of certificates besides files, which a company's own authority is added to.
const HAS_STORE: bool = cfg!(any(target_os = "macos", windows));

/// The certificates to trust: the bundled ones, for images that have none; the system's, for a company's proxy that signs
/// with its own authority; and those of `ca_file`.
pub(super) struct Roots {
    own: Vec<CertificateDer<'static>>,
    /// Where the system keeps its certificates. No path means its own store: macOS's keychain, Windows's certificate store.
    system: (Option<PathBuf>, Vec<PathBuf>),
    /// Read before the first connection: 140 files and 4 ms that a client which never connects does not pay for.
    made: OnceBox<Arc<Trusted>>,
}

impl Roots {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, Error> {
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
    pub(super) fn get(&self) -> Arc<Trusted> {
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
