//! Notices that a file is not any more what was read of it. Remembers digests, of the very bytes that were read: no edit
//! comes too early to be noticed, or too soon after another, or with a date and size that stood there before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use forebay_auth::{Digest, Source, digest};
use forebay_config::{Disk, Files};
use forebay_gateway::plan::Plan;

/// Looks in a row at which a file was found emptied until that is taken for what was meant: five seconds, and no editor,
/// copy or template takes so long between emptying a file and filling it.
const EMPTIED_LOOKS_MAX: u32 = 10;

/// Reads the files of one configuration, and remembers what it read: the file itself, those it includes, secrets,
/// certificates. Files that were looked for and could not be read count too.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    seen: RefCell<BTreeMap<PathBuf, Seen>>,
    /// Looks in a row at which a file was emptied.
    emptied_looks: Cell<u32>,
}

/// What was read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// There was no file, or none that could be read.
    Nothing,
    /// A file with nothing in it.
    Empty,
    Text(Digest),
}

impl Files for Reading {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = Disk.read(path);
        // What could not be read is waited for, whatever stands in its place.
        if is_lasting(path) || read.is_err() {
            // Read twice and different, the first stays: it is not what stands there, so the next look tells.
            self.seen.borrow_mut().entry(path.to_owned()).or_insert_with(|| Seen::of(&read));
        }
        read
    }
}

impl Reading {
    /// Whether any file is not what was read of it. Reads them all: some kilobytes, and dates would not tell everything.
    pub(crate) fn is_outdated(&self) -> bool {
        let mut is_emptied = false;
        for (path, seen) in self.seen.borrow().iter() {
            match Seen::again(path) {
                // Whoever writes a file in place empties it first: what he means is not there yet.
                Some(Seen::Empty) if matches!(seen, Seen::Text(_)) => is_emptied = true,
                Some(now) if now != *seen => return true,
                Some(_) | None => {}
            }
        }
        self.emptied_looks.set(if is_emptied { self.emptied_looks.get() + 1 } else { 0 });
        self.emptied_looks.get() > EMPTIED_LOOKS_MAX
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

impl Seen {
    fn of(read: &io::Result<Vec<u8>>) -> Seen {
        match read {
            Err(_) => Seen::Nothing,
            Ok(bytes) if bytes.is_empty() => Seen::Empty,
            Ok(bytes) => Seen::Text(digest([&bytes[..]])),
        }
    }

    /// What stands there now; `None` where a look would cost something.
    fn again(path: &Path) -> Option<Seen> {
        is_lasting(path).then(|| Seen::of(&Disk.read(path)))
    }
}

/// Reads a file that is read again and again.
///
/// # Errors
/// As for any file, and for what may not be one: see [`is_lasting`].
pub(crate) fn read_again(path: &Path) -> io::Result<Vec<u8>> {
    if is_lasting(path) { Disk.read(path) } else { Err(io::Error::other("it is a pipe or a device")) }
}

/// Whether it can be read again: a pipe gives its text once, and would hold whoever asks for more. A folder gives nothing,
/// and a file may take its place.
fn is_lasting(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

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
    fn whatever_takes_a_files_place_neither_holds_the_look_nor_ends_it() {
        let Scratch(path) = &Scratch::new("place");
        let reading = Reading::default();
        for bad in [FileType::Directory, FileType::Fifo] {
            if bad == FileType::Directory {
                fs::create_dir(path).unwrap();
                assert!(reading.read(path).is_err());
                assert!(!reading.is_outdated());
                fs::remove_dir(path).unwrap();
            } else {
                mknodat(CWD, path, bad, Mode::RUSR | Mode::WUSR, 0).unwrap();
                assert!(!reading.is_outdated(), "who opens a pipe waits for who writes");
                assert!(read_again(path).is_err());
                fs::remove_file(path).unwrap();
            }
            fs::write(path, "a = 1\n").unwrap();
            assert!(reading.is_outdated(), "{bad:?} is gone");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_file_that_was_emptied_is_being_written_for_a_while() {
        let Scratch(path) = &Scratch::new("emptied");
        fs::write(path, "a = 1\n").unwrap();
        let reading = Reading::default();
        reading.read(path).unwrap();
        let mut written = File::create(path).unwrap();
        assert!((0..EMPTIED_LOOKS_MAX).all(|_| !reading.is_outdated()));
        assert!(reading.is_outdated(), "nobody writes for so long");
        written.write_all(b"a = 1\n").unwrap();
        assert!(!reading.is_outdated());
        File::create(path).unwrap();
        assert!(!reading.is_outdated(), "emptied anew");
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
