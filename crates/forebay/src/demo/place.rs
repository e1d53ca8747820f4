//! Where the demo lives: a directory of its own with a configuration to play with, gone at the end unless somebody did.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::ports::Addresses;

/// Directories that demos may leave behind when they are killed, and others that run at the same time.
const DIRECTORIES_MAX: u32 = 1000;

const TEMPLATE: &str = include_str!("forebay.toml");

/// The demo's directory.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    written: String,
}

impl Place {
    /// Makes a directory below `parent` and writes the configuration there.
    pub(crate) fn make(parent: &Path, addresses: &Addresses) -> io::Result<Place> {
        let directory = make_directory(parent)?;
        let endpoints = addresses.instances.map(|address| format!("\"{address}\""));
        let written = TEMPLATE
            .replace("{listen}", &addresses.gateway.to_string())
            .replace("{admin}", &addresses.admin.to_string())
            .replace("{endpoints}", &endpoints.join(", "));
        let place = Place { directory, written };
        fs::write(place.file(), &place.written)?;
        Ok(place)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("forebay.toml")
    }

    /// Removes the directory, unless somebody has worked on the configuration: then says so.
    pub(crate) fn leave(self) -> io::Result<Option<PathBuf>> {
        if fs::read_to_string(self.file()).is_ok_and(|text| text != self.written) {
            return Ok(Some(self.file()));
        }
        fs::remove_dir_all(&self.directory)?;
        Ok(None)
    }
}

/// Private, and never one that is there: in a directory that everybody may write to, it could be anybody's.
fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let names = (2..=DIRECTORIES_MAX).map(|number| format!("forebay-demo-{number}"));
    for name in std::iter::once("forebay-demo".to_owned()).chain(names) {
        let directory = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} is full of demos; remove its forebay-demo-*", parent.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_demos_share_nothing_and_leave_only_what_was_edited() {
        let scratch = std::env::temp_dir().join(format!("forebay-place-{}", std::process::id()));
        fs::create_dir(&scratch).unwrap();
        let [first, second] = [(); 2].map(|()| Place::make(&scratch, &Addresses::EXAMPLE).unwrap());
        assert_ne!(first.directory(), second.directory());
        let edited = second.file();
        fs::write(&edited, "[gateway]\n").unwrap();
        assert_eq!(first.leave().unwrap(), None);
        assert_eq!(second.leave().unwrap(), Some(edited));
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        fs::remove_dir_all(scratch).unwrap();
    }
}
