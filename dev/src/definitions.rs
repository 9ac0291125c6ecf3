//! The definitions document: from a file, from memory, or empty.

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

/// Just enough to recognise definitions: tests may put anything into the flags.
#[derive(Deserialize)]
struct Document {
    flags: Vec<IgnoredAny>,
}

pub(crate) struct Definitions {
    file: Option<PathBuf>,
    set: Mutex<Option<Bytes>>,
}

impl Definitions {
    /// Fails if the file is not definitions, so that a wrong path does not look like an empty project.
    pub(crate) fn new(file: Option<PathBuf>) -> io::Result<Self> {
        let definitions = Self { file, set: Mutex::new(None) };
        definitions.flag_count()?;
        Ok(definitions)
    }

    pub(crate) fn flag_count(&self) -> io::Result<usize> {
        let document: Document = serde_json::from_slice(&self.current()?).map_err(|error| {
            let file = self.file.as_deref().unwrap_or(Path::new("in memory"));
            let text = format!("definitions file {}: {error}", file.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        Ok(document.flags.len())
    }

    /// The current document. The file is read again for each request: it is small, and a watcher would lag behind.
    pub(crate) fn current(&self) -> io::Result<Bytes> {
        if let Some(set) = lock(&self.set).as_ref() {
            return Ok(set.clone());
        }
        match &self.file {
            Some(path) => read(path).map(Bytes::from),
            None => Ok(Bytes::from_static(EMPTY)),
        }
    }

    /// Accepts any bytes; `None` goes back to the file.
    pub(crate) fn set(&self, document: Option<Bytes>) {
        *lock(&self.set) = document;
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        io::Error::new(error.kind(), format!("definitions file {}: {error}", path.display()))
    })
}

/// A strong ETag: equal bytes have the same one, across restarts too.
pub(crate) fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}
