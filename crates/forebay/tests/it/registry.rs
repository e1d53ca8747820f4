//! The registry of a whole process: what registers gets requests, what dies gets none, and a restart forgets nothing.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use forebay_testkit::{Load, PATIENCE, Upstream, Wire};

use super::Scratch;

/// A process that serves, killed with the value.
pub(super) struct Serving {
    process: Child,
    /// Its access log, until somebody reads it.
    log: Option<ChildStdout>,
    gateway: SocketAddr,
    admin: SocketAddr,
    pub(super) registry: SocketAddr,
}

/// A request as the access log tells of it.
struct Logged {
    /// When its line was read, a moment after it ended.
    ended: Instant,
    attempts: usize,
}

/// A process that answers, as an instance of a service.
struct Instance {
    process: Child,
    address: SocketAddr,
}

impl Instance {
    fn start(scratch: &Scratch, name: &str) -> Instance {
        scratch.write(
            &format!("{name}.toml"),
            &format!(
                "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"off\"\nworkers = 1\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"{name}\"\n\
                 [[route]]\nmatch = \"/*\"\nrespond = {{ body = \"ok\" }}\n"
            ),
        );
        let mut command = scratch.forebay(&["serve", "--config", &format!("{name}.toml")]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| address(&line, "listen")).expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Instance { process, address }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address that a line of the event log has under this key.
pub(super) fn address(line: &str, key: &str) -> Option<SocketAddr> {
    line.split(&format!("\"{key}\":\"")).nth(1)?.split('"').next()?.parse().ok()
}

impl Serving {
    fn start(scratch: &Scratch) -> Serving {
        Serving::with(scratch, "", None)
    }

    /// A process with this in its `[registry]`, whose system trusts the roots of this file alone, or what it does trust.
    pub(super) fn with(scratch: &Scratch, registry: &str, roots: Option<&Path>) -> Serving {
        let admin = free();
        scratch.write(
            "forebay.toml",
            &format!(
                "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"json\"\nworkers = 1\n\
                 [admin]\nlisten = \"{admin}\"\n\
                 [registry]\nlisten = \"127.0.0.1:0\"\ndns = \"127.0.0.1:0\"\nnode = \"web-1\"\n{registry}\n\
                 [service.orders]\nendpoints = \"registry\"\n\
                 [[route]]\nmatch = \"/*\"\nservice = \"orders\"\n"
            ),
        );
        let mut command = scratch.forebay(&["serve"]);
        command.envs(roots.map(|roots| ("SSL_CERT_FILE", roots)));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = process.stdout.take();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut gateway, mut registry) = (None, None);
        let mut seen = Vec::new();
        while gateway.is_none() || registry.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {seen:?}"));
            gateway = gateway.or(address(&line, "listen"));
            registry = registry.or(address(&line, "http"));
            seen.push(line);
        }
        // What nobody reads would stop the process when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { process, log, gateway: gateway.unwrap(), admin, registry: registry.unwrap() }
    }

    fn register(&self, id: &str, port: u16, every: Duration) {
        let every = every.as_millis();
        let body = format!(
            r#"{{"Name":"orders","ID":"{id}","Address":"127.0.0.1","Port":{port},
                "Check":{{"TCP":"127.0.0.1:{port}","Interval":"{every}ms","Timeout":"1s"}}}}"#
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

