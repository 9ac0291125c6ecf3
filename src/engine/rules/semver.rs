//! Semantic versions by the official grammar, compared without allocation.

use std::cmp::Ordering;
use std::fmt;

use super::ecma;

/// Longer operands are not versions. The limit is part of the official operator.
const MAX_CHARS: usize = 256;

/// A version without its build metadata, which does not affect the order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version<S> {
    core: [S; 3],
    prerelease: Option<S>,
}

impl<'a> Version<&'a str> {
    /// Parses `v1.2`, ` 1.2.3-rc.1+build ` and the like. `None` if it is not a version.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_CHARS && text.chars().count() > MAX_CHARS {
            return None;
        }
        let text = ecma::trim(text);
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = cut(text, b'+');
        let (core, prerelease) = cut(text, b'-');
        let (major, minor) = cut(core, b'.');
        let (minor, patch) = cut(minor.unwrap_or("0"), b'.');
        // A fourth part would end up in the third, which is then not a number.
        let core = [major, minor, patch.unwrap_or("0")];
        let valid = core.iter().all(|part| is_number(part))
            && prerelease.is_none_or(|ids| ids.split('.').all(is_prerelease))
            && build.is_none_or(|ids| ids.split('.').all(is_identifier));
        valid.then_some(Version { core, prerelease })
    }

    pub(super) fn to_owned(&self) -> Version<Box<str>> {
        Version { core: self.core.map(Into::into), prerelease: self.prerelease.map(Into::into) }
    }
}

impl fmt::Display for Version<Box<str>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = &self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        self.prerelease.as_ref().map_or(Ok(()), |prerelease| write!(f, "-{prerelease}"))
    }
}

/// Versions are short: a plain scan is faster than the search of the standard library.
fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    let cut = text.bytes().position(|byte| byte == at);
    let halves = cut.and_then(|at| text.get(..at).zip(text.get(at + 1..)));
    halves.map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && is_digits(text) && (text.len() == 1 || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_prerelease(text: &str) -> bool {
    is_identifier(text) && (!is_digits(text) || is_number(text))
}

impl<S: AsRef<str>> Version<S> {
    pub(super) fn compare<T: AsRef<str>>(&self, other: &Version<T>) -> Ordering {
        let mut core = self.core.iter().zip(&other.core).map(|(a, b)| numbers(a.as_ref(), b.as_ref()));
        core.find(|order| order.is_ne()).unwrap_or_else(|| {
            match (self.prerelease.as_ref(), other.prerelease.as_ref()) {
                (None, None) => Ordering::Equal,
                // A prerelease comes before its release.
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) => prereleases(a.as_ref(), b.as_ref()),
            }
        })
    }
}

fn prereleases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => identifiers(a, b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn identifiers(a: &str, b: &str) -> Ordering {
    match (is_digits(a), is_digits(b)) {
        (true, true) => numbers(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

/// Compares digits without leading zeros. The longer number is the larger, so none is too long to compare.
fn numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_in_the_specification() {
        let order = [
            "0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0-rc.1-x",
            "v1",
            "1.2",
            "1.10",
            "1.18446744073709551616.0",
            "1.118446744073709551616.0",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                let (x, y) = (Version::parse(a).unwrap(), Version::parse(b).unwrap());
                assert_eq!(x.compare(&y.to_owned()), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_the_grammar_refuses_is_not_a_version() {
        let texts = [
            "",
            "v",
            "vv1",
            "v 1",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "01",
            "1.2.03",
            "1-",
            "1-01",
            "1-a..b",
            "1+",
            "1+a+b",
            "1-é",
            "1٢.0.0",
            "-1",
            "1,2",
            "1.2.3-\u{a0}x",
        ];
        for text in texts {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
        for text in ["\u{feff}V1\u{a0}", "1-0", "1--", "1-0a", "1-a+001", "1+-", "1.2-rc"] {
            assert!(Version::parse(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn the_cap_counts_characters_before_trimming() {
        let long = |n: usize| format!("1.0.0-{}", "a".repeat(n - 6));
        assert!(Version::parse(&long(256)).is_some());
        assert!(Version::parse(&long(257)).is_none());
        assert!(Version::parse(&format!("1{}", "\u{2003}".repeat(255))).is_some());
        assert!(Version::parse(&format!("1{}", " ".repeat(256))).is_none());
    }
}
