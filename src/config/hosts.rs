//! The option `api_host`: one base URL, or several in the order in which they are tried.

use super::endpoint::Endpoint;
use super::read::{Field, Kind};
use crate::error::Error;

/// The most hosts that may be given.
const MOST: usize = 8;

/// The hosts that requests go to. There is at least one, and none twice.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// Each with its place in the configuration, for messages.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, &Endpoint)> {
        let place = |at| if self.0.len() == 1 { "api_host".to_owned() } else { format!("api_host[{at}]") };
        self.0.iter().enumerate().map(move |(at, endpoint)| (place(at), endpoint))
    }

    /// `host:port` of all of them, for messages.
    pub(crate) fn authorities(&self) -> String {
        self.iter().map(Endpoint::authority).collect::<Vec<_>>().join(", ")
    }
}

/// A host or base URL, or several. Holds the default.
pub(crate) struct Hosts(pub(super) &'static str);

impl Kind for Hosts {
    type Value = Endpoints;

    fn read(&self, field: &Field<'_, '_>) -> Result<Endpoints, Error> {
        let one = |field: &Field<'_, '_>, expected: &str| {
            let text = field.parse::<String>(expected)?;
            Endpoint::parse(text.as_deref().unwrap_or(self.0)).map_err(|why| field.error(why))
        };
        let allowed = format!("a string, or an array of 1 to {MOST} strings");
        let Some(elements) = field.elements() else { return Ok(Endpoints(vec![one(field, &allowed)?])) };
        if elements.is_empty() || elements.len() > MOST {
            return Err(field.error(format_args!("expected {allowed}, found an array of {}", elements.len())));
        }
        let mut endpoints = Vec::with_capacity(elements.len());
        for (place, json) in elements {
            let element = field.element(&place, json);
            let endpoint = one(&element, "a string")?;
            if endpoints.contains(&endpoint) {
                return Err(element.error("given twice"));
            }
            endpoints.push(endpoint);
        }
        Ok(Endpoints(endpoints))
    }
    fn described(&self) -> (String, String) {
        let allowed =
            format!("a host, or a base URL with https:// or http://, or an array of 1 to {MOST} of them");
        (allowed, self.0.to_owned())
    }
}
