//! What a lookup makes of what name servers say.

use std::net::SocketAddr;
use std::time::Duration;

use domain::base::Rtype;
use domain::base::iana::Rcode;
use forebay_discovery::{Answer, DnsResolver, NameServers, Resolve, ResolveFailure, Source, Target};
use tokio::net::UdpSocket;

use crate::dns_server::{DnsServer, Say};

async fn resolve(servers: &[SocketAddr], source: &str) -> Result<Answer, ResolveFailure> {
    let servers = NameServers::Fixed(servers.to_vec());
    let resolver = DnsResolver::new(servers, fastrand::Rng::with_seed(5)).without_route_check();
    let source: Source = source.parse().unwrap();
    resolver.resolve(&source.place).await
}

fn targets(answer: &Answer) -> Vec<Target> {
    let mut targets: Vec<_> =
        answer.parts.iter().flat_map(|part| part.targets.clone().unwrap_or_default()).collect();
    targets.sort_unstable();
    targets
}

fn addresses(answer: &Answer) -> Vec<String> {
    targets(answer).iter().map(|target| target.address.to_string()).collect()
}

#[tokio::test]
async fn every_address_of_both_families_counts_and_the_shortest_ttl_holds() {
    let dns = DnsServer::start().await;
    dns.say("orders.internal", Rtype::A, Say::Addresses(vec![("10.0.0.2", 60), ("10.0.0.1", 30)]));
    dns.say("orders.internal", Rtype::AAAA, Say::Addresses(vec![("fd00::1", 45)]));
    let answer = resolve(&[dns.address], "dns:orders.internal:9000").await.unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:9000", "10.0.0.2:9000", "[fd00::1]:9000"]);
    assert_eq!(answer.ttl, Duration::from_secs(30));
}

#[tokio::test]
async fn a_family_nobody_answers_for_is_unknown_and_a_denied_one_empty() {
    let dns = DnsServer::start().await;
    dns.say("a.internal", Rtype::A, Say::Addresses(vec![("10.0.0.1", 30)]));
    let answer = async |code| {
        dns.say("a.internal", Rtype::AAAA, Say::Code(code));
        resolve(&[dns.address], "a.internal:80").await.unwrap()
    };
    assert_eq!(answer(Rcode::SERVFAIL).await.parts[1].targets, None);
    assert_eq!(answer(Rcode::NOERROR).await.parts[1].targets, Some(Vec::new()));
    assert_eq!(answer(Rcode::NXDOMAIN).await.parts[1].targets, Some(Vec::new()));
}

#[tokio::test]
async fn a_silent_family_does_not_hold_the_other_up() {
    let dns = DnsServer::start().await;
    dns.say("a.internal", Rtype::A, Say::Addresses(vec![("10.0.0.1", 30)]));
    dns.say("a.internal", Rtype::AAAA, Say::Nothing);
    let servers = [dns.address];
    // Two attempts of two seconds would be four.
    let wait = tokio::time::timeout(Duration::from_secs(3), resolve(&servers, "a.internal:80"));
    let answer = wait.await.expect("waited for the silent family").unwrap();
    assert_eq!((addresses(&answer), &answer.parts[1].targets), (vec!["10.0.0.1:80".to_owned()], &None));
}

#[tokio::test]
async fn services_keep_priority_weight_and_port() {
    let dns = DnsServer::start().await;
    let name = "_http._tcp.orders.internal";
    let services =
        vec![(10, 5, 8001, "a.internal"), (10, 0, 8002, "b.internal"), (20, 1, 8003, "gone.internal")];
    dns.say(name, Rtype::SRV, Say::Services(services));
    dns.say("a.internal", Rtype::A, Say::Addresses(vec![("10.0.0.1", 10)]));
    dns.say("b.internal", Rtype::A, Say::Addresses(vec![("10.0.0.2", 30)]));
    let answer = resolve(&[dns.address], &format!("dns+srv:{name}")).await.unwrap();
    let target =
        |address: &str, weight| Target { priority: 10, weight, ..Target::new(address.parse().unwrap()) };
    assert_eq!(targets(&answer), [target("10.0.0.1:8001", 5), target("10.0.0.2:8002", 1)]);
    assert_eq!(answer.ttl, Duration::from_secs(10));
}

