//! What an error of SQLite means to us (sqlite.org, "Result and Error Codes").

use std::sync::Arc;

use rusqlite::{Error, ErrorCode};

use crate::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        shared(&Arc::new(error))
    }
}

/// For an error that several callers get: each of them was in the transaction that failed.
pub(super) fn shared(error: &Arc<Error>) -> StoreError {
    let source = Box::new(Arc::clone(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(source),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ConstraintViolation) => {
            StoreError::Conflict(source)
        }
        Some(ErrorCode::SystemIoFailure) => StoreError::Unreachable { sent: true, source: Some(source) },
        _ => StoreError::Refused(source),
    }
}

/// Whether nobody knows any more what is on the disk. After a failed fsync the kernel forgets what it could not
/// write, and a second fsync succeeds without it.
pub(super) fn is_fatal(error: &Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
