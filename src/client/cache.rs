//! The definitions cache: a file to start from when Mixpanel cannot be reached.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use crate::config::Config;
use crate::engine::bucket::Hash;

/// The first line of every file. A file of another format is ignored and replaced.
const FORMAT: &str = "mpflags definitions 1";

/// The file for one list of hosts and one token. Its name is a hash, so that it reveals neither.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
}

/// The contents of a cache file.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Cache {
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let directory = config.definitions_cache_dir.as_ref()?;
        let project = config.service_account.as_ref().map_or("", |account| &account.project_id);
        let hosts = config.api_host.iter().fold(Hash::new(), |name, host| name.with(host.base()).with("\n"));
        let name = hosts.with(&config.token).with("\n").with(project).state();
        Some(Cache { path: directory.join(format!("mpflags-{name:016x}.definitions")) })
    }

    /// Reads the file; None if there is none. The error says why a file is ignored.
    pub(crate) fn read(&self, limit: u64) -> Result<Option<Cached>, String> {
        let ignored =
            |problem: &dyn std::fmt::Display| format!("{}: {problem}; it is ignored", self.path.display());
        match fs::symlink_metadata(&self.path) {
            Ok(meta) if !meta.is_file() => return Err(ignored(&"it is not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        check_folder(&self.path).map_err(|e| ignored(&e))?;
        let mut file = match open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ignored(&error)),
        };
        let meta = file.metadata().map_err(|e| ignored(&e))?;
        // Another user who can write the file could decide which variants this program serves.
        #[cfg(unix)]
        {
            let own = own_user(Path::new("/proc/self"), &self.path)
                .map_err(|e| ignored(&format_args!("the user of this process cannot be determined: {e}")))?;
            if meta.uid() != own {
                return Err(ignored(&"it belongs to another user"));
            }
        }
        if !meta.is_file() || meta.len() > limit + 4096 {
            return Err(ignored(&"it is not a definitions file"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        (&mut file).take(limit + 4096).read_to_end(&mut bytes).map_err(|e| ignored(&e))?;
        decode(&bytes).map(Some).ok_or_else(|| ignored(&"it is damaged or of another format"))
    }

    /// Replaces the file atomically: writes a temporary file beside it, then renames that.
    pub(crate) fn write(&self, etag: Option<&str>, body: &[u8]) -> io::Result<()> {
        create_folder(&self.path)?;
        check_folder(&self.path)?;
        let temporary = temporary(&self.path);
        let written = write_new(&temporary, etag, body).and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        } else {
            // What cannot be listed or removed now is tried again after the next change.
            let _ = remove_leftovers(&self.path);
        }
        written
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A file beside `path`, with a random name: two clients of one token may write at once, even with the same process id, in
/// containers.
fn temporary(path: &Path) -> PathBuf {
    let random = getrandom::u64().unwrap_or_else(|_| u64::from(process::id()));
    path.with_extension(format!("{random:016x}.tmp"))
}

/// How old a temporary file is before it is a leftover: no write takes this long.
const LEFTOVER: Duration = Duration::from_secs(600);

/// Removes the temporary files of processes that were killed while they wrote.
fn remove_leftovers(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        let random =
            name.file_stem().map(Path::new).filter(|_| name.extension().is_some_and(|ext| ext == "tmp"));
        let ours = random.is_some_and(|name| name.extension().is_some() && name.file_stem() == Some(stem));
        // After the clock was set back, a file may be younger than now; it is left for later.
        if ours && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > LEFTOVER) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Creates a folder that only this user can enter, unless it exists.
fn create_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder)
}

/// Refuses a folder that is a symbolic link of another user, who could direct what this program reads and writes. Root's links are
/// part of the system.
fn check_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let meta = fs::symlink_metadata(folder)?;
        if meta.is_symlink() && meta.uid() != 0 && meta.uid() != own_user(Path::new("/proc/self"), path)? {
            return Err(io::Error::other("the folder is a symbolic link of another user"));
        }
    }
    Ok(())
}

