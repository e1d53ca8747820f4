//! What a pick and a change cost at 10,000 endpoints. Run with `cargo xtask bench pick`.

use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use criterion::Criterion;
use fastrand::Rng;
use forebay_balance::{Amendment, Balancer, Candidate, Fleet, Identity, PeakEwma, Policy, Request, Tried};
use forebay_clock::Moment;

const ENDPOINTS: usize = 10_000;
/// Between two picks: 50,000 requests a second on one core, more than it could carry. Counts of the fleet fall due in
/// between, as they do in life.
const PAUSE: Duration = Duration::from_micros(20);

/// Requests under way: with the pause, answers take 20 ms.
const UNDER_WAY: usize = 1_000;
/// Three for each endpoint, where the others are one for ten. Bounded loads walk on from many of them.
const UNDER_WAY_BUSY: usize = 30_000;

/// Picks between two looks at the clock.
const BATCH: usize = 64;

/// As many as Maglev's table has for a fleet of this size.
const SEATS: usize = 1 << 19;

#[repr(align(64))]
struct Endpoint {
    identity: Identity,
    weight: NonZeroU32,
    in_flight: AtomicU32,
    eligible: AtomicBool,
    latency: PeakEwma,
}

impl Candidate for Endpoint {
    fn identity(&self) -> Identity {
        self.identity
    }
    fn weight(&self) -> NonZeroU32 {
        self.weight
    }
    fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
    fn is_eligible(&self, _now: Moment) -> bool {
        self.eligible.load(Ordering::Relaxed)
    }
    fn latency(&self) -> Option<&PeakEwma> {
        Some(&self.latency)
    }
}

/// Some sick; of one weight or of four.
fn endpoints(is_weighted: bool) -> Vec<Arc<Endpoint>> {
    let mut rng = Rng::with_seed(1);
    let endpoint = |number: usize| {
        let latency = PeakEwma::default();
        latency.observe(Moment::START, Duration::from_millis(rng.u64(1..100)));
        Arc::new(Endpoint {
            identity: Identity::of(([10, 0, (number >> 8) as u8, number as u8], 9001).into(), None),
            weight: NonZeroU32::MIN.saturating_add(if is_weighted { number as u32 % 4 } else { 0 }),
            in_flight: AtomicU32::new(0),
            eligible: AtomicBool::new(!number.is_multiple_of(50)),
            latency,
        })
    };
    (0..ENDPOINTS).map(endpoint).collect()
}

/// Requests under way, by the index of their endpoint, the oldest first. As many as are picked end, but not on the clock:
/// that is another memory read at another time.
struct UnderWay {
    indices: VecDeque<usize>,
    count: usize,
}

impl UnderWay {
    fn new(count: usize) -> UnderWay {
        UnderWay { indices: VecDeque::with_capacity(count + BATCH), count }
    }

    /// What `count` picks take. `pick` says which endpoint, and how many requests that had before; the latter is handed to
    /// the next one, for its key or its draws: the next request comes when this one has long been sent off, so the processor
    /// must not look at the endpoints of several at once.
    fn time(
        &mut self,
        count: u64,
        end: impl Fn(usize),
        mut pick: impl FnMut(u32, u32) -> (usize, u32),
    ) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH as u64);
            let start = Instant::now();
            let mut before = 0;
            for _ in 0..batch {
                let index;
                (index, before) = pick(before, self.indices.len() as u32);
                self.indices.push_back(index);
            }
            spent += start.elapsed();
            while self.indices.len() > self.count {
                self.indices.pop_front().into_iter().for_each(&end);
            }
            left -= batch;
        }
        spent
    }
}

