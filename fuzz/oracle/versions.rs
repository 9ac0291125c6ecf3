//! `semver_compare`, by the crate `semver`.

use std::cmp::Ordering;

use super::json_logic::trimmed;

/// The version in a text. `None` if there is none.
pub(crate) fn version(text: &str) -> Option<semver::Version> {
    if text.chars().count() > 256 {
        return None;
    }
    let text = trimmed(text);
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let missing = match core.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    semver::Version::parse(&format!("{core}{missing}{rest}")).ok()
}

pub(crate) fn order(a: &str, b: &str) -> Option<Ordering> {
    Some(version(a)?.cmp_precedence(&version(b)?))
}

/// Whether the crate, which has numbers of 64 bits, can read the version if it is one.
pub(crate) fn is_small(text: &str) -> bool {
    !text.as_bytes().split(|b| !b.is_ascii_digit()).any(|digits| digits.len() > 19)
}