/// Opens the file, and nothing else that may have taken its place since it was looked at: neither follows a symbolic link nor waits
/// for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)
}

/// The user of this process: the owner of `process`, which is `/proc/self`. On macOS, which has no such file, it is the owner of
/// a file that is created beside `path` and removed.
#[cfg(unix)]
fn own_user(process: &Path, path: &Path) -> io::Result<u32> {
    if let Ok(process) = fs::metadata(process) {
        return Ok(process.uid());
    }
    let temporary = temporary(path);
    let owner = create_new(&temporary).and_then(|file| file.metadata()).map(|meta| meta.uid());
    let _ = fs::remove_file(&temporary);
    owner
}

/// Creates a file that only this user can read.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Elsewhere the folder's access rights apply.
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path)
}

fn write_new(path: &Path, etag: Option<&str>, body: &[u8]) -> io::Result<()> {
    // If a crash left a temporary file of this name behind, create_new would fail.
    let _ = fs::remove_file(path);
    let mut file = create_new(path)?;
    encode(&mut file, etag, body)?;
    file.sync_all()
}

pub(super) fn encode(file: &mut impl Write, etag: Option<&str>, body: &[u8]) -> io::Result<()> {
    let etag = etag.unwrap_or("").replace(['\n', '\r'], "");
    file.write_all(head(&etag, body).as_bytes())?;
    file.write_all(body)
}

/// The lines before the body.
fn head(etag: &str, body: &[u8]) -> String {
    let checksum = Hash::new().with(etag).with_bytes(body).state();
    format!("{FORMAT}\n{} {checksum:016x} {etag}\n", body.len())
}

/// What [`encode`] wrote; `None` for any other bytes.
pub(super) fn decode(bytes: &[u8]) -> Option<Cached> {
    let rest = bytes.strip_prefix(FORMAT.as_bytes())?.strip_prefix(b"\n")?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, body) = (std::str::from_utf8(rest.get(..end)?).ok()?, rest.get(end + 1..)?);
    let etag = line.splitn(3, ' ').nth(2)?;
    let whole = bytes.strip_suffix(body)? == head(etag, body).as_bytes();
    whole.then(|| Cached { etag: (!etag.is_empty()).then(|| etag.to_owned()), body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_one_other_byte_is_damaged() {
        let mut file = Vec::new();
        encode(&mut file, Some("\"e1\""), br#"{"flags": []}"#).unwrap();
        let cached = decode(&file).unwrap();
        assert_eq!((cached.etag.as_deref(), &*cached.body), (Some("\"e1\""), &br#"{"flags": []}"#[..]));
        for at in 0..file.len() {
            for change in 1..=255 {
                file[at] ^= change;
                assert!(decode(&file).is_none(), "byte {at}: {}", file[at]);
                file[at] ^= change;
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_takes_the_place_of_the_file_is_not_opened() {
        let directory = std::env::temp_dir().join(format!("mpflags-open-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (file, link, pipe) = (directory.join("file"), directory.join("link"), directory.join("pipe"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());

        assert!(open(&file).is_ok());
        assert!(open(&link).is_err(), "a link was followed");
        // Without a writer, this would wait for ever.
        assert!(!open(&pipe).unwrap().metadata().unwrap().is_file());

        fs::remove_dir_all(&directory).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_owner_of_a_new_file_is_the_user_where_there_is_no_proc() {
        let directory = std::env::temp_dir().join(format!("mpflags-own-user-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (path, none) = (directory.join("mpflags-0.definitions"), directory.join("none"));

        let own = fs::metadata(&directory).unwrap().uid();
        assert_eq!(own_user(&none, &path).unwrap(), own);
        assert_eq!(own_user(&directory, &path).unwrap(), own);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "the temporary file was left behind");

        fs::remove_dir(&directory).unwrap();
        assert!(own_user(&none, &path).is_err(), "no file can be created, so the user is unknown");
    }
}
