//! HAProxy finds its servers by the registry's DNS, and follows what is registered.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forebay_registry::Declared;

use super::served::Served;

/// How long HAProxy may take to follow. It asks every 100 ms.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);
/// Connections in a row that show who is chosen: with at most three servers in turn, everyone gets one.
const CONNECTIONS: usize = 6;

/// An upstream that says its address and hangs up.
struct Speaker {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    fn start(address: &str) -> Option<Speaker> {
        let listener = TcpListener::bind(address).ok()?;
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::Acquire) {
                    return;
                }
                // Who has hung up already misses nothing.
                let _ = stream.and_then(|mut stream| stream.write_all(address.to_string().as_bytes()));
            }
        });
        Some(Speaker { address, stopped, thread: Some(thread) })
    }

    /// On three addresses of loopback with one port, as A records need it.
    fn start_three() -> [Speaker; 3] {
        for _ in 0..100 {
            let first = Speaker::start("127.0.0.1:0").unwrap();
            let port = first.address.port();
            let second = Speaker::start(&format!("127.0.0.2:{port}"));
            let third = Speaker::start(&format!("127.0.0.3:{port}"));
            if let (Some(second), Some(third)) = (second, third) {
                return [first, second, third];
            }
        }
        panic!("no port is free on three addresses");
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes it.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// One listener for each way to ask.
fn configuration(dns: SocketAddr, place: &str, port: u16) -> String {
    format!(
        "global
    nbthread 1
    maxconn 100
    stats socket {place}/stats mode 600 level admin

resolvers forebay
    nameserver udp {dns}
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 100ms
    timeout retry 200ms
    hold valid 100ms
    hold obsolete 100ms
    hold nx 100ms
    hold other 100ms

resolvers forebay-tcp
    nameserver tcp tcp@{dns}
    timeout resolve 100ms
    timeout retry 200ms
    hold valid 100ms
    hold obsolete 100ms
    hold nx 100ms
    hold other 100ms

defaults
    mode tcp
    balance roundrobin
    retries 0
    timeout connect 1s
    timeout client 5s
    timeout server 5s

listen by-srv
    bind unix@{place}/srv
    server-template orders 3 _orders._tcp.service.consul resolvers forebay init-addr none resolve-prefer ipv4

listen by-srv-tcp
    bind unix@{place}/srv-tcp
    server-template orders 3 _orders._v1.service.consul resolvers forebay-tcp init-addr none resolve-prefer ipv4

listen by-a
    bind unix@{place}/a
    server-template orders 3 orders.service.consul:{port} resolvers forebay init-addr none resolve-prefer ipv4
"
        )
}

/// A private HAProxy that listens on Unix sockets alone.
struct Haproxy {
    child: Child,
    directory: PathBuf,
}

impl Haproxy {
    fn start(served: &Served, port: u16) -> Haproxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("forebay-dns-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let configuration = configuration(served.address, &directory.display().to_string(), port);
        let file = directory.join("haproxy.cfg");
        fs::write(&file, configuration).unwrap();
        let mut haproxy = Command::new("haproxy");
        // In the foreground, so that it ends with its process.
        haproxy.args(["-db", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = haproxy.spawn().unwrap_or_else(|error| panic!("haproxy: {error}"));
        Haproxy { child, directory }
    }

    /// Who answers a few connections in a row; `None` when one got no answer.
    fn speakers(&self, listener: &str) -> Option<BTreeSet<SocketAddr>> {
        (0..CONNECTIONS)
            .map(|_| {
                let mut stream = UnixStream::connect(self.directory.join(listener)).ok()?;
                stream.set_read_timeout(Some(FOLLOWS_WITHIN)).ok()?;
                let mut said = String::new();
                stream.read_to_string(&mut said).ok()?;
                said.parse().ok()
            })
            .collect()
    }

    /// Waits until exactly these get connections, through every listener.
    #[track_caller]
    fn follows(&self, expected: &[&Speaker], what: &str) {
        let expected: BTreeSet<SocketAddr> = expected.iter().map(|speaker| speaker.address).collect();
        // With no server, no connection is answered.
        let expected = Some(expected).filter(|expected| !expected.is_empty());
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        for listener in ["srv", "srv-tcp", "a"] {
            loop {
                let found = self.speakers(listener);
                if found == expected {
                    break;
                }
                assert!(Instant::now() < deadline, "{what}: {listener} has {found:?}: {}", self.stats());
                std::thread::yield_now();
            }
        }
    }

    /// What HAProxy says of its servers and of its questions.
    fn stats(&self) -> String {
        let ask = |command: &str| {
            let mut stream = UnixStream::connect(self.directory.join("stats"))?;
            stream.write_all(command.as_bytes())?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok::<_, std::io::Error>(text)
        };
        ask("show servers state;show resolvers\n").unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

#[test]
fn haproxy_follows_what_is_registered() {
    let [first, second, third] = &Speaker::start_three();
    let port = first.address.port();
    let served = Served::start();
    let haproxy = Haproxy::start(&served, port);
    let register = |speaker: &Speaker| served.register("orders", &speaker.address.ip().to_string(), port);
    let first_id = register(first);
    haproxy.follows(&[first], "one registered before HAProxy asked");
    let second_id = register(second);
    let third_id = register(third);
    haproxy.follows(&[first, second, third], "two more registered");
    served.deregister(&first_id);
    haproxy.follows(&[second, third], "one deregistered");
    served.handle.touch(|registry, now| registry.declare(now, &second_id, Declared::Draining)).unwrap();
    haproxy.follows(&[third], "one draining");
    served.handle.touch(|registry, now| registry.maintain(now, Some(&third_id), Some("repair"))).unwrap();
    haproxy.follows(&[], "the last in maintenance");
    served.handle.touch(|registry, now| registry.declare(now, &second_id, Declared::Ready)).unwrap();
    haproxy.follows(&[second], "one ready again");
}
