//! `evaluate`: a pure function of a flag set, a flag key and a context.

use std::sync::Arc;

use crate::engine::bucket::{Hash, Subject};
use crate::engine::context::{CUSTOM_PROPERTIES, Facts, Unusable};
use crate::engine::definitions::{Choice, Condition, Entry, Flag, FlagSet, Group, Rollout, chosen};
use crate::engine::identity::DISTINCT_ID;
use crate::engine::outcome::{Assignment, Outcome, Reason};

/// What is told of each step on the way to an outcome. `()` hears nothing, and costs nothing.
pub(crate) trait Trace {
    fn flag(&mut self, flag: &Flag);
    fn subject(&mut self, key: &str, text: &str);
    fn tester(&mut self);
    /// A group was asked: whether its percentage admits the subject, and then whether it is taken.
    fn group(&mut self, index: usize, group: &Group, hash: &mut Keyed<'_>, admitted: bool, taken: bool);
    fn choice(&mut self, flag: &Flag, choice: &Choice, hash: &mut Keyed<'_>);
}

impl Trace for () {
    fn flag(&mut self, _: &Flag) {}
    fn subject(&mut self, _: &str, _: &str) {}
    fn tester(&mut self) {}
    fn group(&mut self, _: usize, _: &Group, _: &mut Keyed<'_>, _: bool, _: bool) {}
    fn choice(&mut self, _: &Flag, _: &Choice, _: &mut Keyed<'_>) {}
}

/// Which variant of flag `key` the user in `facts` gets.
pub(crate) fn evaluate<'a>(
    set: &'a FlagSet,
    key: &str,
    facts: &impl Facts,
    trace: &mut impl Trace,
) -> Outcome<'a> {
    match set.get(key) {
        None => Outcome::FlagNotFound,
        Some(entry) => evaluate_entry(entry, facts, trace),
    }
}

/// The same for an entry already at hand.
pub(crate) fn evaluate_entry<'a>(
    entry: &'a Entry,
    facts: &impl Facts,
    trace: &mut impl Trace,
) -> Outcome<'a> {
    let flag = match entry {
        Entry::Malformed(why) => return Outcome::Malformed(why),
        Entry::Flag(flag) => flag,
    };
    trace.flag(flag);
    if !flag.enabled {
        return Outcome::Disabled;
    }
    if let Some(unusable) = facts.unusable().iter().find(|unusable| reads(flag, unusable)) {
        return Outcome::InvalidContext(unusable.message());
    }
    let Some(subject) = facts.subject(&flag.context) else {
        return Outcome::MissingContextKey {
            key: &flag.context,
            only_targeting_key: facts.subject("targetingKey").is_some(),
        };
    };
    trace.subject(&flag.context, subject.text());
    assign(flag, subject, facts, trace).map_or(Outcome::NoRolloutMatch, Outcome::Variant)
}

fn assign<'a>(
    flag: &'a Arc<Flag>,
    subject: Subject<'_>,
    facts: &impl Facts,
    trace: &mut impl Trace,
) -> Option<Assignment<'a>> {
    if let Some(index) = tester(flag, facts) {
        trace.tester();
        let variant = flag.variants.get(index)?;
        return Some(Assignment { flag, variant, index, reason: Reason::TargetingMatch, is_qa_tester: true });
    }
    let mut hash = Keyed::new(subject, &flag.key);
    let (_, group) = flag.groups.iter().enumerate().find(|(at, group)| {
        let admitted = match group.rollout {
            Rollout::All => true,
            Rollout::None => false,
            Rollout::Below(percentage) => hash.get().with(&group.salt).bucket() < percentage,
        };
        let taken = admitted && group.condition.as_ref().is_none_or(|condition| holds(condition, facts));
        trace.group(*at, group, &mut hash, admitted, taken);
        taken
    })?;
    trace.choice(flag, &group.choice, &mut hash);
    let index = match &group.choice {
        Choice::Fixed(index) => *index,
        Choice::Split(sums) => chosen(sums, hash.get().with(&flag.variant_salt).hundredth()),
    };
    let variant = flag.variants.get(index)?;
    Some(Assignment { flag, variant, index, reason: group.reason, is_qa_tester: false })
}

/// Whether what cannot be used is something that `flag` looks at for any user.
#[cold]
fn reads(flag: &Flag, unusable: &Unusable) -> bool {
    let key = unusable.key();
    let by_rule = || {
        let mut conditions = flag.groups.iter().filter_map(|group| group.condition.as_ref());
        conditions.any(|condition| condition.reads(unusable.within()))
    };
    key == &*flag.context
        || (key == DISTINCT_ID && !flag.testers.is_empty())
        || (key == CUSTOM_PROPERTIES && by_rule())
}

fn tester(flag: &Flag, facts: &impl Facts) -> Option<usize> {
    if flag.testers.is_empty() {
        return None;
    }
    let tester = facts.tester()?;
    let at = flag.testers.binary_search_by(|(name, _)| name.as_ref().cmp(tester)).ok()?;
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
pub(crate) struct Keyed<'a> {
    subject: Subject<'a>,
    key: &'a str,
    state: Option<Hash>,
}

impl<'a> Keyed<'a> {
    fn new(subject: Subject<'a>, key: &'a str) -> Self {
        Keyed { subject, key, state: None }
    }

    /// What every salt of the flag begins with.
    pub(crate) fn key(&self) -> &str {
        self.key
    }

    pub(crate) fn get(&mut self) -> Hash {
        *self.state.get_or_insert_with(|| self.subject.hash().with(self.key))
    }
}
