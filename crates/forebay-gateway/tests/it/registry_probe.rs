//! Checks of registered instances, asked over real sockets.

use std::net::TcpListener;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use forebay_discovery::{NameServers, Resolver};
use forebay_gateway::probe::ProbeTls;
use forebay_gateway::registry_probe::RegistryProber;
use forebay_http::timer::Sweeper;
use forebay_registry::{
    CheckKind, CheckSpec, HttpCheck, Node, ProbeAnswer, Registry, RegistryProbe, Status, TcpCheck,
};
use forebay_testkit::{PATIENCE, Upstream};

/// What comes of a check that is asked once.
fn ask(kind: CheckKind) -> ProbeAnswer {
    let spec = CheckSpec { id: Some("check".into()), ..CheckSpec::new(kind) };
    let mut registry = Registry::new(Node::own("web-1", "id", "127.0.0.1"));
    registry.register_check(Moment::START, spec, None).expect("a check");
    let order = registry.pop_probe(Moment::START).expect("a probe");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.expect("a runtime").block_on(async {
        let sweeper = Sweeper::new(Clock::system());
        let resolver = Resolver::new(NameServers::System, fastrand::Rng::with_seed(1));
        let prober = RegistryProber::new(sweeper.clone(), &resolver, ProbeTls::default());
        tokio::select! {
            answer = prober.probe(&order) => answer,
            _ = sweeper.run() => unreachable!("the sweeper runs for ever"),
        }
    })
}

fn http(url: String) -> HttpCheck {
    HttpCheck {
        method: "POST".into(),
        header: [("X-Token".into(), vec!["hush".into()]), ("Host".into(), vec!["orders".into()])].into(),
        body: "ping".into(),
        ..HttpCheck::get(&url, PATIENCE, PATIENCE)
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
        ("300 Multiple Choices", Status::Critical),
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

/// Redirects from path to path until one of them answers otherwise.
fn redirecting(places: &'static [(&str, &str)]) -> Upstream {
    Upstream::start(move |connection| {
        let request = connection.request()?;
        let asked = request.start.split([' ', '?']).nth(1);
        let place = places.iter().find(|(path, _)| Some(*path) == asked);
        connection.send(match place {
            Some((_, answer)) if answer.contains("Location") => {
                format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")
            }
            Some((_, answer)) => format!("HTTP/1.1 {answer}\r\nContent-Length: 5\r\n\r\nwords"),
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        })
    })
}

#[test]
fn what_is_redirected_is_as_what_it_leads_to() {
    let upstream = redirecting(&[
        ("/moved", "301 Moved Permanently\r\nLocation: /new/?secret=hush"),
        ("/new/", "200 OK"),
        ("/busy", "307 Temporary Redirect\r\nLocation: full"),
        ("/full", "429 Too Many Requests"),
        ("/lost", "308 Permanent Redirect\r\nLocation: /nowhere"),
        ("/loop", "303 See Other\r\nLocation: /loop"),
        ("/file", "302 Found\r\nLocation: file:///etc/passwd"),
        ("/bare", "302 Found"),
    ]);
    let place = format!("http://{}", upstream.address());
    let check = |path: &str| HttpCheck::get(&format!("{place}{path}"), PATIENCE, PATIENCE);
    for (path, status, words) in [
        ("/moved", Status::Passing, format!("200 (redirected to {place}/new/) Output: words")),
        ("/busy", Status::Warning, format!("429 (redirected to {place}/full) Output: words")),
        ("/lost", Status::Critical, format!("404 (redirected to {place}/nowhere)")),
        ("/bare", Status::Critical, "302 Output: words".into()),
    ] {
        let answer = ask(CheckKind::Http(check(path)));
        assert_eq!(
            (answer.status, &*answer.output),
            (status, &*format!("HTTP GET {place}{path}: {words}")),
            "{path}"
        );
    }
    let refused = ask(CheckKind::Http(check("/file")));
    let words = "redirected to neither http:// nor https://";
    assert_eq!((refused.status, &*refused.output), (Status::Critical, words));
    let before = upstream.connections();
    let looping = ask(CheckKind::Http(check("/loop")));
    let words = format!("redirected to {place}/loop: redirected by all of 10 answers");
    assert_eq!((looping.status, &*looping.output), (Status::Critical, &*words));
    assert_eq!(upstream.connections() - before, 10);
    let still = HttpCheck { follows_redirects: false, ..check("/moved") };
    let answer = ask(CheckKind::Http(still));
    let words = format!("HTTP GET {place}/moved: 301");
    assert_eq!((answer.status, &*answer.output), (Status::Critical, &*words));
}

#[test]
fn a_redirect_leads_to_another_server_without_credentials_and_within_the_same_time() {
    let other = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords");
    let port = other.address().port();
    let first = Upstream::start(move |connection| {
        connection.request()?;
        let place = format!("http://localhost:{port}/health");
        connection.send(format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
        ))
    });
    let mut check = http(format!("http://{}/", first.address()));
    check.header.insert("Authorization".into(), vec!["Bearer hush".into()]);
    assert_eq!(ask(CheckKind::Http(check.clone())).status, Status::Passing);
    assert_eq!(first.only_request().field("authorization"), Some("Bearer hush"));
    let request = other.only_request();
    assert_eq!((request.field("authorization"), request.field("x-token")), (None, Some("hush")));
    assert_eq!((request.field("host"), request.text()), (Some(&*format!("localhost:{port}")), "ping".into()));

    let endless = Upstream::start(|connection| {
        match connection.request()?.start.as_str() {
            "GET / HTTP/1.1" => {
                connection.send("HTTP/1.1 302 Found\r\nLocation: /slow\r\nContent-Length: 0\r\n\r\n")
            }
            // Until the other side gives up.
            _ => connection.hang(),
        }
    });
    let place = format!("http://{}", endless.address());
    let check = HttpCheck::get(&format!("{place}/"), PATIENCE, Duration::from_millis(200));
    let answer = ask(CheckKind::Http(check));
    let words = format!("redirected to {place}/slow: timed out after 200ms");
    assert_eq!((answer.status, &*answer.output), (Status::Critical, &*words));
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
