//! What a registry says of its instances, pushed by whoever has one: which of them are endpoints, and what has changed
//! since. Asks nobody, and knows no service: the catalog joins the two.
//!
//! - Instances that are ready are endpoints, and so are critical ones, which get no requests while there are others: the
//!   panic threshold has to know of them, and people want to see them with the reason.
//! - Those that are starting, draining or in maintenance were kept out on purpose. They are no endpoints, only counted.
//! - Of several instances with one address, such as one that registered through two nodes, the better state counts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::endpoint::Target;
use crate::standing::Standing;

/// Instances, names counted in, that are kept of names that no service has: a reload may bring one. Twice what a service
/// may have, about 4 MB.
pub const UNCLAIMED_MAX: usize = 20_000;

/// What a registry says of an instance, the best first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advertised {
    /// Send requests.
    Ready,
    /// Its checks fail.
    Critical {
        /// In the checks' words.
        reason: Arc<str>,
    },
    /// Not yet.
    Starting,
    /// No more.
    Draining,
    /// A person took it out.
    Maintenance,
}

/// An instance, as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedTarget {
    /// Where it is, and its share.
    pub target: Target,
    /// How it stands.
    pub advertised: Advertised,
}

/// All that a registry has under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Every instance, whatever its state, in any order.
    pub targets: Vec<PushedTarget>,
    /// When this was last known to be all.
    pub confirmed: Moment,
    /// Why the registry does not know better, such as a shared store that it cannot reach. The targets serve all the same.
    pub failure: Option<Arc<str>>,
}

/// One instance among many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushedChange {
    /// It came, or is otherwise than before. Where several instances have its address, this must be the best of them.
    Put(PushedTarget),
    /// No instance has this address any more.
    Gone(SocketAddr),
}

/// Instances by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// Endpoints.
    pub ready: usize,
    /// Endpoints that get no requests while there are others.
    pub critical: usize,
    /// No endpoints yet.
    pub starting: usize,
    /// No endpoints any more.
    pub draining: usize,
    /// No endpoints for now.
    pub maintenance: usize,
}

impl Advertised {
    /// Whether the instance is an endpoint.
    pub fn is_endpoint(&self) -> bool {
        matches!(self, Advertised::Ready | Advertised::Critical { .. })
    }

    /// Why no requests should go there.
    pub(crate) fn reason(&self) -> Option<&Arc<str>> {
        match self {
            Advertised::Critical { reason } => Some(reason),
            _ => None,
        }
    }
}

impl PushedChange {
    /// What has become of an address, by all the instances that have it.
    pub fn of(address: SocketAddr, instances: impl IntoIterator<Item = PushedTarget>) -> PushedChange {
        let best = instances.into_iter().min_by(|one, other| rank(one).cmp(&rank(other)));
        best.map_or(PushedChange::Gone(address), PushedChange::Put)
    }
}

impl Instances {
    /// All of them.
    pub fn all(&self) -> usize {
        self.endpoints() + self.starting + self.draining + self.maintenance
    }

    /// Those that are endpoints.
    pub fn endpoints(&self) -> usize {
        self.ready + self.critical
    }

    fn of(&mut self, advertised: &Advertised) -> &mut usize {
        match advertised {
            Advertised::Ready => &mut self.ready,
            Advertised::Critical { .. } => &mut self.critical,
            Advertised::Starting => &mut self.starting,
            Advertised::Draining => &mut self.draining,
            Advertised::Maintenance => &mut self.maintenance,
        }
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        write!(f, "{all} instance{}", if all == 1 { "" } else { "s" })?;
        let odd = [
            (self.critical, "critical"),
            (self.starting, "starting"),
            (self.draining, "draining"),
            (self.maintenance, "in maintenance"),
        ];
        odd.into_iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, how)| write!(f, ", {count} {how}"))
    }
}

/// What has become of the endpoint at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    /// The same endpoint, critical or not, or for another reason.
    State(SocketAddr),
    /// It came, went, or is described otherwise.
    Set(SocketAddr),
}

impl Shift {
    pub(crate) fn address(&self) -> SocketAddr {
        let (Shift::State(address) | Shift::Set(address)) = self;
        *address
    }
}

/// What a registry said last under one name, or nothing yet.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    held: BTreeMap<SocketAddr, PushedTarget>,
    instances: Instances,
    /// When it was last confirmed, and what is wrong since.
    heard: Option<(Moment, Option<Arc<str>>)>,
}

