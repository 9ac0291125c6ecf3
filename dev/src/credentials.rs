//! Who has access: Mixpanel's two kinds of Basic credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;

use crate::call::Call;
use crate::options::Options;
use crate::response::Response;

/// The credentials that requests must have. What is `None` is not required.
pub(crate) struct Credentials {
    token: Option<String>,
    header_only: bool,
    by_token: Option<String>,
    by_account: Option<String>,
    project_id: Option<String>,
}

impl Credentials {
    pub(crate) fn new(options: &Options) -> Self {
        let basic =
            |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
        let account = options.service_account.as_ref();
        Self {
            by_token: options.token.as_ref().map(|token| basic(token, "")),
            by_account: account.map(|account| basic(&account.username, &account.secret)),
            token: options.token.clone(),
            header_only: options.header_only,
            project_id: options.project_id.clone(),
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The 401 for a request for flags whose credentials are wrong.
    pub(crate) fn refuse(&self, call: &Call) -> Option<Response> {
        let wrong_token = || match call.query.get("token") {
            Some(_) if self.header_only => Some("the token is in the query"),
            sent => (self.token.is_some() && sent.is_some() && self.token.as_ref() != sent)
                .then_some("Invalid token"),
        };
        let why = self.wrong_basic(call).or_else(wrong_token).or_else(|| self.wrong_project(call))?;
        let mut refusal = Response::error(StatusCode::UNAUTHORIZED, why);
        refusal.lines.push(format!("  {why}"));
        Some(refusal)
    }

    /// What is wrong with the credentials of an `/import`. It has no token parameter, and with an account it must name a
    /// project even if the server requires none in particular.
    pub(crate) fn wrong_import(&self, call: &Call) -> Option<&'static str> {
        let unnamed = || {
            let named = call.query.get("project_id").is_some_and(|id| !id.is_empty());
            (is(&self.by_account, call) && !named).then_some("Invalid project_id")
        };
        self.wrong_basic(call).or_else(unnamed).or_else(|| self.wrong_project(call))
    }

    // These messages never repeat what was sent.

    fn wrong_basic(&self, call: &Call) -> Option<&'static str> {
        let required = self.by_token.is_some() || self.by_account.is_some();
        if !required || is(&self.by_token, call) || is(&self.by_account, call) {
            return None;
        }
        Some(if sent(call).is_some() { "Invalid credentials" } else { "Missing credentials" })
    }

    /// A token identifies its project, so nothing else has to.
    fn wrong_project(&self, call: &Call) -> Option<&'static str> {
        let required = is(&self.by_account, call) || self.by_token.is_none();
        let wrong = self.project_id.is_some() && self.project_id.as_ref() != call.query.get("project_id");
        (required && wrong).then_some("Invalid project_id")
    }
}

fn sent(call: &Call) -> Option<&str> {
    call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
}

fn is(wanted: &Option<String>, call: &Call) -> bool {
    wanted.is_some() && wanted.as_deref() == sent(call)
}
