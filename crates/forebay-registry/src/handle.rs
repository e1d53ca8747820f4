//! The registry as the rest of the process sees it: behind a lock, with a clock, waited for, and kept on a disk. Decides
//! when somebody is woken and when an answer counts as durable; what is registered it does not decide.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_store::postgres::Pool;
use forebay_store::sqlite::Writer;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use crate::keeping::Disk;
use crate::outbox::Outbox;
use crate::probing::{ProbeAnswer, ProbeId, ProbeOrder, RegistryProbe};
use crate::refusal::{Refusal, RegistryError};
use crate::registry::{Effects, Registry};
use crate::sharing::Sharing;
use crate::standing::StoreReport;
use crate::subscription::{Subscribers, Subscription};
use crate::topic::Topic;
use crate::waiting::Bells;

/// Probes under way at once; the others wait their turn, longest due first. Each holds a socket.
pub const PROBES_IN_FLIGHT_MAX: usize = 256;
/// A timer that is set further ahead gains nothing: every wake-up sets it anew.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Clones share one registry, and may be on any thread.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

/// What is behind a registry.
#[derive(Debug, Default)]
pub struct Stores {
    /// The state directory's database, opened with [`crate::SQLITE_SCHEMA`].
    pub disk: Option<Writer>,
    /// The store that nodes share.
    pub shared: Option<Pool>,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    /// For the disk.
    pub(crate) to_store: Outbox,
    /// For the store that nodes share.
    pub(crate) to_share: Outbox,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    disk: Option<Disk>,
    sharing: Option<Sharing>,
    bells: Bells,
    subscribers: Subscribers,
    /// What is due may be due sooner.
    hurry: Notify,
}

impl Handle {
    /// With nothing behind it: what is registered is gone with the process.
    pub fn new(registry: Registry, clock: Clock) -> Handle {
        Handle::with_stores(registry, clock, Stores::default())
    }

    /// Over stores, which [`Handle::run`] drives: without it, nothing is ever known to be stored.
    pub fn with_stores(registry: Registry, clock: Clock, stores: Stores) -> Handle {
        Handle(Arc::new(Shared {
            state: Mutex::new(State { registry, to_store: Outbox::default(), to_share: Outbox::default() }),
            clock,
            disk: stores.disk.map(Disk::new),
            sharing: stores.shared.map(Sharing::new),
            bells: Bells::default(),
            subscribers: Subscribers::default(),
            hurry: Notify::new(),
        }))
    }

    /// How the stores behind it are, those that there are.
    pub fn stores(&self) -> Vec<StoreReport> {
        let disk = self.0.disk.as_ref().map(|disk| disk.standing.report("disk"));
        let shared = self.0.sharing.as_ref().map(|sharing| sharing.standing.report("shared"));
        disk.into_iter().chain(shared).collect()
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    /// The clock by which everything here goes.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Looks at what there is. Short: everybody else waits meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.lock().registry)
    }

    /// Changes something that must survive a restart, and answers when it will: registrations, checks, maintenance.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the registry refuses, [`RegistryError::NotStored`] when the disk does. Then the
    /// change holds all the same, until the process ends.
    pub async fn write<T>(
        &self,
        act: impl FnOnce(&mut Registry, Moment) -> Result<T, Refusal>,
    ) -> Result<T, RegistryError> {
        let done = self.apply(act)?;
        if let Some(disk) = &self.0.disk {
            let number = {
                let mut state = self.lock();
                // What failed before is tried again for whoever asks again.
                state.to_store.number += u64::from(!state.to_store.is_empty());
                state.to_store.number
            };
            disk.reach(number).await.map_err(RegistryError::NotStored)?;
        }
        Ok(done)
    }

    /// Changes something that may be a moment older after a restart: what checks report. The disk follows later.
    pub fn touch<T>(
        &self,
        act: impl FnOnce(&mut Registry, Moment) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.apply(act)
    }

