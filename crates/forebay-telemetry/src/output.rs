//! Where log lines go, and in which form: a file descriptor of our own, written without a buffer between.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::TelemetryError;

/// A log tells who did what from where: its owner and group may read it, nobody else.
const LOG_FILE_MODE: u32 = 0o640;

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to and created when missing.
    File(PathBuf),
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// An open [`Output`].
#[derive(Debug)]
pub(crate) struct Sink {
    output: Output,
    file: File,
    // The last write broke off within a line; the next one starts on a fresh line, so that only one is lost.
    is_torn: bool,
}

impl Sink {
    pub(crate) fn open(output: Output) -> Result<Sink, TelemetryError> {
        Ok(Sink { file: open(&output)?, output, is_torn: false })
    }

    /// Opens a file again by its name, after something like logrotate has moved it away. When that fails, the
    /// sink goes on with what it has.
    pub(crate) fn reopen(&mut self) -> Result<(), TelemetryError> {
        if matches!(self.output, Output::File(_)) {
            self.file = open(&self.output)?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Writes whole lines, with one system call unless the operating system takes fewer bytes.
    pub(crate) fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.is_torn = rest[written - 1] != b'\n';
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(output: &Output) -> Result<File, TelemetryError> {
    // The streams are duplicated: Rust's own handles buffer by line and lock, and would write each line
    // alone.
    let stream = |stream, duplicate: io::Result<OwnedFd>| {
        duplicate.map(File::from).map_err(|source| TelemetryError::OpenStream { stream, source })
    };
    match output {
        Output::Stdout => stream("standard output", io::stdout().as_fd().try_clone_to_owned()),
        Output::Stderr => stream("standard error", io::stderr().as_fd().try_clone_to_owned()),
        Output::File(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(LOG_FILE_MODE)
            .open(path)
            .map_err(|source| TelemetryError::OpenFile { path: path.clone(), source }),
    }
}
