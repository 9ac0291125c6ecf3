//! The JSON of a request: the body itself, or the `data` of a form, plain or in base64.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::Call;

const FORM: &str = "application/x-www-form-urlencoded";
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The JSON and the parameters of a request.
pub(crate) struct Payload {
    /// The JSON, or why there is none.
    pub(crate) json: Result<Bytes, &'static str>,
    /// The form's other fields: Mixpanel's own Python library sends `verbose` there.
    form: BTreeMap<String, String>,
}

impl Payload {
    pub(crate) fn read(call: &Call) -> Self {
        let kind = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        let mut form = BTreeMap::new();
        if is_form {
            let fields = form_urlencoded::parse(&call.body);
            form.extend(fields.map(|(name, value)| (name.into_owned(), value.into_owned())));
        }
        let json = if call.method == Method::GET || is_form {
            from_text(form.remove("data").or_else(|| call.query.get("data").cloned()).unwrap_or_default())
        } else {
            Ok(call.body.clone())
        };
        let is_empty = json.as_ref().is_ok_and(|json| json.trim_ascii().is_empty());
        Self { json: if is_empty { Err("data, missing or empty") } else { json }, form }
    }

    /// A parameter from the query or the form.
    pub(crate) fn parameter<'a>(&'a self, call: &'a Call, name: &str) -> Option<&'a str> {
        call.query.get(name).or_else(|| self.form.get(name)).map(String::as_str)
    }
}

fn from_text(data: String) -> Result<Bytes, &'static str> {
    let text = data.trim();
    if text.is_empty() || text.starts_with(['[', '{']) {
        return Ok(Bytes::from(data));
    }
    // In a form, an unescaped `+` reads as a space.
    let decoded = LENIENT.decode(text.replace(' ', "+"));
    decoded.map(Bytes::from).map_err(|_| "data, neither JSON nor base64")
}

/// The records, unparsed.
pub(super) fn split(json: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(json)
    } else {
        Ok(vec![serde_json::from_slice(json)?])
    }
}

/// The records as values. One that `serde_json::Value` cannot represent becomes a string of its JSON.
pub(crate) fn values(json: &[u8]) -> Vec<Value> {
    let value = |raw: &RawValue| {
        serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::String(raw.get().to_owned()))
    };
    split(json).unwrap_or_default().into_iter().map(value).collect()
}
