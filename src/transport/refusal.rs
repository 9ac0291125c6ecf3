//! Readable messages for failures of TLS. rustls's own messages are debug output of its types.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, ExtendedKeyPurpose, OtherError, PeerIncompatible};

/// A failure of TLS: the peer and the reason.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    plain_http: bool,
}

impl Refusal {
    pub(super) fn new(peer: &str, why: &str) -> Self {
        Refusal { message: format!("TLS with {peer}: {why}"), plain_http: false }
    }

    /// The peer answered TLS with plain HTTP.
    pub(super) fn plain_http(peer: &str) -> Self {
        Refusal { message: format!("{peer} speaks plain http: write http://{peer}"), plain_http: true }
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.plain_http
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "the server sent no certificate".to_owned(),
        Error::AlertReceived(alert) => alert_of_the_server(*alert),
        Error::InvalidMessage(why) => {
            format!("the server's response is not TLS ({}); is this an https port?", spaced(why))
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server supports neither TLS 1.2 nor TLS 1.3".to_owned(),
        Error::PeerIncompatible(why) => format!("the server's TLS is incompatible: {}", spaced(why)),
        Error::PeerMisbehaved(why) => format!("the server violated the TLS protocol: {}", spaced(why)),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server sent an unexpected TLS message".to_owned()
        }
        Error::DecryptError => {
            "the server's data cannot be decrypted; it may have been changed on the way".to_owned()
        }
        Error::FailedToGetCurrentTime => "the system clock cannot be read".to_owned(),
        Error::FailedToGetRandomBytes => "the system provides no random bytes".to_owned(),
        Error::General(why) => why.clone(),
        Error::Other(OtherError(why)) => spaced(why),
        other => spaced(other),
    }
}

fn certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    let why = match error {
        E::UnknownIssuer => {
            return "the server's certificate is signed by an authority that is not trusted here; \
                    the option ca_file adds one"
                .to_owned();
        }
        E::Expired => "has expired".to_owned(),
        E::ExpiredContext { time, not_after } => {
            format!("expired on {}; the clock here says {}", date(*not_after), date(*time))
        }
        E::NotValidYet => "is not valid yet".to_owned(),
        E::NotValidYetContext { time, not_before } => {
            format!("is not valid before {}; the clock here says {}", date(*not_before), date(*time))
        }
        E::NotValidForName => "is for another name".to_owned(),
        E::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.iter().map(|name| name_of(name)).collect::<Vec<_>>().as_slice() {
                [] => format!(
                    "names no host, so it is not valid for {expected}: put the name into subjectAltName, the common name is not used"
                ),
                names => format!("is not valid for {expected}, but for {}", names.join(", ")),
            }
        }
        E::Revoked => "was revoked".to_owned(),
        E::UnknownRevocationStatus | E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            "may have been revoked: the list of revoked certificates does not say, or is too old".to_owned()
        }
        E::UnhandledCriticalExtension => "has a critical extension that is not understood".to_owned(),
        E::BadEncoding => "is malformed".to_owned(),
        E::BadSignature => "has a signature that does not match its authority".to_owned(),
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "has a key or a signature of a kind that is not supported, such as SHA-1 or RSA below 2048 bits".to_owned()
        }
        E::InvalidPurpose => "is not for servers".to_owned(),
        E::InvalidPurposeContext { presented, .. } => {
            let client = presented.iter().any(|purpose| matches!(purpose, ExtendedKeyPurpose::ClientAuth));
            let but = if client { ", but for clients" } else { "" };
            format!("is not for servers{but}: its extended key usage lacks serverAuth")
        }
        E::Other(OtherError(why)) => match why.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "is an authority's own (CA:TRUE), which is trusted only if ca_file contains this very certificate".to_owned()
            }
            Some(webpki::Error::EndEntityUsedAsCa) => {
                "is signed by a certificate that is not an authority's (CA:FALSE)".to_owned()
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "is not an X.509 certificate of version 3; make a new one, with subjectAltName".to_owned()
            }
            Some(other) => format!("is refused: {}", spaced(other)),
            None => format!("is refused: {}", spaced(why)),
        },
        other => format!("is refused: {}", spaced(other)),
    };
    format!("the server's certificate {why}")
}

fn alert_of_the_server(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::HandshakeFailure => {
            ": it supports none of our ciphers, or asks for a client certificate"
        }
        AlertDescription::ProtocolVersion => ": it supports neither TLS 1.2 nor TLS 1.3",
        AlertDescription::CertificateRequired => ": it asks for a client certificate, which is not supported",
        AlertDescription::UnrecognisedName => ": it does not serve this host name",
        _ => "",
    };
    match alert.as_str() {
        Some(name) => format!("the server refused the connection, with the alert \"{}\"{why}", spaced(&name)),
        None => format!("the server refused the connection, with alert {}", u8::from(alert)),
    }
}

