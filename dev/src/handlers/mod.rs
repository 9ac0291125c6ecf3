//! Mixpanel's endpoints, one module each.

mod definitions;
mod flags;
mod ingestion;
mod ofrep;

use hyper::StatusCode;

use crate::call::Call;
use crate::faults::Fault;
use crate::ingestion::Endpoint;
use crate::response::Response;
use crate::world::World;

/// Does what a healthy server does, as far as the request's fault lets it, and returns its response.
pub(crate) fn respond(world: &World, call: &Call, fault: Option<&Fault>) -> Response {
    match call.path.as_str() {
        "/flags/definitions" => definitions::respond(world, call),
        "/flags" => flags::respond(world, call),
        "/track" => ingestion::respond(world, call, fault, Endpoint::Track),
        "/import" => ingestion::respond(world, call, fault, Endpoint::Import),
        "/engage" => ingestion::respond(world, call, fault, Endpoint::Engage),
        "/groups" => ingestion::respond(world, call, fault, Endpoint::Groups),
        path if path == ofrep::PATH
            || path.strip_prefix(ofrep::PATH).is_some_and(|rest| rest.starts_with('/')) =>
        {
            ofrep::respond(world, call)
        }
        path => Response::error(StatusCode::NOT_FOUND, &format!("No such path: {path}")),
    }
}

/// Whether the bodies sent to this path are events.
pub(crate) fn takes_events(path: &str) -> bool {
    matches!(path, "/track" | "/import" | "/engage" | "/groups")
}
