//! How a question is put: the type of the value, the exposure, the time.

use std::time::Duration;

use crate::engine::variant::ValueType;

/// How to evaluate. The default wants any type, reports the exposure, and gives a remote evaluation
/// `request_timeout_ms`.
///
/// ```
/// use mpflags::{Ask, ValueType};
///
/// let ask = Ask::new().wanting(ValueType::Boolean).without_exposure();
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Ask {
    pub(crate) wanted: ValueType,
    pub(crate) report: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Default for Ask {
    fn default() -> Self {
        Ask { wanted: ValueType::Any, report: true, timeout: None }
    }
}

impl Ask {
    /// The default.
    pub fn new() -> Self {
        Ask::default()
    }

    /// Wants a value of this type; one of another is TYPE_MISMATCH. Defaults to [`ValueType::Any`].
    pub fn wanting(mut self, wanted: ValueType) -> Self {
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
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = (timeout > Duration::ZERO).then_some(timeout);
        self
    }
}
