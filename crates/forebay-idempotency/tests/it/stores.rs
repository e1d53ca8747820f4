//! Both stores keep the same promises, and nodes that race for one key find one winner.

use std::cell::Cell;
use std::time::Duration;

use forebay_idempotency::record::{Settlement, Token, Verdict};
use forebay_idempotency::{Refusal, Store};
use forebay_store::StoreError;
use forebay_testkit::ScratchPostgres;

use crate::support::{ScratchSqlite, answer, claim, id, node, run};

const LEASE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(600);
/// No time at all: the lease is over as soon as it is given.
const NONE: Duration = Duration::ZERO;
const RACERS: u128 = 24;
const RUNNING: Verdict = Verdict::Refuse(Refusal::Running { retry_after_s: 1 });

async fn keeps_the_promises(a: &impl Store, b: &impl Store) {
    // A key is one request's, whichever node is asked, until it is settled.
    assert_eq!(a.claim(&claim(1, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
    assert_eq!(b.claim(&claim(1, 1, 2, LEASE)).await.unwrap(), RUNNING);
    assert_eq!(b.claim(&claim(1, 9, 2, LEASE)).await.unwrap(), Verdict::Refuse(Refusal::Mismatch));
    b.settle(id(1), Token(2), Settlement::Release, TTL).await.unwrap();
    assert_eq!(b.claim(&claim(1, 1, 3, LEASE)).await.unwrap(), RUNNING);
    a.settle(id(1), Token(1), Settlement::Done(answer(201, "7")), TTL).await.unwrap();
    a.settle(id(1), Token(1), Settlement::Release, TTL).await.unwrap();
    assert_eq!(b.claim(&claim(1, 1, 4, LEASE)).await.unwrap(), Verdict::Replay(answer(201, "7")));

    // Released, it runs again.
    assert_eq!(a.claim(&claim(2, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
    a.settle(id(2), Token(1), Settlement::Release, TTL).await.unwrap();
    assert_eq!(b.claim(&claim(2, 1, 2, LEASE)).await.unwrap(), Verdict::Run);
    b.settle(id(2), Token(2), Settlement::NotKept { status: 200 }, TTL).await.unwrap();
    let not_kept = Verdict::Refuse(Refusal::NotKept { status: 200 });
    assert_eq!(a.claim(&claim(2, 1, 3, LEASE)).await.unwrap(), not_kept);

    // A holder that went away leaves the outcome unknown; one that was only slow makes it known.
    assert_eq!(a.claim(&claim(3, 1, 1, NONE)).await.unwrap(), Verdict::Run);
    let unknown = Verdict::Refuse(Refusal::Unknown);
    assert_eq!(b.claim(&claim(3, 1, 2, LEASE)).await.unwrap(), unknown);
    a.settle(id(3), Token(1), Settlement::Done(answer(500, "")), TTL).await.unwrap();
    assert_eq!(b.claim(&claim(3, 1, 3, LEASE)).await.unwrap(), Verdict::Replay(answer(500, "")));

    assert_eq!(a.claim(&claim(4, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
    a.settle(id(4), Token(1), Settlement::Unknown, TTL).await.unwrap();
    assert_eq!(b.claim(&claim(4, 1, 2, LEASE)).await.unwrap(), unknown);
}

async fn sweeps_only_what_expired(store: &impl Store) {
    for number in 10..15 {
        assert_eq!(store.claim(&claim(number, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
        store.settle(id(number), Token(1), Settlement::Unknown, NONE).await.unwrap();
    }
    assert_eq!(store.claim(&claim(15, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
    assert_eq!(store.sweep(3).await.unwrap(), 3);
    assert_eq!(store.sweep(3).await.unwrap(), 2);
    assert_eq!(store.claim(&claim(15, 1, 2, LEASE)).await.unwrap(), RUNNING);
    assert_eq!(store.claim(&claim(10, 2, 2, LEASE)).await.unwrap(), Verdict::Run);
}

async fn lets_one_of_many_run(a: &impl Store, b: &impl Store) {
    for number in 20..24 {
        let racers = (0..RACERS).map(|racer| async move {
            let claim = claim(number, 1, racer, LEASE);
            if racer % 2 == 0 { a.claim(&claim).await } else { b.claim(&claim).await }
        });
        let verdicts = futures_util::future::join_all(racers).await;
        let ran = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Run))).count();
        assert_eq!(ran, 1, "{verdicts:?}");
    }
}

/// One who claims the same key over and over, and gives it back or lets it expire.
async fn hold_again_and_again(store: &impl Store, worker: u128, held: &Cell<u32>) -> u32 {
    let mut runs = 0;
    for round in 0..25 {
        let claim = claim(30, 1, worker * 1000 + round, LEASE);
        match store.claim(&claim).await {
            Ok(Verdict::Run) => {}
            // That the key changed hands too often to look is no leave to run.
            Ok(Verdict::Refuse(_)) | Err(StoreError::Conflict(_)) => continue,
            other => panic!("{other:?}"),
        }
        runs += 1;
        held.set(held.get() + 1);
        // A round trip, in which any other holder would be seen.
        store.settle(id(31), claim.token, Settlement::Release, TTL).await.unwrap();
        assert_eq!(held.get(), 1, "two hold the key");
        held.set(held.get() - 1);
        let (settlement, ttl) =
            if round % 2 == 0 { (Settlement::Release, TTL) } else { (Settlement::Unknown, NONE) };
        store.settle(id(30), claim.token, settlement, ttl).await.unwrap();
    }
    runs
}

async fn never_lets_two_hold_a_key(a: &impl Store, b: &impl Store) {
    let held = Cell::new(0);
    let some_a = futures_util::future::join_all((0..3).map(|worker| hold_again_and_again(a, worker, &held)));
    let some_b = futures_util::future::join_all((3..6).map(|worker| hold_again_and_again(b, worker, &held)));
    let (some_a, some_b) = tokio::join!(some_a, some_b);
    let runs: u32 = some_a.into_iter().chain(some_b).sum();
    assert!(runs > 1, "nobody gave the key back");
}

#[test]
fn sqlite_keeps_the_promises_across_a_restart() {
    let mut scratch = ScratchSqlite::new();
    run(async {
        let (a, b) = (scratch.store(), scratch.store());
        keeps_the_promises(&a, &b).await;
        lets_one_of_many_run(&a, &b).await;
        never_lets_two_hold_a_key(&a, &b).await;
        sweeps_only_what_expired(&a).await;
        scratch.reopen();
        let again = scratch.store();
        let verdict = again.claim(&claim(1, 1, 9, LEASE)).await.unwrap();
        assert_eq!(verdict, Verdict::Replay(answer(201, "7")));
        assert!(matches!(a.claim(&claim(1, 1, 9, LEASE)).await, Err(StoreError::Closed)));
    });
}

#[test]
fn postgres_keeps_the_promises_between_nodes() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let ((_, a), (_, b)) = tokio::join!(node(&url), node(&url));
        keeps_the_promises(&a, &b).await;
        lets_one_of_many_run(&a, &b).await;
        never_lets_two_hold_a_key(&a, &b).await;
        sweeps_only_what_expired(&a).await;
    });
}

#[test]
fn a_stored_record_that_cannot_be_read_lets_nothing_run() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (pool, store) = node(&url).await;
        assert_eq!(store.claim(&claim(1, 1, 1, LEASE)).await.unwrap(), Verdict::Run);
        let damage = "update forebay.idempotency_keys set state = 1, answer = '\\x07'";
        pool.run(async |client| Ok(client.batch_execute(damage).await?)).await.unwrap();
        let refused = store.claim(&claim(1, 1, 2, LEASE)).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    });
}
