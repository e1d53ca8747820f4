//! The simulations behind the defaults. `docs/balancing.md` shows what they print:
//!
//! ```text
//! cargo test -p forebay-balance --test it evidence -- --nocapture --test-threads 1
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use forebay_balance::{Balance, Balancer, Fleet, Policy, Request, Tried};
use forebay_clock::Moment;
use forebay_config::Share;

use crate::fleet::Endpoint;

/// Nodes or cores that balance without knowing of each other's turns.
const CORES: usize = 4;
const WORKERS: usize = 4;
/// What a request takes on a good endpoint, on average.
const SERVICE_MS: f64 = 10.0;
/// Longer is a failure to whoever waits, though the endpoint still does the work.
const PATIENCE_MS: f64 = 1000.0;
const ATTEMPTS_MAX: usize = 3;
const RETRY_BUDGET: f64 = 0.2;
const RETRY_START: f64 = 100.0;
/// How many times longer a long request takes.
const LONG: f64 = 20.0;

/// What an endpoint is really like.
#[derive(Clone, Copy)]
struct Truth {
    /// How many times longer its requests take.
    slowness: f64,
    /// Of its attempts, how many fail at once.
    failing: f64,
    /// Whether health checks call it healthy.
    seems_healthy: bool,
}

const GOOD: Truth = Truth { slowness: 1.0, failing: 0.0, seems_healthy: true };

#[derive(Clone, Copy)]
struct Load {
    /// Of what all endpoints could do if all were good.
    utilisation: f64,
    /// Of the requests, how many are long.
    long: f64,
    requests: usize,
}

struct Outcome {
    p50_ms: f64,
    p99_ms: f64,
    failed_percent: f64,
    /// Requests of the endpoint that got most, as a multiple of the mean.
    most: f64,
}

struct World {
    truths: Vec<Truth>,
    endpoints: Vec<Arc<Endpoint>>,
    /// By endpoint, when each worker is free.
    free_at: Vec<[f64; WORKERS]>,
    /// Completions to come: time in nanoseconds, endpoint, start.
    completions: BinaryHeap<Reverse<(u64, usize, u64)>>,
    /// By endpoint, the attempts it got.
    picks: Vec<u32>,
    /// Retries that may be made now.
    budget: f64,
    rng: Rng,
}

impl World {
    /// When the request's answer comes, retries included; `None` when it fails.
    fn request(&mut self, balancer: &Balancer<Arc<Endpoint>>, now_ms: f64, length: f64) -> Option<f64> {
        self.budget += RETRY_BUDGET;
        let mut tried = Tried::default();
        for number in 0..ATTEMPTS_MAX {
            if number > 0 {
                if self.budget < 1.0 {
                    return None;
                }
                self.budget -= 1.0;
            }
            let key = Some(self.rng.u64(..));
            let request = Request { key, ..Request::new(Moment::from_nanos(nanos(now_ms)), &tried) };
            let index = balancer.pick(&request, &mut self.rng)?.index;
            tried.insert(index);
            self.picks[index] += 1;
            let ends = self.attempt(index, now_ms, length);
            if ends.is_some() {
                return ends;
            }
        }
        None
    }

    /// What ends until then, ends.
    fn advance(&mut self, now_ms: f64) {
        while let Some(&Reverse((at, index, began))) = self.completions.peek() {
            if at > nanos(now_ms) {
                return;
            }
            self.completions.pop();
            let endpoint = &self.endpoints[index];
            endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
            endpoint.latency.observe(Moment::from_nanos(at), Duration::from_nanos(at - began));
        }
    }

    /// When the attempt's answer comes; `None` when it fails at once.
    fn attempt(&mut self, index: usize, now_ms: f64, length: f64) -> Option<f64> {
        let truth = self.truths[index];
        let endpoint = &self.endpoints[index];
        if self.rng.f64() < truth.failing {
            endpoint.latency.observe_failure(Moment::from_nanos(nanos(now_ms)), Duration::from_millis(1));
            return None;
        }
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        let workers = &mut self.free_at[index];
        let next = workers.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("workers");
        let takes = exponential(&mut self.rng) * SERVICE_MS * truth.slowness * length;
        *next = next.max(now_ms) + takes;
        let ends = *next;
        self.completions.push(Reverse((nanos(ends), index, nanos(now_ms))));
        Some(ends)
    }
}