    /// Registers a service with one check, and waits for what the check says: the list of its checks.
    pub(super) fn checked(&self, service: &str, check: &str) -> String {
        let body = format!(r#"{{"Name":"{service}","Check":{check}}}"#);
        let put = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost";
        let (status, text) =
            ask(self.registry, &format!("{put}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(status, 200, "{text}");
        let start = Instant::now();
        loop {
            let (_, checks) = ask(
                self.registry,
                &format!("GET /v1/health/checks/{service} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            );
            if !checks.contains(r#""Output":"""#) {
                return checks;
            }
            assert!(start.elapsed() < PATIENCE, "the check is not asked: {checks}");
        }
    }

    /// What the access log tells from now on, line by line until the process ends.
    fn requests(&mut self) -> Receiver<Logged> {
        let (told, requests) = std::sync::mpsc::channel();
        let lines = BufReader::new(self.log.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || {
            for line in lines {
                let attempts =
                    line.split("\"attempts\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
                let attempts = attempts.and_then(|count| count.parse().ok()).unwrap_or(0);
                let _ = told.send(Logged { ended: Instant::now(), attempts });
            }
        });
        requests
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

/// An address on which nobody listens.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(super) fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut wire = Wire::plain(TcpStream::connect(address).unwrap()).unwrap();
    wire.send(request).unwrap();
    let answer = wire.response().unwrap();
    (answer.status(), answer.text())
}

pub(super) fn service() -> Upstream {
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
    first.register("orders-1", upstream.address().port(), Duration::from_millis(500));
    first.until_served();
    // Killed, with no time to write anything down.
    drop(first);
    let second = Serving::start(&scratch);
    assert_eq!(second.get().0, 200, "it serves from its snapshot at once");
}

/// How often a registered instance is asked in the test of its death.
const CHECKED_EVERY: Duration = Duration::from_secs(1);

#[test]
fn a_killed_instance_gets_nothing_after_the_first_failure_and_one_check() {
    let scratch = Scratch::new("registry-death");
    let mut instances = ["one", "two", "three"].map(|name| Instance::start(&scratch, name));
    let mut serving = Serving::start(&scratch);
    for (number, instance) in instances.iter().enumerate() {
        serving.register(&format!("orders-{number}"), instance.address.port(), CHECKED_EVERY);
    }
    serving.until_served();
    let requests = serving.requests();
    let load = Load::start(serving.gateway, &["GET /orders HTTP/1.1\r\nHost: a\r\n\r\n"; 2], false);
    load.wait_for_more(100);
    let killed = Instant::now();
    instances[1].process.kill().unwrap();
    while killed.elapsed() < CHECKED_EVERY * 3 {
        load.wait_for_more(10);
    }
    let report = load.stop();
    assert_eq!((report.failed, report.failures.as_slice()), (0, &[][..]), "of {}", report.answered);
    drop(serving);
    let retried: Vec<Instant> =
        requests.iter().filter(|request| request.attempts > 1).map(|request| request.ended).collect();
    let Some(first) = retried.first() else { panic!("nothing was sent to the instance that died") };
    let late = retried.iter().filter(|ended| **ended > *first + CHECKED_EVERY).count();
    assert_eq!(late, 0, "of {} requests that met the dead instance", retried.len());
}

#[test]
fn a_check_is_led_on_unless_it_says_not_to() {
    let scratch = Scratch::new("registry-led");
    let serving = Serving::start(&scratch);
    let upstream = Upstream::start(|connection| {
        let request = connection.request()?;
        connection.send(match request.start.as_str() {
            "GET /healthz HTTP/1.1" => "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        })
    });
    let place = format!("http://{}", upstream.address());
    let check = |more: &str| format!(r#"{{"HTTP":"{place}/healthz","Interval":"30s"{more}}}"#);
    let led = serving.checked("led", &check(""));
    assert!(led.contains(&format!("healthz: 200 (redirected to {place}/) Output: ok")), "{led}");
    let still = serving.checked("still", &check(r#","DisableRedirects":true"#));
    assert!(still.contains(r#"healthz: 302""#) && still.contains(r#""Status":"critical""#), "{still}");
}

#[test]
fn a_taken_port_of_dns_is_named_and_nothing_serves() {
    let scratch = Scratch::new("registry-dns");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    scratch.write(
        "forebay.toml",
        &format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [registry]\nlisten = \"127.0.0.1:0\"\ndns = \"{address}\"\n"
        ),
    );
    let (code, said) = scratch.run(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("error: {address} is in use by another process")), "{said}");
}

#[test]
fn a_reload_that_would_need_a_registry_changes_nothing() {
    let scratch = Scratch::new("registry-late");
    let upstream = service();
    let file = |endpoints: &str| {
        format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"off\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [service.orders]\nendpoints = \"{endpoints}\"\n[[route]]\nmatch = \"/*\"\nservice = \"orders\"\n"
        )
    };
    scratch.write("forebay.toml", &file(&upstream.address().to_string()));
    let mut command = scratch.forebay(&["serve"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let gateway = lines.by_ref().find_map(|line| address(&line, "listen")).unwrap();
    let serving = Instance { process, address: gateway };
    let is_told = AtomicBool::new(false);
    let said: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Until it looks: what is written before it first does is no change.
            for lines in (1..).take_while(|_| !is_told.load(Ordering::Relaxed)) {
                scratch.write("next.toml", &(file("registry") + &"\n".repeat(lines)));
                std::fs::rename(scratch.path().join("next.toml"), scratch.path().join("forebay.toml"))
                    .unwrap();
                super::nodes::wait(Duration::from_millis(200));
            }
        });
        let said = lines.by_ref().take_while(|line| !line.contains("reload rejected")).collect();
        is_told.store(true, Ordering::Relaxed);
        said
    });
    let said = said.join("\n");
    assert!(said.contains("error: `registry` names \"orders\", and this process runs no registry"), "{said}");
    assert!(said.contains("= help: restart"), "{said}");
    assert_eq!(ask(serving.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 200);
}

#[test]
fn a_shared_store_out_of_reach_is_told_and_keeps_nobody_from_serving() {
    let scratch = Scratch::new("registry-store");
    let (closed, admin) = (free(), free());
    scratch.write(
        "forebay.toml",
        &format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"off\"\n[admin]\nlisten = \"{admin}\"\n\
             [registry]\nlisten = \"127.0.0.1:0\"\ndns = \"127.0.0.1:0\"\n\
             [store]\nurl = \"postgres://forebay@{closed}/forebay\"\n"
        ),
    );
    let mut command = scratch.forebay(&["serve"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let registry = lines.by_ref().find_map(|line| address(&line, "http")).unwrap();
    let _serving = Instance { process, address: registry };
    lines.by_ref().find(|line| line.contains("shared store cannot be used")).expect("it says so");
    std::thread::spawn(move || lines.for_each(drop));
    let get = |path: &str| ask(admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (status, ready) = get("/readyz?verbose");
    assert_eq!(status, 200, "{ready}");
    assert!(ready.contains("[+]registry's state ok\n"), "{ready}");
    let line =
        ready.lines().find(|line| line.starts_with("[!]registry's shared store warning: failing for "));
    assert!(line.is_some_and(|line| line.ends_with("; other nodes stay as last known")), "{ready}");
    let (_, metrics) = get("/metrics");
    for sample in
        ["forebay_registry_store_up{store=\"shared\"} 0\n", "forebay_registry_store_up{store=\"disk\"} 1\n"]
    {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    assert!(metrics.contains("forebay_registry_store_failures_total{store=\"shared\"} "), "{metrics}");
}

#[test]
fn the_list_of_services_has_what_the_registry_knows() {
    let scratch = Scratch::new("registry-services");
    let upstream = service();
    let serving = Serving::start(&scratch);
    let rows = || {
        let (_, text) = ask(serving.admin, "GET /services?format=text HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        words.take_while(|line| line != "SPARED BY STANDING").collect::<Vec<_>>()
    };
    // An empty registry was heard from.
    assert_eq!(
        rows(),
        ["orders: 0 endpoints, 0 eligible", "SOURCE ADDRESSES STANDING", "registry 0 0 instances"]
    );
    let address = upstream.address();
    serving.register("orders-1", address.port(), Duration::from_millis(500));
    serving.until_served();
    let rows = rows();
    assert_eq!(
        (&*rows[0], &*rows[4]),
        ("orders: 1 endpoint, 1 eligible", "registry 1 1 instance"),
        "{rows:?}"
    );
    // Its check passed, and nothing is checked here besides.
    assert!(rows[2].starts_with(&format!("{address} ready ")), "{rows:?}");
}
