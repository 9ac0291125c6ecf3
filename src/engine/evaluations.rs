//! The evaluations of every flag for one context.

use crate::engine::evaluation::Evaluation;
use crate::engine::exposure::ShownTo;
use crate::engine::outcome::Outcome;
use crate::engine::reason::ErrorCode;
use crate::engine::variant::{FlagValue, ValueType};

/// The evaluations of all flags for one context, in order of key. Owns its data.
#[derive(Clone, Debug)]
pub struct Evaluations {
    items: Vec<Evaluation>,
    wanted: ValueType,
    failure: Option<(ErrorCode, String)>,
}

impl Evaluations {
    pub(crate) fn new(wanted: ValueType) -> Self {
        Evaluations { items: Vec::new(), wanted, failure: None }
    }

    /// Sets the evaluations of all flags, in order of key.
    pub(crate) fn set<'o>(
        &mut self,
        outcomes: impl ExactSizeIterator<Item = (&'o str, Outcome<'o>, ShownTo<'o>)>,
    ) {
        self.items = Evaluation::all(outcomes, self.wanted);
    }

    /// Replaces or adds the flag's evaluation by an override.
    pub(crate) fn replace(&mut self, key: &str, value: &FlagValue) {
        let evaluation = Evaluation::new(key, &Outcome::Override(value), self.wanted, ShownTo::default());
        match self.items.binary_search_by(|item| item.key().cmp(key)) {
            Ok(at) => {
                if let Some(item) = self.items.get_mut(at) {
                    *item = evaluation;
                }
            }
            Err(at) => self.items.insert(at, evaluation),
        }
    }

    pub(crate) fn fail(&mut self, outcome: &Outcome<'_>) {
        let (_, code) = outcome.verdict(self.wanted);
        self.failure =
            code.map(|code| (code, outcome.message("", self.wanted).unwrap_or_default().into_owned()));
    }

    /// The evaluation of flag `key`, if there is one.
    pub fn get(&self, key: &str) -> Option<&Evaluation> {
        let at = self.items.binary_search_by(|item| item.key().cmp(key)).ok()?;
        self.items.get(at)
    }

    /// All evaluations, in order of key.
    pub fn as_slice(&self) -> &[Evaluation] {
        &self.items
    }

    /// Why only overrides are included: the error code and message. `None` if all went well.
    pub fn failure(&self) -> Option<(ErrorCode, &str)> {
        self.failure.as_ref().map(|(code, message)| (*code, message.as_str()))
    }
}

impl IntoIterator for Evaluations {
    type Item = Evaluation;
    type IntoIter = std::vec::IntoIter<Evaluation>;

    /// All evaluations, in order of key.
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}
