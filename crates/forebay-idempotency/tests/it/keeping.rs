//! The keeper and its leases over real stores, one of which goes away.

use std::time::Duration;

use forebay_idempotency::{Claimed, Fingerprint, Keys, Lease, OnUnknown, Refusal, Store, keeper};
use forebay_store::postgres::Limits;
use forebay_store::{Kind, StoreError};
use forebay_testkit::{Cable, ScratchPostgres};

use crate::support::{LIMITS, ScratchSqlite, answer, id, node, node_within, policy, run};

const LEASE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(5);

fn start(store: impl Store + 'static) -> (Keys, tokio::task::JoinHandle<()>) {
    let (keys, keeper) = keeper(store, WAIT, fastrand::Rng::with_seed(1));
    (keys, tokio::task::spawn_local(keeper.run()))
}

async fn ask(keys: &Keys, number: u8) -> Result<Claimed, StoreError> {
    keys.claim(id(number), Fingerprint([1; 32]), &policy(LEASE, OnUnknown::Refuse)).await
}

async fn leave(keys: &Keys, number: u8) -> Lease {
    match ask(keys, number).await {
        Ok(Claimed::Run(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

async fn refusal(keys: &Keys, number: u8) -> Refusal {
    match ask(keys, number).await {
        Ok(Claimed::Refuse(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn however_a_request_ends_its_key_says_so() {
    let scratch = ScratchSqlite::new();
    run(async {
        let (keys, keeper) = start(scratch.store());
        let mut lease = leave(&keys, 1).await;
        assert_eq!(refusal(&keys, 1).await, Refusal::Running { retry_after_s: 1 });
        lease.sending();
        lease.complete(answer(201, "7")).await.unwrap();
        assert!(matches!(ask(&keys, 1).await, Ok(Claimed::Replay(kept)) if kept == answer(201, "7")));

        // Dropped before anything was sent, or released in so many words, it runs again.
        drop(leave(&keys, 2).await);
        let mut lease = leave(&keys, 2).await;
        lease.sending();
        lease.release();
        let mut lease = leave(&keys, 2).await;
        lease.sending();
        // The service says that it did nothing.
        lease.complete(answer(429, "")).await.unwrap();
        // Dropped after something was sent, nobody knows.
        let mut lease = leave(&keys, 2).await;
        lease.sending();
        drop(lease);
        assert_eq!(refusal(&keys, 2).await, Refusal::Unknown);

        let lease = leave(&keys, 3).await;
        lease.complete(answer(200, &"x".repeat(2000))).await.unwrap();
        assert_eq!(refusal(&keys, 3).await, Refusal::NotKept { status: 200 });
        leave(&keys, 4).await.not_kept(206);
        assert_eq!(refusal(&keys, 4).await, Refusal::NotKept { status: 206 });

        // What is settled last is stored before the keeper ends.
        let lease = leave(&keys, 5).await;
        drop(keys);
        lease.release();
        keeper.await.unwrap();
        let (keys, _keeper) = start(scratch.store());
        leave(&keys, 5).await.release();
    });
}

#[test]
fn a_caller_that_goes_away_while_it_asks_leaves_the_key_free() {
    let scratch = ScratchSqlite::new();
    run(async {
        let (keys, _keeper) = start(scratch.store());
        for _ in 0..20 {
            // Polled once: the order is in the queue, and nobody takes the reply.
            let asked = ask(&keys, 1);
            assert!(futures_util::FutureExt::now_or_never(asked).is_none());
            tokio::task::yield_now().await;
        }
        leave(&keys, 1).await.release();
    });
}

#[test]
fn without_its_store_nothing_runs_and_what_ran_is_stored_later() {
    let server = ScratchPostgres::start();
    let url = server.database();
    run(async {
        let (_, store) = node(&url).await;
        let (keys, _keeper) = start(store);
        let mut lease = leave(&keys, 1).await;
        lease.sending();
        server.crash();
        let refused = ask(&keys, 2).await.unwrap_err();
        assert_eq!((refused.kind(), refused.problem().status), (Kind::Unreachable, 503));
        let completed = tokio::task::spawn_local(lease.complete(answer(201, "7")));
        let refused = ask(&keys, 1).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unreachable);
        server.restart();
        completed.await.unwrap().unwrap();
        assert!(matches!(ask(&keys, 1).await, Ok(Claimed::Replay(kept)) if kept == answer(201, "7")));
        leave(&keys, 2).await.release();
    });
}

#[test]
fn a_node_cut_from_its_store_runs_nothing_and_the_other_goes_on() {
    let server = ScratchPostgres::shared();
    let url = server.database();
    let cable = Cable::to(([127, 0, 0, 1], server.port()).into());
    let port = |port: u16| format!(":{port}/");
    let cut_off = url.replace(&port(server.port()), &port(cable.address().port()));
    run(async {
        let brief = Duration::from_millis(300);
        let limits = Limits { connect: brief, acquire: brief, statement: brief, ..LIMITS };
        let ((_, a), (_, b)) = tokio::join!(node_within(&cut_off, limits), node(&url));
        let ((first, _one), (second, _two)) = (start(a), start(b));
        let mut lease = leave(&first, 1).await;
        lease.sending();
        cable.cut();
        assert_eq!(ask(&first, 2).await.unwrap_err().kind(), Kind::Unreachable);
        assert_eq!(refusal(&second, 1).await, Refusal::Running { retry_after_s: 1 });
        leave(&second, 3).await.release();
        let completed = tokio::task::spawn_local(lease.complete(answer(201, "7")));
        assert_eq!(ask(&first, 3).await.unwrap_err().kind(), Kind::Unreachable);
        cable.mend();
        completed.await.unwrap().unwrap();
        assert!(matches!(ask(&second, 1).await, Ok(Claimed::Replay(kept)) if kept == answer(201, "7")));
    });
}

#[test]
fn a_node_that_is_gone_leaves_its_keys_taken() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let ((_, first), (_, second)) = tokio::join!(node(&url), node(&url));
        let (keys, keeper) = start(first);
        let brief = policy(Duration::from_millis(1), OnUnknown::Refuse);
        let lease = keys.claim(id(1), Fingerprint([1; 32]), &brief).await.unwrap();
        // As by a kill: nobody settles.
        keeper.abort();
        assert!(keeper.await.unwrap_err().is_cancelled());
        drop(lease);
        let (keys, _keeper) = start(second);
        assert_eq!(refusal(&keys, 1).await, Refusal::Unknown);
        let again = policy(LEASE, OnUnknown::Retry);
        let claimed = keys.claim(id(1), Fingerprint([1; 32]), &again).await;
        assert!(matches!(claimed, Ok(Claimed::Run(_))), "{claimed:?}");
    });
}

#[test]
fn a_connection_cut_in_the_middle_of_a_claim_never_lets_two_run() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let ((pool, a), (_, b)) = tokio::join!(node(&url), node(&url));
        let ((first, _one), (second, _two)) = (start(a), start(b));
        let mut cut = 0;
        for number in 0..40 {
            // Somebody else ends this node's sessions while it claims.
            let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
            let killing = pool.run(async |client| Ok(client.batch_execute(kill).await?));
            let (_, a, b) = tokio::join!(killing, ask(&first, number), ask(&second, number));
            let ran = [&a, &b].iter().filter(|claimed| matches!(claimed, Ok(Claimed::Run(_)))).count();
            assert!(ran <= 1, "{a:?} {b:?}");
            cut += u32::from(a.is_err() || b.is_err());
            for mut lease in [a, b].into_iter().filter_map(|claimed| match claimed {
                Ok(Claimed::Run(lease)) => Some(lease),
                _ => None,
            }) {
                lease.sending();
            }
        }
        assert!(cut > 0, "no connection was cut");
    });
}
