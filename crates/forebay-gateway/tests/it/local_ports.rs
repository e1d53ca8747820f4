//! The ports of services: what other processes of the machine get there, and how ports come and go.

use std::net::{SocketAddr, TcpStream};

use forebay_gateway::GatewayError;
use forebay_testkit::{Client, RunningGateway, Upstream, ask};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PUT: &str = "PUT /jobs/7?x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn service(name: &str, endpoints: &[&Upstream], local_port: &str) -> String {
    let endpoints: Vec<String> =
        endpoints.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    format!("[service.{name}]\nendpoints = [{}]\n{local_port}\n", endpoints.join(", "))
}

#[test]
fn a_local_port_reaches_its_service_past_all_routes() {
    let (mut dead, alive) = (Upstream::answering(OK), Upstream::answering(OK));
    dead.kill();
    let jobs = service("jobs", &[&dead, &alive], "local_port = 0\nbalance = \"round-robin\"");
    let gateway =
        RunningGateway::start(&format!("{jobs}[[route]]\nmatch = \"/*\"\nrespond = {{ status = 404 }}\n"));
    let port = gateway.local_address("jobs");
    for _ in 0..4 {
        let answer = ask(port, PUT);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "another endpoint is tried");
    }
    let request = alive.requests().remove(0);
    assert_eq!((request.start.as_str(), request.text().as_str()), ("PUT /jobs/7?x HTTP/1.1", "hello"));
    assert_eq!(ask(gateway.address(), PUT).status(), 404, "the front has its routes");
}

#[test]
fn a_local_port_answers_no_web_page_of_another_origin() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::start(&service("jobs", &[&upstream], "local_port = 0"));
    let port = gateway.local_address("jobs");
    assert_eq!(ask(port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").problem(), "foreign-host of client");
    let from_page = "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n";
    assert_eq!(ask(port, from_page).problem(), "foreign-origin of client");
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_deadline_of_a_service_holds_for_its_port_and_its_routes() {
    let silent = Upstream::start(|connection| {
        connection.request()?;
        connection.hang()
    });
    let service = service("slow", &[&silent], "local_port = 0\ntimeout = \"50ms\"\nretry = { attempts = 1 }");
    let gateway = RunningGateway::start(&format!("{service}[[route]]\nmatch = \"/*\"\nservice = \"slow\"\n"));
    for address in [gateway.local_address("slow"), gateway.address()] {
        assert_eq!(ask(address, GET).problem(), "upstream-timeout of upstream");
    }
}

#[test]
fn ports_come_and_go_with_reloads_and_open_connections_stay() {
    let first = Upstream::answering(OK);
    let without = service("a", &[&first], "");
    let gateway = RunningGateway::start_with(&without, &[], 2);
    assert_eq!(gateway.gateway().local_address("a"), None);

    gateway.reload(&service("a", &[&first], "local_port = 0"));
    let port = gateway.local_address("a");
    let mut kept = Client::connect(port);
    assert_eq!(kept.ask(GET).status(), 200);

    gateway.reload(&without);
    wait_until_refused(port);
    assert_eq!(kept.ask(GET).problem(), "no-service of upstream", "its service has no port any more");
}

#[test]
fn a_port_that_changes_its_service_is_never_closed() {
    let (first, second) = (Upstream::answering(OK), Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n"));
    let probe = RunningGateway::start(&service("a", &[&first], "local_port = 0"));
    let port = probe.local_address("a");
    drop(probe);
    let fixed = format!("local_port = {}", port.port());
    let gateway = RunningGateway::start(&service("a", &[&first], &fixed));
    assert_eq!(ask(port, GET).status(), 200);
    gateway.reload(&format!("{}{}", service("a", &[&first], ""), service("b", &[&second], &fixed)));
    // Until its core has come to the news, a connection is still the first service's; none is refused.
    while ask(port, GET).status() != 204 {}
}

#[test]
fn a_port_that_is_not_to_be_had_leaves_everything_as_it_was() {
    let upstream = Upstream::answering(OK);
    let gateway = RunningGateway::start(&service("a", &[&upstream], "local_port = 0"));
    let taken = format!("local_port = {}", upstream.address().port());
    let error = gateway.try_reload(&service("a", &[&upstream], &taken)).unwrap_err();
    assert!(matches!(error, GatewayError::ServicePort(_)), "{error}");
    assert_eq!(error.to_string(), format!("{} is in use by another process", upstream.address()));
    assert_eq!(ask(gateway.local_address("a"), GET).status(), 200);
}

/// The cores close a port when they come to it.
fn wait_until_refused(port: SocketAddr) {
    while TcpStream::connect(port).is_ok() {
        std::thread::yield_now();
    }
}