fn nanos(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

fn simulate(balance: &Balance, truths: &[Truth], load: Load) -> Outcome {
    let mut rng = Rng::with_seed(11);
    let endpoint = |(number, truth): (usize, &Truth)| {
        let endpoint = Endpoint::new(number);
        endpoint.eligible.store(truth.seems_healthy, Ordering::Relaxed);
        Arc::new(endpoint)
    };
    let endpoints: Vec<Arc<Endpoint>> = truths.iter().enumerate().map(endpoint).collect();
    let fleet = Arc::new(Fleet::new(balance.clone(), endpoints.clone()));
    let balancers: Vec<_> = (0..CORES).map(|_| Balancer::new(Arc::clone(&fleet), &mut rng)).collect();
    let mut world = World {
        truths: truths.to_vec(),
        free_at: vec![[0.0; WORKERS]; endpoints.len()],
        picks: vec![0; endpoints.len()],
        endpoints,
        completions: BinaryHeap::new(),
        budget: RETRY_START,
        rng,
    };
    let length_mean = 1.0 + (LONG - 1.0) * load.long;
    let pause_ms = SERVICE_MS * length_mean / (truths.len() * WORKERS) as f64 / load.utilisation;
    let mut now_ms = 0.0;
    let mut took_ms = Vec::new();
    for _ in 0..load.requests {
        now_ms += exponential(&mut world.rng) * pause_ms;
        world.advance(now_ms);
        let balancer = &balancers[world.rng.usize(..CORES)];
        let length = if world.rng.f64() < load.long { LONG } else { 1.0 };
        let ends = world.request(balancer, now_ms, length);
        took_ms.push(ends.map_or(PATIENCE_MS, |ends| (ends - now_ms).min(PATIENCE_MS)));
    }
    took_ms.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| took_ms[(took_ms.len() as f64 * share) as usize];
    let failed = took_ms.iter().filter(|&&took| took >= PATIENCE_MS).count();
    let most = f64::from(world.picks.iter().copied().max().unwrap_or(0));
    Outcome {
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        failed_percent: failed as f64 * 100.0 / load.requests as f64,
        most: most * truths.len() as f64 / f64::from(world.picks.iter().sum::<u32>()),
    }
}

/// Eight good endpoints but for the first.
fn with_first(first: Truth) -> Vec<Truth> {
    (0..8).map(|index| if index == 0 { first } else { GOOD }).collect()
}

#[test]
fn least_request_does_well_whatever_happens() {
    let load = Load { utilisation: 0.6, long: 0.0, requests: 20_000 };
    let situations = [
        ("all alike", with_first(GOOD), load),
        ("one ten times slower", with_first(Truth { slowness: 10.0, ..GOOD }), load),
        ("two half as fast", with_first(GOOD).into_iter().map(slow_pair()).collect(), load),
        ("some requests long", with_first(GOOD), Load { long: 0.03, ..load }),
        (
            "the same, hardly any load",
            with_first(GOOD),
            Load { utilisation: 0.05, long: 0.03, requests: 1000 },
        ),
        ("one fails half its requests", with_first(Truth { failing: 0.5, ..GOOD }), load),
    ];
    for (name, truths, load) in situations {
        let outcomes: Vec<(Policy, Outcome)> = Policy::ALL
            .into_iter()
            .map(|policy| (policy, simulate(&Balance::from(policy), &truths, load)))
            .collect();
        for (policy, outcome) in &outcomes {
            let Outcome { p50_ms, p99_ms, failed_percent, most } = outcome;
            println!(
                "{name:<28} {policy:<14} p50 {p50_ms:>4.0}  p99 {p99_ms:>4.0}  failed {failed_percent:>5.2}%  most {most:.2}"
            );
        }
        let of = |policy| &outcomes.iter().find(|(known, _)| *known == policy).expect("simulated").1;
        let chosen = of(Policy::LeastRequest);
        for policy in [Policy::RoundRobin, Policy::Random] {
            assert!(chosen.p99_ms <= of(policy).p99_ms * 1.1, "{name}: worse than {policy}");
            assert!(chosen.failed_percent <= of(policy).failed_percent + 0.03, "{name}: worse than {policy}");
        }
        // Peak EWMA is ahead only where an endpoint is slow for good, and uneven where requests are.
        let other = of(Policy::PeakEwma);
        assert!(name == "one ten times slower" || chosen.p99_ms <= other.p99_ms * 1.15, "{name}");
        assert!(chosen.most < 1.35, "{name}: {}", chosen.most);
    }
}

/// Makes every fourth endpoint half as fast.
fn slow_pair() -> impl FnMut(Truth) -> Truth {
    let mut number = 0;
    move |truth| {
        number += 1;
        if number % 4 == 0 { Truth { slowness: 2.0, ..truth } } else { truth }
    }
}

#[test]
fn a_tenth_is_the_panic_threshold_with_the_least_to_regret() {
    let dead = Truth { failing: 1.0, seems_healthy: false, ..GOOD };
    let slandered = Truth { seems_healthy: false, ..GOOD };
    let mut regrets = [0.0f64; 3];
    for (what, truth) in [("dead", dead), ("slandered", slandered)] {
        for (size, left) in [(3, 1), (8, 1), (8, 3), (20, 1), (20, 3), (20, 7)] {
            for utilisation in [0.1, 0.2, 0.4] {
                let truths: Vec<Truth> =
                    (0..size).map(|index| if index < left { GOOD } else { truth }).collect();
                let load = Load { utilisation, long: 0.0, requests: 4000 };
                let failed = [0, 10, 50].map(|percent| {
                    let panic_threshold = Share::from_millionths(percent * 10_000);
                    let balance = Balance { panic_threshold, ..Balance::from(Policy::LeastRequest) };
                    simulate(&balance, &truths, load).failed_percent
                });
                let best = failed.iter().copied().fold(100.0, f64::min);
                regrets.iter_mut().zip(failed).for_each(|(regret, failed)| *regret += failed - best);
                println!(
                    "{left} of {size:<2} left, others {what:<10} load {:>2.0}%   failed at 0% {:>5.1}%  at 10% {:>5.1}%  at 50% {:>5.1}%",
                    utilisation * 100.0,
                    failed[0],
                    failed[1],
                    failed[2],
                );
            }
        }
    }
    println!("regret, all added up: {regrets:.0?}");
    assert!(regrets[1] < regrets[0] && regrets[1] < regrets[2], "{regrets:?}");
}
