//! What a check found, in the four parts that every message of ours has.

use std::fmt;

use crate::stop::Stop;

/// One thing that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A file with its line, or a crate.
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) why: &'static str,
    pub(crate) help: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        writeln!(f, "  --> {}", self.place)?;
        writeln!(f, "   = note: {}", self.why)?;
        write!(f, "   = help: {}", self.help)
    }
}

/// Prints all of them; any one is a failure.
pub(crate) fn conclude(check: &str, findings: &[Finding]) -> Result<(), Stop> {
    for finding in findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err(Stop::failed(format!("{check}: 1 finding"))),
        many => Err(Stop::failed(format!("{check}: {many} findings"))),
    }
}
