//! A fleet that a test can change, and a balancer on it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fastrand::Rng;
use forebay_balance::{
    Balance, Balancer, Candidate, Fleet, Identity, PeakEwma, Pick, Policy, Request, Token, Tried,
};
use forebay_clock::Moment;
use forebay_config::Share;
use proptest::prelude::*;

pub(crate) struct Endpoint {
    pub(crate) identity: Identity,
    pub(crate) weight: u32,
    pub(crate) priority: u16,
    pub(crate) zone: Option<&'static str>,
    pub(crate) since: Option<Moment>,
    pub(crate) in_flight: AtomicU32,
    pub(crate) eligible: AtomicBool,
    pub(crate) latency: PeakEwma,
}

impl Endpoint {
    /// Idle and healthy, of weight 1; the address is made of the number.
    pub(crate) fn new(number: usize) -> Endpoint {
        let address = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
        Endpoint {
            identity: Identity::of((address, 9001).into(), None),
            weight: 1,
            priority: 0,
            zone: None,
            since: None,
            in_flight: AtomicU32::new(0),
            eligible: AtomicBool::new(true),
            latency: PeakEwma::default(),
        }
    }

    pub(crate) fn with_weights(weights: &[u32]) -> Vec<Endpoint> {
        let numbered = weights.iter().enumerate();
        numbered.map(|(number, &weight)| Endpoint { weight, ..Endpoint::new(number) }).collect()
    }
}

impl Candidate for Endpoint {
    fn identity(&self) -> Identity {
        self.identity
    }
    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::new(self.weight).expect("weights start at 1")
    }
    fn priority(&self) -> u16 {
        self.priority
    }
    fn zone(&self) -> Option<&str> {
        self.zone
    }
    fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
    fn is_eligible(&self, _now: Moment) -> bool {
        self.eligible.load(Ordering::Relaxed)
    }
    fn healthy_since(&self) -> Option<Moment> {
        self.since
    }
    fn latency(&self) -> Option<&PeakEwma> {
        Some(&self.latency)
    }
}

/// A balancer, its rng, and a clock that moves on with every pick, so that each pick sees a fresh census.
pub(crate) struct Bench {
    pub(crate) balancer: Balancer<Arc<Endpoint>>,
    pub(crate) rng: Rng,
    pub(crate) now: Moment,
}

impl Bench {
    pub(crate) fn new(balance: impl Into<Balance>, endpoints: Vec<Endpoint>, seed: u64) -> Bench {
        let fleet = Fleet::new(balance, endpoints.into_iter().map(Arc::new).collect());
        Bench::on(fleet, seed)
    }

    pub(crate) fn on(fleet: Fleet<Arc<Endpoint>>, seed: u64) -> Bench {
        let mut rng = Rng::with_seed(seed);
        Bench { balancer: Balancer::new(Arc::new(fleet), &mut rng), rng, now: Moment::START }
    }

    pub(crate) fn mark(&self, eligible: &[bool]) {
        for (endpoint, &eligible) in self.balancer.endpoints().iter().zip(eligible) {
            endpoint.eligible.store(eligible, Ordering::Relaxed);
        }
    }

    pub(crate) fn load(&self, index: usize, requests: usize) {
        self.balancer.endpoints()[index].in_flight.fetch_add(requests as u32, Ordering::Relaxed);
    }

    pub(crate) fn pick(&mut self, tried: &[usize]) -> Option<Pick> {
        self.pick_for(tried, None, None)
    }

    pub(crate) fn pick_for(
        &mut self,
        tried: &[usize],
        key: Option<u64>,
        session: Option<Token>,
    ) -> Option<Pick> {
        let mut set = Tried::default();
        tried.iter().for_each(|&index| set.insert(index));
        self.now = self.now + Duration::from_millis(100);
        let request = Request { key, session, ..Request::new(self.now, &set) };
        self.balancer.pick(&request, &mut self.rng)
    }

    /// How often each endpoint is picked by `requests` that end before the next begins, each with a key of its own.
    pub(crate) fn spread(&mut self, requests: usize) -> Vec<usize> {
        let mut picks = vec![0; self.balancer.endpoints().len()];
        for _ in 0..requests {
            let key = self.rng.u64(..);
            picks[self.pick_for(&[], Some(key), None).expect("an endpoint").index] += 1;
        }
        picks
    }
}

/// The balance of a policy that panics only when nobody is eligible.
pub(crate) fn calm(policy: Policy) -> Balance {
    Balance { panic_threshold: Share::from_millionths(0), ..Balance::from(policy) }
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(Policy::ALL.to_vec())
}
