//! Notices that a file is not any more what was read of it. Remembers digests, of the very bytes that were read: no edit
//! comes too early to be noticed, or too soon after another, or with a date and size that stood there before.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use forebay_auth::{Digest, Source, digest};
use forebay_config::{Disk, Files};
use forebay_gateway::plan::Plan;

/// Reads the files of one configuration, and remembers what it read: the file itself, those it includes, secrets,
/// certificates. Files that were looked for and not there count too.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    seen: RefCell<BTreeMap<PathBuf, Seen>>,
}

/// What was read of a file; `None` when it could not be.
type Seen = Option<Digest>;

impl Files for Reading {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = Disk.read(path);
        if is_lasting(path) {
            let seen = read.as_ref().ok().map(|bytes| digest([&bytes[..]]));
            // Read twice and different, the first stays: it is not what stands there, so the next look tells.
            self.seen.borrow_mut().entry(path.to_owned()).or_insert(seen);
        }
        read
    }
}

impl Reading {
    /// Whether any file is not what was read of it. Reads them all: some kilobytes, and dates would not tell everything.
    pub(crate) fn is_outdated(&self) -> bool {
        let differs =
            |(path, seen): (&PathBuf, &Seen)| *seen != Disk.read(path).ok().map(|bytes| digest([&bytes[..]]));
        self.seen.borrow().iter().any(differs)
    }

    /// Leaves out what a plan that is in force keeps up to date by itself: keys and passwords change without a reload.
    pub(crate) fn leave_out_material(&self, plan: &Plan) {
        let mut seen = self.seen.borrow_mut();
        for auth in &plan.auth {
            if let Some(Source::File(path)) = auth.policy.source() {
                seen.remove(&**path);
            }
        }
    }
}

/// Whether it can be read again: a pipe gives its text once, and would hold whoever asks for more.
fn is_lasting(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |found| found.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    /// A file that goes with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            Scratch(std::env::temp_dir().join(format!("forebay-watch-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn an_edit_is_seen_however_soon_it_comes_and_whatever_date_it_has() {
        let Scratch(path) = &Scratch::new("edit");
        fs::write(path, "a = 1\n").unwrap();
        let reading = Reading::default();
        assert_eq!(reading.read(path).unwrap(), b"a = 1\n");
        assert!(!reading.is_outdated());
        let date = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, "a = 2\n").unwrap();
        File::options().append(true).open(path).unwrap().set_modified(date).unwrap();
        assert!(reading.is_outdated(), "of the same size and date");
        assert!(reading.is_outdated(), "until it is read");
        fs::write(path, "a = 1\n").unwrap();
        assert!(!reading.is_outdated());
        fs::remove_file(path).unwrap();
        assert!(reading.is_outdated());
    }

    #[test]
    fn a_file_that_changed_between_two_readings_of_it_is_outdated() {
        let Scratch(path) = &Scratch::new("twice");
        let reading = Reading::default();
        for text in ["certificate", "certificate and key"] {
            fs::write(path, text).unwrap();
            reading.read(path).unwrap();
        }
        assert!(reading.is_outdated());
    }

    #[test]
    fn a_file_that_was_missing_is_noticed_when_it_comes() {
        let Scratch(path) = &Scratch::new("missing");
        let reading = Reading::default();
        assert!(reading.read(path).is_err());
        assert!(!reading.is_outdated());
        fs::write(path, "").unwrap();
        assert!(reading.is_outdated());
    }
}
