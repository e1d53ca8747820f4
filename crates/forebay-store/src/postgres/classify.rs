//! What an error of PostgreSQL means to us, by its SQLSTATE (manual, appendix A).

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::StoreError;

impl From<Error> for StoreError {
    /// For errors of work that had been sent.
    fn from(error: Error) -> StoreError {
        match error.code() {
            Some(state) => by_state(&state.clone(), error, true),
            // Statements that cannot be encoded or rows that cannot be read never become right by waiting.
            None if error.is_closed() || is_io(&error) => {
                StoreError::Unreachable { sent: true, source: Some(error.into()) }
            }
            None => StoreError::Refused(error.into()),
        }
    }
}

/// For errors while connecting: whatever is no refusal by the server may pass.
pub(super) fn while_connecting(error: Error) -> StoreError {
    match error.code() {
        Some(state) => by_state(&state.clone(), error, false),
        None if is_distrust(&error) => StoreError::Refused(error.into()),
        None => StoreError::Unreachable { sent: false, source: Some(error.into()) },
    }
}

fn by_state(state: &SqlState, error: Error, sent: bool) -> StoreError {
    let source = error.into();
    match (state, state.code().get(..2).unwrap_or_default()) {
        (&SqlState::DISK_FULL, _) => StoreError::Full(source),
        // Shutting down, starting up, connection trouble, too many connections, a disk that fails; a standby after a
        // fail-over.
        (&SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW, _)
        | (&SqlState::READ_ONLY_SQL_TRANSACTION, _)
        | (&SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, _)
        | (_, "08" | "53" | "58") => StoreError::Unreachable { sent, source: Some(source) },
        (&SqlState::QUERY_CANCELED, _) => StoreError::Timeout,
        (&SqlState::LOCK_NOT_AVAILABLE | &SqlState::UNIQUE_VIOLATION, _) | (_, "40") => {
            StoreError::Conflict(source)
        }
        _ => StoreError::Refused(source),
    }
}

/// Whether the server showed a certificate that is not to be trusted: no waiting mends that.
fn is_distrust(error: &Error) -> bool {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let cause = cause.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

fn is_io(error: &Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.is::<std::io::Error>())
}
