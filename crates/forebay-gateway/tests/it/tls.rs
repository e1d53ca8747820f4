//! TLS on either side.

use forebay_testkit::{Client, RunningGateway, TestRoot, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// A gateway whose listener speaks TLS.
fn secure(root: &TestRoot, upstream: &Upstream) -> RunningGateway {
    let toml = format!(
        "[gateway]\nhead_timeout = \"500ms\"\ntls = {{ certificate = \"chain.pem\", key = \"key.pem\" }}\n\
         [service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address()
    );
    RunningGateway::start_with(&toml, &[("chain.pem", root.chain_pem()), ("key.pem", root.key_pem())], 1)
}

#[test]
fn a_secure_listener_says_that_it_is() {
    let root = TestRoot::new();
    let upstream = Upstream::answering(OK);
    let gateway = secure(&root, &upstream);
    let mut client = Client::connect_tls(gateway.address(), &root);
    for _ in 0..2 {
        assert_eq!(client.ask(GET).body, b"ok");
    }
    assert_eq!(upstream.requests()[0].field("x-forwarded-proto"), Some("https"));
    let body = "x".repeat(100_000);
    let answer = client.ask(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}"));
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.requests()[2].text(), body);
}

#[test]
fn malformed_requests_are_refused_under_tls_too() {
    let root = TestRoot::new();
    let upstream = Upstream::answering(OK);
    let gateway = secure(&root, &upstream);
    let mut client = Client::connect_tls(gateway.address(), &root);
    let answer = client.ask("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    assert_eq!((answer.status(), answer.field("connection")), (400, Some("close")));
    assert!(client.read_to_end().unwrap().is_empty(), "closed with a goodbye");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn plain_text_on_a_secure_port_reaches_nobody() {
    let root = TestRoot::new();
    let upstream = Upstream::answering(OK);
    let gateway = secure(&root, &upstream);
    for text in [GET, ""] {
        let mut client = gateway.client();
        client.send(text).unwrap();
        client.rest();
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(Client::connect_tls(gateway.address(), &root).ask(GET).status(), 200);
}

/// A gateway before an upstream that speaks TLS, trusting this root.
fn before_secure(upstream: &Upstream, trusted: &TestRoot) -> RunningGateway {
    let toml = format!(
        "[service.a]\nendpoints = \"https://localhost:{}\"\ntls = {{ roots = \"root.pem\" }}\n\
         retry = {{ attempts = 1 }}\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address().port()
    );
    let gateway = RunningGateway::start_with(&toml, &[("root.pem", trusted.root_pem())], 1);
    gateway.wait_for_endpoints("a");
    gateway
}

#[test]
fn an_upstream_is_reached_by_tls() {
    let root = TestRoot::new();
    let upstream = Upstream::start_tls(root.clone(), |connection| {
        loop {
            connection.request()?;
            connection.send(OK)?;
        }
    });
    let gateway = before_secure(&upstream, &root);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.ask(GET).body, b"ok");
    }
    assert_eq!(upstream.connections(), 1, "the secure connection is kept");
    let host = format!("localhost:{}", upstream.address().port());
    assert_eq!(upstream.requests()[0].field("host"), Some(host.as_str()));
}

#[test]
fn an_upstream_that_cannot_prove_its_name_gets_no_request() {
    let upstream = Upstream::start_tls(TestRoot::new(), |connection| connection.request().map(drop));
    let gateway = before_secure(&upstream, &TestRoot::new());
    let answer = gateway.client().ask(GET);
    assert_eq!((answer.status(), answer.problem().as_str()), (502, "upstream-tls of upstream"));
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_tunnel_goes_through_tls_on_both_sides() {
    let root = TestRoot::new();
    let upstream = Upstream::start_tls(root.clone(), |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi\n")?;
        let line = connection.read_until(b"\n")?;
        connection.send(line)
    });
    let toml = format!(
        "[gateway]\ntls = {{ certificate = \"chain.pem\", key = \"key.pem\" }}\n\
         [service.a]\nendpoints = \"https://localhost:{}\"\ntls = {{ roots = \"root.pem\" }}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address().port()
    );
    let files = [("chain.pem", root.chain_pem()), ("key.pem", root.key_pem()), ("root.pem", root.root_pem())];
    let gateway = RunningGateway::start_with(&toml, &files, 1);
    gateway.wait_for_endpoints("a");
    let mut client = Client::connect_tls(gateway.address(), &root);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().status(), 101);
    client.send("echo\n").unwrap();
    assert_eq!(client.read_until(b"echo\n").unwrap(), b"hi\necho\n");
}
