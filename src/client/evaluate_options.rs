//! Options of one evaluation.

use std::time::Duration;

use crate::engine::variant::ValueType;

/// How to evaluate a flag. By default a value of any type is returned, the exposure is reported, and a remote evaluation
/// may take `request_timeout_ms`.
///
/// ```
/// use mpflags::{EvaluateOptions, ValueType};
///
/// let options = EvaluateOptions::new().value_type(ValueType::Boolean).without_exposure();
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct EvaluateOptions {
    pub(crate) wanted: ValueType,
    pub(crate) report: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions { wanted: ValueType::Any, report: true, timeout: None }
    }
}

impl EvaluateOptions {
    /// The default options.
    pub fn new() -> Self {
        EvaluateOptions::default()
    }

    /// Accepts only values of this type; others result in TYPE_MISMATCH. The default is [`ValueType::Any`].
    pub fn value_type(mut self, wanted: ValueType) -> Self {
        self.wanted = wanted;
        self
    }

    /// Does not report the exposure. Report it with [`Client::track_exposure`](crate::Client::track_exposure) when the
    /// variant is shown.
    pub fn without_exposure(mut self) -> Self {
        self.report = false;
        self
    }

    /// Limits the time of a remote evaluation, from the name look-up to the last byte of the response. Zero means
    /// `request_timeout_ms`, which is the default. A local evaluation never waits.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = (timeout > Duration::ZERO).then_some(timeout);
        self
    }
}
