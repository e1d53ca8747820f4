//! The registry of a whole process: what registers gets requests, what dies gets none, and a restart forgets nothing.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use forebay_testkit::{PATIENCE, Upstream, Wire};

use super::Scratch;

/// A process that serves, killed with the value.
struct Serving {
    process: Child,
    gateway: SocketAddr,
    registry: SocketAddr,
}

impl Serving {
    fn start(scratch: &Scratch) -> Serving {
        scratch.write(
            "forebay.toml",
            "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"off\"\nworkers = 1\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [registry]\nlisten = \"127.0.0.1:0\"\ndns = \"127.0.0.1:0\"\nnode = \"web-1\"\n\
             [service.orders]\nendpoints = \"registry\"\n\
             [[route]]\nmatch = \"/*\"\nservice = \"orders\"\n",
        );
        let mut command = scratch.forebay(&["serve"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut gateway, mut registry) = (None, None);
        let mut seen = Vec::new();
        let address = |line: &str, key: &str| -> Option<SocketAddr> {
            line.split(&format!("\"{key}\":\"")).nth(1)?.split('"').next()?.parse().ok()
        };
        while gateway.is_none() || registry.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {seen:?}"));
            gateway = gateway.or(address(&line, "listen"));
            registry = registry.or(address(&line, "http"));
            seen.push(line);
        }
        // What nobody reads would stop the process when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { process, gateway: gateway.unwrap(), registry: registry.unwrap() }
    }

    fn register(&self, id: &str, upstream: &Upstream) {
        let port = upstream.address().port();
        let body = format!(
            r#"{{"Name":"orders","ID":"{id}","Address":"127.0.0.1","Port":{port},
                "Check":{{"TCP":"127.0.0.1:{port}","Interval":"500ms","Timeout":"1s"}}}}"#
        );
        let length = body.len();
        let (status, text) = ask(
            self.registry,
            &format!(
                "PUT /v1/agent/service/register HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n{body}",
                self.registry
            ),
        );
        assert_eq!(status, 200, "{text}");
    }

    fn get(&self) -> (u16, String) {
        ask(self.gateway, "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    /// Asks until this many answers in a row are 200.
    fn until_served(&self) {
        let start = Instant::now();
        while self.get().0 != 200 {
            assert!(start.elapsed() < PATIENCE, "nobody answers: {:?}", self.get());
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut wire = Wire::plain(TcpStream::connect(address).unwrap()).unwrap();
    wire.send(request).unwrap();
    let answer = wire.response().unwrap();
    (answer.status(), answer.text())
}

fn service() -> Upstream {
    Upstream::start(|connection| {
        loop {
            connection.request()?;
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    })
}

#[test]
fn what_registers_is_served_and_a_restart_forgets_nothing() {
    let scratch = Scratch::new("registry");
    let upstream = service();
    let first = Serving::start(&scratch);
    assert_eq!(first.get().0, 503);
    first.register("orders-1", &upstream);
    first.until_served();
    // Killed, with no time to write anything down.
    drop(first);
    let second = Serving::start(&scratch);
    assert_eq!(second.get().0, 200, "it serves from its snapshot at once");
}

#[test]
fn an_instance_that_dies_costs_no_request_that_could_be_retried() {
    let scratch = Scratch::new("registry-death");
    let (one, two) = (service(), service());
    let serving = Serving::start(&scratch);
    serving.register("orders-1", &one);
    serving.until_served();
    serving.register("orders-2", &two);
    drop(two);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(serving.get().0, 200);
    }
}
