//! The store's side: does what the gateway's cores ask, beside each other, and goes on trying to store outcomes.
//! Sweeps. Never lets a claim through that the store has not confirmed.

use std::time::Duration;

use forebay_store::StoreError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::keys::{ClaimOrder, Claimed, Keys, Order, SettleOrder};
use crate::record::{Settlement, Verdict};
use crate::store::Store;
use crate::telemetry;

/// Keyed requests under way on this node, each with a place for its outcome.
const PLACES_MAX: usize = 4096;
/// Claims before the store at a time; beyond it they wait in the queue.
const CLAIMS_MAX: usize = 256;
/// Outcomes held while the store cannot be reached, and the bytes of their answers. Beyond it an answer is not kept,
/// and then the outcome counts as unknown.
const SETTLING_MAX: usize = 4096;
const HELD_BYTES_MAX: usize = 32 << 20;
/// How long an outcome is worth storing: an outage longer than this is told in the log.
const SETTLE_TIME: Duration = Duration::from_secs(600);
/// First and longest wait between two tries.
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long outcomes may take once the last request is over and the process wants to end.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Rows a sweep deletes, the time to the next, and to the next when there were more.
const SWEEP_ROWS_MAX: u32 = 1000;
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_AGAIN: Duration = Duration::from_secs(1);

/// Owns the store. Runs on the control runtime.
pub struct Keeper<S> {
    store: S,
    orders: mpsc::Receiver<Order>,
    rng: fastrand::Rng,
}

/// A keeper, and a way to it for the gateway's cores, which wait for it `timeout` at most.
pub fn keeper<S: Store>(store: S, timeout: Duration, rng: fastrand::Rng) -> (Keys, Keeper<S>) {
    let (sender, orders) = mpsc::channel(PLACES_MAX);
    (Keys::new(sender, timeout), Keeper { store, orders, rng })
}

impl<S: Store> Keeper<S> {
    /// Works until every [`Keys`] and every lease is gone, then stores what is left, within a bound. A future that is
    /// dropped earlier leaves keys taken, never free.
    pub async fn run(mut self) {
        let store = &self.store;
        let mut claims = FuturesUnordered::new();
        let mut settling = FuturesUnordered::new();
        let mut held_bytes = 0;
        let sweeping = std::pin::pin!(sweep(store));
        let mut sweeping = futures_util::future::FutureExt::fuse(sweeping);
        loop {
            tokio::select! {
                // Outcomes first: they free keys and places.
                biased;
                Some(bytes) = settling.next() => held_bytes -= bytes,
                Some(()) = claims.next() => {}
                order = self.orders.recv(), if claims.len() < CLAIMS_MAX => match order {
                    None => break,
                    Some(Order::Claim(order)) => claims.push(claim(store, order)),
                    Some(Order::Settle(order)) => {
                        if settling.len() < SETTLING_MAX {
                            let order = light(order, held_bytes);
                            held_bytes += bytes(&order);
                            settling.push(settle(store, order, self.rng.fork()));
                        } else {
                            telemetry::settlement_lost(&StoreError::Busy);
                        }
                    }
                },
                () = &mut sweeping => {}
            }
        }
        let rest = async {
            while claims.next().await.is_some() {}
            while settling.next().await.is_some() {}
        };
        if timeout(CLOSE_TIME, rest).await.is_err() {
            telemetry::settlement_lost(&StoreError::Timeout);
        }
    }
}

/// Without its answer, if too much is held already.
fn light(mut order: SettleOrder, held_bytes: usize) -> SettleOrder {
    if let Settlement::Done(answer) = &order.settlement
        && held_bytes + answer.bytes() > HELD_BYTES_MAX
    {
        order.settlement = Settlement::NotKept { status: answer.status };
    }
    order
}

fn bytes(order: &SettleOrder) -> usize {
    match &order.settlement {
        Settlement::Done(answer) => answer.bytes(),
        _ => 0,
    }
}

async fn claim<S: Store>(store: &S, order: ClaimOrder) {
    let ClaimOrder { claim, lease, reply } = order;
    if reply.is_closed() {
        return lease.discard();
    }
    let claimed = match store.claim(&claim).await {
        // Nobody waits any more: the lease comes back with the reply, and frees the key as it is dropped.
        Ok(Verdict::Run) => return drop(reply.send(Ok(Claimed::Run(lease)))),
        Ok(Verdict::Replay(answer)) => Ok(Claimed::Replay(answer)),
        Ok(Verdict::Refuse(refusal)) => Ok(Claimed::Refuse(refusal)),
        Err(error) => Err(error),
    };
    match &claimed {
        // The record may stand there: taken back, since nobody will run under it.
        Err(error) if error.may_have_happened() => lease.release(),
        _ => lease.discard(),
    }
    let _ = reply.send(claimed);
}

/// Tries until it is stored; gives back the bytes it held.
async fn settle<S: Store>(store: &S, order: SettleOrder, mut rng: fastrand::Rng) -> usize {
    let held = bytes(&order);
    let SettleOrder { id, token, settlement, ttl, done } = order;
    let give_up = Instant::now() + SETTLE_TIME;
    let mut wait = WAIT_MIN;
    let stored = loop {
        match store.settle(id, token, settlement.clone(), ttl).await {
            Err(error) if error.retry_may_help() && Instant::now() < give_up => {
                sleep(wait.mul_f64(0.5 + rng.f64() / 2.0)).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            stored => break stored,
        }
    };
    if let Err(error) = &stored {
        telemetry::settlement_lost(error);
    }
    if let Some(done) = done {
        let _ = done.send(stored);
    }
    held
}

async fn sweep<S: Store>(store: &S) {
    let mut wait = SWEEP_EVERY;
    loop {
        sleep(wait).await;
        wait = match store.sweep(SWEEP_ROWS_MAX).await {
            Ok(rows) if rows >= u64::from(SWEEP_ROWS_MAX) => SWEEP_AGAIN,
            Ok(_) => SWEEP_EVERY,
            Err(error) => {
                telemetry::sweep_failed(&error);
                SWEEP_EVERY
            }
        };
    }
}
