//! A service's endpoints at one time, with what can be computed ahead for picking among them.

use std::num::NonZeroU32;

use fastrand::Rng;

use crate::alias::AliasTable;
use crate::{Candidate, Policy};

/// An immutable set of endpoints, shared by all cores until discovery finds another one.
///
/// Building it is the expensive part (linear in the endpoints) and happens off the data path.
#[derive(Debug)]
pub struct Fleet<E> {
    policy: Policy,
    endpoints: Box<[E]>,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Equal,
    Unequal(AliasTable),
}

impl<E: Candidate> Fleet<E> {
    /// A fleet of `endpoints`, balanced by `policy`. An empty fleet is fine: no pick succeeds.
    ///
    /// # Panics
    /// With 2³² endpoints or more.
    pub fn new(policy: Policy, endpoints: Vec<E>) -> Fleet<E> {
        assert!(u32::try_from(endpoints.len()).is_ok(), "endpoints are numbered in 32 bits");
        let weights: Vec<NonZeroU32> = endpoints.iter().map(Candidate::weight).collect();
        let weights = if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            Weights::Equal
        } else {
            Weights::Unequal(AliasTable::new(&weights))
        };
        Fleet { policy, endpoints: endpoints.into_boxed_slice(), weights }
    }

    /// How its endpoints share the requests.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The endpoints, in the order that [`Pick::index`](crate::Pick) counts.
    pub fn endpoints(&self) -> &[E] {
        &self.endpoints
    }

    pub(crate) fn has_equal_weights(&self) -> bool {
        matches!(self.weights, Weights::Equal)
    }

    /// Any endpoint, with a chance proportional to its weight. The fleet must not be empty.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        match &self.weights {
            Weights::Equal => rng.usize(..self.endpoints.len()),
            Weights::Unequal(table) => table.draw(rng),
        }
    }
}
