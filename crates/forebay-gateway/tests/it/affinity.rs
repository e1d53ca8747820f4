//! Requests that belong to an endpoint: by a key, by a cookie, and by how fast it is.

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
fn peak_ewma_takes_a_failing_endpoint_for_a_slow_one() {
    let busy = Upstream::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let (one, two) = (saying("one"), saying("two"));
    let settings = "balance = \"peak-ewma\"\nretry = { attempts = 1 }\neject = { share = \"0%\" }";
    let gateway = before(&[&busy, &one, &two], settings);
    let mut client = gateway.client();
    for _ in 0..60 {
        ask(&mut client, "/shops/1/x", "");
    }
    let served = busy.requests().len();
    assert!(served <= 3, "in turn it would be 20: {served}");
}

#[test]
fn keys_find_new_endpoints_once_tables_are_built() {
    let upstreams = [saying("one"), saying("two"), saying("three")];
    let settings = "balance = \"maglev\"\nhash = \"query:u\"";
    let folder = std::env::temp_dir().join(format!("forebay-test-{}-keys", std::process::id()));
    std::fs::create_dir_all(&folder).expect("no folder for the test");
    let file = folder.join("endpoints.json");
    let write = |upstreams: &[Upstream]| {
        let targets: Vec<String> = upstreams.iter().map(|it| format!("\"{}\"", it.address())).collect();
        let text = format!("[{{\"targets\": [{}]}}]", targets.join(", "));
        std::fs::write(&file, text).expect("the file cannot be written");
    };
    write(&upstreams[..2]);
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"file:{}\"\n{settings}\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        file.display()
    ));
    gateway.wait_for_endpoints("a");
    let answers = || {
        let ask = |key| ask(&mut gateway.client(), &format!("/?u={key}"), "").text();
        (0..30).map(ask).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(answers().len(), 2);
    write(&upstreams);
    // As the control thread does it.
    while answers().len() < 3 {
        gateway.gateway().chores().into_iter().for_each(|chores| chores());
    }
    let _ = std::fs::remove_dir_all(&folder);
}
