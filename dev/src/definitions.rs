//! The document that is served, and where it comes from.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lock::lock;

const EMPTY: &[u8] = b"{\"flags\":[]}\n";

/// As little as tells definitions from another file: the flags may be as odd as a test wants them.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "flags")]
    _flags: Vec<IgnoredAny>,
}

pub(crate) struct Definitions {
    file: Option<PathBuf>,
    set: Mutex<Option<Bytes>>,
}

impl Definitions {
    /// Fails when there is a file and it holds no definitions: a typing error should not look like an empty project.
    pub(crate) fn new(file: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &file {
            let bytes = read(path)?;
            serde_json::from_slice::<Document>(&bytes).map_err(|error| {
                let text = format!("definitions file {}: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
        }
        Ok(Self { file, set: Mutex::new(None) })
    }

    /// The document of this moment. The file is read again for each request: it is small, and no watcher is as
    /// prompt.
    pub(crate) fn current(&self) -> io::Result<Bytes> {
        if let Some(set) = lock(&self.set).as_ref() {
            return Ok(set.clone());
        }
        match &self.file {
            Some(path) => read(path).map(Bytes::from),
            None => Ok(Bytes::from_static(EMPTY)),
        }
    }

    /// Any bytes go; `None` returns to the file.
    pub(crate) fn set(&self, document: Option<Bytes>) {
        *lock(&self.set) = document;
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        io::Error::new(error.kind(), format!("definitions file {}: {error}", path.display()))
    })
}

/// A strong tag, equal for equal bytes across restarts.
pub(crate) fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}
