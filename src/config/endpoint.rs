//! The option `api_host` as a base URL.

use std::net::IpAddr;

/// A base URL without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    base: Box<str>,
    secure: bool,
    loopback: bool,
}

impl Endpoint {
    /// Parses a host or a base URL. Without a scheme it is https.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (secure, rest) = match text.split_once("://") {
            None => (true, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err("expected https:// or http://, or a host alone".to_owned()),
        };
        let rest = rest.trim_end_matches('/');
        if rest.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err("a host must be ASCII without white space; write other names in punycode".to_owned());
        }
        if rest.contains(['?', '#', '@', '\\', '"', '<', '>']) {
            return Err("expected a host or a base URL, without credentials, query or fragment".to_owned());
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = host(authority)?;
        let loopback = is_loopback(host);
        let scheme = if secure { "https" } else { "http" };
        Ok(Endpoint { base: format!("{scheme}://{rest}").into_boxed_str(), secure, loopback })
    }

    /// The URL without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, without the brackets of an IPv6 address, and the port.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        let authority = self.base.split('/').nth(2).unwrap_or_default();
        let host = host(authority).unwrap_or_default();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches(']').parse().ok());
        let given = authority.len() > host.len() + if authority.starts_with('[') { 2 } else { 0 };
        let usual = if self.secure { 443 } else { 80 };
        (host, port.filter(|_| given).unwrap_or(usual))
    }

    /// `host:port`, also if the port is the usual one: for messages.
    pub(crate) fn authority(&self) -> String {
        let (host, port) = self.host_and_port();
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The path that every request's path is appended to; empty unless the option has one.
    pub(crate) fn path(&self) -> &str {
        let authority = self.base.split_once("://").map_or("", |(_, rest)| rest);
        authority.find('/').and_then(|at| authority.get(at..)).unwrap_or_default()
    }

    /// Whether the host is this machine. The proxy of the environment does not apply then.
    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host(authority: &str) -> Result<&str, String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("expected `]` after an IPv6 address")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("expected an IPv6 address between `[` and `]`".to_owned());
            }
            (host, after.strip_prefix(':').or((!after.is_empty()).then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("expected a host".to_owned());
    }
    match port {
        Some(port) if !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_err() => {
            Err("expected a port from 0 to 65535 after the host".to_owned())
        }
        _ => Ok(host),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
