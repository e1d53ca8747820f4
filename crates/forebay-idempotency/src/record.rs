//! What becomes of a key: pure, for every store. A request runs only under a claim that wrote the record first, and
//! only the holder of the claim's token changes it after.

use std::time::Duration;

use crate::answer::Answer;
use crate::identity::{Fingerprint, KeyId};
use crate::refusal::Refusal;
use crate::settings::{OnUnknown, Policy};

/// When to come again while the first request runs: soon, since most are over by then.
const RETRY_AFTER_S: u32 = 1;

/// Tells one claim from all others, of this node and of any; drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub u128);

/// What is stored of one key. Times are milliseconds of the store's own wall clock since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of the request that has the key.
    pub fingerprint: Fingerprint,
    /// How far it is.
    pub state: State,
    /// When the key is free again.
    pub expires_ms: i64,
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Under way, or it was until its node went away.
    Running {
        /// Who may say what became of it.
        token: Token,
        /// When silence means that nobody will.
        until_ms: i64,
    },
    /// Carried out.
    Done(Answer),
    /// Carried out; the answer was too large to keep.
    NotKept {
        /// Of the answer.
        status: u16,
    },
    /// It may have been carried out.
    Unknown,
}

/// A request's wish to run.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose key.
    pub id: KeyId,
    /// For what.
    pub fingerprint: Fingerprint,
    /// New for each claim.
    pub token: Token,
    /// How long it may be under way.
    pub lease: Duration,
    /// How long the record is kept.
    pub ttl: Duration,
    /// What to do when nobody knows of an earlier one.
    pub on_unknown: OnUnknown,
}

/// What a claim comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request runs, under the claim's token.
    Run,
    /// It ran; this is its answer.
    Replay(Answer),
    /// Neither.
    Refuse(Refusal),
}

/// What became of a request that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It certainly reached no endpoint, or the service said that it did nothing: the key is free.
    Release,
    /// It was answered.
    Done(Answer),
    /// It was answered at length.
    NotKept {
        /// Of the answer.
        status: u16,
    },
    /// It may have reached an endpoint, and there is no answer.
    Unknown,
}

/// What to do with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave it.
    None,
    /// Put this in its place.
    Write(Record),
    /// Take it away.
    Delete,
}

/// Decides about a claim. `Run` comes with a record, and holds only once that is durable.
pub fn claim(record: Option<Record>, claim: &Claim, now_ms: i64) -> (Verdict, Change) {
    let run = || {
        let state = State::Running { token: claim.token, until_ms: later(now_ms, claim.lease) };
        let expires_ms = later(now_ms, claim.ttl.max(claim.lease));
        (Verdict::Run, Change::Write(Record { fingerprint: claim.fingerprint, state, expires_ms }))
    };
    let refuse = |refusal| (Verdict::Refuse(refusal), Change::None);
    let Some(record) = record.filter(|record| now_ms < record.expires_ms) else { return run() };
    if record.fingerprint != claim.fingerprint {
        return refuse(Refusal::Mismatch);
    }
    match record.state {
        State::Done(answer) => (Verdict::Replay(answer), Change::None),
        State::NotKept { status } => refuse(Refusal::NotKept { status }),
        State::Running { until_ms, .. } if now_ms < until_ms => {
            refuse(Refusal::Running { retry_after_s: RETRY_AFTER_S })
        }
        State::Running { .. } | State::Unknown => match claim.on_unknown {
            OnUnknown::Refuse => refuse(Refusal::Unknown),
            OnUnknown::Retry => run(),
        },
    }
}

/// What an answer of the service means for its key.
pub fn settlement(policy: &Policy, answer: Answer) -> Settlement {
    let status = answer.status;
    if policy.release_on.contains(&status) {
        Settlement::Release
    } else if answer.bytes() > policy.response_bytes_max {
        Settlement::NotKept { status }
    } else {
        Settlement::Done(answer)
    }
}

/// Decides about a settlement. One that comes late still counts as long as nobody else has the key; one that comes
/// twice, or for a claim that was taken over, changes nothing.
pub fn settle(
    record: Option<&Record>,
    token: Token,
    settlement: Settlement,
    ttl: Duration,
    now_ms: i64,
) -> Change {
    let Some(record) = record else { return Change::None };
    if !matches!(record.state, State::Running { token: holder, .. } if holder == token) {
        return Change::None;
    }
    let state = match settlement {
        Settlement::Release => return Change::Delete,
        Settlement::Done(answer) => State::Done(answer),
        Settlement::NotKept { status } => State::NotKept { status },
        Settlement::Unknown => State::Unknown,
    };
    Change::Write(Record { fingerprint: record.fingerprint, state, expires_ms: later(now_ms, ttl) })
}

