//! Two Forebay nodes on one PostgreSQL, as processes, each with an instance of the service registered: killed, and cut from
//! their store, under load.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay_testkit::{Cable, Load, PATIENCE, Report, ScratchPostgres, Upstream, Wire};

use super::Scratch;

const GET: &str = "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n";
/// How often a client asks for the outcome of one request before it goes on to the next.
const ASKS_MAX: usize = 4;
/// Clients that send keyed requests.
const WRITERS: usize = 4;

/// What the service was asked to do, by key.
type Done = Arc<Mutex<HashMap<String, usize>>>;

/// A service that carries out what it is asked, however often.
fn service(done: &Done) -> Upstream {
    let done = done.clone();
    Upstream::start(move |connection| {
        loop {
            let request = connection.request()?;
            let Some(key) = request.field("idempotency-key") else {
                // The upstream remembers what it is asked: not all that two cores can ask in minutes.
                wait(Duration::from_millis(1));
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
                continue;
            };
            let number = {
                let mut done = done.lock().unwrap();
                let count = done.entry(key.to_owned()).or_default();
                *count += 1;
                *count
            };
            let body = format!("{key} {number}");
            let length = body.len();
            connection.send(format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{body}"))?;
        }
    })
}

/// One node, killed with the value.
struct Node {
    process: Child,
    address: SocketAddr,
    registry: SocketAddr,
}

impl Node {
    fn start(scratch: &Scratch, name: &str, store: &str) -> Node {
        scratch.write(
            &format!("{name}.toml"),
            &format!(
                "[gateway]\nlisten = \"127.0.0.1:0\"\naccess_log = \"off\"\ntimeout = \"2s\"\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"{name}\"\n\
                 [store]\nurl = \"{store}\"\n[service.orders]\nendpoints = \"registry\"\n\
                 [registry]\nlisten = \"127.0.0.1:0\"\ndns = \"127.0.0.1:0\"\nnode = \"{name}\"\n\
                 [[route]]\nmatch = \"/*\"\nservice = \"orders\"\nidempotency = \"anonymous\"\n"
            ),
        );
        let mut command = scratch.forebay(&["serve", "--config", &format!("{name}.toml")]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut told = |key: &str| {
            let found = lines.by_ref().find_map(|line| super::registry::address(&line, key));
            found.unwrap_or_else(|| panic!("the node does not say its {key}"))
        };
        let (address, registry) = (told("listen"), told("http"));
        // What nobody reads would stop the node when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Node { process, address, registry }
    }

    /// Registers an instance of the service, which nothing but the node vouches for.
    fn register(&self, id: &str, upstream: &Upstream) {
        let (address, port) = (self.registry, upstream.address().port());
        let body = format!(r#"{{"Name":"orders","ID":"{id}","Address":"127.0.0.1","Port":{port}}}"#);
        let length = body.len();
        let request = format!(
            "PUT /v1/agent/service/register HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        assert_eq!(forebay_testkit::ask(address, request).status(), 200);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One request over a connection of its own: status and body, or nothing when it broke off.
fn post(address: SocketAddr, key: &str) -> Option<(u16, String)> {
    let mut wire = Wire::plain(TcpStream::connect(address).ok()?).ok()?;
    let request = format!(
        "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    wire.send(request).ok()?;
    let answer = wire.response().ok()?;
    Some((answer.status(), answer.text()))
}

/// Clients that do what careful clients do: the same request again, with the same key, at either node.
struct Writers {
    stopped: Arc<AtomicBool>,
    created: Arc<Mutex<Vec<(String, String)>>>,
    sent: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Writers {
    fn start(nodes: &Arc<Mutex<[SocketAddr; 2]>>) -> Writers {
        let (stopped, created) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<_>>>::default());
        let sent = Arc::new(AtomicUsize::new(0));
        let clients = (0..WRITERS).map(|client| {
            let (stopped, created) = (stopped.clone(), created.clone());
            let (nodes, sent) = (nodes.clone(), sent.clone());
            std::thread::spawn(move || {
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("{client}-{number}");
                    sent.fetch_add(1, Ordering::Relaxed);
                    // The other node in turn, whatever the first said.
                    for ask in 0..ASKS_MAX {
                        let address = nodes.lock().unwrap()[(number + ask) % 2];
                        let got = post(address, &key);
                        match got {
                            Some((201, body)) => created.lock().unwrap().push((key.clone(), body)),
                            // As `Retry-After` asks, only sooner.
                            _ => wait(Duration::from_millis(50)),
                        }
                    }
                }
            })
        });
        Writers { clients: clients.collect(), stopped, created, sent }
    }

    fn stop(self) -> (usize, Vec<(String, String)>) {
        self.stopped.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        let created = self.created.lock().unwrap().clone();
        (self.sent.load(Ordering::Relaxed), created)
    }
}

/// Writes through a node that nothing has happened to; every request must be carried out.
fn write_for(address: SocketAddr, time: Duration, name: &str) -> usize {
    let until = Instant::now() + time;
    let mut number = 0;
    while Instant::now() < until {
        let (status, body) = post(address, &format!("{name}-{number}")).expect("an answer");
        assert_eq!(status, 201, "the other node refuses a write: {body}");
        number += 1;
    }
    number
}

/// Waits until a node reaches its store, at first or again.
fn wait_for_store(address: SocketAddr, name: &str) {
    let until = Instant::now() + PATIENCE;
    for number in 0.. {
        if post(address, &format!("{name}-{number}")).is_some_and(|(status, _)| status == 201) {
            return;
        }
        assert!(Instant::now() < until, "the node does not find its store again");
        wait(Duration::from_millis(20));
    }
}

/// Everything that can happen to one node, while the other is asked to go on.
fn troubles(scratch: &Scratch, cut: Duration) {
    let postgres = ScratchPostgres::start();
    let database = postgres.database();
    let cables = [(); 2].map(|()| Cable::to(SocketAddr::from(([127, 0, 0, 1], postgres.port()))));
    let stores = cables.each_ref().map(|cable| {
        database.replace(&format!(":{}/", postgres.port()), &format!(":{}/", cable.address().port()))
    });
    let done = Done::default();
    let instances = [service(&done), service(&done)];
    let first = Node::start(scratch, "first", &stores[0]);
    let second = Node::start(scratch, "second", &stores[1]);
    first.register("orders-1", &instances[0]);
    second.register("orders-2", &instances[1]);
    let nodes = Arc::new(Mutex::new([first.address, second.address]));
    wait_for_store(first.address, "first");
    let readers = Load::start(second.address, &[GET; 2], false);
    let writers = Writers::start(&nodes);
    readers.wait_for_more(100);

    // The first node loses its store.
    cables[0].cut();
    let written = write_for(second.address, cut, "cut");
    cables[0].mend();
    readers.wait_for_more(100);
    // The second loses its: it serves what needs none.
    cables[1].cut();
    wait(cut);
    readers.wait_for_more(100);
    cables[1].mend();
    wait_for_store(second.address, "mended");
    // The first dies, and comes back.
    drop(first);
    let written = written + write_for(second.address, cut, "killed");
    // What registered with it before is in its snapshot.
    let first = Node::start(scratch, "first", &stores[0]);
    nodes.lock().unwrap()[0] = first.address;
    readers.wait_for_more(100);
    // The store itself dies under both.
    postgres.crash();
    wait(cut / 4);
    postgres.restart();
    wait(cut / 4);

    check_work(&readers.stop(), writers.stop(), &done.lock().unwrap(), written);
}

/// No read failed, no write was carried out twice, and enough of it went well, or the test would show nothing.
fn check_work(
    report: &Report,
    (sent, created): (usize, Vec<(String, String)>),
    done: &HashMap<String, usize>,
    written: usize,
) {
    assert_eq!((report.failed, report.failures.as_slice()), (0, &[][..]), "of {}", report.answered);
    let twice: Vec<_> = done.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "carried out more than once: {twice:?}");
    for (key, body) in &created {
        assert_eq!(*body, format!("{key} 1"), "another answer for the same key");
    }
    let answered: std::collections::HashSet<&str> = created.iter().map(|(key, _)| key.as_str()).collect();
    assert!(answered.len() > 20 && written > 20, "{} of {sent} answered, {written} written", answered.len());
    say(&format!(
        "{} reads, none failed; {written} writes through the other node, none refused; {sent} anywhere, {} of \
         them answered; {} carried out, none twice",
        report.answered,
        answered.len(),
        done.len()
    ));
}

#[expect(clippy::print_stderr, reason = "the figures are what a soak is run for")]
fn say(figures: &str) {
    eprintln!("{figures}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "trouble lasts for a while, and that is the matter of the test"
)]
pub(super) fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn trouble_at_one_node_costs_no_read_and_repeats_no_write() {
    troubles(&Scratch::new("nodes"), Duration::from_secs(2));
}

#[test]
#[ignore = "four minutes: cargo xtask soak nodes"]
fn a_minute_of_each_trouble_costs_no_read_and_repeats_no_write() {
    troubles(&Scratch::new("nodes-soak"), Duration::from_secs(60));
}
