//! Where records are kept, and how they stand in a table. Every store decides by [`crate::record`], in a transaction.

use std::future::Future;
use std::time::Duration;

use forebay_store::StoreError;

use crate::answer::Answer;
use crate::identity::{Fingerprint, KeyId};
use crate::record::{Claim, Record, Settlement, State, Token, Verdict};

/// Keeps records durably. An answer of `Ok` holds whatever happens to this process; after an error whose
/// [`StoreError::may_have_happened`] says so, either may be true.
pub trait Store {
    /// Decides about a claim and writes what it changes.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Verdict, StoreError>>;

    /// Writes what became of a request. May be called again after an error.
    fn settle(
        &self,
        id: KeyId,
        token: Token,
        settlement: Settlement,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// Deletes expired records, `rows_max` at most; how many it were.
    fn sweep(&self, rows_max: u32) -> impl Future<Output = Result<u64, StoreError>>;
}

const RUNNING: i16 = 0;
const DONE: i16 = 1;
const NOT_KEPT: i16 = 2;
const UNKNOWN: i16 = 3;

/// A record as columns.
pub(crate) struct Columns {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) state: i16,
    /// Of a running request: 16 bytes.
    pub(crate) token: Option<Vec<u8>>,
    /// Of a running request.
    pub(crate) until_ms: Option<i64>,
    /// The answer, or two bytes of status where it was not kept.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) expires_ms: i64,
}

impl From<Record> for Columns {
    fn from(record: Record) -> Columns {
        let (state, token, until_ms, answer) = match record.state {
            State::Running { token, until_ms } => {
                (RUNNING, Some(token.0.to_be_bytes().to_vec()), Some(until_ms), None)
            }
            State::Done(answer) => (DONE, None, None, Some(answer.encode())),
            State::NotKept { status } => (NOT_KEPT, None, None, Some(status.to_be_bytes().to_vec())),
            State::Unknown => (UNKNOWN, None, None, None),
        };
        let fingerprint = record.fingerprint.0.to_vec();
        Columns { fingerprint, state, token, until_ms, answer, expires_ms: record.expires_ms }
    }
}

impl TryFrom<Columns> for Record {
    type Error = StoreError;

    fn try_from(columns: Columns) -> Result<Record, StoreError> {
        let Columns { fingerprint, state, token, until_ms, answer, expires_ms } = columns;
        let corrupt = || StoreError::Corrupt("idempotency record");
        let state = match (state, token, until_ms, answer) {
            (RUNNING, Some(token), Some(until_ms), _) => {
                let token = token.try_into().map_err(|_| corrupt())?;
                State::Running { token: Token(u128::from_be_bytes(token)), until_ms }
            }
            (DONE, _, _, Some(answer)) => State::Done(Answer::decode(answer)?),
            (NOT_KEPT, _, _, Some(status)) => {
                let status = status.try_into().map_err(|_| corrupt())?;
                State::NotKept { status: u16::from_be_bytes(status) }
            }
            (UNKNOWN, ..) => State::Unknown,
            _ => return Err(corrupt()),
        };
        let fingerprint = Fingerprint(fingerprint.try_into().map_err(|_| corrupt())?);
        Ok(Record { fingerprint, state, expires_ms })
    }
}
