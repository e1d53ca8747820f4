//! A service's endpoints at one time, with what can be computed ahead for picking among them.

use std::sync::Arc;

use crate::amend::{Amendment, Draft};
use crate::pool::{self, Pool};
use crate::sticky::{Token, Tokens};
use crate::table::Seated;
use crate::{Balance, Candidate, Endpoints};

/// An immutable set of endpoints, shared by all cores until discovery finds another one.
///
/// Building it is linear in the endpoints, and for hashing policies a table comes on top. A change of few is made by
/// [`Fleet::amend`], of which most is shared with the fleet before; the table is put off, so that a change is in force at
/// once.
#[derive(Debug)]
pub struct Fleet<E> {
    balance: Balance,
    endpoints: Endpoints<E>,
    pools: Box<[Pool]>,
    tokens: Option<Arc<Tokens>>,
    /// The same one for fleets of which one is the other amended: what is at the same index in a chunk that they share is
    /// the same endpoint, in the same pool.
    lineage: Arc<()>,
}

impl<E: Candidate> Fleet<E> {
    /// A fleet of `endpoints`. An empty one is fine: no pick succeeds.
    ///
    /// # Panics
    /// With 2³² endpoints or more.
    pub fn new(balance: impl Into<Balance>, endpoints: Vec<E>) -> Fleet<E> {
        Fleet::build(balance.into(), Endpoints::new(endpoints), &[], false)
    }

    /// The fleet that follows this one: other endpoints, the same balance. Where endpoints and weights of a pool are the
    /// same, so is its table; where they are not, the table of before is used for the time being: keys of an endpoint
    /// that is gone go to the next on the circle, a new one only gets requests that walk on, or none.
    ///
    /// While it is not [settled](Fleet::is_settled), build the same with [`Fleet::resettle`] off the data path and put
    /// that in its place.
    pub fn succeed(&self, endpoints: Vec<E>) -> Fleet<E> {
        Fleet::build(self.balance.clone(), Endpoints::new(endpoints), &self.pools, true)
    }

    /// The fleet that follows this one by a few changes, made one after the other; otherwise as [`Fleet::succeed`] has it.
    /// Costs tens of microseconds with 10,000 endpoints, as long as there are the same priorities and zones as before.
    ///
    /// # Panics
    /// When an index is not in the fleet.
    pub fn amend(&self, amendments: impl IntoIterator<Item = Amendment<E>>) -> Fleet<E>
    where
        E: Clone,
    {
        let has_zones = pool::preferred_zone(&self.balance).is_some();
        let mut draft = Draft::new(self.endpoints.clone(), self.pools.clone(), has_zones);
        let mut tokens = self.tokens.clone();
        let mut amendments = amendments.into_iter();
        while let Some(amendment) = amendments.next() {
            if let Some((key, tokens)) = self.balance.sticky.as_ref().zip(tokens.as_mut()) {
                Arc::make_mut(tokens).amend(key, &draft.endpoints, &amendment);
            }
            if draft.amend(amendment.clone()).is_err() {
                let mut endpoints = draft.endpoints;
                std::iter::once(amendment).chain(amendments).for_each(|rest| endpoints.amend(rest));
                return Fleet::build(self.balance.clone(), endpoints, &self.pools, true);
            }
        }
        let (endpoints, pools) = draft.finish();
        Fleet { balance: self.balance.clone(), endpoints, pools, tokens, lineage: self.lineage.clone() }
    }

    /// The same endpoints, with tables for exactly them.
    pub fn resettle(&self) -> Fleet<E> {
        let mut pools = self.pools.clone();
        for pool in &mut pools {
            pool.seated =
                Seated::new(self.balance.policy, pool.seats(&self.endpoints), pool.seated.as_ref(), false);
        }
        Fleet {
            balance: self.balance.clone(),
            endpoints: self.endpoints.clone(),
            pools,
            tokens: self.tokens.clone(),
            lineage: self.lineage.clone(),
        }
    }

    /// Whether its tables were built for exactly its endpoints; true for policies without tables.
    pub fn is_settled(&self) -> bool {
        self.pools.iter().all(|pool| pool.seated.as_ref().is_none_or(|seated| seated.is_settled))
    }

    fn build(balance: Balance, endpoints: Endpoints<E>, before: &[Pool], keep: bool) -> Fleet<E> {
        assert!(u32::try_from(endpoints.len()).is_ok(), "endpoints are numbered in 32 bits");
        let mut pools = pool::pools(&balance, &endpoints);
        if balance.policy.is_hashing() {
            for pool in &mut pools {
                let before = before.iter().find(|before| before.level == pool.level);
                let before = before.and_then(|before| before.seated.as_ref());
                pool.seated = Seated::new(balance.policy, pool.seats(&endpoints), before, keep);
            }
        }
        let tokens = balance.sticky.as_ref().map(|key| Arc::new(Tokens::new(key, &endpoints)));
        Fleet { balance, endpoints, pools, tokens, lineage: Arc::default() }
    }

    /// How its endpoints share the requests.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// The endpoints, in the order that [`Pick::index`](crate::Pick) counts.
    pub fn endpoints(&self) -> &Endpoints<E> {
        &self.endpoints
    }

    /// The endpoint that a sticky session names, if it is still here.
    pub fn find(&self, token: Token) -> Option<usize> {
        self.tokens.as_ref()?.index(token)
    }

    /// The name of an endpoint in sticky sessions; `None` without such sessions.
    pub fn token(&self, index: usize) -> Option<Token> {
        Some(self.balance.sticky.as_ref()?.token(self.endpoints[index].identity()))
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        &self.pools
    }
    /// Whether one is the other amended.
    pub(crate) fn is_of_one_lineage(&self, other: &Fleet<E>) -> bool {
        Arc::ptr_eq(&self.lineage, &other.lineage)
    }
}
