//! `bench proxy`: processor time per proxied request, all proxies alternately in one run.

mod preview;
mod report;
mod result;

use crate::failure::Failure;
use crate::load::Load;
use crate::options::Options;
use crate::peer::{Kind, Prepared, Running};
use crate::place::{self, Placement};
use crate::traffic;
use crate::upstream::Upstream;

use self::result::{Figures, Round, Scenario};

/// With more cores busy than this before the start, somebody else shares the caches.
const BUSY_MAX: f64 = 0.5;

/// Whether the bars hold that could be measured.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let versions: Vec<String> =
        options.peers.iter().map(|kind| kind.version(options)).collect::<Result<_, _>>()?;
    for version in &versions {
        println!("{version}");
    }
    let busy = place::load_average();
    if busy > BUSY_MAX {
        println!("warning: {busy:.1} cores were busy before we began: trust the ratios, not the figures");
    }
    let mut scenarios = Vec::new();
    for placement in Placement::all()? {
        for size in traffic::SIZES {
            let scenario = scenario(placement, size, options)?;
            report::print(&scenario);
            scenarios.push(scenario);
        }
    }
    report::write(&scenarios, &versions, busy, options)?;
    Ok(report::print_bars(&scenarios))
}

fn scenario(placement: Placement, size: usize, options: &Options) -> Result<Scenario, Failure> {
    place::move_to(placement.others)?;
    let upstream = Upstream::start(Some(placement.others))?;
    let mut proxies = Vec::new();
    for &kind in &options.peers {
        let prepared = Prepared::new(kind, &upstream.ports, options)?;
        let running = prepared.start(Some(placement.proxy))?;
        if kind != Kind::Floor {
            preview::check(&running, upstream.ports)?;
        }
        proxies.push(running);
    }
    let mut figures: Vec<Figures> =
        options.peers.iter().map(|&kind| Figures { kind, rounds: Vec::new() }).collect();
    for round in 0..options.rounds {
        for turn in 0..proxies.len() {
            // Another one begins each round, so that none always follows the same neighbour.
            let index = (round + turn) % proxies.len();
            figures[index].rounds.push(measure(&proxies[index], size, options)?);
        }
    }
    Ok(Scenario { placement, size, figures })
}

fn measure(proxy: &Running, size: usize, options: &Options) -> Result<Round, Failure> {
    let name = proxy.kind.name();
    let named = |failure: Failure| Failure::run(format!("{name}, {size} bytes: {failure}"));
    let mut load = Load::start(proxy.address, size).map_err(named)?;
    load.run(options.warm_up, true).map_err(named)?;
    let before = proxy.tree.cpu()?;
    let outcome = load.run(options.measure, false).map_err(named)?;
    let cpu = proxy.tree.cpu()?.since(before);
    Ok(Round {
        cpu,
        responses: outcome.responses,
        took: outcome.took,
        p50: outcome.latencies.quantile(0.5),
        p99: outcome.latencies.quantile(0.99),
    })
}
