//! `bench balance`: eight origins, one of them slow and one failing half the time, before each proxy in turn. What counts
//! is what users see: how many requests fail, and how long the slowest of a hundred waits.

use std::time::Duration;

use crate::failure::Failure;
use crate::latency::Latencies;
use crate::open_loop::{self, Plan};
use crate::options::Options;
use crate::origin::{Behaviour, Origin};
use crate::peer::{Kind, Prepared, Running, envoy, forebay, haproxy, nginx};
use crate::statistics::Summary;

const WELL: Behaviour = Behaviour { workers: 32, service_ms: 3, queue_max: 1000, fails_half: false };
const SLOW: Behaviour = Behaviour { service_ms: 60, ..WELL };
const FAILING: Behaviour = Behaviour { fails_half: true, ..WELL };
const WELL_COUNT: usize = 6;
/// What two cores can send, serve and relay without being the bottleneck themselves.
const PER_SECOND: u64 = 800;
const PATIENCE: Duration = Duration::from_secs(2);
/// Forebay's failures, with retries, of all requests of all rounds together: less than that.
const FAILED_MAX: f64 = 0.0001;
/// Latencies within this factor are the same.
const TOLERANCE: f64 = 1.1;

struct Figures {
    kind: Kind,
    requests: usize,
    failed: usize,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// Whether Forebay is at least as good as the others, and fails less than it may.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let behaviours = [WELL; WELL_COUNT].into_iter().chain([SLOW, FAILING]);
    let origins: Vec<Origin> = behaviours.map(Origin::start).collect::<Result<_, _>>()?;
    let ports: Vec<u16> = origins.iter().map(|origin| origin.port).collect();
    let mut proxies = Vec::new();
    let mut figures = Vec::new();
    for &kind in options.peers.iter().filter(|kind| **kind != Kind::Floor) {
        proxies.push(start(kind, &ports, options)?);
        figures.push(Figures { kind, requests: 0, failed: 0, p50_ms: Vec::new(), p99_ms: Vec::new() });
    }
    for round in 0..options.rounds {
        for turn in 0..proxies.len() {
            // Another one begins each round, so that none always follows the same neighbour.
            let index = (round + turn) % proxies.len();
            figures[index].measure(&proxies[index], options)?;
        }
    }
    println!("{PER_SECOND} requests a second to eight endpoints, one slow, one failing half the time");
    println!(
        "{:<8} {:>9} {:>8} {:>9}   p50 ms   p99 ms, median of rounds (min–max)",
        "", "requests", "failed", ""
    );
    figures.iter().for_each(Figures::print);
    Ok(judge(&figures))
}

fn start(kind: Kind, ports: &[u16], options: &Options) -> Result<Running, Failure> {
    let prepared = Prepared::with(kind, ports, options, |setting| match kind {
        Kind::Nginx => nginx::spread(setting),
        Kind::Haproxy => haproxy::spread(setting),
        Kind::Envoy => envoy::spread(setting),
        Kind::Floor => String::new(),
        // As it comes.
        Kind::Forebay => forebay::with(setting, ""),
    })?;
    prepared.start(None)
}

impl Figures {
    fn measure(&mut self, proxy: &Running, options: &Options) -> Result<(), Failure> {
        let plan = |lasts| Plan { per_second: PER_SECOND, lasts, patience: PATIENCE };
        open_loop::run(proxy.address, plan(options.warm_up))?;
        let outcomes = open_loop::run(proxy.address, plan(options.measure))?;
        let mut latencies = Latencies::new();
        for took in outcomes.iter().filter_map(|outcome| outcome.took) {
            latencies.add(took);
        }
        self.requests += outcomes.len();
        self.failed += outcomes.iter().filter(|outcome| outcome.took.is_none()).count();
        let ms = |share| latencies.quantile(share).as_secs_f64() * 1e3;
        self.p50_ms.push(ms(0.5));
        self.p99_ms.push(ms(0.99));
        Ok(())
    }

    fn share_failed(&self) -> f64 {
        self.failed as f64 / self.requests.max(1) as f64
    }

    fn print(&self) {
        let Summary { median, min, max } = Summary::of(self.p99_ms.iter().copied());
        println!(
            "{:<8} {:>9} {:>8} {:>8.3}% {:>8.1} {median:>8.1}   ({min:.1}–{max:.1})",
            self.kind.name(),
            self.requests,
            self.failed,
            self.share_failed() * 100.0,
            Summary::of(self.p50_ms.iter().copied()).median,
        );
    }
}

/// Prints each bar with its verdict.
fn judge(figures: &[Figures]) -> bool {
    let Some(own) = figures.iter().find(|figures| figures.kind == Kind::Forebay) else { return true };
    let verdict = |holds| if holds { "holds" } else { "DOES NOT HOLD" };
    let few = own.share_failed() < FAILED_MAX;
    println!(
        "\nfailed: {:.4}%, less than {:.2}%: {}",
        own.share_failed() * 100.0,
        FAILED_MAX * 100.0,
        verdict(few)
    );
    let mut holds = few;
    for other in figures.iter().filter(|figures| figures.kind != Kind::Forebay) {
        let p99 = Summary::of(own.p99_ms.iter().zip(&other.p99_ms).map(|(own, other)| own / other)).median;
        let good = p99 <= TOLERANCE && own.share_failed() <= other.share_failed();
        println!(
            "p99 / {}: {p99:.2}, at most {TOLERANCE}, and no more failures: {}",
            other.kind.name(),
            verdict(good)
        );
        holds &= good;
    }
    holds
}
