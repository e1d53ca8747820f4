//! What a pick and a change cost at 10,000 endpoints. Run with `cargo xtask bench pick`.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use fastrand::Rng;
use forebay_balance::{Balancer, Candidate, Fleet, Identity, PeakEwma, Policy, Request, Tried};
use forebay_clock::Moment;

const ENDPOINTS: usize = 10_000;
/// Between two picks: 50,000 requests a second on one core, more than it could carry. Counts of the fleet fall due in
/// between, as they do in life.
const PAUSE: Duration = Duration::from_micros(20);

/// The paper's advice, as the table has it.
const SEATS_PER_ENDPOINT: usize = 100;

#[repr(align(128))]
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

/// Some sick, some busy; of one weight or of four.
fn endpoints(is_weighted: bool) -> Vec<Arc<Endpoint>> {
    let mut rng = Rng::with_seed(1);
    let endpoint = |number: usize| {
        let latency = PeakEwma::default();
        latency.observe(Moment::START, Duration::from_millis(rng.u64(1..100)));
        Arc::new(Endpoint {
            identity: Identity::of(([10, 0, (number >> 8) as u8, number as u8], 9001).into(), None),
            weight: NonZeroU32::MIN.saturating_add(if is_weighted { number as u32 % 4 } else { 0 }),
            in_flight: AtomicU32::new(rng.u32(..8)),
            eligible: AtomicBool::new(!number.is_multiple_of(50)),
            latency,
        })
    };
    (0..ENDPOINTS).map(endpoint).collect()
}

/// Picks with keys and pauses; each request stays in flight until a thousand others have come.
fn picks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick of 10000");
    for (policy, is_weighted) in Policy::ALL.into_iter().flat_map(|policy| [(policy, false), (policy, true)])
    {
        let mut rng = Rng::with_seed(2);
        let balancer = Balancer::new(Arc::new(Fleet::new(policy, endpoints(is_weighted))), &mut rng);
        let tried = Tried::default();
        let mut now = Moment::START;
        let mut under_way = [None; 1024];
        let mut count = 0;
        let name = format!("{policy}{}", if is_weighted { ", weights of 1 to 4" } else { "" });
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now = now + PAUSE;
                let request = Request { key: Some(rng.u64(..)), ..Request::new(now, &tried) };
                let index = balancer.pick(black_box(&request), &mut rng).map(|pick| pick.index);
                let endpoints = balancer.endpoints();
                if let Some(index) = index {
                    endpoints[index].in_flight.fetch_add(1, Ordering::Relaxed);
                }
                count = (count + 1) % under_way.len();
                if let Some(ended) = std::mem::replace(&mut under_way[count], index) {
                    endpoints[ended].in_flight.fetch_sub(1, Ordering::Relaxed);
                }
            });
        });
    }
    group.finish();
}

/// What a hashing pick waits for on this machine whoever makes it: a seat of a table as large as Maglev's for a fleet of
/// equal weights, then the endpoint in it, then one that some request is done with. Each seat depends on what the
/// endpoint before said, since requests do not come so thick that the processor could look at two at once.
fn floor(criterion: &mut Criterion) {
    let mut rng = Rng::with_seed(2);
    let endpoints = endpoints(false);
    let seats: Vec<u16> = (0..ENDPOINTS * SEATS_PER_ENDPOINT).map(|_| rng.u16(..ENDPOINTS as u16)).collect();
    let mut under_way = [0; 1024];
    let mut count = 0;
    let mut said = 0;
    criterion.bench_function("floor of 10000/a seat and its endpoint", |bencher| {
        bencher.iter(|| {
            let seat = rng.usize(..seats.len() - 1) + (said & 1);
            let index = usize::from(seats[black_box(seat)]);
            said = endpoints[index].in_flight.fetch_add(1, Ordering::Relaxed) as usize;
            count = (count + 1) % under_way.len();
            let ended = std::mem::replace(&mut under_way[count], index);
            endpoints[ended].in_flight.fetch_sub(1, Ordering::Relaxed);
        });
    });
}

/// One endpoint of the fleet is replaced, as cores see it, and what becomes of tables off the data path.
fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change of 10000");
    group.sample_size(10);
    for policy in [Policy::LeastRequest, Policy::RoundRobin, Policy::Maglev, Policy::RingHash] {
        let all = endpoints(true);
        let fleet = Fleet::new(policy, all.clone());
        let mut rest = all;
        rest.remove(ENDPOINTS / 2);
        let mut rng = Rng::with_seed(3);
        group.bench_function(format!("{policy}, in force"), |bencher| {
            let changed = || rest.clone();
            bencher.iter_batched(
                changed,
                |rest| Balancer::new(Arc::new(fleet.succeed(rest)), &mut rng),
                BatchSize::LargeInput,
            );
        });
        if policy.is_hashing() {
            group.bench_function(format!("{policy}, table"), |bencher| {
                bencher.iter_batched(|| rest.clone(), |rest| fleet.resettle(rest), BatchSize::LargeInput);
            });
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
