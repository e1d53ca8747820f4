//! Why a command ends without success, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// The reason a command stops; exit codes as in the product: 1 failed, 2 usage.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command line makes no sense.
    Usage(String),
    /// The work was tried and did not succeed, or a check does not hold.
    Failed(String),
}

impl Stop {
    /// A failure in words.
    pub(crate) fn failed(what: impl Into<String>) -> Stop {
        Stop::Failed(what.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Stop::Failed(_) => ExitCode::from(1),
            Stop::Usage(_) => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Usage(what) | Stop::Failed(what) => f.write_str(what),
        }
    }
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Stop {
        Stop::Usage(format!("{error}\n   = help: `cargo xtask help` shows what each command takes"))
    }
}

/// Ends a command that takes no (further) arguments if there are some.
pub(crate) fn no_more(mut arguments: lexopt::Parser) -> Result<(), Stop> {
    match arguments.next()? {
        None => Ok(()),
        Some(argument) => Err(argument.unexpected().into()),
    }
}
