//! Why a keyed request gets an answer of Forebay's own, and which.

use forebay_http::problem::{Fault, Problem};

use crate::key::KeyError;

/// Why a request is neither carried out nor answered from store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The route wants a key.
    Missing,
    /// The key is none.
    Malformed(KeyError),
    /// The route's scope tells callers apart by something that this request does not have.
    NoCaller,
    /// The body is larger than can be compared.
    BodyTooLarge,
    /// The first request with this key is under way.
    Running {
        /// Seconds after which to come again.
        retry_after_s: u32,
    },
    /// The key was used for another request.
    Mismatch,
    /// It was carried out, and its answer was too large to keep.
    NotKept {
        /// The status of that answer.
        status: u16,
    },
    /// Nobody knows whether it was carried out.
    Unknown,
}

impl Refusal {
    /// The answer.
    pub fn problem(self) -> Problem {
        let (status, kind, detail) = match self {
            Refusal::Missing => (400, "idempotency-key-missing", "this resource wants an Idempotency-Key".to_owned()),
            Refusal::Malformed(error) => (400, "idempotency-key-malformed", error.text().to_owned()),
            Refusal::NoCaller => (
                400,
                "idempotency-caller-unknown",
                "the request does not say whose Idempotency-Key this is".to_owned(),
            ),
            Refusal::BodyTooLarge => (
                413,
                "idempotency-body-too-large",
                "the body is larger than a request with an Idempotency-Key may have".to_owned(),
            ),
            Refusal::Running { .. } => (
                409,
                "idempotency-in-progress",
                "a request with this Idempotency-Key is being carried out".to_owned(),
            ),
            Refusal::Mismatch => (
                422,
                "idempotency-key-reused",
                "this Idempotency-Key belongs to another request: method, path, query or body differ".to_owned(),
            ),
            Refusal::NotKept { status } => (
                409,
                "idempotency-answer-not-kept",
                format!("this request was carried out and answered with {status}; the answer was too large to keep"),
            ),
            Refusal::Unknown => (
                409,
                "idempotency-outcome-unknown",
                "this request was begun, and whether it was carried out is not known; it is not carried out again \
                 under this Idempotency-Key"
                    .to_owned(),
            ),
        };
        let problem = Problem::new(status, kind, Fault::Client, detail);
        match self {
            Refusal::Running { retry_after_s } => {
                Problem { retryable: true, retry_after_s: Some(retry_after_s), ..problem }
            }
            Refusal::Unknown => Problem { fault: Fault::Upstream, ..problem },
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_request_is_worth_another_try() {
        let running = Refusal::Running { retry_after_s: 1 }.problem();
        assert_eq!((running.status, running.retryable, running.retry_after_s), (409, true, Some(1)));
        for refusal in
            [Refusal::Missing, Refusal::Mismatch, Refusal::Unknown, Refusal::NotKept { status: 201 }]
        {
            assert!(!refusal.problem().retryable, "{refusal:?}");
        }
        assert_eq!(Refusal::Mismatch.problem().status, 422);
    }
}
