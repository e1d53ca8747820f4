//! Requests that belong to an endpoint: by a key, by a cookie, and by how fast it is.

use std::time::Duration;

use forebay_testkit::{Client, Message, RunningGateway, Upstream};

fn saying(text: &'static str) -> Upstream {
    Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
}

fn before(upstreams: &[&Upstream], settings: &str) -> RunningGateway {
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    RunningGateway::start(&format!(
        "[service.a]\nendpoints = [{}]\n{settings}\n[[route]]\nmatch = \"/shops/{{id}}/*\"\nservice = \"a\"\n",
        endpoints.join(", ")
    ))
}

fn ask(client: &mut Client, path: &str, field: &str) -> Message {
    client.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n"))
}

#[test]
fn a_key_always_finds_the_same_endpoint() {
    let upstreams = [saying("one"), saying("two"), saying("three"), saying("four")];
    for (settings, vary) in [
        ("balance = \"maglev\"\nhash = \"header:x-user\"", "/shops/1/x|X-User: {}\r\n"),
        ("balance = \"ring-hash\"\nhash = \"path:id\"", "/shops/{}/x|"),
        ("balance = \"maglev\"\nhash = \"query:u\"", "/shops/1/x?u={}|"),
        ("balance = \"maglev\"\nhash = \"cookie:sid\"", "/shops/1/x|Cookie: a=1; sid={}\r\n"),
    ] {
        let gateway = before(&upstreams.each_ref(), settings);
        let mut seen = std::collections::BTreeSet::new();
        for key in 0..20 {
            let (path, field) = vary.split_once('|').unwrap();
            let [path, field] = [path, field].map(|text| text.replace("{}", &key.to_string()));
            let answers = [(); 3].map(|()| ask(&mut gateway.client(), &path, &field).text());
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{settings}: {answers:?}");
            seen.insert(answers[0].clone());
        }
        assert!(seen.len() >= 3, "{settings}: twenty keys spread over {seen:?}");
    }
}

#[test]
fn a_cookie_keeps_a_client_with_its_endpoint_until_that_is_gone() {
    let mut upstreams = [saying("one"), saying("two"), saying("three")];
    let gateway = before(&upstreams.each_ref(), "sticky = \"sid\"\nbalance = \"round-robin\"");
    let first = ask(&mut gateway.client(), "/shops/1/x", "");
    let set = first.field("set-cookie").unwrap().to_owned();
    assert!(set.ends_with("; Path=/; SameSite=Lax; HttpOnly"), "{set}");
    let cookie = format!("Cookie: {}\r\n", set.split(';').next().unwrap());
    for _ in 0..6 {
        let answer = ask(&mut gateway.client(), "/shops/1/x", &cookie);
        assert_eq!((answer.text(), answer.field("set-cookie")), (first.text(), None));
    }
    let gone = ["one", "two", "three"].iter().position(|text| *text == first.text()).unwrap();
    upstreams[gone].kill();
    let moved = ask(&mut gateway.client(), "/shops/1/x", &cookie);
    assert_eq!(moved.status(), 200);
    assert_ne!(moved.text(), first.text());
    let again = format!("Cookie: {}\r\n", moved.field("set-cookie").unwrap().split(';').next().unwrap());
    assert_eq!(ask(&mut gateway.client(), "/shops/1/x", &again).text(), moved.text());
    assert!(!set.contains(&upstreams[gone].address().port().to_string()), "the cookie names no port: {set}");
}

#[test]
fn peak_ewma_leaves_a_slow_endpoint_to_itself() {
    let slow = Upstream::start(|connection| {
        loop {
            connection.request()?;
            std::thread::sleep(Duration::from_millis(60));
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")?;
        }
    });
    let (one, two) = (saying("one"), saying("two"));
    let gateway = before(&[&slow, &one, &two], "balance = \"peak-ewma\"");
    let mut client = gateway.client();
    for _ in 0..60 {
        assert_eq!(ask(&mut client, "/shops/1/x", "").status(), 200);
    }
    let served = slow.requests().len();
    assert!(served <= 10, "one at a time in turn would be 20: {served}");
}