impl Listing {
    /// Takes all that the registry has. Gives what has changed.
    pub(crate) fn take(&mut self, pushed: Pushed) -> Vec<Shift> {
        self.heard = Some((pushed.confirmed, pushed.failure));
        let mut targets = pushed.targets;
        // Usually in order, which costs one look at each.
        targets.sort_by(|a, b| rank(a).cmp(&rank(b)));
        targets.dedup_by_key(|pushed| pushed.target.address);
        let (mut gone, mut news) = (Vec::new(), Vec::new());
        let mut held = self.held.values().peekable();
        for pushed in targets {
            let address = pushed.target.address;
            while let Some(old) = held.next_if(|old| old.target.address < address) {
                gone.push(PushedChange::Gone(old.target.address));
            }
            if held.next_if(|old| old.target.address == address) != Some(&pushed) {
                news.push(PushedChange::Put(pushed));
            }
        }
        gone.extend(held.map(|old| PushedChange::Gone(old.target.address)));
        gone.into_iter().chain(news).filter_map(|change| self.change(change)).collect()
    }

    /// Takes one instance's change, known to be true `now`.
    pub(crate) fn take_one(&mut self, now: Moment, change: PushedChange) -> Option<Shift> {
        let failure = self.heard.take().and_then(|(_, failure)| failure);
        self.heard = Some((now, failure));
        self.change(change)
    }

    fn change(&mut self, change: PushedChange) -> Option<Shift> {
        match change {
            PushedChange::Put(pushed) => self.put(pushed),
            PushedChange::Gone(address) => {
                let before = self.held.remove(&address)?;
                *self.instances.of(&before.advertised) -= 1;
                before.advertised.is_endpoint().then_some(Shift::Set(address))
            }
        }
    }

    fn put(&mut self, pushed: PushedTarget) -> Option<Shift> {
        let address = pushed.target.address;
        let before = self.held.get(&address);
        if before == Some(&pushed) {
            return None;
        }
        let before = before.map(|before| (before.advertised.is_endpoint(), before.target == pushed.target));
        let is_endpoint = pushed.advertised.is_endpoint();
        *self.instances.of(&pushed.advertised) += 1;
        if let Some(before) = self.held.insert(address, pushed) {
            *self.instances.of(&before.advertised) -= 1;
        }
        match before {
            Some((true, true)) if is_endpoint => Some(Shift::State(address)),
            Some((true, _)) => Some(Shift::Set(address)),
            _ => is_endpoint.then_some(Shift::Set(address)),
        }
    }

    /// The instances that are endpoints, by address.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.held.values().filter(|held| held.advertised.is_endpoint()).map(|held| &held.target)
    }

    /// The instance at this address, if it is an endpoint.
    pub(crate) fn endpoint(&self, address: SocketAddr) -> Option<&PushedTarget> {
        self.held.get(&address).filter(|held| held.advertised.is_endpoint())
    }

    pub(crate) fn instances(&self) -> Instances {
        self.instances
    }

    /// Whether anything was ever said.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    pub(crate) fn standing(&self) -> Standing {
        let instances = self.instances;
        match &self.heard {
            None => Standing::Unheard,
            Some((_, None)) => Standing::Told { instances },
            Some((confirmed, Some(failure))) => {
                Standing::Outdated { instances, confirmed: *confirmed, failure: Arc::clone(failure) }
            }
        }
    }
}

