//! Two nodes, their real keepers and leases, and a store of which anything may be believed: orders that arrive late,
//! twice or never, answers that are lost, outages, nodes that are killed. On a clock that stands still while anybody
//! works.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use forebay_idempotency::record::{self, Change, Claim, Record, Settlement, Token, Verdict};
use forebay_idempotency::{
    Answer, Claimed, Fingerprint, KeyId, Keys, OnUnknown, Policy, Refusal, Store, keeper,
};
use forebay_store::StoreError;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::support::{id, policy};

const SEEDS: u64 = 300;
const KEYS: u8 = 12;
const ASKS_PER_KEY: u32 = 6;
const LEASE: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(2);
/// All that happens, happens within this.
const SPAN_MS: u64 = 60_000;

/// What the world has seen.
#[derive(Debug, Default)]
struct World {
    records: BTreeMap<KeyId, Record>,
    executions: BTreeMap<KeyId, u32>,
    answers: BTreeMap<KeyId, Answer>,
    down: bool,
    replays: u32,
    unknown: u32,
    unavailable: u32,
    late: u32,
    kills: u32,
}

type Shared = Rc<RefCell<World>>;

struct ModelStore {
    world: Shared,
    rng: RefCell<fastrand::Rng>,
    start: Instant,
}

/// What the network makes of one order.
enum Fate {
    Arrives,
    /// It never arrives.
    Lost,
    /// It is done, and nobody hears of it.
    Unheard,
    /// It is done after the sender has given up.
    Late(Duration),
}

impl ModelStore {
    async fn fate(&self) -> Result<Fate, StoreError> {
        let (pause, fate, late) = {
            let mut rng = self.rng.borrow_mut();
            (rng.u64(0..200), rng.u32(0..100), rng.u64(1..20_000))
        };
        sleep(Duration::from_millis(pause)).await;
        if self.world.borrow().down {
            return Err(StoreError::Unreachable { sent: false, source: None });
        }
        Ok(match fate {
            0..60 => Fate::Arrives,
            60..75 => Fate::Lost,
            75..90 => Fate::Unheard,
            _ => Fate::Late(Duration::from_millis(late)),
        })
    }

    /// Does to the records what the network lets through.
    async fn carry<T: 'static>(
        &self,
        apply: impl Fn(&mut World, i64) -> T + 'static,
    ) -> Result<T, StoreError> {
        let (start, world) = (self.start, Rc::clone(&self.world));
        let now_ms = move || start.elapsed().as_millis() as i64;
        match self.fate().await? {
            Fate::Arrives => Ok(apply(&mut world.borrow_mut(), now_ms())),
            Fate::Lost => Err(StoreError::Timeout),
            Fate::Unheard => {
                apply(&mut world.borrow_mut(), now_ms());
                Err(StoreError::Unreachable { sent: true, source: None })
            }
            Fate::Late(by) => {
                spawn_local(async move {
                    sleep(by).await;
                    let mut world = world.borrow_mut();
                    world.late += 1;
                    apply(&mut world, now_ms());
                });
                Err(StoreError::Timeout)
            }
        }
    }
}

fn change(world: &mut World, id: KeyId, change: Change) {
    match change {
        Change::None => {}
        Change::Write(record) => drop(world.records.insert(id, record)),
        Change::Delete => drop(world.records.remove(&id)),
    }
}

impl Store for ModelStore {
    async fn claim(&self, claim: &Claim) -> Result<Verdict, StoreError> {
        let claim = claim.clone();
        self.carry(move |world, now_ms| {
            let record = world.records.get(&claim.id).cloned();
            let (verdict, what) = record::claim(record, &claim, now_ms);
            change(world, claim.id, what);
            verdict
        })
        .await
    }

    async fn settle(
        &self,
        id: KeyId,
        token: Token,
        settlement: Settlement,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        self.carry(move |world, now_ms| {
            let what = record::settle(world.records.get(&id), token, settlement.clone(), ttl, now_ms);
            change(world, id, what);
        })
        .await
    }

