//! What Chromium does with calls into a local network, whatever the server there says.

use forebay_testkit::{Browser, Event, TestRoot, Upstream};
use serde_json::json;

use super::stage::turn;

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n";
const OPEN: &str = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: PUT\r\n\
     Access-Control-Allow-Private-Network: true\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_local_network_opens_to_pages_that_the_user_lets_in_and_to_nobody_else() {
    let _turn = turn();
    let plain = Upstream::answering(PAGE);
    let secure = Upstream::start_tls(TestRoot::new(), |connection| {
        loop {
            connection.request()?;
            connection.send(PAGE)?;
        }
    });
    let local = Upstream::answering(OPEN);
    let (without, with) = (plain.address(), secure.address());
    let public = format!("--ip-address-space-overrides={without}=public,{with}=public");
    let hosts = [("shop.example:80", without), ("shop.example:443", with)];
    let mut browser = Browser::start_with(&hosts, &[&public]);
    let port = local.address().port();
    let script =
        format!("fetch('http://localhost:{port}/', {{method: 'PUT'}}).then(answer => answer.status, String)");
    for (origin, failure) in [
        ("http://shop.example", "InsecureLocalNetwork"),
        ("https://shop.example", "LocalNetworkAccessPermissionDenied"),
    ] {
        let page = browser.open(&format!("{origin}/"));
        assert_eq!(browser.evaluate(&page, &script), "TypeError: Failed to fetch", "{origin}");
        let fails = |event: &Event| event.about["corsErrorStatus"]["corsError"] == failure;
        browser.wait_for(&page, fails);
    }
    assert!(local.requests().is_empty(), "nothing is sent, no preflight either: {:?}", local.requests());
    browser.order(None, "Browser.grantPermissions", json!({"permissions": ["loopbackNetwork"]}));
    let page = browser.open("https://shop.example/");
    assert_eq!(browser.evaluate(&page, &script), 200);
    let asks = local
        .requests()
        .iter()
        .any(|request| request.field("access-control-request-private-network").is_some());
    assert!(!asks, "the server is not asked: {:?}", local.requests());
}
