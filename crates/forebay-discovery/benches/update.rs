//! What a registry's change of one instance among 10,000 costs the thread that pushes it. Run with `cargo xtask bench update`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use forebay_clock::Clock;
use forebay_discovery::{
    Advertised, Definitions, Discovery, HealthCheck, Pushed, PushedChange, PushedTarget, ServiceDefinition,
    Target,
};

const INSTANCES: u32 = 10_000;
/// The one that changes.
const ODD: u32 = INSTANCES / 2;

fn instance(number: u32, weight: u32, advertised: Advertised) -> PushedTarget {
    let address = ([10, 0, (number >> 8) as u8, number as u8], 9001).into();
    PushedTarget { target: Target { weight, ..Target::new(address) }, advertised }
}

fn critical() -> Advertised {
    Advertised::Critical { reason: "TTL expired".into() }
}

/// All that the registry has; the odd one as given, or missing.
fn all(odd: Option<PushedTarget>) -> Pushed {
    let others = (0..INSTANCES).filter(|&number| number != ODD);
    let mut targets: Vec<_> = others.map(|number| instance(number, 1, Advertised::Ready)).collect();
    targets.extend(odd);
    targets.sort_by_key(|pushed| pushed.target.address);
    Pushed { targets, confirmed: Clock::system().now(), failure: None }
}

/// A service with all instances, each with an active check.
fn discovery() -> Discovery {
    let discovery = Discovery::new(Clock::system(), fastrand::Rng::with_seed(1));
    let sources = vec!["registry".parse().expect("a source")];
    let orders =
        ServiceDefinition { sources, health: Some(HealthCheck::tcp()), ..ServiceDefinition::default() };
    discovery.apply(Definitions::from([("orders".into(), orders)]));
    discovery.push("orders", all(Some(instance(ODD, 1, Advertised::Ready))));
    discovery
}

/// To and fro between two states of the odd one.
fn updates(criterion: &mut Criterion) {
    let ready = instance(ODD, 1, Advertised::Ready);
    let gone = PushedChange::Gone(ready.target.address);
    let changes = [
        ("its state", PushedChange::Put(instance(ODD, 1, critical()))),
        ("its weight", PushedChange::Put(instance(ODD, 2, Advertised::Ready))),
        ("it comes or goes", gone),
    ];
    let mut group = criterion.benchmark_group("one of 10000 changes");
    for (name, change) in changes {
        let discovery = discovery();
        let back = PushedChange::Put(ready.clone());
        let mut turn = false;
        group.bench_function(format!("{name}, pushed alone"), |bencher| {
            bencher.iter_batched(
                || {
                    turn = !turn;
                    if turn { change.clone() } else { back.clone() }
                },
                |change| discovery.push_one("orders", black_box(change)),
                BatchSize::SmallInput,
            );
        });
        let odd = match change {
            PushedChange::Put(odd) => Some(odd),
            PushedChange::Gone(_) => None,
        };
        let (there, back) = (all(odd), all(Some(ready.clone())));
        group.bench_function(format!("{name}, pushed with all"), |bencher| {
            bencher.iter_batched(
                || {
                    turn = !turn;
                    if turn { there.clone() } else { back.clone() }
                },
                |pushed| discovery.push("orders", black_box(pushed)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    updates(&mut criterion);
    criterion.final_summary();
}
