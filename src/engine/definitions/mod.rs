//! Definitions: a document becomes a checked, sorted, compiled [`FlagSet`]. A bad flag does not affect the
//! others.

mod compile;
mod flag;
mod unsupported;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, nearest};
use crate::json::{Text, plain, sort_by_text, without_position};

pub(crate) use flag::{Admits, Choice, Condition, Flag, Rollout, Unsupported, chosen};
pub(crate) use unsupported::Warning;

/// The flags of one definitions document. Immutable.
#[derive(Debug)]
pub(crate) struct FlagSet {
    /// In order of key.
    entries: Vec<(Arc<str>, Entry)>,
    index: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    /// As in [`Report`].
    rejected: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Flag {
        flag: Arc<Flag>,
        /// Unique among all definitions in the process. A flag that is fetched unchanged keeps its number.
        serial: u64,
    },
    /// Rejected; the text names the flag and the field.
    Malformed(Arc<str>),
}

/// What there is to log and report about a document.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// A line for each rejected flag, which says whether its previous version is kept.
    pub(crate) rejected: Vec<String>,
    /// By flag: what cannot be checked locally.
    pub(crate) unchecked: Vec<(Arc<str>, Warning)>,
    /// Keys of flags that were added, changed or removed, sorted. `None` if there were no definitions before.
    pub(crate) changed: Option<Vec<String>>,
}

impl FlagSet {
    /// Reads a definitions document. A malformed flag is rejected alone, or keeps its version in `previous`.
    /// `next_serial` numbers the flags that are new or changed. Fails when the document as a whole is not
    /// `{"flags": [ … ]}`.
    pub(crate) fn parse(
        body: &[u8],
        previous: Option<&FlagSet>,
        next_serial: fn() -> u64,
    ) -> Result<(FlagSet, Report), Error> {
        let text = as_text(body);
        let mut collected =
            Collected { previous, next_serial, found: HashMap::default(), report: Report::default() };
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        (&mut deserializer)
            .deserialize_map(DocumentVisitor(&mut collected))
            .and_then(|()| deserializer.end())
            .map_err(|e| {
                Error::new(
                    ErrorKind::InvalidDefinitions,
                    format!("not a definitions document: {}", document_fault(&e)),
                )
            })?;
        Ok(collected.finish())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        let at = *self.index.get(key)?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// The key of the flag that `key` may be a misspelling of. Compares a bounded number of keys: those that sort next to it.
    pub(crate) fn nearest(&self, key: &str) -> Option<&str> {
        const COMPARED: usize = 64;
        let from = match self.entries.len() {
            0..=COMPARED => 0,
            _ => self.entries.partition_point(|(known, _)| **known < *key).saturating_sub(COMPARED / 2),
        };
        nearest(key, self.entries.iter().skip(from).take(COMPARED).map(|(known, _)| &**known))
    }

    /// The flags that use something that cannot be checked here, in order of key.
    pub(crate) fn unsupported(&self) -> impl Iterator<Item = (&str, &Unsupported)> {
        self.entries.iter().filter_map(|(key, entry)| match entry {
            Entry::Flag { flag, .. } => Some((key.as_ref(), flag.unsupported.as_deref()?)),
            Entry::Malformed(_) => None,
        })
    }

    /// A line for each flag that was rejected, sorted.
    pub(crate) fn rejected(&self) -> &[String] {
        &self.rejected
    }

    /// Every flag, including malformed ones, in order of key.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_ref(), entry))
    }
}

/// The body as text. Invalid UTF-8 becomes the escape of a lone surrogate: the JSON can still be split into
/// flags, and only the flag with the broken string is malformed.
fn as_text(body: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => {
            let mut text = String::with_capacity(body.len() + 16);
            for chunk in body.utf8_chunks() {
                text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    text.push_str("\\ud800");
                }
            }
            text.into()
        }
    }
}

struct Collected<'p> {
    previous: Option<&'p FlagSet>,
    next_serial: fn() -> u64,
    found: HashMap<Arc<str>, Entry, foldhash::fast::RandomState>,
    report: Report,
}

