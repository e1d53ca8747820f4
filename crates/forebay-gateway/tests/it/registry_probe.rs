//! Checks of registered instances, asked over real sockets.

use std::net::TcpListener;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_discovery::{NameServers, Resolver};
use forebay_gateway::registry_probe::RegistryProber;
use forebay_http::timer::Sweeper;
use forebay_registry::{
    CheckKind, CheckSpec, HttpCheck, Node, ProbeAnswer, Registry, RegistryProbe, Status, TcpCheck,
};
use forebay_testkit::{PATIENCE, Upstream};

/// What comes of a check that is asked once.
fn ask(kind: CheckKind) -> ProbeAnswer {
    let spec = CheckSpec {
        id: Some("check".into()),
        name: "".into(),
        notes: "".into(),
        kind,
        status: Status::Critical,
        deregister_after: None,
        successes_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
    };
    let mut registry = Registry::new(Node::own("web-1", "id", "127.0.0.1"));
    registry.register_check(Moment::START, spec, None).expect("a check");
    let order = registry.pop_probe(Moment::START).expect("a probe");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.expect("a runtime").block_on(async {
        let sweeper = Sweeper::new(Clock::system());
        let resolver = Resolver::new(NameServers::System, fastrand::Rng::with_seed(1));
        let prober = RegistryProber::new(sweeper.clone(), &resolver);
        tokio::select! {
            answer = prober.probe(&order) => answer,
            _ = sweeper.run() => unreachable!("the sweeper runs for ever"),
        }
    })
}

fn http(url: String) -> HttpCheck {
    HttpCheck {
        url: url.into(),
        method: "POST".into(),
        header: [("X-Token".into(), vec!["hush".into()]), ("Host".into(), vec!["orders".into()])].into(),
        body: "ping".into(),
        interval: PATIENCE,
        timeout: PATIENCE,
        tls_skip_verify: false,
        tls_server_name: "".into(),
    }
}

fn answering(status: &'static str) -> Upstream {
    Upstream::start(move |connection| {
        let request = connection.request()?;
        let is_as_asked = request.field("x-token") == Some("hush")
            && request.field("host") == Some("orders")
            && request.field("user-agent") == Some("forebay-registry")
            && request.text() == "ping";
        let status = if is_as_asked { status } else { "400 Bad Request" };
        connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nwords"))
    })
}

#[test]
fn the_status_of_an_answer_is_the_status_of_its_check() {
    for (status, expected) in [
        ("200 OK", Status::Passing),
        ("429 Too Many Requests", Status::Warning),
        ("302 Found", Status::Critical),
        ("503 Service Unavailable", Status::Critical),
    ] {
        let upstream = answering(status);
        let port = upstream.address().port();
        let answer = ask(CheckKind::Http(http(format!("http://localhost:{port}/healthz?secret=hush"))));
        assert_eq!(answer.status, expected, "{status}: {}", answer.output);
        let number = &status[..3];
        assert_eq!(
            &*answer.output,
            format!("HTTP POST http://localhost:{port}/healthz: {number} Output: words")
        );
    }
}

#[test]
fn a_page_may_be_of_any_length() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        connection
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)))
    });
    let answer = ask(CheckKind::Http(http(format!("http://{}/", upstream.address()))));
    assert_eq!(answer.status, Status::Passing, "{}", answer.output);
    assert!(answer.output.contains(": 200") && answer.output.len() < 2000, "{}", answer.output.len());
}

#[test]
fn a_connection_that_opens_passes_and_one_that_does_not_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = |address: String| {
        ask(CheckKind::Tcp(TcpCheck { address: address.into(), interval: PATIENCE, timeout: PATIENCE }))
    };
    assert_eq!(tcp(address.to_string()).status, Status::Passing);
    drop(listener);
    let refused = tcp(address.to_string());
    assert_eq!((refused.status, &*refused.output), (Status::Critical, "connection refused"));
    let http = ask(CheckKind::Http(http(format!("http://{address}/"))));
    assert_eq!((http.status, &*http.output), (Status::Critical, "connection refused"));
}

#[test]
fn a_page_that_does_not_come_in_time_is_a_failure() {
    let upstream = Upstream::start(|connection| {
        connection.request()?;
        // Until the other side gives up.
        connection.request().map(drop)
    });
    let check =
        HttpCheck { timeout: Duration::from_millis(50), ..http(format!("http://{}/", upstream.address())) };
    let answer = ask(CheckKind::Http(check));
    assert_eq!((answer.status, &*answer.output), (Status::Critical, "timed out after 50ms"));
}
