//! A compiled flag: everything that depends on the definition alone is decided when it is loaded.

use std::sync::Arc;

use crate::engine::bucket::fraction;
use crate::engine::exposure::{Experiment, Exposure};
use crate::engine::reason::Reason;
use crate::engine::rules::{Legacy, Properties, Rule};
use crate::engine::variant::Variant;

#[derive(Debug, PartialEq)]
pub(crate) struct Flag {
    pub(crate) key: Arc<str>,
    /// The context key whose value is bucketed.
    pub(crate) context: Box<str>,
    /// Whether `status` is neither disabled nor archived.
    pub(crate) enabled: bool,
    /// In order of key, by code point.
    pub(crate) variants: Box<[Variant]>,
    /// `distinct_id` → index of the variant, sorted. Entries that name no variant are left out: they have no
    /// effect.
    pub(crate) testers: Box<[(Box<str>, usize)]>,
    pub(crate) rollouts: Box<[Rollout]>,
    /// The salt of the split after the flag's key.
    pub(crate) variant_salt: Box<str>,
    pub(crate) experiment: Experiment<Box<str>>,
    /// The properties that the rules of all rollouts read.
    pub(crate) properties: Properties,
    /// The members of its metadata that are the same for every user, as JSON without the braces.
    pub(crate) metadata: Box<str>,
    /// What the flag uses that cannot be checked here.
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

/// An entry of `ruleset.rollout`.
#[derive(Debug, PartialEq)]
pub(crate) struct Rollout {
    /// The salt after the flag's key.
    pub(crate) salt: Box<str>,
    pub(crate) admits: Admits,
    pub(crate) condition: Option<Condition>,
    pub(crate) choice: Choice,
    /// The reason of an evaluation that this rollout decides.
    pub(crate) reason: Reason,
}

/// Which buckets a rollout admits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Admits {
    All,
    None,
    /// Buckets strictly below this.
    Below(f64),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Condition {
    Rule(Rule),
    Legacy(Legacy),
}

impl Condition {
    pub(super) fn properties(&self) -> &Properties {
        match self {
            Condition::Rule(rule) => rule.properties(),
            Condition::Legacy(legacy) => legacy.properties(),
        }
    }

    /// Whether it may read what is at `path` of the properties.
    pub(crate) fn reads(&self, path: &[Box<str>]) -> bool {
        match self {
            Condition::Rule(rule) => rule.reads(path),
            Condition::Legacy(legacy) => legacy.reads(path),
        }
    }
}

/// Which variant a rollout gives.
#[derive(Debug, PartialEq)]
pub(crate) enum Choice {
    /// The same for every bucket.
    Fixed(usize),
    /// For each variant, the sum of the splits up to and including its own.
    Split(Box<[f64]>),
}

/// The first variant whose sum exceeds the bucket, or else the last.
pub(crate) fn chosen(sums: &[f64], hundredth: u8) -> usize {
    let bucket = fraction(hundredth);
    sums.iter().position(|sum| bucket < *sum).unwrap_or(sums.len().saturating_sub(1))
}

/// What a flag uses that this library does not know or cannot check.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsupported {
    /// The names of operators and fields.
    pub(crate) names: Box<[Box<str>]>,
}
