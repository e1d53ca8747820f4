//! A service's endpoints at one time, with what can be computed ahead for picking among them.

use crate::pool::{self, Pool};
use crate::sticky::{Token, Tokens};
use crate::table::Seated;
use crate::{Balance, Candidate};

/// An immutable set of endpoints, shared by all cores until discovery finds another one.
///
/// Building it is the expensive part and happens off the data path: linear in the endpoints, and for hashing policies
/// a table on top. [`Fleet::succeed`] puts the table off, so that a change is in force at once.
#[derive(Debug)]
pub struct Fleet<E> {
    balance: Balance,
    endpoints: Box<[E]>,
    pools: Box<[Pool]>,
    tokens: Option<Tokens>,
}

impl<E: Candidate> Fleet<E> {
    /// A fleet of `endpoints`. An empty one is fine: no pick succeeds.
    ///
    /// # Panics
    /// With 2³² endpoints or more.
    pub fn new(balance: impl Into<Balance>, endpoints: Vec<E>) -> Fleet<E> {
        Fleet::build(balance.into(), endpoints, &[], false)
    }

    /// The fleet that follows this one: other endpoints, the same balance. Where endpoints and weights of a pool are the
    /// same, so is its table; where they are not, the table of before is used for the time being: keys of an endpoint
    /// that is gone go to the next on the circle, a new one only gets requests that walk on, or none.
    ///
    /// While it is not [settled](Fleet::is_settled), build the same with [`Fleet::resettle`] off the data path and put
    /// that in its place.
    pub fn succeed(&self, endpoints: Vec<E>) -> Fleet<E> {
        Fleet::build(self.balance.clone(), endpoints, &self.pools, true)
    }

    /// The fleet that follows this one, with tables for exactly its endpoints. Tables of pools that are the same as
    /// here are shared.
    pub fn resettle(&self, endpoints: Vec<E>) -> Fleet<E> {
        Fleet::build(self.balance.clone(), endpoints, &self.pools, false)
    }

    /// Whether its tables were built for exactly its endpoints; true for policies without tables.
    pub fn is_settled(&self) -> bool {
        self.pools.iter().all(|pool| pool.seated.as_ref().is_none_or(|seated| seated.is_settled))
    }

    fn build(balance: Balance, endpoints: Vec<E>, before: &[Pool], keep: bool) -> Fleet<E> {
        assert!(u32::try_from(endpoints.len()).is_ok(), "endpoints are numbered in 32 bits");
        let mut pools = pool::pools(&balance, &endpoints);
        if balance.policy.is_hashing() {
            for pool in &mut pools {
                let before = before.iter().find(|before| before.level == pool.level);
                let before = before.and_then(|before| before.seated.as_ref());
                pool.seated = Seated::new(balance.policy, pool.seats(&endpoints), before, keep);
            }
        }
        let tokens = balance.sticky.as_ref().map(|key| Tokens::new(key, &endpoints));
        Fleet { balance, endpoints: endpoints.into_boxed_slice(), pools, tokens }
    }

    /// How its endpoints share the requests.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// The endpoints, in the order that [`Pick::index`](crate::Pick) counts.
    pub fn endpoints(&self) -> &[E] {
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
}