    /// Waits until the topic's index is another than `seen`, or until the moment; the index then. An index that is
    /// smaller than `seen` is another one too: whoever asks has it from another registry, and has to begin anew.
    pub async fn changed(&self, topic: &Topic, seen: u64, until: Moment) -> u64 {
        loop {
            let place = self.0.bells.wait_for(self.read(|registry| registry.awaited(topic)));
            let mut rung = std::pin::pin!(place.bell().notified());
            rung.as_mut().enable();
            // What has changed since the place was taken is seen here; what changes from now on rings.
            let (index, awaited) = self.read(|registry| (registry.index(topic), registry.awaited(topic)));
            if index != seen {
                return index;
            }
            if !place.is_for(&awaited) {
                continue;
            }
            let left = self.0.clock.now().until(until);
            if left.is_zero() || tokio::time::timeout(left, rung).await.is_err() {
                return self.read(|registry| registry.index(topic));
            }
        }
    }

    /// Requests could not connect to this address: checks of what answers there are made out of turn.
    pub fn suspect(&self, address: SocketAddr) {
        self.apply(|registry, now| registry.suspect(now, address));
    }

    /// Services that change from now on, and which of their instances do.
    pub fn subscribe(&self) -> Subscription {
        self.0.subscribers.subscribe()
    }

