//! Which answer a request gets: routes, and the answers that need no service.

use forebay_testkit::{Message, RunningGateway, Upstream};

const ROUTES: &str = r#"
[gateway]
max_body = "10B"

[[route]]
match = "GET /a/{id}"
respond = { body = "a" }

[[route]]
match = "POST /a/{id}"
respond = { status = 201, body = "made", content_type = "text/html" }

[[route]]
match = "/nothing"
respond = { status = 204, body = "never sent" }

[[route]]
match = "host.example/a/*"
respond = { body = "host" }

[[route]]
match = "/old/*"
redirect = "https://shop.example/new/*"

[[route]]
match = "/local/*"
redirect = { to = "/*", status = 307 }
"#;

fn get(gateway: &RunningGateway, path: &str) -> Message {
    gateway.client().ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

#[test]
fn the_gateway_answers_by_itself() {
    let gateway = RunningGateway::start(ROUTES);
    let mut client = gateway.client();
    let answer = client.ask("GET /a/7 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "a"));
    let answer = client.ask("HEAD /a/7 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status(), answer.field("content-length")), (200, Some("1")));
    let answer = client.ask("POST /a/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!((answer.status(), answer.field("content-type")), (201, Some("text/html")));
    let answer = client.ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status(), answer.field("content-length")), (204, None));
    let answer = client.ask("GET /a/7 HTTP/1.1\r\nHost: HOST.example:8080\r\n\r\n");
    assert_eq!(answer.text(), "host", "all over one connection");
}

#[test]
fn what_no_route_takes_is_refused_by_name() {
    let gateway = RunningGateway::start(ROUTES);
    let mut client = gateway.client();
    let answer = client.ask("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status(), answer.problem().as_str()), (404, "no-route of client"));
    let answer = client.ask("DELETE /a/7 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status(), answer.problem().as_str()), (405, "method-not-allowed of client"));
    assert_eq!(answer.field("allow"), Some("GET, HEAD, POST"));
    let answer = client.ask("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n");
    assert_eq!((answer.status(), answer.field("allow")), (405, Some("")));
    let answer = client.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status(), 404);
}

#[test]
fn one_path_has_one_spelling() {
    let gateway = RunningGateway::start(ROUTES);
    assert_eq!(get(&gateway, "/%61/7").text(), "a");
    assert_eq!(get(&gateway, "/a%2F7").status(), 404, "an encoded slash separates nothing");
    for path in ["/a/../a/7", "/a/%2e%2E/a/7", "/./a/7", "/a/.", "/a/%", "/a/%zz", "/a/%00"] {
        let answer = get(&gateway, path);
        assert_eq!((answer.status(), answer.problem().as_str()), (400, "malformed-path of client"), "{path}");
    }
}

#[test]
fn redirects_keep_what_the_star_matched() {
    let gateway = RunningGateway::start(ROUTES);
    let cases = [
        ("/old/a/b?c=d", 308, "https://shop.example/new/a/b?c=d"),
        ("/old/", 308, "https://shop.example/new/"),
        ("/old", 308, "https://shop.example/new/"),
        ("/old/%61%2f", 308, "https://shop.example/new/%61%2f"),
        ("/local/a", 307, "/a"),
        // `//evil.example` would be another host.
        ("/local//evil.example/", 307, "/evil.example/"),
        ("/local/\\evil.example", 307, "/evil.example"),
        ("/local///\\/evil.example", 307, "/evil.example"),
    ];
    for (path, status, location) in cases {
        let answer = get(&gateway, path);
        assert_eq!((answer.status(), answer.field("location")), (status, Some(location)), "{path}");
    }
}

#[test]
fn a_body_that_says_it_is_too_large_is_not_read() {
    let gateway = RunningGateway::start(ROUTES);
    let mut client = gateway.client();
    client.send("POST /a/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.problem().as_str()), (413, "body-too-large of client"));
    assert_eq!(answer.field("connection"), Some("close"));
}

#[test]
fn a_body_that_turns_out_too_large_is_never_completed() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = RunningGateway::start(&format!(
        "[gateway]\nmax_body = \"10B\"\n[service.a]\nendpoints = \"{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        upstream.address()
    ));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for piece in [1, 1000] {
        let mut client = gateway.client();
        let _ = client.send_pieces(format!("{head}5\r\n12345\r\n6\r\n678901\r\n0\r\n\r\n"), piece);
        let answer = client.response().unwrap();
        assert_eq!((answer.status(), answer.problem().as_str()), (413, "body-too-large of client"));
        assert_eq!(answer.field("connection"), Some("close"));
        client.end().unwrap();
        client.expect_closed();
    }
    assert!(upstream.requests().is_empty(), "it must not act on a request that was refused");
    let answer = gateway.client().ask(format!("{head}a\r\n1234567890\r\n0\r\n\r\n"));
    assert_eq!(answer.status(), 200, "exactly as large is not too large");
}
