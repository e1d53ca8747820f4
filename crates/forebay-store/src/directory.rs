//! The state directory: one process at a time owns it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use forebay_config::{FilePath, Settings};
use thiserror::Error;

/// Name of the lock file; it holds the owner's process id for people to read.
const LOCK_FILE: &str = "lock";

/// Where state is kept.
#[derive(Clone, Debug, Settings)]
pub struct StateSettings {
    /// Directory for everything that must survive a restart; made when it does not exist. One process owns it.
    #[setting(default = ".forebay", restart)]
    pub directory: FilePath,
}

/// A directory that is this process's alone until dropped.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    // The kernel releases the lock with the file, however the process ends.
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process owns it.
    #[error("state directory {} is held by {}", path.display(), owner(*process))]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who holds it, if the lock file says so.
        process: Option<u32>,
    },
    /// It cannot be made or opened.
    #[error("state directory {} cannot be used", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn owner(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".to_owned(), |process| format!("process {process}"))
}

impl StateError {
    /// What a person can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            StateError::Held { .. } => "stop the other Forebay, or give this one another `[state] directory`",
            StateError::Unusable { .. } => "make it writable, or set `[state] directory` to one that is",
        }
    }
}

impl StateDirectory {
    /// Makes the directory where needed and takes its lock, without waiting.
    pub fn open(path: &Path) -> Result<StateDirectory, StateError> {
        let unusable = |source| StateError::Unusable { path: path.to_owned(), source };
        make_private(path).map_err(unusable)?;
        let lock = path.join(LOCK_FILE);
        // Opened without truncating: until the lock is ours, what is written there is somebody else's.
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(lock).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Held { path: path.to_owned(), process: read_owner(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        write_owner(&mut file).map_err(unusable)?;
        Ok(StateDirectory { path: path.to_owned(), _lock: file })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Others have no business in it: there will be secrets.
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn read_owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_names_its_owner() {
        let scratch = std::env::temp_dir().join(format!("forebay-store-{}", std::process::id()));
        let path = scratch.join("deep/state");
        let first = StateDirectory::open(&path).unwrap();
        let error = StateDirectory::open(&path).unwrap_err();
        assert!(
            error.to_string().ends_with(&format!("is held by process {}", std::process::id())),
            "{error}"
        );
        drop(first);
        let again = StateDirectory::open(&path).unwrap();
        assert_eq!(again.path(), path);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_reported() {
        let error = StateDirectory::open(Path::new("/dev/null/state")).unwrap_err();
        assert!(matches!(error, StateError::Unusable { .. }));
    }
}
