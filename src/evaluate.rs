//! `evaluate`: a pure function of a flag set, a flag key and a context.

use std::sync::Arc;

use crate::bucket::Hash;
use crate::context::Facts;
use crate::definitions::{Choice, Condition, Entry, Flag, FlagSet, Rollout, chosen};
use crate::outcome::{Assignment, Outcome, Reason};

/// Which variant of flag `key` the user in `facts` gets.
pub(crate) fn evaluate<'a>(set: &'a FlagSet, key: &str, facts: &impl Facts) -> Outcome<'a> {
    match set.get(key) {
        None => Outcome::FlagNotFound,
        Some(entry) => evaluate_entry(entry, facts),
    }
}

/// The same for an entry already at hand.
pub(crate) fn evaluate_entry<'a>(entry: &'a Entry, facts: &impl Facts) -> Outcome<'a> {
    let flag = match entry {
        Entry::Malformed(why) => return Outcome::Malformed(why),
        Entry::Flag(flag) => flag,
    };
    if !flag.enabled {
        return Outcome::Disabled;
    }
    let Some(subject) = facts.subject(&flag.context) else {
        return Outcome::MissingContextKey {
            key: &flag.context,
            only_targeting_key: facts.subject("targetingKey").is_some(),
        };
    };
    assign(flag, subject, facts).map_or(Outcome::NoRolloutMatch, Outcome::Variant)
}

fn assign<'a>(flag: &'a Arc<Flag>, subject: &str, facts: &impl Facts) -> Option<Assignment<'a>> {
    if let Some(index) = tester(flag, facts) {
        let variant = flag.variants.get(index)?;
        return Some(Assignment { flag, variant, index, reason: Reason::TargetingMatch, is_qa_tester: true });
    }
    let mut hash = Keyed::new(subject, &flag.key);
    let group = flag.groups.iter().find(|group| {
        let admitted = match group.rollout {
            Rollout::All => true,
            Rollout::None => false,
            Rollout::Below(percentage) => hash.get().with(&group.salt).bucket() < percentage,
        };
        admitted && group.condition.as_ref().is_none_or(|condition| holds(condition, facts))
    })?;
    let index = match &group.choice {
        Choice::Fixed(index) => *index,
        Choice::Split(sums) => chosen(sums, hash.get().with(&flag.variant_salt).hundredth()),
    };
    let variant = flag.variants.get(index)?;
    Some(Assignment { flag, variant, index, reason: group.reason, is_qa_tester: false })
}

fn tester(flag: &Flag, facts: &impl Facts) -> Option<usize> {
    if flag.testers.is_empty() {
        return None;
    }
    let user = facts.user().filter(|user| user.names_tester)?;
    let at = flag.testers.binary_search_by(|(name, _)| name.as_ref().cmp(&*user.text)).ok()?;
    flag.testers.get(at).map(|(_, index)| *index)
}

fn holds(condition: &Condition, facts: &impl Facts) -> bool {
    let Some(properties) = facts.properties() else { return false };
    match condition {
        Condition::Rule(rule) => rule.matches(properties),
        Condition::Legacy(legacy) => legacy.matches(properties),
    }
}

/// The hash of subject and flag key, made when the first salt needs it: many flags never do.
struct Keyed<'a> {
    subject: &'a str,
    key: &'a str,
    state: Option<Hash>,
}

impl<'a> Keyed<'a> {
    fn new(subject: &'a str, key: &'a str) -> Self {
        Keyed { subject, key, state: None }
    }

    fn get(&mut self) -> Hash {
        *self.state.get_or_insert_with(|| Hash::new().with(self.subject).with(self.key))
    }
}
