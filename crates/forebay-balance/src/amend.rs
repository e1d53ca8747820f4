//! What becomes of a fleet's pools when few of its endpoints change: the arrays of numbers are copied, and the endpoints
//! that stay are not looked at. Refuses what makes other pools; they are to be put together anew then.

use crate::pool::Pool;
use crate::table::Seat;
use crate::{Candidate, Endpoints};

/// A change of one endpoint of a fleet.
#[derive(Clone, Debug)]
pub enum Amendment<E> {
    /// This one is at this index now.
    Replace(usize, E),
    /// One more; its index is the next.
    Add(E),
    /// The one at this index is gone; the last one has its index now.
    Remove(usize),
}

/// Pools in the making, and the endpoints that they are of.
pub(crate) struct Draft<E> {
    pub(crate) endpoints: Endpoints<E>,
    pub(crate) pools: Box<[Pool]>,
    /// Whether zones make pools.
    has_zones: bool,
    /// Of each pool, whether it has to be weighed.
    unweighed: Vec<bool>,
}

/// There are other pools than before: a level or a zone came or went.
pub(crate) struct Torn;

impl<E: Candidate + Clone> Draft<E> {
    pub(crate) fn new(endpoints: Endpoints<E>, pools: Box<[Pool]>, has_zones: bool) -> Draft<E> {
        let unweighed = vec![false; pools.len()];
        Draft { endpoints, pools, has_zones, unweighed }
    }

    /// Makes one change. `Torn` when the pools cannot follow; then they are of no more use, and the endpoints are as before.
    pub(crate) fn amend(&mut self, amendment: Amendment<E>) -> Result<(), Torn> {
        match amendment {
            Amendment::Replace(index, endpoint) => self.replace(index, endpoint),
            Amendment::Add(endpoint) => {
                let (index, pool) = (self.endpoints.len(), self.pool_for(&endpoint)?);
                self.pools[pool].insert(index, Seat::of(&endpoint));
                self.unweighed[pool] = true;
                self.endpoints.push(endpoint);
                Ok(())
            }
            Amendment::Remove(index) => {
                let last = self.endpoints.len() - 1;
                // The last one first: where a pool has all, its indices have to stay without a gap.
                self.leave(last)?;
                if index != last {
                    self.replace(index, self.endpoints[last].clone())?;
                }
                self.endpoints.swap_remove(index);
                Ok(())
            }
        }
    }

    /// Weighs the pools that need it.
    pub(crate) fn finish(mut self) -> (Endpoints<E>, Box<[Pool]>) {
        let unweighed = self.pools.iter_mut().zip(self.unweighed).filter(|(_, unweighed)| *unweighed);
        unweighed.for_each(|(pool, _)| pool.weigh());
        (self.endpoints, self.pools)
    }

    fn replace(&mut self, index: usize, endpoint: E) -> Result<(), Torn> {
        let (from, to) = (self.pool_of(index)?, self.pool_for(&endpoint)?);
        let who = self.endpoints[index].identity();
        if from == to {
            self.unweighed[from] |= self.pools[from].replace(index, who, Seat::of(&endpoint));
        } else {
            self.leave(index)?;
            self.pools[to].insert(index, Seat::of(&endpoint));
            self.unweighed[to] = true;
        }
        self.endpoints.replace(index, endpoint);
        Ok(())
    }

    /// An endpoint leaves its pool.
    fn leave(&mut self, index: usize) -> Result<(), Torn> {
        let pool = self.pool_of(index)?;
        self.pools[pool].remove(index, self.endpoints[index].identity());
        self.unweighed[pool] = true;
        if self.pools[pool].size() == 0 { Err(Torn) } else { Ok(()) }
    }

    fn pool_of(&self, index: usize) -> Result<usize, Torn> {
        self.pools.iter().position(|pool| pool.place(index).is_some()).ok_or(Torn)
    }

