//! What the first request after a change of one endpoint among 10,000 costs a core more than others: all of the data path
//! that discovery's changes reach, from socket to socket. Run with `cargo xtask bench update`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use forebay_discovery::{Advertised, Pushed, PushedChange, PushedTarget, Target};
use forebay_testkit::{RunningGateway, Upstream};

const ENDPOINTS: u32 = 10_000;
/// The one that changes.
const ODD: u32 = ENDPOINTS / 2;
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An endpoint that only stands by: requests go to the one that answers, whose priority is higher.
fn idle(number: u32, weight: u32) -> PushedTarget {
    let address = ([10, 0, (number >> 8) as u8, number as u8], 9001).into();
    PushedTarget {
        target: Target { weight, priority: 1, ..Target::new(address) },
        advertised: Advertised::Ready,
    }
}

fn gateway(policy: &str, answering: &Upstream) -> RunningGateway {
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"registry\"\nbalance = \"{policy}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
    ));
    let target = Target::new(answering.address());
    let mut targets = vec![PushedTarget { target, advertised: Advertised::Ready }];
    targets.extend((1..ENDPOINTS).map(|number| idle(number, 1)));
    let confirmed = gateway.surroundings().clock.now();
    gateway.surroundings().discovery.push("a", Pushed { targets, confirmed, failure: None });
    gateway
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a request, of 10000 endpoints");
    for policy in ["least-request", "round-robin", "maglev"] {
        let upstream = Upstream::answering(OK);
        let gateway = gateway(policy, &upstream);
        let discovery = &gateway.surroundings().discovery;
        let mut client = gateway.client();
        let mut weight = 1;
        let mut change = |how: &str| match how {
            "no change" => {}
            "a state" => {
                weight = 3 - weight;
                let reason = "TTL expired".into();
                let advertised =
                    if weight == 1 { Advertised::Ready } else { Advertised::Critical { reason } };
                discovery.push_one("a", PushedChange::Put(PushedTarget { advertised, ..idle(ODD, 1) }));
            }
            _ => {
                weight = 3 - weight;
                discovery.push_one("a", PushedChange::Put(idle(ODD, weight)));
            }
        };
        for how in ["no change", "a state", "a weight"] {
            group.bench_function(format!("{policy}, after {how}"), |bencher| {
                bencher.iter_custom(|count| {
                    (0..count)
                        .map(|_| {
                            change(how);
                            let asked = Instant::now();
                            assert_eq!(black_box(client.ask(GET)).status(), 200);
                            asked.elapsed()
                        })
                        .sum::<Duration>()
                });
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
    requests(&mut criterion);
    criterion.final_summary();
}