#[tokio::test]
async fn addresses_that_come_along_with_services_are_not_asked_for() {
    let name = "_http._tcp.orders.internal";
    let services = vec![(1, 1, 8001, "a.internal"), (1, 1, 8002, "b.internal"), (1, 1, 8003, "c.internal")];
    let along = vec![
        ("A.internal", "10.0.0.1", 10),
        ("a.internal", "10.0.0.2", 5),
        ("b.internal", "10.0.0.3", 10),
        ("b.internal", "fd00::3", 10),
        ("unasked.internal", "10.6.6.6", 1),
    ];
    let asked = async |authoritative| {
        let dns = DnsServer::start().await;
        let (services, along) = (services.clone(), along.clone());
        dns.say(name, Rtype::SRV, Say::ServicesAlong { services, along, authoritative });
        dns.say_v4("c.internal", &["10.0.0.4"]);
        dns.say("a.internal", Rtype::AAAA, Say::Addresses(vec![("fd00::1", 10)]));
        let answer = resolve(&[dns.address], &format!("dns+srv:{name}")).await.unwrap();
        let asked: Vec<String> = dns.asked().iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        assert_eq!(asked.last().map(String::as_str), Some("c.internal AAAA"));
        (asked.len(), answer)
    };
    // The authority has said all there is of `a`, and nothing of `c`.
    let (count, answer) = asked(true).await;
    let all = ["10.0.0.1:8001", "10.0.0.2:8001", "10.0.0.3:8002", "10.0.0.4:8003", "[fd00::3]:8002"];
    assert_eq!((count, addresses(&answer)), (3, all.map(str::to_owned).to_vec()));
    let parts: Vec<_> = answer.parts.iter().map(|part| (&*part.name, part.targets.is_some())).collect();
    assert!(parts.contains(&("8001 a.internal. AAAA", true)), "it is known that there is none: {parts:?}");
    // Somebody else may have left out what it did not have at hand.
    let (count, answer) = asked(false).await;
    assert_eq!((count, addresses(&answer).len()), (4, 6));
    assert!(addresses(&answer).contains(&"[fd00::1]:8001".to_owned()));
}

#[tokio::test]
async fn what_comes_along_counts_for_how_long_an_answer_holds() {
    let dns = DnsServer::start().await;
    let (services, along) = (vec![(1, 1, 8001, "a.internal")], vec![("a.internal", "10.0.0.1", 7)]);
    dns.say("_a._tcp.internal", Rtype::SRV, Say::ServicesAlong { services, along, authoritative: true });
    let answer = resolve(&[dns.address], "dns+srv:_a._tcp.internal").await.unwrap();
    assert_eq!(answer.ttl, Duration::from_secs(7));
}

#[tokio::test]
async fn services_that_do_not_fit_into_a_datagram_come_over_tcp_with_their_addresses() {
    let dns = DnsServer::start().await;
    let (services, along) = (vec![(1, 1, 8001, "a.internal")], vec![("a.internal", "10.0.0.1", 7)]);
    let whole = Say::ServicesAlong { services, along, authoritative: true };
    dns.say("_a._tcp.internal", Rtype::SRV, Say::Long(Box::new(whole)));
    let answer = resolve(&[dns.address], "dns+srv:_a._tcp.internal").await.unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:8001"]);
    assert_eq!(dns.asked().len(), 2, "by UDP and by TCP");
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_comes_over_tcp() {
    let dns = DnsServer::start().await;
    let long = Say::Long(Box::new(Say::Addresses(vec![("10.0.0.1", 30)])));
    dns.say("long.internal", Rtype::A, long);
    let answer = resolve(&[dns.address], "long.internal:80").await.unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_believed() {
    let dns = DnsServer::start().await;
    let late = Say::AfterForgery(Box::new(Say::Addresses(vec![("10.0.0.1", 30)])));
    dns.say("orders.internal", Rtype::A, late);
    let answer = resolve(&[dns.address], "orders.internal:80").await.unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn another_server_is_asked_when_the_first_fails() {
    let (broken, dns) = (DnsServer::start().await, DnsServer::start().await);
    broken.say_code("orders.internal", Rcode::SERVFAIL);
    dns.say_v4("orders.internal", &["10.0.0.1"]);
    let answer = resolve(&[broken.address, dns.address], "orders.internal:80").await.unwrap();
    assert_eq!(addresses(&answer), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn failures_say_what_happened_and_who_said_it() {
    let dns = DnsServer::start().await;
    dns.say_code("empty.internal", Rcode::NOERROR);
    dns.say_code("broken.internal", Rcode::SERVFAIL);
    dns.say("_http._tcp.off", Rtype::SRV, Say::Services(vec![(0, 0, 0, ".")]));
    dns.say("_http._tcp.lost", Rtype::SRV, Say::Services(vec![(0, 1, 80, "gone.internal")]));
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let check = async |server: SocketAddr, source: &str, denial: bool, expected: String| {
        let failure = resolve(&[server], source).await.unwrap_err();
        assert_eq!((failure.to_string(), failure.is_denial()), (expected, denial), "{source}");
    };
    let at = dns.address;
    check(at, "gone.internal:80", true, "gone.internal does not exist".into()).await;
    check(at, "empty.internal:80", true, "empty.internal has no A or AAAA records".into()).await;
    check(at, "dns+srv:_http._tcp.off", true, "_http._tcp.off has no SRV records".into()).await;
    check(at, "dns+srv:_http._tcp.lost", true, "_http._tcp.lost has no reachable SRV records".into()).await;
    let servfail = format!("name server {at} answered SERVFAIL for broken.internal");
    check(at, "broken.internal:80", false, servfail).await;
    let refused = format!("cannot reach name server {closed}: Connection refused (os error 111)");
    check(closed, "orders.internal:80", false, refused).await;
}