/// `DnsName("example.com")` → `example.com`.
fn name_of(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

/// The name of an enum's variant as words, without its fields: `CertExpired { time: … }` → `cert expired`.
fn spaced(error: &(impl fmt::Debug + ?Sized)) -> String {
    let text = format!("{error:?}");
    let name = text.trim_matches('"').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut words = String::new();
    let mut small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && small {
            words.push(' ');
        }
        small = !letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{CertRevocationListError, ContentType, HandshakeType, InvalidMessage, PeerMisbehaved};

    use super::*;

    #[test]
    fn no_debug_form_in_any_message() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000));
        let other = |why| CertificateError::Other(OtherError(Arc::new(why)));
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("api.mixpanel.com").unwrap(),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        };
        let certificates = [
            (CertificateError::UnknownIssuer, "not trusted here; the option ca_file adds one"),
            (CertificateError::Expired, "certificate has expired"),
            (
                CertificateError::ExpiredContext { time, not_after: time },
                "expired on Sun, 13 Sep 2020 12:26:40 GMT; the clock here says Sun, 13 Sep 2020 12:26:40 GMT",
            ),
            (CertificateError::NotValidYet, "not valid yet"),
            (
                CertificateError::NotValidYetContext { time, not_before: time },
                "not valid before Sun, 13 Sep 2020 12:26:40 GMT",
            ),
            (CertificateError::NotValidForName, "another name"),
            (
                name(&[]),
                "names no host, so it is not valid for api.mixpanel.com: put the name into subjectAltName",
            ),
            (
                name(&["DnsName(\"a.example\")", "IpAddress(127.0.0.1)", "DirectoryName"]),
                "not valid for api.mixpanel.com, but for a.example, 127.0.0.1, DirectoryName",
            ),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::UnknownRevocationStatus, "may have been revoked"),
            (CertificateError::UnhandledCriticalExtension, "critical extension"),
            (CertificateError::BadEncoding, "malformed"),
            (CertificateError::BadSignature, "signature that does not match its authority"),
            (
                CertificateError::UnsupportedSignatureAlgorithmContext {
                    signature_algorithm_id: vec![1, 2],
                    supported_algorithms: Vec::new(),
                },
                "of a kind that is not supported",
            ),
            (CertificateError::InvalidPurpose, "not for servers"),
            (
                CertificateError::InvalidPurposeContext {
                    required: ExtendedKeyPurpose::ServerAuth,
                    presented: vec![ExtendedKeyPurpose::ClientAuth],
                },
                "not for servers, but for clients: its extended key usage lacks serverAuth",
            ),
            (CertificateError::InvalidOcspResponse, "is refused: invalid ocsp response"),
            (
                CertificateError::ApplicationVerificationFailure,
                "is refused: application verification failure",
            ),
            (other(webpki::Error::CaUsedAsEndEntity), "only if ca_file contains this very certificate"),
            (other(webpki::Error::EndEntityUsedAsCa), "not an authority's"),
            (other(webpki::Error::UnsupportedCertVersion), "version 3"),
            (other(webpki::Error::PathLenConstraintViolated), "is refused: path len constraint violated"),
        ];
        let certificates =
            certificates.into_iter().map(|(error, says)| (Error::InvalidCertificate(error), says));
        let rest = [
            (Error::NoCertificatesPresented, "no certificate"),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "\"handshake failure\": it supports none",
            ),
            (Error::AlertReceived(AlertDescription::ProtocolVersion), "neither TLS 1.2 nor TLS 1.3"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "client certificate"),
            (Error::AlertReceived(AlertDescription::UnrecognisedName), "does not serve this host name"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "\"unknown ca\""),
            (Error::AlertReceived(AlertDescription::Unknown(222)), "with alert 222"),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), "not TLS (invalid content type)"),
            (Error::InvalidMessage(InvalidMessage::MissingData("X")), "not TLS (missing data)"),
            (Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13), "TLS 1.3"),
            (Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), "no cipher suites in common"),
            (
                Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
                "server rejected encrypted client hello",
            ),
            (
                Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments),
                "TLS protocol: too many empty fragments",
            ),
            (
                Error::InappropriateMessage {
                    expect_types: vec![ContentType::Alert],
                    got_type: ContentType::Handshake,
                },
                "unexpected TLS message",
            ),
            (
                Error::InappropriateHandshakeMessage {
                    expect_types: vec![HandshakeType::Finished],
                    got_type: HandshakeType::ClientHello,
                },
                "unexpected TLS message",
            ),
            (Error::InvalidCertRevocationList(CertRevocationListError::ParseError), "revocation list"),
            (Error::DecryptError, "decrypted"),
            (Error::EncryptError, "encrypt error"),
            (Error::UnsupportedNameType, "unsupported name type"),
            (Error::FailedToGetCurrentTime, "clock"),
            (Error::FailedToGetRandomBytes, "random bytes"),
            (Error::HandshakeNotComplete, "handshake not complete"),
            (Error::PeerSentOversizedRecord, "peer sent oversized record"),
            (Error::NoApplicationProtocol, "no application protocol"),
            (Error::BadMaxFragmentSize, "bad max fragment size"),
            (Error::Other(OtherError(Arc::new(webpki::Error::BadDer))), "bad der"),
        ];
        for (error, says) in certificates.chain(rest) {
            let text = words(&error);
            assert!(text.contains(says), "{error:?}: {text}");
            for mark in ["{", "::", "Error", "Other", "Context", "Name(", "Address("] {
                assert!(!text.contains(mark), "{error:?}: {text}");
            }
        }
    }
}
