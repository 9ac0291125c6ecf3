//! An evaluation as one number, so that a binding reads the fields of each distinct evaluation once.

use std::num::NonZeroU64;

use crate::engine::outcome::{Assignment, Outcome};
use crate::engine::reason::Reason;

/// One definition of a flag, variant, reason and tester mark: evaluations with the same answer have the same
/// fields. Always odd, so that it can share a word with a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer(NonZeroU64);

/// The layout, from the lowest bit: 1, the tester mark, three bits of reason, sixteen of variant, and the
/// serial number of the definition. Reasons begin at 1: reason 0 marks results without a
/// variant.
const TESTER: u64 = 1 << 1;
const REASON: u32 = 2;
const VARIANT: u32 = 5;
const SERIAL: u32 = 21;

impl Answer {
    /// No rollout matched: the default with reason DEFAULT.
    pub const NO_MATCH: Answer = Answer::small(1);
    /// The same, since the context has no `custom_properties` for a rule to read: the evaluation has a message.
    pub const NO_PROPERTIES: Answer = Answer::small(5);
    /// The flag is disabled or archived: the default with reason DISABLED.
    pub const DISABLED: Answer = Answer::small(3);

    const fn small(number: u64) -> Answer {
        match NonZeroU64::new(number) {
            Some(number) => Answer(number),
            None => Answer(NonZeroU64::MIN),
        }
    }

    /// `None` for errors, overrides and remote evaluations, whose fields may differ each time.
    pub(crate) fn of(outcome: &Outcome<'_>) -> Option<Answer> {
        match outcome {
            Outcome::NoRolloutMatch { no_properties: false } => Some(Answer::NO_MATCH),
            Outcome::NoRolloutMatch { no_properties: true } => Some(Answer::NO_PROPERTIES),
            Outcome::Disabled => Some(Answer::DISABLED),
            Outcome::Variant(assignment) => Answer::of_assignment(assignment),
            _ => None,
        }
    }

    fn of_assignment(assignment: &Assignment<'_>) -> Option<Answer> {
        let variant = u16::try_from(assignment.index).ok()?;
        let serial = assignment.serial;
        if serial >> (63 - SERIAL) != 0 {
            return None;
        }
        let reason = match assignment.reason {
            Reason::Static => 1,
            Reason::Default => 2,
            Reason::TargetingMatch => 3,
            Reason::Split => 4,
            Reason::Disabled | Reason::Error => return None,
        };
        let tester = if assignment.is_qa_tester { TESTER } else { 0 };
        let number = serial << SERIAL | u64::from(variant) << VARIANT | reason << REASON | tester | 1;
        NonZeroU64::new(number).map(Answer)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The answer with this number, if it can be one.
    pub fn from_number(number: u64) -> Option<Answer> {
        NonZeroU64::new(number).filter(|number| number.get() % 2 == 1).map(Answer)
    }

    pub(crate) fn serial(self) -> u64 {
        self.number() >> SERIAL
    }

    pub(crate) fn variant(self) -> usize {
        (self.number() >> VARIANT) as usize & usize::from(u16::MAX)
    }

    pub(crate) fn is_qa_tester(self) -> bool {
        self.number() & TESTER != 0
    }

    pub(crate) fn reason(self) -> Option<Reason> {
        Some(match self.number() >> REASON & 0b111 {
            1 => Reason::Static,
            2 => Reason::Default,
            3 => Reason::TargetingMatch,
            4 => Reason::Split,
            _ => return None,
        })
    }
}
