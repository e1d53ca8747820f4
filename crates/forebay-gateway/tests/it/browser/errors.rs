//! Forebay's own errors, as scripts of pages get to see them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use forebay_testkit::{RunningGateway, Upstream};
use serde_json::{Value, json};

use super::stage::Stage;

/// Where nobody listens.
fn gone() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket")
}

/// One error, and what a script does to meet it.
struct Meets {
    status: u16,
    kind: &'static str,
    method: &'static str,
    path: &'static str,
    body: Option<&'static str>,
}

/// The errors of a route's whole way. Another stage that refuses gets its line here, and its route below.
const ERRORS: &[Meets] = &[
    // A preflight has no credentials; the PUT behind it gets to read what it needs.
    Meets { status: 401, kind: "credentials-missing", method: "GET", path: "/mine", body: None },
    Meets { status: 401, kind: "credentials-missing", method: "PUT", path: "/mine", body: None },
    Meets { status: 403, kind: "denied", method: "GET", path: "/theirs", body: None },
    Meets { status: 503, kind: "identity-source-down", method: "GET", path: "/unknown", body: None },
    Meets { status: 404, kind: "no-route", method: "GET", path: "/nowhere", body: None },
    Meets {
        status: 413,
        kind: "body-too-large",
        method: "PUT",
        path: "/small",
        body: Some("more than ten bytes"),
    },
    Meets { status: 429, kind: "rate-limited", method: "GET", path: "/limited", body: None },
    // A preflight does not count; the PUT behind it does.
    Meets { status: 429, kind: "rate-limited", method: "PUT", path: "/limited", body: None },
    Meets { status: 502, kind: "upstream-unreachable", method: "GET", path: "/gone", body: None },
    // Its service is down; the preflight of this method is answered all the same.
    Meets { status: 502, kind: "upstream-unreachable", method: "PUT", path: "/gone", body: None },
    Meets { status: 503, kind: "circuit-open", method: "GET", path: "/failing", body: None },
    Meets { status: 504, kind: "upstream-timeout", method: "GET", path: "/silent", body: None },
];

fn gateway(failing: &Upstream, silent: &Upstream, login: &Upstream) -> RunningGateway {
    let route = |name: &str, more: &str| {
        format!("[[route]]\nmatch = \"/{name}\"\nservice = \"{name}\"\ncors = \"shop\"\n{more}\n")
    };
    let protected = |name: &str, policy: &str| {
        format!("[[route]]\nmatch = \"/{name}\"\nservice = \"gone\"\ncors = \"shop\"\nauth = \"{policy}\"\n")
    };
    let service = |name: &str, address: SocketAddr, more: &str| {
        format!("[service.{name}]\nendpoints = \"{address}\"\nretry = {{ attempts = 1 }}\n{more}\n")
    };
    let breaker = "eject = { errors = 100 }\nbreaker = { failures = \"50%\", requests = 5, open = \"1m\" }";
    RunningGateway::start(&format!(
        "[gateway]\ncors = \"shop\"\n{}{}{}{}{}{}{}{}{}{}{}{}{}{}\
         [auth.tokens]\njwt = {{ jwks = \"http://127.0.0.1:1/jwks\", audience = \"shop\" }}\n\
         [auth.asked]\nforward = {{ service = \"login\" }}\n[auth.nobody]\nforward = {{ service = \"gone\" }}\n\
         [cors.shop]\norigins = [\"https://shop.example\"]\nmethods = [\"GET\", \"PUT\"]\ncredentials = true\n",
        service("small", failing.address(), ""),
        service("limited", failing.address(), ""),
        service("gone", gone(), ""),
        service("failing", failing.address(), breaker),
        service("silent", silent.address(), ""),
        service("login", login.address(), ""),
        route("small", "max_body = \"10B\""),
        route("limited", "rate_limit = \"1/d\""),
        route("gone", ""),
        route("failing", ""),
        route("silent", "timeout = \"100ms\""),
        protected("mine", "tokens"),
        protected("theirs", "asked"),
        protected("unknown", "nobody"),
    ))
}

#[test]
fn errors_are_read_by_pages_that_are_allowed_and_by_no_others() {
    let failing = Upstream::answering("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
    let silent = Upstream::start(|connection| connection.hang());
    let login = Upstream::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway(&failing, &silent, &login);
    for _ in 0..5 {
        gateway.client().ask("GET /failing HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    gateway.client().ask("GET /limited HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stage = Stage::new();
    let ask = |stage: &mut Stage, origin: &str, meets: &Meets| {
        let url = format!("http://gateway.localhost:{}{}", gateway.address().port(), meets.path);
        let options = json!({"method": meets.method, "body": meets.body, "credentials": "include"});
        let script = format!(
            "fetch({url:?}, {options}).then(async response => [response.status, await response.json()], error => String(error))"
        );
        stage.evaluate(origin, &script)
    };
    for meets in ERRORS {
        let line = format!("{} {}", meets.method, meets.path);
        let read: Value = ask(&mut stage, "https://shop.example", meets);
        assert_eq!(read[0], meets.status, "{line}: {read}");
        let kind = format!("urn:forebay:problem:{}", meets.kind);
        assert_eq!(
            (&read[1]["type"], &read[1]["status"]),
            (&kind.into(), &meets.status.into()),
            "{line}: {read}"
        );
        for stranger in ["https://pr-7.preview.shop.example", "http://shop.example", "null"] {
            assert_eq!(
                ask(&mut stage, stranger, meets),
                "TypeError: Failed to fetch",
                "{line} from {stranger}"
            );
        }
    }
}
