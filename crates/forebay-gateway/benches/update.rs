//! How long it takes until a change of one endpoint among 10,000 is in force: what discovery takes for the push, and what the
//! first request of a core after it takes above others, from socket to socket. Run with `cargo xtask bench update`.
//!
//! Beside the time, the processor's time of the whole process: on a machine that others use, too, it strays less.

#![expect(clippy::print_stdout, reason = "results go to stdout")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use forebay_discovery::{Advertised, Pushed, PushedChange, PushedTarget, Target};
use forebay_testkit::{Client, RunningGateway, Upstream};
use rustix::time::{ClockId, clock_gettime};

const ENDPOINTS: u32 = 10_000;
/// The one that changes.
const ODD: u32 = ENDPOINTS / 2;
/// Changes of each kind, each after a request without one.
const ROUNDS: usize = 400;
const QUICK_ROUNDS: usize = 40;
/// The bar, in microseconds.
const MOST_US: f64 = 1000.0;
const POLICIES: [&str; 3] = ["least-request", "maglev", "round-robin"];
const GET: &str = "GET /?u=7 HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What takes place in a round.
#[derive(Clone, Copy)]
struct Cost {
    push: Duration,
    first: Duration,
    /// Of both.
    cpu: Duration,
}

/// An endpoint that only stands by: requests go to the one that answers, whose priority is higher. Weights differ.
fn idle(number: u32) -> PushedTarget {
    let address = ([10, 0, (number >> 8) as u8, number as u8], 9001).into();
    PushedTarget {
        target: Target { weight: 1 + number % 4, priority: 1, ..Target::new(address) },
        advertised: Advertised::Ready,
    }
}

fn gateway(policy: &str, answering: &Upstream) -> RunningGateway {
    let hash = if policy == "maglev" { "hash = \"query:u\"\n" } else { "" };
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"registry\"\nbalance = \"{policy}\"\n{hash}[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    let target = Target::new(answering.address());
    let mut targets = vec![PushedTarget { target, advertised: Advertised::Ready }];
    targets.extend((1..ENDPOINTS).map(idle));
    let confirmed = gateway.surroundings().clock.now();
    gateway.surroundings().discovery.push("a", Pushed { targets, confirmed, failure: None });
    gateway
}

/// The kinds of change, each with what it makes of the odd endpoint, to and fro.
fn kinds() -> Vec<(&'static str, [PushedChange; 2])> {
    let put = PushedChange::Put;
    let (weight, mut version, mut critical) = (
        |weight| {
            let mut odd = idle(ODD);
            odd.target.weight = weight;
            odd
        },
        idle(ODD),
        idle(ODD),
    );
    version.target.version = Some("2".into());
    critical.advertised = Advertised::Critical { reason: "TTL expired".into() };
    vec![
        ("its weight", [put(weight(7)), put(weight(9))]),
        ("its state", [put(critical), put(idle(ODD))]),
        ("its version", [put(version), put(idle(ODD))]),
        ("it goes or comes", [PushedChange::Gone(idle(ODD).target.address), put(idle(ODD))]),
    ]
}

fn measure(client: &mut Client, push: impl FnOnce()) -> Cost {
    let (cpu, began) = (cpu(), Instant::now());
    push();
    let pushed = Instant::now();
    assert_eq!(black_box(client.ask(GET)).status(), 200);
    Cost { push: pushed - began, first: pushed.elapsed(), cpu: self::cpu() - cpu }
}

/// What the process has used of processors.
fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// In microseconds.
fn median(costs: &[Cost], of: impl Fn(&Cost) -> Duration) -> f64 {
    let mut costs: Vec<Duration> = costs.iter().map(of).collect();
    costs.sort_unstable();
    costs[costs.len() / 2].as_nanos() as f64 / 1000.0
}

fn report(policy: &str, kind: &str, plain: &[Cost], changed: &[Cost]) {
    let push = median(changed, |cost| cost.push);
    let first = median(changed, |cost| cost.first) - median(plain, |cost| cost.first);
    let cpu = median(changed, |cost| cost.cpu) - median(plain, |cost| cost.cpu);
    let whole = push + first;
    let verdict = if whole <= MOST_US { "" } else { "  over the bar" };
    println!("{policy:<14}{kind:<20}{push:>9.0}{first:>9.0}{whole:>9.0}{cpu:>9.0}{verdict}");
}

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { QUICK_ROUNDS } else { ROUNDS };
    println!("one of {ENDPOINTS} endpoints changes; medians of {rounds}, in µs; the bar is {MOST_US:.0}");
    println!("{:<34}{:>9}{:>9}{:>9}{:>9}", "", "push", "request", "in force", "CPU");
    for policy in POLICIES {
        let upstream = Upstream::answering(OK);
        let gateway = gateway(policy, &upstream);
        let discovery = &gateway.surroundings().discovery;
        let mut client = gateway.client();
        measure(&mut client, || {});
        for (kind, changes) in kinds() {
            let (mut plain, mut changed) = (Vec::new(), Vec::new());
            for change in changes.iter().cycle().take(rounds) {
                plain.push(measure(&mut client, || {}));
                let change = change.clone();
                changed.push(measure(&mut client, || discovery.push_one("a", black_box(change))));
            }
            report(policy, kind, &plain, &changed);
        }
        // A table takes up to a quarter of a second, and then cores go over to it. Others have waited as long.
        let (mut plain, mut changed) = (Vec::new(), Vec::new());
        let weights = kinds().swap_remove(0).1;
        for change in weights.into_iter().cycle().take(rounds / 20) {
            discovery.push_one("a", change);
            measure(&mut client, || {});
            let Some(chores) = gateway.gateway().chores() else { break };
            let began = Instant::now();
            chores();
            let took = began.elapsed();
            changed.push(measure(&mut client, || {}));
            let began = Instant::now();
            while began.elapsed() < took {
                std::hint::spin_loop();
            }
            plain.push(measure(&mut client, || {}));
        }
        if !changed.is_empty() {
            report(policy, "a table is built", &plain, &changed);
        }
    }
}
