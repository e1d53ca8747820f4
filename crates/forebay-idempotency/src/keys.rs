//! The gateway's side: asks for leave to run a keyed request, and says what became of it. Whatever ends a request, its
//! key is settled: the lease does it when dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_store::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::identity::{Fingerprint, KeyId};
use crate::record::{Claim, Settlement, Token, settlement};
use crate::refusal::Refusal;
use crate::settings::Policy;

/// A way to the keeper. Cheap to clone, usable from any thread with a tokio runtime.
#[derive(Clone, Debug)]
pub struct Keys {
    orders: mpsc::Sender<Order>,
    timeout: Duration,
}

/// What may become of a keyed request.
#[derive(Debug)]
pub enum Claimed {
    /// Carry it out, once, and settle the lease.
    Run(Lease),
    /// Answer with this, and the field `Idempotent-Replayed: true`.
    Replay(Answer),
    /// Answer with its problem.
    Refuse(Refusal),
}

/// Leave to carry out one request once. Dropped without a word, it frees the key if nothing was sent, and otherwise
/// records that nobody knows.
#[must_use = "a lease that is dropped frees its key"]
pub struct Lease {
    id: KeyId,
    token: Token,
    policy: Arc<Policy>,
    // A place in the keeper's queue, taken before the request ran, so that its outcome always finds one.
    place: Option<mpsc::OwnedPermit<Order>>,
    sent: bool,
    timeout: Duration,
}

/// What the keeper is asked to do.
pub(crate) enum Order {
    Claim(ClaimOrder),
    Settle(SettleOrder),
}

pub(crate) struct ClaimOrder {
    pub(crate) claim: Claim,
    pub(crate) lease: Lease,
    pub(crate) reply: oneshot::Sender<Result<Claimed, StoreError>>,
}

pub(crate) struct SettleOrder {
    pub(crate) id: KeyId,
    pub(crate) token: Token,
    pub(crate) settlement: Settlement,
    pub(crate) ttl: Duration,
    pub(crate) done: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl Keys {
    pub(crate) fn new(orders: mpsc::Sender<Order>, timeout: Duration) -> Keys {
        Keys { orders, timeout }
    }

    /// Asks for leave, with the whole body at hand. Any error means 503, [`StoreError::problem`]: nothing may be sent,
    /// and a claim that was made all the same is taken back.
    pub async fn claim(
        &self,
        id: KeyId,
        fingerprint: Fingerprint,
        policy: &Arc<Policy>,
    ) -> Result<Claimed, StoreError> {
        let token = draw_token()?;
        let Policy { lease, ttl, on_unknown, .. } = **policy;
        let claim = Claim { id, fingerprint, token, lease, ttl, on_unknown };
        let asked = async {
            let place = self.orders.clone().reserve_owned().await.map_err(|_| StoreError::Closed)?;
            let lease = Lease {
                id,
                token,
                policy: Arc::clone(policy),
                place: Some(place),
                sent: false,
                timeout: self.timeout,
            };
            let (reply, answer) = oneshot::channel();
            let order = Order::Claim(ClaimOrder { claim, lease, reply });
            self.orders.send(order).await.map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| StoreError::Closed)?
        };
        timeout(self.timeout, asked).await.unwrap_or(Err(StoreError::Timeout))
    }
}

impl Lease {
    /// From here on bytes of the request may reach an endpoint. To be called before the first one is written, or
    /// before connecting, where the two cannot be told apart.
    pub fn sending(&mut self) {
        self.sent = true;
    }

    /// The request certainly reached no endpoint: no connection, no healthy endpoint, refused by a limit.
    pub fn release(mut self) {
        self.settle(Settlement::Release, None);
    }

    /// The service answered. Returns when that is stored, or could not be in time; the answer goes to the client
    /// either way, best after this. An error is for the log: the keeper goes on trying.
    pub async fn complete(mut self, answer: Answer) -> Result<(), StoreError> {
        let settlement = settlement(&self.policy, answer);
        let (done, stored) = oneshot::channel();
        self.settle(settlement, Some(done));
        match timeout(self.timeout, stored).await {
            Ok(stored) => stored.unwrap_or(Err(StoreError::Closed)),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    /// The service answers, and at greater length than is kept: known as soon as the limit is passed.
    pub fn not_kept(mut self, status: u16) {
        let released = self.policy.release_on.contains(&status);
        self.settle(if released { Settlement::Release } else { Settlement::NotKept { status } }, None);
    }

    /// How many bytes of an answer are worth collecting.
    pub fn response_bytes_max(&self) -> usize {
        self.policy.response_bytes_max
    }

    /// For a claim that came to nothing: there is nothing to settle.
    pub(crate) fn discard(mut self) {
        self.place = None;
    }

    fn settle(&mut self, settlement: Settlement, done: Option<oneshot::Sender<Result<(), StoreError>>>) {
        if let Some(place) = self.place.take() {
            let Lease { id, token, .. } = *self;
            place.send(Order::Settle(SettleOrder { id, token, settlement, ttl: self.policy.ttl, done }));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let settlement = if self.sent { Settlement::Unknown } else { Settlement::Release };
        self.settle(settlement, None);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).field("sent", &self.sent).finish_non_exhaustive()
    }
}

fn draw_token() -> Result<Token, StoreError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| StoreError::Refused(error.into()))?;
    Ok(Token(u128::from_ne_bytes(bytes)))
}
