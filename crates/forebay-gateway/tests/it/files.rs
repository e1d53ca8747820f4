//! Endpoints from a file that somebody else writes, while the gateway runs.

use std::fs;
use std::path::{Path, PathBuf};

use forebay_testkit::{RunningGateway, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("forebay-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("no folder for the test");
        Folder(path)
    }

    /// As careful writers do: the whole file at once.
    fn replace(&self, text: &str) -> PathBuf {
        let (fresh, path) = (self.0.join("fresh"), self.0.join("endpoints.json"));
        fs::write(&fresh, text).expect("the file cannot be written");
        fs::rename(&fresh, &path).expect("the file cannot be replaced");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn group(upstream: &Upstream) -> String {
    format!("[{{\"targets\": [\"{}\"]}}]", upstream.address())
}

fn gateway(file: &Path) -> RunningGateway {
    let gateway = RunningGateway::start(&format!(
        "[service.a]\nendpoints = \"file:{}\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n",
        file.display()
    ));
    gateway.wait_for_endpoints("a");
    gateway
}

/// Asks until the answer is the wanted one; a file is looked at once a second.
fn wait_for_answer(gateway: &RunningGateway, text: &str) {
    while gateway.client().ask(GET).text() != text {
        std::thread::yield_now();
    }
}

fn saying(text: &str) -> Upstream {
    Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
}

#[test]
fn endpoints_follow_their_file() {
    let (first, second) = (saying("first"), saying("second"));
    let folder = Folder::new("follow");
    let gateway = gateway(&folder.replace(&group(&first)));
    wait_for_answer(&gateway, "first");
    folder.replace(&format!(
        r#"{{"cluster_name": "a", "endpoints": [{{"locality": {{"zone": "z1"}}, "lb_endpoints": [
            {{"endpoint": {{"address": {{"socket_address": {{"address": "127.0.0.1", "port_value": {}}}}}}}}}]}}]}}"#,
        second.address().port()
    ));
    wait_for_answer(&gateway, "second");
    let set = gateway.surroundings().discovery.service("a").unwrap().latest();
    assert_eq!(set.endpoints()[0].endpoint.zone.as_deref(), Some("z1"));
}

#[test]
fn a_broken_file_changes_nothing_and_is_reported() {
    let upstream = saying("still here");
    let folder = Folder::new("broken");
    let gateway = gateway(&folder.replace(&group(&upstream)));
    folder.replace("[{\"targets\": [\"orders:80\"]}]");
    let service = gateway.surroundings().discovery.service("a").unwrap();
    let now = || gateway.surroundings().clock.now();
    let standing = || service.sources()[0].standing.describe(now());
    while !standing().contains("\"orders\" is no IP address") {
        std::thread::yield_now();
    }
    assert_eq!(gateway.client().ask(GET).text(), "still here");
}
