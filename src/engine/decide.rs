//! Decides which variant a user gets: a pure function of the definitions, a flag's key and a context.

use std::sync::Arc;

use crate::engine::bucket::{Hash, Subject};
use crate::engine::context::{ReadContext, Unusable};
use crate::engine::definitions::{Admits, Choice, Condition, Entry, Flag, Rollout, chosen};
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, TARGETING_KEY};
use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::reason::Reason;

/// Receives each step of an evaluation. `()` ignores them at no cost.
pub(crate) trait Trace {
    fn flag(&mut self, flag: &Flag);
    fn subject(&mut self, key: &str, text: &str);
    fn tester(&mut self);
    /// A rollout was tried: `admitted` is whether its percentage admits the subject, `taken` whether its rule
    /// matches as well.
    fn rollout(
        &mut self,
        index: usize,
        rollout: &Rollout,
        hash: &mut FlagHash<'_>,
        admitted: bool,
        taken: bool,
    );
    fn choice(&mut self, flag: &Flag, choice: &Choice, hash: &mut FlagHash<'_>);
}

impl Trace for () {
    fn flag(&mut self, _: &Flag) {}
    fn subject(&mut self, _: &str, _: &str) {}
    fn tester(&mut self) {}
    fn rollout(&mut self, _: usize, _: &Rollout, _: &mut FlagHash<'_>, _: bool, _: bool) {}
    fn choice(&mut self, _: &Flag, _: &Choice, _: &mut FlagHash<'_>) {}
}

/// Which variant of the flag the user in `context` gets.
pub(crate) fn decide<'a>(
    entry: &'a Entry,
    context: &impl ReadContext,
    trace: &mut impl Trace,
) -> Outcome<'a> {
    let (flag, serial) = match entry {
        Entry::Malformed(why) => return Outcome::Malformed(why),
        Entry::Flag { flag, serial } => (flag, *serial),
    };
    trace.flag(flag);
    if !flag.enabled {
        return Outcome::Disabled;
    }
    if let Some(unusable) = context.unusable().iter().find(|unusable| reads(flag, unusable)) {
        return Outcome::InvalidContext(unusable.message());
    }
    let Some(subject) = context.subject(&flag.context) else {
        return Outcome::MissingContextKey {
            key: &flag.context,
            only_targeting_key: context.subject(TARGETING_KEY).is_some(),
        };
    };
    trace.subject(&flag.context, subject.text());
    // Whether a rule was tried: if no rollout is taken, it did not match.
    let mut tried = false;
    match assign(flag, serial, subject, context, trace, &mut tried) {
        Some(assignment) => Outcome::Variant(assignment),
        None => Outcome::NoRolloutMatch { no_properties: tried && context.properties().is_none() },
    }
}

fn assign<'a>(
    flag: &'a Arc<Flag>,
    serial: u64,
    subject: Subject<'_>,
    context: &impl ReadContext,
    trace: &mut impl Trace,
    tried: &mut bool,
) -> Option<Assignment<'a>> {
    if let Some(index) = tester(flag, context) {
        trace.tester();
        let variant = flag.variants.get(index)?;
        let reason = Reason::TargetingMatch;
        return Some(Assignment { flag, serial, variant, index, reason, is_qa_tester: true });
    }
    let mut hash = FlagHash::new(subject, &flag.key);
    let (_, rollout) = flag.rollouts.iter().enumerate().find(|(at, rollout)| {
        let admitted = match rollout.admits {
            Admits::All => true,
            Admits::None => false,
            Admits::Below(percentage) => hash.get().with(&rollout.salt).bucket() < percentage,
        };
        *tried |= admitted && rollout.condition.is_some();
        let taken = admitted && rollout.condition.as_ref().is_none_or(|condition| holds(condition, context));
        trace.rollout(*at, rollout, &mut hash, admitted, taken);
        taken
    })?;
    trace.choice(flag, &rollout.choice, &mut hash);
    let index = match &rollout.choice {
        Choice::Fixed(index) => *index,
        Choice::Split(sums) => chosen(sums, hash.get().with(&flag.variant_salt).hundredth()),
    };
    let variant = flag.variants.get(index)?;
    Some(Assignment { flag, serial, variant, index, reason: rollout.reason, is_qa_tester: false })
}

/// Whether `flag` may read `unusable` for some user.
#[cold]
fn reads(flag: &Flag, unusable: &Unusable) -> bool {
    let key = unusable.key();
    let by_rule = || {
        let mut conditions = flag.rollouts.iter().filter_map(|rollout| rollout.condition.as_ref());
        conditions.any(|condition| condition.reads(unusable.within()))
    };
    key == &*flag.context
        || (key == DISTINCT_ID && !flag.testers.is_empty())
        || (key == CUSTOM_PROPERTIES && by_rule())
}

fn tester(flag: &Flag, context: &impl ReadContext) -> Option<usize> {
    if flag.testers.is_empty() {
        return None;
    }
    let tester = context.tester()?;
    let at = flag.testers.binary_search_by(|(name, _)| name.as_ref().cmp(tester)).ok()?;
    flag.testers.get(at).map(|(_, index)| *index)
}

fn holds(condition: &Condition, context: &impl ReadContext) -> bool {
    let Some(properties) = context.properties() else { return false };
    match condition {
        Condition::Rule(rule) => rule.matches(&properties),
        Condition::Legacy(legacy) => legacy.matches(&properties),
    }
}

/// The hash of the subject and the flag's key, computed for the first salt. Many flags need none.
pub(crate) struct FlagHash<'a> {
    subject: Subject<'a>,
    key: &'a str,
    state: Option<Hash>,
}

impl<'a> FlagHash<'a> {
    fn new(subject: Subject<'a>, key: &'a str) -> Self {
        FlagHash { subject, key, state: None }
    }

    /// The flag's key, which every salt begins with.
    pub(crate) fn key(&self) -> &str {
        self.key
    }

    pub(crate) fn get(&mut self) -> Hash {
        *self.state.get_or_insert_with(|| self.subject.hash().with(self.key))
    }
}
