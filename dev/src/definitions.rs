//! The definitions document: from a file, from memory, or empty.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;

use crate::document;
use crate::lock::lock;

const EMPTY: &[u8] = b"{\"flags\":[]}\n";

pub(crate) struct Definitions {
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Served instead of the file.
    set: Option<Bytes>,
    /// The last contents of the file that were definitions.
    good: Option<Bytes>,
    /// Why the file is not served as it is now.
    trouble: Option<String>,
}

impl Definitions {
    /// Fails if the file is not definitions, so that a wrong path does not look like an empty project.
    pub(crate) fn new(file: Option<PathBuf>) -> io::Result<Self> {
        let definitions = Self { file, inner: Mutex::default() };
        if let Some(path) = &definitions.file {
            let document = read(path)?;
            document::flags(&document).map_err(|error| {
                let text = format!("definitions file {}: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            lock(&definitions.inner).good = Some(Bytes::from(document));
        }
        Ok(definitions)
    }

    pub(crate) fn flag_count(&self) -> io::Result<usize> {
        let flags = document::flags(&self.current()).map(|flags| flags.len());
        flags.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("definitions: {error}")))
    }

    /// The current document. The file is read again for each request: it is small, and a watcher would lag behind. While
    /// it is not definitions, because an editor has written half of it, its last good contents are served.
    pub(crate) fn current(&self) -> Bytes {
        if let Some(set) = &lock(&self.inner).set {
            return set.clone();
        }
        let Some(path) = &self.file else { return Bytes::from_static(EMPTY) };
        let document = read(path);
        let mut inner = lock(&self.inner);
        let good = inner.good.clone().unwrap_or_default();
        let trouble = match document {
            Ok(document) if document == good => None,
            Ok(document) => match document::flags(&document).map(drop) {
                Ok(()) => {
                    inner.trouble = None;
                    let document = Bytes::from(document);
                    inner.good = Some(document.clone());
                    return document;
                }
                Err(error) => Some(format!("definitions file {}: {error}", path.display())),
            },
            Err(error) => Some(error.to_string()),
        };
        inner.trouble = trouble;
        good
    }

    /// Why the file is not served as it is, when it was last read.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.inner).trouble.clone()
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether a document in memory is served instead of the file.
    pub(crate) fn is_set(&self) -> bool {
        lock(&self.inner).set.is_some()
    }

    /// Accepts any bytes; `None` goes back to the file.
    pub(crate) fn set(&self, document: Option<Bytes>) {
        lock(&self.inner).set = document;
    }

    /// Replaces the document with an edited one, made from the current one by `edit`. Another edit waits meanwhile.
    pub(crate) fn edit(&self, edit: impl FnOnce(&[u8]) -> Result<String, String>) -> Result<(), String> {
        let current = self.current();
        let edited = Bytes::from(edit(&current)?);
        let mut inner = lock(&self.inner);
        let now = inner.set.clone().or_else(|| inner.good.clone()).unwrap_or(Bytes::from_static(EMPTY));
        if now != current {
            return Err("the definitions have changed meanwhile: try again".to_owned());
        }
        inner.set = Some(edited);
        Ok(())
    }

    /// Writes the document in memory to the file, and serves the file again.
    pub(crate) fn save(&self) -> Result<(), String> {
        let path = self.file.as_deref().ok_or("there is no file: start with --definitions FILE")?;
        let Some(document) = lock(&self.inner).set.clone() else { return Ok(()) };
        document::flags(&document)
            .map_err(|error| format!("not saved, because it is not definitions: {error}"))?;
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        // A link, and the owner of the file, stay as they are. A reader of half a file keeps the last good one.
        fs::write(path, &document).map_err(failed)?;
        let mut inner = lock(&self.inner);
        if inner.set.as_ref() == Some(&document) {
            inner.set = None;
        }
        inner.good = Some(document);
        inner.trouble = None;
        Ok(())
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
