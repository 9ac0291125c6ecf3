//! The provider vectors, and the options and the server that the setup of one needs.

use mpflags_dev::{Fault, Kind, Options, Server};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::support::document;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    config: Map<String, Value>,
    flags: Box<RawValue>,
    #[serde(default)]
    setup: Option<String>,
    pub(crate) key: String,
    pub(crate) r#type: String,
    pub(crate) default: Value,
    #[serde(default)]
    pub(crate) targeting_key: Option<String>,
    pub(crate) attributes: Map<String, Value>,
    #[serde(default)]
    pub(crate) nan_attribute: Option<String>,
    pub(crate) want: Want,
    pub(crate) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Want {
    pub(crate) value: Value,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) error_code: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) message_has: Vec<String>,
    #[serde(default)]
    pub(crate) variant: Option<String>,
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
}

/// What a case needs before its flag is read.
pub(crate) struct Setup {
    /// The options besides `token` and `mode`.
    pub(crate) options: Map<String, Value>,
    pub(crate) remote: bool,
    /// Whether the client is started, and whether it then becomes ready.
    pub(crate) started: bool,
    pub(crate) ready: bool,
    pub(crate) server: Option<Server>,
}

pub(crate) fn setup(case: &Case) -> Setup {
    let mut options = case.config.clone();
    // There is no server to report to.
    options.insert("report_exposures".to_owned(), json!(false));
    let serve = |path: &str, status: u16| {
        let server = Server::start(Options::default()).unwrap();
        server.set_faults(vec![Fault { status: Some(status), ..Fault::new(path, Kind::Status) }]).unwrap();
        Some(server)
    };
    let (remote, started, ready, server) = match case.setup.as_deref() {
        None => {
            let definitions = serde_json::from_str(&document(&case.flags)).unwrap();
            options.insert("definitions".to_owned(), definitions);
            options.insert("enable_polling".to_owned(), json!(false));
            (false, true, true, None)
        }
        Some("not_started") => (false, false, false, None),
        Some("refused") => (false, true, false, serve("/flags/definitions", 401)),
        Some("unanswered") => (true, true, true, serve("/flags", 500)),
        Some(other) => panic!("unknown setup `{other}`"),
    };
    if let Some(server) = &server {
        options.insert("api_host".to_owned(), json!(server.url()));
    }
    Setup { options, remote, started, ready, server }
}
