//! Why a measurement does not count.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The reason that a run ends without figures.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// A proxy answered wrongly, or something could not be started or read.
    Run(String),
}

impl Failure {
    pub(crate) fn run(what: impl Into<String>) -> Failure {
        Failure::Run(what.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Run(_) => ExitCode::from(1),
            Failure::Usage(_) => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::Run(what) => f.write_str(what),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Failure {
        Failure::Usage(format!("{error}\n   = help: `cargo xtask bench help` shows what there is"))
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::Run(format!("{what}: {}", error.into())))
    }
}
