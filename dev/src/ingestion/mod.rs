//! Takes events and profile updates out of a request's body, and checks each record as Mixpanel does.

mod payload;
mod profile;
mod record;
mod rejection;
mod scalar;

pub(crate) use payload::{Payload, values};
use profile::Owner;
pub(crate) use profile::operation;
pub(crate) use rejection::Checked;
pub use rejection::Rejection;

use serde::Serialize;

/// The most records that Mixpanel accepts in a request.
pub(crate) const MOST_RECORDS: usize = 2_000;
/// The largest JSON that it accepts in a request, in decoded bytes.
pub(crate) const MOST_BYTES: usize = 10 << 20;
/// The largest JSON of a record, in bytes.
const MOST_RECORD_BYTES: usize = 1 << 20;

/// An endpoint that receives records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/track`: events, authenticated by a token.
    #[serde(rename = "/track")]
    Track,
    /// `/import`: events, authenticated by Basic credentials.
    #[serde(rename = "/import")]
    Import,
    /// `/engage`: profile updates, authenticated by a token.
    #[serde(rename = "/engage")]
    Engage,
    /// `/groups`: updates of groups' profiles, authenticated by a token.
    #[serde(rename = "/groups")]
    Groups,
}

/// Checks each record of a JSON array, or a single object. Fails if `json` is neither.
pub(crate) fn check(
    endpoint: Endpoint,
    json: &[u8],
    token: Option<&str>,
) -> Result<Vec<Checked>, serde_json::Error> {
    let mut checked = match endpoint {
        Endpoint::Track => record::each(json, |record| record.check_track(token)),
        Endpoint::Import => {
            let now = record::now();
            record::each(json, |record| record.check_import(now))
        }
        Endpoint::Engage => updates(Owner::User, json, token),
        Endpoint::Groups => updates(Owner::Group, json, token),
    }?;
    if json.len() > MOST_RECORD_BYTES {
        for (checked, record) in checked.iter_mut().zip(payload::split(json)?) {
            if record.get().len() > MOST_RECORD_BYTES {
                *checked = Err(Rejection::new("record", "must be smaller than 1MB"));
            }
        }
    }
    Ok(checked)
}

fn updates(owner: Owner, json: &[u8], token: Option<&str>) -> Result<Vec<Checked>, serde_json::Error> {
    Ok(payload::split(json)?.into_iter().map(|update| profile::check(owner, update, token)).collect())
}
