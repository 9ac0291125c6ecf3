//! What one evaluation of a rule may cost, and why it can fail.

use std::cell::Cell;

/// Why a rule has no result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Failure {
    UnknownOperator,
    /// A `TypeError` in ECMAScript.
    NotConvertible,
    /// The budget is spent.
    Exhausted,
}

/// A rule of a few lines can double its accumulator with every element of the data. So steps and allocated
/// bytes are counted, and when either runs out the evaluation fails. Real rules use a thousandth of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Budget {
    steps: Cell<u32>,
    bytes: Cell<usize>,
}

const MAX_STEPS: u32 = 1_000_000;
const MAX_BYTES: usize = 16 << 20;
/// Reading text of this length is part of the current step. Longer text costs a step for each so many bytes.
pub(super) const FREE_BYTES: usize = 256;

impl Default for Budget {
    fn default() -> Self {
        Budget { steps: Cell::new(MAX_STEPS), bytes: Cell::new(MAX_BYTES) }
    }
}

impl Budget {
    #[inline]
    pub(super) fn spend(&self, steps: u32) -> Result<(), Failure> {
        let left = self.steps.get().checked_sub(steps).ok_or(Failure::Exhausted)?;
        self.steps.set(left);
        Ok(())
    }

    /// Pays for reading `bytes` of text.
    #[inline]
    pub(super) fn scan(&self, bytes: usize) -> Result<(), Failure> {
        if bytes <= FREE_BYTES {
            return Ok(());
        }
        self.spend(u32::try_from(bytes / FREE_BYTES).unwrap_or(u32::MAX))
    }

    /// Pays for allocating `bytes` of text or lists. Freeing them refunds nothing.
    pub(super) fn make(&self, bytes: usize) -> Result<(), Failure> {
        let left = self.bytes.get().checked_sub(bytes).ok_or(Failure::Exhausted)?;
        self.bytes.set(left);
        Ok(())
    }
}
