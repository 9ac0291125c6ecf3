//! How a question is put: the type of the value, the exposure, the time.

use std::time::Duration;

use crate::engine::variant::ValueType;

/// How to evaluate. The default wants any type, reports the exposure, and gives a remote evaluation
/// `request_timeout_ms`.
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
    /// The default.
    pub fn new() -> Self {
        EvaluateOptions::default()
    }

    /// Wants a value of this type; one of another is TYPE_MISMATCH. Defaults to [`ValueType::Any`].
    pub fn value_type(mut self, wanted: ValueType) -> Self {
        self.wanted = wanted;
        self
    }

    /// Reports no exposure. [`Client::track_exposure`](crate::Client::track_exposure) does when the variant is shown.
    pub fn without_exposure(mut self) -> Self {
        self.report = false;
        self
    }

    /// The time that a remote evaluation may take, from the look-up of the name to the last byte; zero means
    /// `request_timeout_ms`, the default. A local one waits for nothing.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = (timeout > Duration::ZERO).then_some(timeout);
        self
    }
}
