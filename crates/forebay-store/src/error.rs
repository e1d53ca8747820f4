//! What can go wrong with a store, told apart by what helps. No message holds a password or a stored value.

use forebay_http::problem::{Fault, Problem};
use thiserror::Error;

use crate::schema::SchemaError;

/// Seconds after which a client may come again: about as long as a restart of PostgreSQL takes.
const RETRY_AFTER_S: u32 = 2;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be reached, is starting or stopping, or the connection broke.
    #[error("the store cannot be reached")]
    Unreachable {
        /// Whether the work had been sent: then it may have been done.
        sent: bool,
        /// Why, unless it failed a moment ago and was not tried again.
        #[source]
        source: Option<Cause>,
    },
    /// Every connection is in use, or the writer's queue is full, and stayed so for the time allowed. Nothing was sent.
    #[error("the store is busy")]
    Busy,
    /// It did not answer in time. It may still do what was asked.
    #[error("the store did not answer in time")]
    Timeout,
    /// Somebody else did something that excludes it. Nothing was done.
    #[error("the store had a conflict")]
    Conflict(#[source] Cause),
    /// No room is left on the disk. Nothing was done.
    #[error("the store has no room left")]
    Full(#[source] Cause),
    /// It refuses: credentials, privileges, a statement it does not understand. Nothing was done.
    #[error("the store refuses")]
    Refused(#[source] Cause),
    /// The disk failed in a way after which nobody knows what is on it, or the writer is gone. A restart looks again.
    #[error("the store failed and takes nothing until a restart")]
    Failed,
    /// What is stored there is not what this program can use.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A stored value cannot be read.
    #[error("the store holds a {0} that cannot be read")]
    Corrupt(&'static str),
    /// It was closed by its owner.
    #[error("the store is closed")]
    Closed,
}

/// What kind of failure, for those who choose what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Passes with time.
    Unreachable,
    /// Passes when tried again at once.
    Conflict,
    /// Stays until a person does something.
    Permanent,
}

impl StoreError {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            StoreError::Unreachable { .. } | StoreError::Busy | StoreError::Timeout | StoreError::Full(_) => {
                Kind::Unreachable
            }
            StoreError::Conflict(_) => Kind::Conflict,
            StoreError::Refused(_)
            | StoreError::Failed
            | StoreError::Schema(_)
            | StoreError::Corrupt(_)
            | StoreError::Closed => Kind::Permanent,
        }
    }

    /// Whether the same work may succeed later.
    pub fn retry_may_help(&self) -> bool {
        self.kind() != Kind::Permanent
    }

    /// Whether the work may have been done, or may yet be, all the same.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, StoreError::Unreachable { sent: true, .. } | StoreError::Timeout | StoreError::Failed)
    }

    /// What a client gets: 503, ours to mend, and no word of what stands behind.
    pub fn problem(&self) -> Problem {
        let detail = "Forebay's store cannot be used now, and without it this request is not carried out";
        let problem = Problem::new(503, "store-unavailable", Fault::Forebay, detail);
        Problem { retry_after_s: Some(RETRY_AFTER_S), ..problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_whether_waiting_helps_and_whether_it_may_have_happened() {
        let cases = [
            (StoreError::Unreachable { sent: true, source: None }, Kind::Unreachable, true),
            (StoreError::Unreachable { sent: false, source: None }, Kind::Unreachable, false),
            (StoreError::Timeout, Kind::Unreachable, true),
            (StoreError::Busy, Kind::Unreachable, false),
            (StoreError::Conflict("x".into()), Kind::Conflict, false),
            (StoreError::Refused("x".into()), Kind::Permanent, false),
            (StoreError::Failed, Kind::Permanent, true),
        ];
        for (error, kind, may_have_happened) in cases {
            assert_eq!((error.kind(), error.may_have_happened()), (kind, may_have_happened), "{error:?}");
            assert_eq!(error.problem().status, 503);
        }
    }
}
