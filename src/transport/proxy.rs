//! The proxy of a host, if any. All requests to the host take it, so it is chosen once.

use std::env;
use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use crate::config::Config;
use crate::config::endpoint::Endpoint;
use crate::error::Error;

/// The proxy of the configuration, or else of the environment, which never applies to this machine. Entries of `NO_PROXY`,
/// which applies to both, that cannot be read are added to `warnings`.
pub(super) fn proxy(
    config: &Config,
    endpoint: &Endpoint,
    warnings: &mut Vec<String>,
) -> Result<Option<Proxy>, Error> {
    let (source, text) = match config.proxy.as_deref() {
        Some("") => return Ok(None),
        Some(text) => (String::new(), text.to_owned()),
        None if endpoint.is_loopback() => return Ok(None),
        None => match variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) {
            Some((name, text)) => (format!("{name}: "), text),
            None => return Ok(None),
        },
    };
    let (host, port) = endpoint.host_and_port();
    let direct = variable(&["NO_PROXY", "no_proxy"])
        .is_some_and(|(name, list)| is_covered(name, &list, host, port, warnings));
    if direct && !source.is_empty() {
        // The variable may be meant for other programs, so it need not be valid here.
        return Ok(None);
    }
    // Not quoted: the URL may contain a password.
    let broken = |why: &str| {
        Error::config(format!("config: proxy: {source}expected a URL such as http://proxy.example:3128{why}"))
    };
    let proxy = Proxy::new(&text).map_err(|_| broken(""))?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(broken("; SOCKS proxies are not supported"));
    }
    Ok((!direct).then_some(proxy))
}

/// The first of these variables that is set and not empty.
fn variable(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        // Text that is not UTF-8 matches no rule, and is warned about like any other.
        let value = env::var_os(name)?.to_string_lossy().into_owned();
        (!value.trim().is_empty()).then_some((*name, value))
    })
}

/// Whether an entry of the list covers the host. Entries that cannot be read are ignored, with a warning.
fn is_covered(variable: &str, list: &str, host: &str, port: u16, warnings: &mut Vec<String>) -> bool {
    let mut covered = false;
    for entry in list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()) {
        match covers(entry, host, port) {
            Some(covers) => covered |= covers,
            None => {
                // An entry that is a URL by mistake may contain a password.
                let shown = entry.rsplit('@').next().unwrap_or_default();
                let shown: String = shown.chars().filter(|c| !c.is_control()).take(80).collect();
                let warning = format!(
                    "{variable}: the entry `{shown}` is ignored: expected a host name, an address, a range such as 10.0.0.0/8, or `*`"
                );
                // Several hosts look at the same list.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
    }
    covered
}

/// Whether an entry of `NO_PROXY` covers the host; None if it cannot be read. As in curl, a name covers its subdomains, with
/// or without a leading dot, and a range covers the addresses in it. Unlike in curl, a port narrows an entry, IPv6 may have
/// brackets, and `*.` is a leading dot.
fn covers(entry: &str, host: &str, port: u16) -> Option<bool> {
    if entry == "*" {
        return Some(true);
    }
    let (name, only) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            match after.strip_prefix(':') {
                Some(port) => (address.to_owned(), Some(port)),
                None => (format!("{address}{after}"), None),
            }
        }
        None => match entry.split_once(':') {
            // With two colons it is an IPv6 address.
            Some((name, port)) if !port.contains(':') => (name.to_owned(), Some(port)),
            _ => (entry.to_owned(), None),
        },
    };
    let only = only.map(|port| port.parse::<u16>().ok()).map_or(Some(None), |port| port.map(Some))?;
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    let covered = if let Some((first, bits)) = name.split_once('/') {
        is_in(address, first.parse().ok()?, bits.parse().ok()?)?
    } else if let Ok(own) = name.parse::<IpAddr>() {
        address == Some(own.to_canonical())
    } else {
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(&name);
        let name = name.strip_prefix('.').unwrap_or(name);
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let below = |at: usize| {
            host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(name))
                && (at == 0 || host.as_bytes().get(at - 1) == Some(&b'.'))
        };
        address.is_none() && host.len().checked_sub(name.len()).is_some_and(below)
    };
    Some(covered && only.is_none_or(|only| only == port))
}

/// Whether both addresses have the same first `bits`; None if addresses of that kind are shorter.
fn is_in(address: Option<IpAddr>, first: IpAddr, bits: u32) -> Option<bool> {
    let width = if first.is_ipv4() { 32 } else { 128 };
    let ignored = u32::checked_sub(width, bits)?;
    let number = |address| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    Some(address.is_some_and(|address| {
        let differ = number(address) ^ number(first);
        address.is_ipv4() == first.is_ipv4() && differ.checked_shr(ignored).unwrap_or(0) == 0
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy() {
        let table = include_str!("no_proxy.txt");
        let rows = table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let mut count = 0;
        for row in rows {
            let [list, host, want] = row.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
            let (host, port) = match host.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                    (host, port.parse().unwrap())
                }
                _ => (host, 443),
            };
            let host = host.trim_matches(['[', ']']);
            let mut warnings = Vec::new();
            let direct = is_covered("NO_PROXY", list, host, port, &mut warnings);
            let got = match (direct, warnings.is_empty()) {
                (true, true) => "direct",
                (false, true) => "proxy",
                (true, false) => "direct, warned",
                (false, false) => "proxy, warned",
            };
            assert_eq!(got, want, "{row}: {warnings:?}");
            count += 1;
        }
        assert!(count > 60, "{count}");
    }

    #[test]
    fn a_warning_names_the_entry_and_no_secret() {
        let mut warnings = Vec::new();
        assert!(!is_covered(
            "no_proxy",
            "http://user:s3cret@10.0.0.1/x ok.example",
            "h.example",
            443,
            &mut warnings
        ));
        let says = "no_proxy: the entry `10.0.0.1/x` is ignored: expected a host name, an address, a range such as 10.0.0.0/8, or `*`";
        assert_eq!(warnings, [says]);
    }
}