    async fn sweep(&self, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// One process: its keeper, and the requests it serves.
struct Node {
    keys: Keys,
    keeper: JoinHandle<()>,
    requests: Vec<JoinHandle<()>>,
}

impl Node {
    fn start(world: &Shared, start: Instant, rng: &mut fastrand::Rng) -> Node {
        let store = ModelStore { world: Rc::clone(world), rng: RefCell::new(rng.fork()), start };
        let (keys, keeper) = keeper(store, WAIT, rng.fork());
        Node { keys, keeper: spawn_local(keeper.run()), requests: Vec::new() }
    }

    /// The keeper first: no lease that is dropped now finds anybody to tell.
    fn kill(self) {
        self.keeper.abort();
        self.requests.iter().for_each(JoinHandle::abort);
    }
}

async fn request(keys: Keys, world: Shared, key: KeyId, policy: Rc<Policy>, mut rng: fastrand::Rng) {
    let policy = std::sync::Arc::new((*policy).clone());
    let mut lease = match keys.claim(key, Fingerprint([1; 32]), &policy).await {
        Ok(Claimed::Run(lease)) => lease,
        Ok(Claimed::Replay(answer)) => {
            let mut world = world.borrow_mut();
            assert_eq!(world.answers.get(&key), Some(&answer), "an answer that nobody gave");
            return world.replays += 1;
        }
        Ok(Claimed::Refuse(refusal)) => {
            return world.borrow_mut().unknown += u32::from(refusal == Refusal::Unknown);
        }
        Err(_) => return world.borrow_mut().unavailable += 1,
    };
    // On its way to an endpoint: it may take a while, and may not get there.
    sleep(Duration::from_millis(rng.u64(0..500))).await;
    match rng.u32(0..10) {
        0 => return lease.release(),
        1 => return,
        _ => lease.sending(),
    }
    *world.borrow_mut().executions.entry(key).or_default() += 1;
    sleep(Duration::from_millis(rng.u64(0..15_000))).await;
    match rng.u32(0..10) {
        0 => {}
        1 => lease.not_kept(200),
        _ => {
            let body = rng.u64(..).to_string().into();
            let answer = Answer { status: 201, fields: vec![], body };
            world.borrow_mut().answers.insert(key, answer.clone());
            // Whether it is stored or not, the client has it now.
            let _ = lease.complete(answer).await;
        }
    }
}

fn simulate(seed: u64, on_unknown: OnUnknown) -> World {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = Shared::default();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = Rc::new((*policy(LEASE, on_unknown)).clone());
        let start = Instant::now();
        let mut nodes = [Node::start(&world, start, &mut rng), Node::start(&world, start, &mut rng)];
        let mut asks: Vec<(u64, KeyId)> = (0..KEYS)
            .flat_map(|key| (0..ASKS_PER_KEY).map(move |_| key))
            .map(|key| (rng.u64(0..SPAN_MS), id(key)))
            .collect();
        asks.sort_unstable();
        for (at_ms, key) in asks {
            sleep(Duration::from_millis(at_ms).saturating_sub(start.elapsed())).await;
            match rng.u32(0..20) {
                0 => {
                    let fresh = Node::start(&world, start, &mut rng);
                    std::mem::replace(&mut nodes[rng.usize(0..2)], fresh).kill();
                    world.borrow_mut().kills += 1;
                }
                1 | 2 => world.borrow_mut().down ^= true,
                _ => {}
            }
            let node = &mut nodes[rng.usize(0..2)];
            let asked = request(node.keys.clone(), Rc::clone(&world), key, Rc::clone(&policy), rng.fork());
            node.requests.push(spawn_local(asked));
        }
        for node in &mut nodes {
            for request in std::mem::take(&mut node.requests) {
                request.await.expect("a request failed");
            }
        }
    });
    Rc::try_unwrap(world).map(RefCell::into_inner).unwrap_or_default()
}

#[test]
fn a_keyed_request_runs_at_most_once_whatever_happens() {
    let mut seen = World::default();
    let mut executed = 0;
    for seed in 0..SEEDS {
        let world = simulate(seed, OnUnknown::Refuse);
        let twice: Vec<_> = world.executions.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?}");
        executed += world.executions.len();
        seen.replays += world.replays;
        seen.unknown += world.unknown;
        seen.unavailable += world.unavailable;
        seen.late += world.late;
        seen.kills += world.kills;
    }
    // Nothing is proved by a world in which nothing happens.
    assert!(executed > SEEDS as usize * 3, "{executed} {seen:?}");
    for count in [seen.replays, seen.unknown, seen.unavailable, seen.late, seen.kills] {
        assert!(count > 100, "{seen:?}");
    }
}

#[test]
fn the_simulation_would_see_a_second_execution() {
    let twice =
        (0..20).any(|seed| simulate(seed, OnUnknown::Retry).executions.values().any(|count| *count > 1));
    assert!(twice, "a route that retries the unknown must run something twice here");
}