    /// Asks what is to be asked, lets lapse what lapses, stores and shares, until `shutdown` completes; then stores what
    /// is left. Spawns nothing: dropping the future ends every probe.
    pub async fn run<P: RegistryProbe>(self, prober: &P, shutdown: impl Future<Output = ()>) {
        let disk = async {
            match &self.0.disk {
                Some(disk) => self.keep(disk).await,
                None => std::future::pending().await,
            }
        };
        let sharing = async {
            match &self.0.sharing {
                Some(sharing) => self.share(sharing).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = self.work(prober) => {}
            () = disk => {}
            () = sharing => {}
        }
        self.flush().await;
    }

    /// Writes what is not on the disk yet, within a bound: the last thing before the process ends.
    pub async fn flush(&self) {
        if let Some(disk) = &self.0.disk {
            self.store_the_rest(disk).await;
        }
    }

    /// Probes and lapses. Never ends.
    async fn work<P: RegistryProbe>(&self, prober: &P) {
        let mut rng = fastrand::Rng::new();
        let mut probes = FuturesUnordered::new();
        loop {
            self.apply(|registry, now| registry.lapse(now));
            while probes.len() < PROBES_IN_FLIGHT_MAX
                && let Some(order) = self.apply(Registry::pop_probe)
            {
                probes.push(probe(prober, order));
            }
            let has_room = probes.len() < PROBES_IN_FLIGHT_MAX;
            tokio::select! {
                () = self.0.hurry.notified() => {}
                () = tokio::time::sleep(self.idle_for(has_room)) => {}
                Some((id, answer)) = probes.next() => {
                    self.apply(|registry, now| registry.probed(now, &id, answer, &mut rng));
                }
            }
        }
    }

    /// How long nothing is due for which there is room.
    fn idle_for(&self, has_room: bool) -> Duration {
        let due = self.read(|registry| {
            let probe = if has_room { registry.next_probe() } else { Moment::NEVER };
            registry.next_due().min(probe)
        });
        self.0.clock.now().until(due).min(SLEEP_MAX)
    }

    /// Acts under the lock, then tells whom it concerns.
    pub(crate) fn apply<T>(&self, act: impl FnOnce(&mut Registry, Moment) -> T) -> T {
        let (done, effects, is_sooner) = {
            let mut state = self.lock();
            let state = &mut *state;
            let registry = &mut state.registry;
            let before = registry.next_due().min(registry.next_probe());
            let done = act(registry, self.0.clock.now());
            let is_sooner = registry.next_due().min(registry.next_probe()) < before;
            let effects = registry.take_effects();
            if self.0.disk.is_some() {
                state.to_store.put(&effects);
            }
            if self.0.sharing.is_some() {
                state.to_share.put_own(&effects);
            }
            (done, effects, is_sooner)
        };
        if is_sooner {
            self.0.hurry.notify_one();
        }
        self.tell(&effects);
        done
    }

    fn tell(&self, effects: &Effects) {
        if !effects.topics.is_empty() {
            self.0.bells.ring(&effects.topics);
            self.0.subscribers.tell(&effects.topics, &effects.services);
        }
        if let Some(disk) = self.0.disk.as_ref().filter(|_| effects.is_to_be_stored()) {
            disk.later.notify_one();
        }
        if let Some(sharing) = self.0.sharing.as_ref().filter(|_| effects.is_ours()) {
            sharing.changed.notify_one();
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Arc<Shared>> for Handle {
    fn from(shared: Arc<Shared>) -> Handle {
        Handle(shared)
    }
}

async fn probe(prober: &impl RegistryProbe, order: ProbeOrder) -> (ProbeId, ProbeAnswer) {
    let timeout = order.kind.timeout();
    let answer = tokio::time::timeout(timeout, prober.probe(&order)).await;
    (order.id, answer.unwrap_or_else(|_| ProbeAnswer::timed_out(timeout)))
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, count) = self.read(|registry| (registry.me().name.clone(), registry.count()));
        f.debug_struct("Handle").field("node", &node).field("count", &count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::{CheckKind, CheckSpec, Status, TcpCheck};
    use crate::instance::{Declared, InstanceState, Registration, Weights};
    use crate::node::Node;
    use crate::subscription::Changed;

    fn handle() -> Handle {
        Handle::new(Registry::new(Node::own("web-1", "id", "127.0.0.1")), Clock::system())
    }

    fn instance(service: &str) -> Registration {
        Registration {
            id: None,
            service: service.into(),
            address: "".into(),
            port: 9001,
            tags: Vec::new(),
            meta: Default::default(),
            weights: Weights::default(),
            tagged_addresses: Default::default(),
            enable_tag_override: false,
            declared: Declared::Ready,
            checks: Vec::new(),
            replace_checks: false,
        }
    }

    fn check(kind: CheckKind) -> CheckSpec {
        CheckSpec { status: Status::Passing, ..CheckSpec::new(kind) }
    }

    fn soon(handle: &Handle) -> Moment {
        handle.clock().now() + Duration::from_secs(10)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        runtime.unwrap().block_on(future)
    }

    struct Nobody;

    impl RegistryProbe for Nobody {
        async fn probe(&self, _: &ProbeOrder) -> ProbeAnswer {
            std::future::pending().await
        }
    }

    /// What ends a test's wait.
    async fn until_state(handle: &Handle, service: &str, state: InstanceState) {
        let topic = Topic::Service(service.into());
        let mut seen = 0;
        while handle.read(|registry| registry.instances_of(service).next().map(|found| found.state()))
            != Some(state)
        {
            let index = handle.changed(&topic, seen, soon(handle)).await;
            assert!(index != seen, "{state:?} did not come");
            seen = index;
        }
    }

    #[test]
    fn a_thousand_who_wait_for_one_service_wake_and_nobody_else_does() {
        block_on(async {
            let handle = handle();
            handle.write(|registry, now| registry.register(now, instance("orders"))).await.unwrap();
            handle.write(|registry, now| registry.register(now, instance("payments"))).await.unwrap();
            let orders: Topic = Topic::Service("orders".into());
            let seen = handle.read(|registry| registry.index(&orders));
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..1000 {
                let (handle, orders) = (handle.clone(), orders.clone());
                waiting.spawn_local(async move { handle.changed(&orders, seen, soon(&handle)).await });
            }
            let other = tokio::task::spawn_local({
                let handle = handle.clone();
                let payments = Topic::Service("payments".into());
                async move { handle.changed(&payments, handle.read(|r| r.index(&payments)), soon(&handle)).await }
            });
            while handle.0.bells.waiting().values().sum::<usize>() < 1001 {
                tokio::task::yield_now().await;
            }
            let changed = Registration { port: 9002, ..instance("orders") };
            handle.write(|registry, now| registry.register(now, changed)).await.unwrap();
            while let Some(index) = waiting.join_next().await {
                assert_eq!(index.unwrap(), seen + 2);
            }
            assert!(!other.is_finished());
            let left = Vec::from_iter(handle.0.bells.waiting());
            assert_eq!(
                left,
                [(Topic::Service("payments".into()), 1)],
                "whoever waits no more leaves no bell behind"
            );
            other.abort();
        });
    }

    #[test]
    fn waiting_ends_with_its_time_and_for_an_index_from_elsewhere_at_once() {
        block_on(async {
            let handle = handle();
            let seen = handle.read(|registry| registry.index(&Topic::Services));
            let until = handle.clock().now() + Duration::from_millis(20);
            assert_eq!(handle.changed(&Topic::Services, seen, until).await, seen);
            assert!(handle.clock().now() >= until);
            assert_eq!(handle.changed(&Topic::Services, seen + 1000, soon(&handle)).await, seen);
        });
    }

    #[test]
    fn who_waits_for_a_service_that_is_not_there_wakes_when_it_comes() {
        block_on(async {
            let handle = handle();
            let orders = Topic::Service("orders".into());
            let seen = handle.read(|registry| registry.index(&orders));
            let waiting = handle.changed(&orders, seen, soon(&handle));
            let register = async {
                tokio::task::yield_now().await;
                handle.write(|registry, now| registry.register(now, instance("Orders"))).await.unwrap();
            };
            assert!(tokio::join!(waiting, register).0 > seen);
        });
    }

    #[test]
    fn a_subscriber_hears_each_service_once_and_which_of_its_instances() {
        block_on(async {
            let handle = handle();
            let mut changes = handle.subscribe();
            for (id, port) in [("o-1", 1), ("o-2", 2), ("o-1", 3)] {
                let orders = Registration { id: Some(id.into()), port, ..instance("Orders") };
                handle.write(|registry, now| registry.register(now, orders)).await.unwrap();
            }
            let told = |ids: &[&str]| {
                let members = ids.iter().map(|id| ("web-1".into(), (*id).into()));
                BTreeMap::from([("orders".into(), Changed::Instances(members.collect()))])
            };
            assert_eq!(changes.next().await, told(&["o-1", "o-2"]));
            handle.write(|registry, now| registry.deregister(now, "o-2")).await.unwrap();
            assert_eq!(changes.next().await, told(&["o-2"]));
            let maintenance = |registry: &mut Registry, now| registry.maintain(now, None, Some("disk swap"));
            handle.write(maintenance).await.unwrap();
            assert_eq!(changes.next().await, BTreeMap::from([("orders".into(), Changed::Everything)]));
        });
    }

    #[test]
    fn what_falls_silent_lapses_by_itself() {
        block_on(async {
            let handle = handle();
            let never = std::future::pending();
            let running = tokio::task::spawn_local({
                let handle = handle.clone();
                async move { handle.run(&Nobody, never).await }
            });
            tokio::task::yield_now().await;
            let checks = vec![check(CheckKind::Ttl(Duration::from_millis(30)))];
            let orders = Registration { checks, ..instance("orders") };
            handle.write(|registry, now| registry.register(now, orders)).await.unwrap();
            until_state(&handle, "orders", InstanceState::Critical).await;
            running.abort();
        });
    }

    #[test]
    fn a_probe_that_does_not_end_counts_as_failed() {
        block_on(async {
            let handle = handle();
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            let running = tokio::task::spawn_local({
                let handle = handle.clone();
                async move { handle.run(&Nobody, async { drop(ended.await) }).await }
            });
            let (interval, timeout) = (Duration::from_secs(10), Duration::from_millis(20));
            let tcp = TcpCheck { address: "127.0.0.1:1".into(), interval, timeout };
            let orders = Registration { checks: vec![check(CheckKind::Tcp(tcp))], ..instance("orders") };
            handle.write(|registry, now| registry.register(now, orders)).await.unwrap();
            until_state(&handle, "orders", InstanceState::Critical).await;
            let why = handle.read(|registry| registry.instance("orders").unwrap().why());
            assert_eq!(why.unwrap(), "check service:orders critical: timed out after 20ms");
            end.send(()).unwrap();
            running.await.unwrap();
        });
    }

    #[test]
    fn a_handle_may_be_on_any_thread() {
        fn is_shared<T: Send + Sync + Clone>(_: &T) {}
        is_shared(&handle());
    }
}