impl Collected<'_> {
    fn add(&mut self, position: usize, json: &str) {
        match compile::flag(json) {
            Ok((flag, unchecked)) => {
                let (key, entry) = (flag.key.clone(), self.entry(flag));
                self.report.unchecked.extend(unchecked.into_iter().map(|warning| (key.clone(), warning)));
                // If two flags have the same key, the later one counts.
                self.found.insert(key, entry);
            }
            Err(fault) => match wire::key_of_broken_flag(json) {
                Some(key) => {
                    let why: Arc<str> = format!("flag `{key}`: {fault}").into();
                    self.found.insert(key.into(), Entry::Malformed(why));
                }
                None => self.report.rejected.push(format!("flags[{position}]: {fault}; it is ignored")),
            },
        }
    }

    /// An unchanged flag is shared with the previous set, so a poll that changes one flag allocates one flag.
    fn entry(&self, flag: Flag) -> Entry {
        match self.previous.and_then(|set| set.get(&flag.key)) {
            Some(held @ Entry::Flag { flag: known, .. }) if **known == flag => held.clone(),
            _ => Entry::Flag { flag: Arc::new(flag), serial: (self.next_serial)() },
        }
    }

    fn finish(mut self) -> (FlagSet, Report) {
        let mut entries: Vec<(Arc<str>, Entry)> = self.found.drain().collect();
        sort_by_text(&mut entries, |(key, _)| key);
        for (key, entry) in &mut entries {
            let Entry::Malformed(why) = entry else { continue };
            match self.previous.and_then(|set| set.get(key)) {
                Some(held @ Entry::Flag { .. }) => {
                    self.report.rejected.push(format!("{why}; its last good version stays in service"));
                    *entry = held.clone();
                }
                _ => self.report.rejected.push(format!("{why}; it is ignored")),
            }
        }
        sort_by_text(&mut self.report.rejected, |line| line);
        let index = entries.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)).collect();
        let set = FlagSet { entries, index, rejected: self.report.rejected.clone() };
        if let Some(previous) = self.previous {
            self.report.changed = Some(set.differences(previous));
        }
        (set, self.report)
    }
}

impl FlagSet {
    fn differences(&self, previous: &FlagSet) -> Vec<String> {
        let mut keys: Vec<String> = self
            .entries
            .iter()
            .filter(|(key, entry)| previous.get(key) != Some(entry))
            .map(|(key, _)| key.to_string())
            .chain(
                previous
                    .entries
                    .iter()
                    .filter(|(key, _)| self.get(key).is_none())
                    .map(|(key, _)| key.to_string()),
            )
            .collect();
        sort_by_text(&mut keys, |key| key);
        keys
    }
}

struct DocumentVisitor<'c, 'p>(&'c mut Collected<'p>);

impl<'de> Visitor<'de> for DocumentVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `flags`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(Text(field)) = map.next_key()? {
            if field != "flags" {
                map.next_value::<IgnoredAny>()?;
            } else if seen {
                return Err(serde::de::Error::duplicate_field("flags"));
            } else {
                seen = true;
                map.next_value_seed(FlagsSeed(self.0))?;
            }
        }
        if seen { Ok(()) } else { Err(serde::de::Error::missing_field("flags")) }
    }
}

struct FlagsSeed<'c, 'p>(&'c mut Collected<'p>);

impl<'de> DeserializeSeed<'de> for FlagsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FlagsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of flags")
    }

    // Flags are split off as text first, which decodes nothing and has no depth limit, so a broken flag does
    // not affect others.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(json) = seq.next_element::<&RawValue>()? {
            self.0.add(position, json.get());
            position += 1;
        }
        Ok(())
    }
}

/// Why the document cannot be read. `flags` is missing from the document as a whole, so its position is left
/// out.
fn document_fault(error: &serde_json::Error) -> String {
    let text = without_position(error);
    if text.ends_with(": required") { text } else { plain(error) }
}