/// Picks with keys and pauses.
fn picks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick of 10000");
    for policy in Policy::ALL {
        for (name, is_weighted, count) in [
            (format!("{policy}"), false, UNDER_WAY),
            (format!("{policy}, busy"), false, UNDER_WAY_BUSY),
            (format!("{policy}, weights of 1 to 4"), true, UNDER_WAY),
        ] {
            // Made when it is asked for by name: a table takes its time.
            let mut made = None;
            group.bench_function(name, |bencher| {
                let (picker, under_way) = made.get_or_insert_with(|| {
                    let (mut picker, mut under_way) =
                        (Picker::new(policy, is_weighted), UnderWay::new(count));
                    picker.time(&mut under_way, count as u64);
                    (picker, under_way)
                });
                bencher.iter_custom(|count| picker.time(under_way, count));
            });
        }
    }
    group.finish();
}

struct Picker {
    balancer: Balancer<Arc<Endpoint>>,
    rng: Rng,
    now: Moment,
}

impl Picker {
    fn new(policy: Policy, is_weighted: bool) -> Picker {
        let mut rng = Rng::with_seed(2);
        let balancer = Balancer::new(Arc::new(Fleet::new(policy, endpoints(is_weighted))), &mut rng);
        Picker { balancer, rng, now: Moment::START }
    }

    fn time(&mut self, under_way: &mut UnderWay, count: u64) -> Duration {
        let tried = Tried::default();
        let counter = |index: usize| &self.balancer.endpoints()[index].in_flight;
        let end = |index| _ = counter(index).fetch_sub(1, Ordering::Relaxed);
        under_way.time(count, end, |before, in_flight| {
            self.now = self.now + PAUSE;
            self.rng.seed(self.rng.get_seed() ^ u64::from(before));
            let (key, in_flight) = (Some(self.rng.u64(..)), Some(in_flight));
            let request = Request { key, in_flight, ..Request::new(self.now, &tried) };
            let index = self.balancer.pick(black_box(&request), &mut self.rng).map_or(0, |pick| pick.index);
            (index, counter(index).fetch_add(1, Ordering::Relaxed))
        })
    }
}

/// What a hashing pick waits for on this machine whoever makes it: a seat of a table as large as Maglev's, then the endpoint
/// in it.
fn floor(criterion: &mut Criterion) {
    let mut rng = Rng::with_seed(2);
    let endpoints = endpoints(false);
    let seats: Vec<u16> = (0..SEATS).map(|_| rng.u16(..ENDPOINTS as u16)).collect();
    let counter = |index: usize| &endpoints[index].in_flight;
    let end = |index| _ = counter(index).fetch_sub(1, Ordering::Relaxed);
    let mut pick = |before: u32, _| {
        rng.seed(rng.get_seed() ^ u64::from(before));
        let index = usize::from(seats[rng.usize(..seats.len())]);
        (index, counter(index).fetch_add(1, Ordering::Relaxed))
    };
    let mut under_way = UnderWay::new(UNDER_WAY);
    criterion.bench_function("floor of 10000/a seat and its endpoint", |bencher| {
        bencher.iter_custom(|count| under_way.time(count, end, &mut pick));
    });
}

/// One endpoint of the fleet goes, up to the first pick after it, and what becomes of tables off the data path.
fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change of 10000");
    group.sample_size(10);
    for policy in [Policy::LeastRequest, Policy::RoundRobin, Policy::Maglev, Policy::RingHash] {
        let (mut rng, tried) = (Rng::with_seed(3), Tried::default());
        let request = Request::new(Moment::START, &tried);
        let balancer = Balancer::new(Arc::new(Fleet::new(policy, endpoints(true))), &mut rng);
        balancer.pick(&request, &mut rng);
        let amend = || balancer.fleet().amend([Amendment::Remove(ENDPOINTS / 2)]);
        group.bench_function(format!("{policy}, in force"), |bencher| {
            bencher.iter(|| {
                let next = balancer.succeed(Arc::new(amend()), Moment::START, &mut rng);
                next.pick(black_box(&request), &mut rng)
            });
        });
        if policy.is_hashing() {
            let amended = amend();
            group.bench_function(format!("{policy}, table"), |bencher| bencher.iter(|| amended.resettle()));
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    floor(&mut criterion);
    picks(&mut criterion);
    changes(&mut criterion);
    criterion.final_summary();
}
