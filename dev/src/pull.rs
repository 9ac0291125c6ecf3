//! Fetches the definitions of a real project once, with the core's own client.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mpflags::{Client, Config};
use serde_json::{Map, Value, json};

/// Where a project's definitions are, and the credentials.
#[derive(Clone, Default)]
pub(crate) struct Project {
    pub(crate) token: String,
    /// User name, secret and project id.
    pub(crate) service_account: Option<(String, String, String)>,
    pub(crate) api_host: Option<String>,
    pub(crate) ca_file: Option<String>,
}

/// The longest wait, retries included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The document as the server sent it. `folder` is empty, and is used for the client's cache, which has the whole document.
pub(crate) fn pull(project: &Project, folder: &Path) -> Result<String, String> {
    let mut config = Map::new();
    config.insert("token".to_owned(), json!(project.token));
    config.insert("report_exposures".to_owned(), json!(false));
    config.insert("definitions_cache_dir".to_owned(), json!(folder.to_string_lossy()));
    if let Some((username, secret, id)) = &project.service_account {
        let account = json!({ "username": username, "secret": secret, "project_id": id });
        config.insert("service_account".to_owned(), account);
    }
    for (name, value) in [("api_host", &project.api_host), ("ca_file", &project.ca_file)] {
        config.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    let config = Config::from_json(&Value::Object(config).to_string()).map_err(|error| error.to_string())?;
    let client = Client::new(config).map_err(|error| error.to_string())?;
    let fetched = client.start().and_then(|()| client.wait_ready(TIMEOUT));
    // The poller writes the cache before it ends.
    let ended = client.shutdown(Duration::from_secs(5));
    fetched.and(ended.map(drop)).map_err(|error| error.to_string())?;
    let files = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let cached = files.flatten().find_map(|file| fs::read_to_string(file.path()).ok());
    // Two lines come before the document.
    let document = cached.as_deref().and_then(|text| text.splitn(3, '\n').nth(2));
    document.map(str::to_owned).ok_or_else(|| "the definitions were fetched, but not as text".to_owned())
}
