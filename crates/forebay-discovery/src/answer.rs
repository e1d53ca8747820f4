//! What a lookup comes back with: targets, in parts that may each be missing, or the reason why there are none.

use std::path::Path;
use std::time::Duration;

use crate::endpoint::Target;

/// What a lookup found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pieces it was asked for in, each of which may have gone unanswered. Pieces not listed are gone.
    pub parts: Vec<Part>,
    /// The shortest TTL of all records.
    pub ttl: Duration,
}

/// A piece of an answer, such as the AAAA records of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Unique within an answer and the same in the next one.
    pub name: Box<str>,
    /// `None` when nobody answered for it.
    pub targets: Option<Vec<Target>>,
}

/// Why a lookup found nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveFailure {
    /// NXDOMAIN.
    #[error("{name} does not exist")]
    NoSuchName {
        /// The name asked for.
        name: Box<str>,
    },
    /// The name exists and has no record of the kind (NODATA, RFC 2308), or an SRV target of `.` (RFC 2782).
    #[error("{name} has no {kind} records")]
    NoRecords {
        /// The name asked for.
        name: Box<str>,
        /// `A or AAAA`, `SRV`.
        kind: &'static str,
    },
    /// SERVFAIL, REFUSED and the like.
    #[error("name server {server} answered {code} for {name}")]
    Refused {
        /// The name asked for.
        name: Box<str>,
        /// Who was asked.
        server: Box<str>,
        /// The response code's mnemonic.
        code: Box<str>,
    },
    /// Nobody answered in time.
    #[error("no answer for {name} within {within:?}")]
    TimedOut {
        /// The name asked for.
        name: Box<str>,
        /// How long was waited in all.
        within: Duration,
    },
    /// The name server cannot be reached.
    #[error("cannot reach name server {server}: {reason}")]
    Unreachable {
        /// Who was asked.
        server: Box<str>,
        /// The operating system's words.
        reason: Box<str>,
    },
    /// The answer is not a DNS message, or not one that can be understood.
    #[error("name server {server} sent a malformed answer for {name}")]
    Malformed {
        /// The name asked for.
        name: Box<str>,
        /// Who was asked.
        server: Box<str>,
    },
    /// A file of endpoints cannot be read or understood.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: Box<Path>,
        /// What is wrong, and where in it.
        problem: Box<str>,
    },
    /// There is nobody to ask.
    #[error("no name server is configured")]
    NoServer,
}

impl ResolveFailure {
    /// Whether somebody who should know says that there is nothing.
    pub fn is_denial(&self) -> bool {
        matches!(self, ResolveFailure::NoSuchName { .. } | ResolveFailure::NoRecords { .. })
    }

    /// In words for strangers: no names, no addresses.
    pub fn public(&self) -> &'static str {
        match self {
            ResolveFailure::NoSuchName { .. } => "its DNS name does not exist",
            ResolveFailure::NoRecords { .. } => "its DNS name has no address",
            ResolveFailure::Refused { .. } | ResolveFailure::Malformed { .. } => {
                "its name server does not answer as it should"
            }
            ResolveFailure::TimedOut { .. }
            | ResolveFailure::Unreachable { .. }
            | ResolveFailure::NoServer => "no name server answers",
            ResolveFailure::File { .. } => "the file that lists its endpoints cannot be used",
        }
    }
}