    /// The pool of those that are like it.
    fn pool_for(&self, endpoint: &E) -> Result<usize, Torn> {
        let is_like = |other: &E| {
            other.priority() == endpoint.priority() && (!self.has_zones || other.zone() == endpoint.zone())
        };
        self.pools.iter().position(|pool| is_like(&self.endpoints[pool.index(0)])).ok_or(Torn)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use fastrand::Rng;
    use forebay_clock::Moment;
    use proptest::prelude::*;

    use super::*;
    use crate::{Balance, Balancer, Fleet, Identity, Policy, Request, StickyKey, Tried};

    const ZONES: [&str; 3] = ["a", "b", "c"];

    #[derive(Clone, Debug)]
    struct One {
        number: u64,
        weight: u32,
        priority: u16,
        zone: usize,
        eligible: bool,
    }

    impl Candidate for One {
        fn identity(&self) -> Identity {
            Identity(self.number)
        }
        fn weight(&self) -> NonZeroU32 {
            NonZeroU32::new(self.weight).unwrap()
        }
        fn priority(&self) -> u16 {
            self.priority
        }
        fn zone(&self) -> Option<&str> {
            Some(ZONES[self.zone])
        }
        fn in_flight(&self) -> u32 {
            0
        }
        fn is_eligible(&self, _now: Moment) -> bool {
            self.eligible
        }
    }

    type Described = (u32, u16, usize, bool);

    fn described() -> impl Strategy<Value = Described> {
        // Mostly alike, so that pools are large, and come and go now and then.
        let priority = prop_oneof![8 => Just(0u16), 2 => Just(1), 1 => Just(7)];
        (1..4u32, priority, 0..3usize, prop::bool::weighted(0.8))
    }

    fn one(number: u64, (weight, priority, zone, eligible): Described) -> Arc<One> {
        Arc::new(One { number, weight, priority, zone, eligible })
    }

    /// Level and nearness of each pool, with its members' numbers and weights.
    type Seen = Vec<(usize, bool, u64, Vec<(u64, u32)>)>;

    fn seen(fleet: &Fleet<Arc<One>>) -> Seen {
        let mut seen: Seen = Vec::new();
        for pool in fleet.pools() {
            let number = |index: usize| fleet.endpoints()[index].number;
            let weights = pool.weights().iter().map(|weight| weight.get());
            let mut members: Vec<_> = pool.indices().map(number).zip(weights).collect();
            members.sort_unstable();
            seen.push((pool.level, pool.is_local, pool.capacity, members));
        }
        // Zones beyond the preferred one stand in no order.
        seen.sort();
        seen
    }

    proptest! {
        // Each makes dozens of tables.
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn an_amended_fleet_is_the_same_as_one_put_together(
            policy in prop::sample::select(vec![Policy::LeastRequest, Policy::Maglev]),
            zone in prop::option::of(Just("a")),
            before in prop::collection::vec(described(), 1..150),
            changes in prop::collection::vec(prop::collection::vec((0..3u8, 0..200usize, described()), 1..4), 1..6),
        ) {
            let sticky = Some(StickyKey::new(None));
            let balance = Balance { zone: zone.map(Into::into), sticky, ..Balance::from(policy) };
            let mut rng = Rng::with_seed(1);
            let mut number = before.len() as u64;
            let endpoints = (0..).zip(before).map(|(number, it)| one(number, it)).collect();
            let mut balancer = Balancer::new(Arc::new(Fleet::new(balance.clone(), endpoints)), &mut rng);
            let tried = Tried::default();
            for round in changes {
                balancer.pick(&Request::new(Moment::START, &tried), &mut rng);
                let mut plain: Vec<_> = balancer.endpoints().iter().cloned().collect();
                let amendments = round.into_iter().map(|(kind, at, it)| {
                    if kind == 0 || plain.is_empty() {
                        number += 1;
                        plain.push(one(number, it));
                        return Amendment::Add(plain[plain.len() - 1].clone());
                    }
                    let at = at % plain.len();
                    if kind == 1 {
                        plain[at] = one(plain[at].number, it);
                        return Amendment::Replace(at, plain[at].clone());
                    }
                    plain.swap_remove(at);
                    Amendment::Remove(at)
                });
                let amendments: Vec<_> = amendments.collect();
                let amended = Arc::new(balancer.fleet().amend(amendments));
                let afresh = Fleet::new(balance.clone(), plain.clone());
                prop_assert!(amended.endpoints().iter().zip(&plain).all(|(a, b)| Arc::ptr_eq(a, b)));
                prop_assert_eq!(amended.endpoints().len(), plain.len());
                prop_assert_eq!(seen(&amended), seen(&afresh));
                for index in 0..plain.len() {
                    prop_assert_eq!(amended.find(afresh.token(index).unwrap()), Some(index));
                }
                check_tables(&amended, &afresh)?;

                let carried = balancer.succeed(amended.clone(), Moment::START, &mut rng);
                carried.check_census(Moment::START);
                balancer = carried;
            }
        }
    }

    /// Keys of whoever is there go to them, or to who is behind; and once it is settled, as in a table made afresh.
    fn check_tables(amended: &Fleet<Arc<One>>, afresh: &Fleet<Arc<One>>) -> Result<(), TestCaseError> {
        let settled = amended.resettle();
        prop_assert!(settled.is_settled());
        for (place, pool) in amended.pools().iter().enumerate() {
            let Some(seated) = &pool.seated else { continue };
            let fresh = afresh.pools().iter().find(|fresh| fresh.level == pool.level).unwrap();
            let (fresh, settled) =
                (fresh.seated.as_ref().unwrap(), settled.pools()[place].seated.as_ref().unwrap());
            for key in (0..200u64).map(|key| key << 56 | key << 40) {
                let owner = |index: Option<usize>| index.map(|index| amended.endpoints()[index].number);
                prop_assert_eq!(
                    owner(settled.seat(settled.start(key)).0),
                    owner(fresh.seat(fresh.start(key)).0)
                );
                let found = seated.seat(seated.start(key)).0;
                prop_assert!(found.is_none_or(|index| pool.place(index).is_some()));
                prop_assert!(found.is_some() || !seated.is_settled);
            }
        }
        Ok(())
    }
}
