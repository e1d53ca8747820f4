//! The whole of it, as a gateway sees it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::base::Rtype;
use domain::base::iana::Rcode;
use forebay_clock::Clock;
use forebay_discovery::{
    Advertised, Change, Definitions, Discovery, DnsResolver, Endpoint, Health, HealthCheck, NameServers,
    PROBES_IN_FLIGHT_MAX, Probe, ProbeFailure, Pushed, PushedTarget, ResolutionSettings, ServiceDefinition,
    ServiceReader, Standing, Target,
};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use crate::dns_server::{DnsServer, Say};

/// Far more than anything here takes, so that only a real fault ends a test by it.
const PATIENCE: Duration = Duration::from_secs(8);

/// What probes do in a test.
enum Prober {
    Succeeds,
    IsRefused,
    NeverEnds,
    Counts(Crowd),
}

/// How many run at once, and how many ever did.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: Arc<AtomicUsize>,
}

impl Probe for Prober {
    async fn probe(&self, _: &Endpoint, _: &HealthCheck) -> Result<(), ProbeFailure> {
        match self {
            Prober::Succeeds => Ok(()),
            Prober::IsRefused => Err(ProbeFailure::Refused),
            Prober::NeverEnds => pending().await,
            Prober::Counts(crowd) => {
                crowd.most.fetch_max(crowd.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                // Long enough for all the others that may start.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                crowd.now.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Definitions for one service, looked up again as often as a test can wait for.
fn orders(sources: &[&str], health: Option<HealthCheck>) -> Definitions {
    let resolution = ResolutionSettings {
        ttl_min: Duration::from_millis(10),
        denied_hold: Duration::from_millis(50),
        ..ResolutionSettings::default()
    };
    let sources = sources.iter().map(|text| text.parse().unwrap()).collect();
    Definitions::from([("orders".into(), ServiceDefinition { sources, resolution, health, outlier: None })])
}

/// A discovery that runs until [`Running::stop`].
struct Running {
    discovery: Discovery,
    changes: broadcast::Receiver<Change>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Spawned on purpose: the future must be `Send` when its prober's are.
    fn start(dns: &DnsServer, prober: Prober) -> Running {
        let discovery = Discovery::new(Clock::system(), fastrand::Rng::with_seed(9));
        let changes = discovery.subscribe();
        let resolver = DnsResolver::new(NameServers::Fixed(vec![dns.address]), fastrand::Rng::with_seed(10))
            .without_route_check();
        let (stop, stopped) = oneshot::channel();
        let runner = discovery.clone();
        let task = tokio::spawn(async move {
            runner.run(&resolver, &prober, async { stopped.await.unwrap() }).await;
        });
        Running { discovery, changes, stop, task }
    }

    async fn next(&mut self) -> Change {
        tokio::time::timeout(PATIENCE, self.changes.recv()).await.expect("nothing changed").unwrap()
    }

    async fn wait_for<T>(&mut self, wanted: impl Fn(Change) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    async fn wait_for_endpoints(&mut self) -> Vec<String> {
        let addresses = |change| match change {
            Change::Endpoints { set, .. } => {
                Some(set.endpoints().iter().map(|e| e.endpoint.address.to_string()).collect())
            }
            _ => None,
        };
        self.wait_for(addresses).await
    }

    async fn wait_for_health(&mut self) -> (Health, Option<ProbeFailure>) {
        let verdict = |change| match change {
            Change::Health { health, reason, .. } => Some((health, reason)),
            _ => None,
        };
        self.wait_for(verdict).await
    }

    fn reader(&self) -> ServiceReader {
        ServiceReader::new(self.discovery.service("orders").unwrap())
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.expect("run did not end").unwrap();
    }
}

#[tokio::test]
async fn a_changed_answer_reaches_a_reader_once_its_ttl_has_passed() {
    let dns = DnsServer::start().await;
    dns.say_v4("orders.internal", &["10.0.0.1"]);
    let mut running = Running::start(&dns, Prober::Succeeds);
    running.discovery.apply(orders(&["dns:orders.internal:9000"], None));
    let mut reader = running.reader();
    assert_eq!(reader.endpoints().endpoints().len(), 0);
    assert_eq!(running.wait_for_endpoints().await, ["10.0.0.1:9000"]);
    let first = reader.endpoints().endpoints()[0].live.id();
    dns.say_v4("orders.internal", &["10.0.0.2", "10.0.0.1"]);
    assert_eq!(running.wait_for_endpoints().await, ["10.0.0.1:9000", "10.0.0.2:9000"]);
    assert_eq!(reader.endpoints().endpoints()[0].live.id(), first);
    running.stop().await;
}

#[tokio::test]
async fn when_dns_fails_the_last_good_answer_serves_and_says_why() {
    let dns = DnsServer::start().await;
    dns.say_v4("orders.internal", &["10.0.0.1"]);
    let mut running = Running::start(&dns, Prober::Succeeds);
    running.discovery.apply(orders(&["dns:orders.internal:9000"], None));
    running.wait_for_endpoints().await;
    dns.say_code("orders.internal", Rcode::SERVFAIL);
    let standing = |change| match change {
        Change::Standing { report, .. } => match report.standing {
            Standing::Stale { failure, .. } => Some((failure.to_string(), report.targets)),
            _ => None,
        },
        _ => None,
    };
    let (reason, targets) = running.wait_for(standing).await;
    assert!(reason.ends_with("answered SERVFAIL for orders.internal"), "{reason}");
    assert_eq!((targets, running.reader().endpoints().endpoints().len()), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_denial_that_lasts_empties_the_set() {
    let dns = DnsServer::start().await;
    dns.say_v4("orders.internal", &["10.0.0.1"]);
    let mut running = Running::start(&dns, Prober::Succeeds);
    running.discovery.apply(orders(&["dns:orders.internal:9000"], None));
    running.wait_for_endpoints().await;
    dns.say_code("orders.internal", Rcode::NXDOMAIN);
    assert!(running.wait_for_endpoints().await.is_empty());
    let sources = running.discovery.service("orders").unwrap().sources();
    assert!(matches!(&sources[0].standing, Standing::GivenUp { .. }), "{sources:?}");
    running.stop().await;
}

#[tokio::test]
async fn probes_make_endpoints_healthy_and_unhealthy_with_a_reason() {
    let dns = DnsServer::start().await;
    let mut running = Running::start(&dns, Prober::IsRefused);
    let check = HealthCheck { interval_fast: Duration::from_millis(5), ..HealthCheck::http("/healthz") };
    running.discovery.apply(orders(&["127.0.0.1:1"], Some(check)));
    assert!(running.reader().endpoints().endpoints()[0].live.health().is_eligible());
    assert_eq!(running.wait_for_health().await, (Health::Unhealthy, Some(ProbeFailure::Refused)));
    assert_eq!(running.reader().endpoints().endpoints()[0].live.health(), Health::Unhealthy);
    running.stop().await;
}

#[tokio::test]
async fn a_probe_that_takes_too_long_has_failed() {
    let dns = DnsServer::start().await;
    let mut running = Running::start(&dns, Prober::NeverEnds);
    let check = HealthCheck {
        interval_fast: Duration::from_millis(5),
        timeout: Duration::from_millis(5),
        ..HealthCheck::tcp()
    };
    let timeout = ProbeFailure::TimedOut(check.timeout);
    running.discovery.apply(orders(&["127.0.0.1:1"], Some(check)));
    assert_eq!(running.wait_for_health().await, (Health::Unhealthy, Some(timeout)));
    running.stop().await;
}

#[tokio::test]
async fn probes_in_flight_are_bounded_and_everyone_is_probed() {
    let crowd = Crowd::default();
    let most = Arc::clone(&crowd.most);
    let dns = DnsServer::start().await;
    let mut running = Running::start(&dns, Prober::Counts(crowd));
    let sources: Vec<String> = (1..=900).map(|port| format!("127.0.0.1:{port}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    // All due at once.
    let check = HealthCheck { interval_fast: Duration::ZERO, ..HealthCheck::tcp() };
    running.discovery.apply(orders(&sources, Some(check)));
    for _ in 0..sources.len() {
        assert_eq!(running.wait_for_health().await.0, Health::Healthy);
    }
    assert_eq!(most.load(Ordering::Relaxed), PROBES_IN_FLIGHT_MAX);
    running.stop().await;
}

#[tokio::test]
async fn a_reload_wakes_a_discovery_that_has_nothing_to_do() {
    let dns = DnsServer::start().await;
    dns.say("a.internal", Rtype::A, Say::Addresses(vec![("10.0.0.1", 3600)]));
    dns.say_v4("b.internal", &["10.0.0.2"]);
    let mut running = Running::start(&dns, Prober::Succeeds);
    running.discovery.apply(orders(&["dns:a.internal:80"], None));
    assert_eq!(running.wait_for_endpoints().await, ["10.0.0.1:80"]);
    running.discovery.apply(orders(&["dns:b.internal:80"], None));
    assert!(running.wait_for_endpoints().await.is_empty());
    assert_eq!(running.wait_for_endpoints().await, ["10.0.0.2:80"]);
    running.stop().await;
}

#[tokio::test]
async fn without_a_network_addresses_serve_and_names_say_why_not() {
    let discovery = Discovery::new(Clock::system(), fastrand::Rng::with_seed(1));
    discovery.apply(orders(&["127.0.0.1:1", "dns:orders.internal:80"], None));
    let service = discovery.service("orders").unwrap();
    assert_eq!(service.latest().endpoints().len(), 1);
    let standings: Vec<_> = service.sources().into_iter().map(|report| report.standing).collect();
    assert_eq!(standings, [Standing::Static, Standing::Unresolved { failure: None }]);
}

#[tokio::test]
async fn what_another_thread_pushes_serves_when_the_push_returns_and_is_probed() {
    let dns = DnsServer::start().await;
    let mut running = Running::start(&dns, Prober::Succeeds);
    let check = HealthCheck { interval_fast: Duration::from_millis(5), ..HealthCheck::tcp() };
    running.discovery.apply(orders(&["registry"], Some(check)));
    let discovery = running.discovery.clone();
    let pushing = std::thread::spawn(move || {
        let ready = |port| PushedTarget {
            target: Target::new(([127, 0, 0, 1], port).into()),
            advertised: Advertised::Ready,
        };
        let targets = vec![ready(9001), ready(9002)];
        discovery.push("orders", Pushed { targets, confirmed: Clock::system().now(), failure: None });
        discovery.service("orders").unwrap().latest().endpoints().len()
    });
    assert_eq!(pushing.join().unwrap(), 2);
    assert_eq!(running.wait_for_health().await.0, Health::Healthy);
    assert_eq!(running.wait_for_health().await.0, Health::Healthy);
    running.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_a_request_could_not_reach_is_probed_at_once_and_told_of() {
    let dns = DnsServer::start().await;
    let mut running = Running::start(&dns, Prober::IsRefused);
    // Not due within the test.
    let check = HealthCheck { interval_fast: Duration::from_secs(3600), ..HealthCheck::tcp() };
    running.discovery.apply(orders(&["127.0.0.1:1"], Some(check)));
    let service = running.discovery.service("orders").unwrap();
    let endpoint = service.latest().endpoints()[0].clone();
    let now = Clock::system().now();
    std::thread::spawn(move || service.suspect(&endpoint, now, now + Duration::from_secs(1))).join().unwrap();
    let suspected = |change| match change {
        Change::Suspected { address, .. } => Some(address.to_string()),
        _ => None,
    };
    assert_eq!(running.wait_for(suspected).await, "127.0.0.1:1");
    assert_eq!(running.wait_for_health().await, (Health::Unhealthy, Some(ProbeFailure::Refused)));
    running.stop().await;
}
