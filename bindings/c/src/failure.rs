//! A failure on its way to the caller.

use std::borrow::Cow;

use mpflags_core::Error;

use crate::status::{mpflags_status, status_of};

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: mpflags_status,
    pub(crate) message: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: mpflags_status, message: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(status_of(error.kind()), error.to_string())
    }
}