/// In the order of addresses; of one address the best first, and beyond that always the same.
fn rank(pushed: &PushedTarget) -> (SocketAddr, &Advertised, &Target) {
    (pushed.target.address, &pushed.advertised, &pushed.target)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instance(last: u8, weight: u32, advertised: Advertised) -> PushedTarget {
        let target = Target { weight, ..Target::new(([10, 0, 0, last], 80).into()) };
        PushedTarget { target, advertised }
    }

    fn critical(reason: &str) -> Advertised {
        Advertised::Critical { reason: reason.into() }
    }

    fn pushed(targets: Vec<PushedTarget>) -> Pushed {
        Pushed { targets, confirmed: Moment::START, failure: None }
    }

    fn seen(listing: &Listing) -> Vec<(u8, bool)> {
        let critical =
            |target: &Target| listing.endpoint(target.address).unwrap().advertised.reason().is_some();
        let last =
            |target: &Target| target.address.ip().to_string().rsplit_once('.').unwrap().1.parse().unwrap();
        listing.targets().map(|target| (last(target), critical(target))).collect()
    }

    #[test]
    fn ready_and_critical_instances_are_endpoints_and_the_others_are_counted() {
        let mut listing = Listing::default();
        listing.take(pushed(vec![
            instance(5, 1, Advertised::Maintenance),
            instance(3, 1, critical("TTL expired")),
            instance(1, 1, Advertised::Ready),
            instance(4, 1, Advertised::Draining),
            instance(2, 1, Advertised::Starting),
        ]));
        assert_eq!(seen(&listing), [(1, false), (3, true)]);
        assert_eq!(
            listing.instances().to_string(),
            "5 instances, 1 critical, 1 starting, 1 draining, 1 in maintenance"
        );
    }

    #[test]
    fn of_two_instances_with_one_address_the_better_state_counts() {
        let states = [
            Advertised::Ready,
            critical("down"),
            Advertised::Starting,
            Advertised::Draining,
            Advertised::Maintenance,
        ];
        for (better, worse) in states.iter().zip(&states[1..]) {
            for pair in [[better, worse], [worse, better]] {
                let mut listing = Listing::default();
                listing.take(pushed(pair.map(|state| instance(1, 1, state.clone())).to_vec()));
                assert_eq!(listing.held.values().next().unwrap().advertised, *better);
                assert_eq!(listing.instances().all(), 1);
            }
        }
    }

    #[test]
    fn what_has_changed_is_told_apart() {
        fn check(
            before: Option<PushedTarget>,
            after: Option<PushedTarget>,
            expected: Option<fn(SocketAddr) -> Shift>,
        ) {
            let mut listing = Listing::default();
            listing.take(pushed(before.clone().into_iter().collect()));
            let shifts = listing.take(pushed(after.clone().into_iter().collect()));
            let expected = expected.map(|shift| shift(([10, 0, 0, 1], 80).into()));
            assert_eq!(shifts, Vec::from_iter(expected), "{before:?} to {after:?}");
        }
        let state = |advertised| Some(instance(1, 1, advertised));
        check(None, state(Advertised::Ready), Some(Shift::Set));
        check(state(Advertised::Ready), state(Advertised::Ready), None);
        check(state(Advertised::Ready), state(critical("down")), Some(Shift::State));
        check(state(critical("down")), state(critical("still down")), Some(Shift::State));
        check(state(Advertised::Ready), Some(instance(1, 2, Advertised::Ready)), Some(Shift::Set));
        check(state(Advertised::Ready), state(Advertised::Draining), Some(Shift::Set));
        check(state(Advertised::Draining), state(Advertised::Maintenance), None);
        check(state(Advertised::Draining), None, None);
        check(state(critical("down")), None, Some(Shift::Set));
    }

    #[test]
    fn it_stands_as_it_was_told() {
        let mut listing = Listing::default();
        assert_eq!(listing.standing(), Standing::Unheard);
        listing.take(pushed(vec![instance(1, 1, Advertised::Ready)]));
        let instances = Instances { ready: 1, ..Instances::default() };
        assert_eq!(listing.standing(), Standing::Told { instances });
        let failure: Arc<str> = "cannot reach PostgreSQL".into();
        listing.take(Pushed {
            failure: Some(failure.clone()),
            ..pushed(vec![instance(1, 1, Advertised::Ready)])
        });
        let outdated = Standing::Outdated { instances, confirmed: Moment::START, failure };
        assert_eq!(listing.standing(), outdated);
        listing.take_one(Moment::START, PushedChange::Gone(([10, 0, 0, 1], 80).into()));
        assert!(matches!(listing.standing(), Standing::Outdated { instances, .. } if instances.all() == 0));
    }

    fn any_instance() -> impl Strategy<Value = PushedTarget> {
        let state = prop_oneof![
            Just(Advertised::Ready),
            Just(critical("down")),
            Just(Advertised::Starting),
            Just(Advertised::Draining),
            Just(Advertised::Maintenance),
        ];
        (0..8u8, 1..3u32, state).prop_map(|(last, weight, state)| instance(last, weight, state))
    }

    proptest! {
        #[test]
        fn one_by_one_comes_to_the_same_as_all_at_once(
            before in prop::collection::vec(any_instance(), 0..12),
            after in prop::collection::vec(any_instance(), 0..12),
        ) {
            let mut whole = Listing::default();
            whole.take(pushed(before.clone()));
            let shifts = whole.take(pushed(after.clone()));
            let mut best = Listing::default();
            best.take(pushed(after));

            let mut single = Listing::default();
            single.take(pushed(before));
            let gone: Vec<_> = single.held.keys().copied().filter(|at| !best.held.contains_key(at)).collect();
            let mut shifts_single: Vec<_> =
                gone.into_iter().filter_map(|at| single.take_one(Moment::START, PushedChange::Gone(at))).collect();
            for held in best.held.values() {
                shifts_single.extend(single.take_one(Moment::START, PushedChange::Put(held.clone())));
            }
            prop_assert_eq!(&whole.held, &best.held);
            prop_assert_eq!(&single.held, &best.held);
            prop_assert_eq!(whole.instances(), best.instances());
            prop_assert_eq!(single.instances(), best.instances());
            prop_assert_eq!(shifts, shifts_single);
        }
    }
}
