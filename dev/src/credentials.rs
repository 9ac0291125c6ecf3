//! Who may ask: Mixpanel's two kinds of Basic credentials.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;

use crate::answer::Answer;
use crate::handlers::Call;

/// A Mixpanel service account.
#[derive(Clone)]
pub struct ServiceAccount {
    /// The user name.
    pub username: String,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What is asked of a request. Nothing given, nothing asked.
pub(crate) struct Credentials {
    token: Option<String>,
    by_token: Option<String>,
    by_account: Option<String>,
    project_id: Option<String>,
}

impl Credentials {
    pub(crate) fn new(
        token: Option<String>,
        account: Option<ServiceAccount>,
        project_id: Option<String>,
    ) -> Self {
        let basic =
            |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
        Self {
            by_token: token.as_ref().map(|token| basic(token, "")),
            by_account: account.map(|account| basic(&account.username, &account.secret)),
            token,
            project_id,
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The refusal of a request for flags, if there is one.
    pub(crate) fn refuse(&self, call: &Call) -> Option<Answer> {
        let why = self.fault(call, true)?;
        Some(Answer::error(StatusCode::UNAUTHORIZED, why))
    }

    /// The refusal of `/import`, which asks for no token in the query.
    pub(crate) fn refuse_import(&self, call: &Call) -> Option<&'static str> {
        self.fault(call, false)
    }

    /// What is wrong. The texts never repeat what was sent.
    fn fault(&self, call: &Call, token_in_query: bool) -> Option<&'static str> {
        let sent = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let is = |wanted: &Option<String>| wanted.is_some() && wanted.as_deref() == sent;
        if (self.by_token.is_some() || self.by_account.is_some())
            && !is(&self.by_token)
            && !is(&self.by_account)
        {
            return Some(if sent.is_some() { "Invalid credentials" } else { "Missing credentials" });
        }
        if token_in_query && self.token.is_some() && self.token.as_ref() != call.query.get("token") {
            return Some("Invalid token");
        }
        // A token names its project by itself.
        let by_account = is(&self.by_account) || self.by_token.is_none();
        if by_account && self.project_id.is_some() && self.project_id.as_ref() != call.query.get("project_id")
        {
            return Some("Invalid project_id");
        }
        None
    }
}
