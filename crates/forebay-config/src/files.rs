//! Where files come from: the one seam to the file system, so that tests need none.

use std::io::{self, Read};
use std::path::Path;

/// A configuration of thousands of routes is far below this; anything larger is not a configuration.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads whole files. Closures of the same signature are `Files` too.
pub trait Files {
    /// The content of a file, or why it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

impl<F: Fn(&Path) -> io::Result<Vec<u8>>> Files for F {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self(path)
    }
}

/// The file system. Refuses files of more than [`FILE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if read as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
        }
        Ok(bytes)
    }
}

/// No files at all: configuration from defaults, environment and arguments.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
