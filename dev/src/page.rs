//! The page at the control port: files in the binary, without a build step.

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};

use crate::definitions::etag;
use crate::response::Response;

/// Nothing inline, nothing from elsewhere, and not in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        [$((concat!("/", $name), $kind, include_str!(concat!("page/", $name)))),*]
    };
}

const FILES: [(&str, &str, &str); 12] = files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "app.js": SCRIPT,
    "dom.js": SCRIPT,
    "api.js": SCRIPT,
    "words.js": SCRIPT,
    "flags.js": SCRIPT,
    "who.js": SCRIPT,
    "distribution.js": SCRIPT,
    "live.js": SCRIPT,
    "faults.js": SCRIPT,
};

pub(crate) fn respond(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let path = if path == "/" { "/index.html" } else { path };
    let Some((_, kind, text)) = FILES.iter().find(|(name, _, _)| *name == path) else {
        return Response::error(
            StatusCode::NOT_FOUND,
            "This is the control port: / is a page, /__dev/ the control API",
        );
    };
    if *method != Method::GET && *method != Method::HEAD {
        return Response::wrong_method("GET, HEAD");
    }
    let tag = format!("\"{}\"", etag(text.as_bytes()));
    let known = headers.get(IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == tag.as_bytes());
    let response = if known {
        Response::new(StatusCode::NOT_MODIFIED, "")
    } else {
        Response::new(StatusCode::OK, Bytes::from_static(text.as_bytes()))
    };
    let response = match HeaderValue::try_from(tag) {
        Ok(tag) => response.with(ETAG, tag),
        Err(_) => response,
    };
    response
        .with(CONTENT_TYPE, HeaderValue::from_static(kind))
        // Another version of the program may listen on the same port tomorrow.
        .with(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(RESOURCE_POLICY, HeaderValue::from_static("same-origin"))
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn it_is_small_and_has_nothing_inline() {
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 150_000, "{bytes}");
        for (name, _, text) in FILES {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "<style",
                " style=\"",
                "https://",
            ] {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
    }
}
