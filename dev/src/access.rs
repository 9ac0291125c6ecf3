//! Who may use the control API and the page: programs, and pages of this server. A website that the same browser has
//! open may not, even if its name suddenly resolves to this machine.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};

use crate::response::Response;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) struct Access {
    /// Required if the control port can be reached from other machines.
    token: Option<String>,
}

impl Access {
    pub(crate) fn new(host: IpAddr, token: Option<&str>) -> Self {
        Self { token: token.filter(|_| !host.is_loopback()).map(str::to_owned) }
    }

    /// The refusal of a control call or a page.
    pub(crate) fn refuse(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // HTTP/1.0 has none, and neither has a browser.
        let host = text(HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
        let forbidden = |why: &str| Some(Response::error(StatusCode::FORBIDDEN, why));
        match &self.token {
            Some(token) => {
                if !text(AUTHORIZATION).is_some_and(|sent| is_token(sent, token)) {
                    let refusal =
                        Response::error(StatusCode::UNAUTHORIZED, "Use the project token as user name");
                    let ask = HeaderValue::from_static("Basic realm=\"mpflags-dev: the token as user name\"");
                    return Some(refusal.with(WWW_AUTHENTICATE, ask));
                }
            }
            None => {
                if host.is_some_and(|host| !is_local(host)) {
                    return forbidden("Host: use localhost, or the address that mpflags-dev has printed");
                }
            }
        }
        if let Some(origin) = text(ORIGIN) {
            let own = origin.split_once("://").map(|(_, rest)| rest);
            if own.is_none() || own != host {
                return forbidden("Origin: only the server's own page may do this");
            }
        }
        // A link to the page is fine; an image, a form or a script of another site that aims at the control API is not.
        let foreign = matches!(text(FETCH_SITE), Some("cross-site" | "same-site"));
        if foreign && uri.path().starts_with("/__dev") {
            return forbidden("Sec-Fetch-Site: only the server's own page may do this");
        }
        None
    }
}

fn is_token(sent: &str, token: &str) -> bool {
    let Some(encoded) = sent.strip_prefix("Basic ") else { return false };
    let Ok(decoded) = STANDARD.decode(encoded.trim()) else { return false };
    let Ok(text) = String::from_utf8(decoded) else { return false };
    text.split_once(':').is_some_and(|(user, _)| user == token)
}

/// Whether a `Host` is an address, or a name that always means this machine. A website has another name.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split_once(']').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
        }
        None => host.split_once(':').map_or(host, |(name, _)| name).trim_end_matches('.'),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}
