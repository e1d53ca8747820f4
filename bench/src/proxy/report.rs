//! The figures as a table for people, as JSON for programs and as a picture for the README.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::result::{Figures, Round, Scenario};
use crate::chart;
use crate::failure::{Doing as _, Failure};
use crate::options::Options;
use crate::peer::Kind;
use crate::place::Placement;
use crate::statistics::Summary;
use crate::traffic;

/// Forebay's processor time per request, 1 KiB on one core, is at most this share of that peer's.
const BARS: [(Kind, f64); 2] = [(Kind::Haproxy, 0.75), (Kind::Nginx, 0.9)];

/// What is compared. The floor's ratios say how much of a bar this machine leaves to any proxy.
const RATIOS: [(Kind, Kind); 4] = [
    (Kind::Forebay, Kind::Haproxy),
    (Kind::Forebay, Kind::Nginx),
    (Kind::Floor, Kind::Haproxy),
    (Kind::Floor, Kind::Nginx),
];

pub(crate) fn print(scenario: &Scenario) {
    println!(
        "\n{}: processor µs per request, median of {} rounds (min–max)",
        scenario.name(),
        rounds(scenario)
    );
    println!(
        "{:<8} {:>7} {:>15} {:>7} {:>7}   {:>9} {:>9} {:>9}",
        "", "total", "", "user", "system", "req/s", "p50 µs", "p99 µs"
    );
    for figures in &scenario.figures {
        let of = |figure: fn(&Round) -> f64| figures.summary(figure);
        let Summary { median, min, max } = of(Round::cpu_us);
        println!(
            "{:<8} {median:>7.2} {:>15} {:>7.2} {:>7.2}   {:>9.0} {:>9.0} {:>9.0}",
            figures.kind.name(),
            format!("({min:.2}–{max:.2})"),
            figures.user_us(),
            median - figures.user_us(),
            of(Round::per_second).median,
            of(|round| round.p50.as_secs_f64() * 1e6).median,
            of(|round| round.p99.as_secs_f64() * 1e6).median,
        );
    }
    for (of, to) in RATIOS {
        if let Some(Summary { median, min, max }) = scenario.ratio(of, to) {
            println!("{:<7} / {:<8} {median:.2} ({min:.2}–{max:.2})", of.name(), to.name());
        }
    }
}

fn rounds(scenario: &Scenario) -> usize {
    scenario.figures.first().map_or(0, |figures| figures.rounds.len())
}

/// Prints each bar with its verdict; false when one does not hold. Bars without figures are not judged.
pub(crate) fn print_bars(scenarios: &[Scenario]) -> bool {
    println!("\nbars, 1 KiB on one core");
    let mut holds = true;
    for (peer, bar) in BARS {
        let name = peer.name();
        match measured(scenarios, peer) {
            Some(ratio) if ratio.median <= bar => {
                println!("forebay / {name}: {:.2}, at most {bar}: holds", ratio.median);
            }
            Some(ratio) => {
                println!("forebay / {name}: {:.2}, at most {bar}: DOES NOT HOLD", ratio.median);
                holds = false;
            }
            None => println!("forebay / {name}: at most {bar}: not measured"),
        }
    }
    holds
}

fn measured(scenarios: &[Scenario], peer: Kind) -> Option<Summary> {
    let is_bar = |scenario: &&Scenario| {
        scenario.size == traffic::SIZES[0] && scenario.placement.proxy == scenario.placement.others
    };
    scenarios.iter().find(is_bar)?.ratio(Kind::Forebay, peer)
}

/// Writes `proxy.json` and `proxy.svg`.
pub(crate) fn write(
    scenarios: &[Scenario],
    versions: &[String],
    busy: f64,
    options: &Options,
) -> Result<(), Failure> {
    let unix_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let bars = BARS.map(|(peer, bar)| {
        json!({ "peer": peer.name(), "at_most": bar, "ratio": measured(scenarios, peer).map(summary) })
    });
    let document = json!({
        "unix_seconds": unix_seconds,
        "processor": processor(),
        "versions": versions,
        "load_average_before": busy,
        "quick": options.quick,
        "connections": traffic::CONNECTIONS,
        "warm_up_s": options.warm_up.as_secs_f64(),
        "measure_s": options.measure.as_secs_f64(),
        "scenarios": scenarios.iter().map(scenario).collect::<Vec<_>>(),
        "bars": bars,
    });
    let text = format!("{document:#}\n");
    for (name, text) in [("proxy.json", text), ("proxy.svg", chart::draw(&bars_of(scenarios), &processor()))]
    {
        let path = options.out.join(name);
        fs::write(&path, text).doing(format_args!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn scenario(scenario: &Scenario) -> Value {
    let Scenario { placement: Placement { proxy, others }, size, figures } = scenario;
    let ratios: Vec<Value> = RATIOS
        .into_iter()
        .filter_map(|(of, to)| Some((of, to, scenario.ratio(of, to)?)))
        .map(|(of, to, ratio)| json!({ "of": of.name(), "to": to.name(), "cpu": summary(ratio) }))
        .collect();
    json!({
        "name": scenario.name(),
        "body_bytes": size,
        "proxy_core": proxy,
        "other_core": others,
        "proxies": figures.iter().map(proxy_figures).collect::<Vec<_>>(),
        "ratios": ratios,
    })
}

fn proxy_figures(figures: &Figures) -> Value {
    json!({
        "name": figures.kind.name(),
        "cpu_us": summary(figures.summary(Round::cpu_us)),
        "user_us": figures.user_us(),
        "system_us": figures.summary(Round::cpu_us).median - figures.user_us(),
        "per_second": summary(figures.summary(Round::per_second)),
        "rounds": figures.rounds.iter().map(round).collect::<Vec<_>>(),
    })
}

fn round(round: &Round) -> Value {
    json!({
        "responses": round.responses,
        "seconds": round.took.as_secs_f64(),
        "cpu_ns": round.cpu.total_ns,
        "user_ticks": round.cpu.user_ticks,
        "system_ticks": round.cpu.system_ticks,
        "p50_us": round.p50.as_secs_f64() * 1e6,
        "p99_us": round.p99.as_secs_f64() * 1e6,
    })
}

fn summary(Summary { median, min, max }: Summary) -> Value {
    json!({ "median": median, "min": min, "max": max })
}

fn bars_of(scenarios: &[Scenario]) -> Vec<chart::Group> {
    let bar = |figures: &Figures| chart::Bar {
        name: figures.kind.name(),
        user: figures.user_us(),
        system: figures.summary(Round::cpu_us).median - figures.user_us(),
    };
    let group = |scenario: &Scenario| chart::Group {
        name: scenario.name(),
        bars: scenario.figures.iter().map(bar).collect(),
    };
    scenarios.iter().map(group).collect()
}

/// The processor's name, since figures mean nothing without it.
fn processor() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = information.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name).to_owned()
}