fn later(now_ms: i64, by: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const LEASE: Duration = Duration::from_millis(100);
    const TTL: Duration = Duration::from_millis(1000);
    const FIRST: Token = Token(1);
    const SECOND: Token = Token(2);

    fn ask(token: Token, request: u8, on_unknown: OnUnknown) -> Claim {
        let fingerprint = Fingerprint([request; 32]);
        Claim { id: KeyId([0; 32]), fingerprint, token, lease: LEASE, ttl: TTL, on_unknown }
    }

    fn answer() -> Answer {
        Answer { status: 201, fields: vec![], body: Bytes::from_static(b"7") }
    }

    fn stored(state: State) -> Option<Record> {
        Some(Record { fingerprint: Fingerprint([1; 32]), state, expires_ms: 1000 })
    }

    fn running() -> State {
        State::Running { token: FIRST, until_ms: 100 }
    }

    #[test]
    fn a_claim_runs_only_when_nothing_may_have_run_before() {
        use Refusal::{Mismatch, NotKept, Running, Unknown};
        let refuse = Verdict::Refuse;
        let cases = [
            (None, 1, 0, Verdict::Run),
            (Some(running()), 1, 99, refuse(Running { retry_after_s: 1 })),
            (Some(running()), 1, 100, refuse(Unknown)),
            (Some(running()), 2, 100, refuse(Mismatch)),
            (Some(State::Done(answer())), 1, 999, Verdict::Replay(answer())),
            (Some(State::Done(answer())), 2, 999, refuse(Mismatch)),
            (Some(State::Done(answer())), 2, 1000, Verdict::Run),
            (Some(State::NotKept { status: 200 }), 1, 5, refuse(NotKept { status: 200 })),
            (Some(State::Unknown), 1, 5, refuse(Unknown)),
        ];
        for (state, request, now_ms, expected) in cases {
            let record = state.clone().and_then(stored);
            let (verdict, change) = claim(record, &ask(SECOND, request, OnUnknown::Refuse), now_ms);
            assert_eq!(verdict, expected, "{state:?} at {now_ms}");
            assert_eq!(verdict == Verdict::Run, change != Change::None, "a run is written down first");
        }
    }

    #[test]
    fn a_route_may_choose_to_run_again_what_is_unknown() {
        for (state, now_ms) in [(State::Unknown, 5), (running(), 100)] {
            let (verdict, change) = claim(stored(state), &ask(SECOND, 1, OnUnknown::Retry), now_ms);
            assert_eq!(verdict, Verdict::Run);
            // From now on the first holder has nothing to say.
            let Change::Write(record) = change else { panic!("{change:?}") };
            assert_eq!(settle(Some(&record), FIRST, Settlement::Release, TTL, now_ms), Change::None);
        }
        let (verdict, _) = claim(stored(running()), &ask(SECOND, 1, OnUnknown::Retry), 99);
        assert_eq!(verdict, Verdict::Refuse(Refusal::Running { retry_after_s: 1 }));
    }

    #[test]
    fn only_the_holder_settles_and_only_once() {
        let record = stored(running());
        assert_eq!(settle(record.as_ref(), SECOND, Settlement::Release, TTL, 0), Change::None);
        assert_eq!(settle(None, FIRST, Settlement::Done(answer()), TTL, 0), Change::None);
        assert_eq!(settle(record.as_ref(), FIRST, Settlement::Release, TTL, 0), Change::Delete);
        // After the lease, too: then what was unknown is known.
        let change = settle(record.as_ref(), FIRST, Settlement::Done(answer()), TTL, 500);
        let Change::Write(done) = change else { panic!("{change:?}") };
        assert_eq!((&done.state, done.expires_ms), (&State::Done(answer()), 1500));
        for late in [Settlement::Release, Settlement::Unknown, Settlement::NotKept { status: 200 }] {
            assert_eq!(settle(Some(&done), FIRST, late, TTL, 500), Change::None);
        }
    }
}
