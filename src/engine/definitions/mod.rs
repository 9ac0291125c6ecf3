//! Definitions: a document becomes a checked, sorted, compiled [`FlagSet`]. One bad flag is one bad flag.

mod compile;
mod unsupported;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::engine::exposure::{Experiment, Exposure};
use crate::engine::reason::Reason;
use crate::engine::rules::{Legacy, Properties, Rule};
use crate::engine::variant::Variant;
use crate::error::{Error, ErrorKind};
use crate::json::{Text, plain, without_position};

pub(crate) use compile::chosen;
pub(crate) use unsupported::Unsupported;

/// Everything that one definitions document says. Immutable; replaced whole.
#[derive(Debug)]
pub(crate) struct FlagSet {
    /// In order of key.
    entries: Vec<(Arc<str>, Entry)>,
    index: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Flag {
        flag: Arc<Flag>,
        /// Different for every definition that the process has compiled: a flag that is fetched unchanged keeps its number.
        serial: u64,
    },
    /// Kept out, and why. The text names flag and field.
    Malformed(Arc<str>),
}

/// One flag, compiled: whatever depends on the definition alone is decided here.
#[derive(Debug, PartialEq)]
pub(crate) struct Flag {
    pub(crate) key: Arc<str>,
    /// The context key whose value is bucketed.
    pub(crate) context: Box<str>,
    /// Whether `status` is neither disabled nor archived.
    pub(crate) enabled: bool,
    /// In order of key, by code point.
    pub(crate) variants: Box<[Variant]>,
    /// distinct_id → index of the variant, sorted. Names of no variant are left out: they decide nothing.
    pub(crate) testers: Box<[(Box<str>, usize)]>,
    pub(crate) groups: Box<[Group]>,
    /// What follows the key in the salt of the split.
    pub(crate) variant_salt: Box<str>,
    pub(crate) experiment: Experiment<Box<str>>,
    /// The top-level properties that the rules of all groups read.
    pub(crate) properties: Properties,
    /// What cannot be checked here.
    pub(crate) unsupported: Option<Box<Unsupported>>,
}

impl Flag {
    pub(crate) fn exposure<'a>(
        &'a self,
        variant: &'a Variant,
        is_qa_tester: bool,
        subject: u64,
    ) -> Exposure<'a> {
        Exposure {
            id: variant.id,
            subject,
            flag: &self.key,
            variant: Some(&variant.key),
            experiment: self.experiment.as_deref(),
            is_qa_tester: Some(is_qa_tester),
            fetch: None,
        }
    }
}

/// One entry of `ruleset.rollout`.
#[derive(Debug, PartialEq)]
pub(crate) struct Group {
    /// What follows the key in the salt of the rollout.
    pub(crate) salt: Box<str>,
    pub(crate) rollout: Rollout,
    pub(crate) condition: Option<Condition>,
    pub(crate) choice: Choice,
    /// Why a user who takes this group gets what it gives.
    pub(crate) reason: Reason,
}

/// Which buckets a group admits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rollout {
    All,
    None,
    /// Those strictly below.
    Below(f64),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Condition {
    Rule(Rule),
    Legacy(Legacy),
}

impl Condition {
    fn properties(&self) -> &Properties {
        match self {
            Condition::Rule(rule) => rule.properties(),
            Condition::Legacy(legacy) => legacy.properties(),
        }
    }

    /// Whether it may read what lies at `path` of the properties.
    pub(crate) fn reads(&self, path: &[Box<str>]) -> bool {
        match self {
            Condition::Rule(rule) => rule.reads(path),
            Condition::Legacy(legacy) => legacy.reads(path),
        }
    }
}

/// Which variant a group gives.
#[derive(Debug, PartialEq)]
pub(crate) enum Choice {
    /// The same one for every bucket.
    Fixed(usize),
    /// Per variant, the sum of the splits up to and including its own.
    Split(Box<[f64]>),
}

/// What a document gave besides the set.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// One line per flag that was kept out, and whether an earlier version stays in service.
    pub(crate) rejected: Vec<String>,
    /// (flag, warning): parts of a definition that cannot be checked locally.
    pub(crate) unchecked: Vec<(Arc<str>, Warning)>,
    /// Keys whose answers may differ from the previous set's, in order.
    pub(crate) changed: Vec<String>,
}

/// Something that is logged once per flag.
#[derive(Debug)]
pub(crate) struct Warning {
    /// What tells it apart from the flag's other warnings.
    pub(crate) about: Box<str>,
    pub(crate) line: String,
}

impl FlagSet {
    /// Reads a definitions document. A flag that does not fit the model is kept out alone, or stays as it is in
    /// `previous`. `next_serial` numbers the flags that are new or changed. Fails when the document as a whole is not
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

    /// The flags that use what cannot be checked here, in order of key.
    pub(crate) fn unsupported(&self) -> impl Iterator<Item = (&str, &Unsupported)> {
        self.entries.iter().filter_map(|(key, entry)| match entry {
            Entry::Flag { flag, .. } => Some((key.as_ref(), flag.unsupported.as_deref()?)),
            Entry::Malformed(_) => None,
        })
    }

    /// Every flag, the malformed ones included, in order of key.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_ref(), entry))
    }
}

/// The body as text. A byte that is no UTF-8 becomes the escape of a lone surrogate: JSON that can be split into
/// flags, and a string that cannot be decoded, so that only the flag around it is malformed.
fn as_text(body: &[u8]) -> std::borrow::Cow<'_, str> {
    match str::from_utf8(body) {
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
                // Of two flags with one key the later counts.
                self.found.insert(key, entry);
            }
            Err(fault) => match wire::key_of_broken_flag(json) {
                Some(key) => {
                    let why: Arc<str> = format!("flag `{key}`: {fault}").into();
                    self.found.insert(key.into(), Entry::Malformed(why));
                }
                None => self.report.rejected.push(format!("flags[{position}]: {fault}; it is kept out")),
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
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, entry) in &mut entries {
            let Entry::Malformed(why) = entry else { continue };
            match self.previous.and_then(|set| set.get(key)) {
                Some(held @ Entry::Flag { .. }) => {
                    self.report.rejected.push(format!("{why}; its last good version stays in service"));
                    *entry = held.clone();
                }
                _ => self.report.rejected.push(format!("{why}; it is kept out")),
            }
        }
        self.report.rejected.sort();
        let index = entries.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)).collect();
        let set = FlagSet { entries, index };
        if let Some(previous) = self.previous {
            self.report.changed = set.differences(previous);
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
        keys.sort();
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

    // A flag is split off as text first, which has no depth limit and decodes nothing: whatever is wrong inside
    // it stays inside it.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(json) = seq.next_element::<&RawValue>()? {
            self.0.add(position, json.get());
            position += 1;
        }
        Ok(())
    }
}

/// Why a document is none. What is missing is missing everywhere, so no position says where.
fn document_fault(error: &serde_json::Error) -> String {
    let text = without_position(error);
    if text.ends_with(": required") { text } else { plain(error) }
}

/// Why a flag does not fit the model: the field's path, and what is wrong with it.
fn fault(path: impl fmt::Display, problem: &impl fmt::Display) -> String {
    let (path, problem) = (path.to_string(), without_position(problem));
    let within = if path == "." { String::new() } else { path };
    if within.is_empty() {
        return problem;
    }
    // serde reports a missing field, and one that is given twice, as a fault of the object around it.
    let of_object = problem.ends_with(": required") || problem.ends_with(": given twice");
    format!("{within}{}{problem}", if of_object { "." } else { ": " })
}
