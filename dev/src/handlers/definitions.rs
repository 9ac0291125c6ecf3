//! `GET /flags/definitions`.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Method, StatusCode};

use crate::call::Call;
use crate::definitions::etag;
use crate::response::{JSON, Response};
use crate::world::World;

pub(crate) fn respond(world: &World, call: &Call) -> Response {
    if call.method != Method::GET {
        return Response::wrong_method("GET");
    }
    if let Some(refusal) = world.credentials.refuse(call) {
        return refusal;
    }
    let document = world.definitions.current();
    let hash = etag(&document);
    let zipped = accepts_gzip(&call.headers).then(|| gzip(&document)).flatten();
    // A strong ETag identifies bytes, so each coding has its own. Either one matches, because the document is the same.
    let tag = if zipped.is_some() { format!("\"{hash}-gzip\"") } else { format!("\"{hash}\"") };
    let mut response = if matches(&call.headers, &hash) {
        Response::new(StatusCode::NOT_MODIFIED, "")
    } else if let Some(zipped) = zipped {
        Response::new(StatusCode::OK, zipped)
            .with(CONTENT_TYPE, JSON)
            .with(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    } else {
        Response::new(StatusCode::OK, document).with(CONTENT_TYPE, JSON)
    };
    response.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers.insert(ETAG, tag);
    }
    response
}

fn list<'a>(headers: &'a HeaderMap, name: &'a hyper::header::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    list(headers, &ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let refused =
            weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f64>().ok()) == Some(0.0);
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn matches(headers: &HeaderMap, hash: &str) -> bool {
    list(headers, &IF_NONE_MATCH).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || tag.strip_suffix("-gzip").unwrap_or(tag) == hash
    })
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
