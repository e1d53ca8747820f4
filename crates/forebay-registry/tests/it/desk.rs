//! A registry behind its HTTP listener, on a thread of its own; tests ask it as anybody would.

use std::net::SocketAddr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_http::date::DateCache;
use forebay_http::server::ServerCore;
use forebay_http::timer::Sweeper;
use forebay_registry::{
    CheckKind, Handle, Node, ProbeAnswer, ProbeOrder, Registry, RegistryHttp, RegistryProbe, Status,
    serve_http,
};
use forebay_shutdown::{Phase, Shutdown};
use forebay_telemetry::metrics;
use forebay_testkit::{Client, Message, ask};
use serde_json::Value;

pub(crate) const NODE: &str = "web-a";
pub(crate) const NODE_ID: &str = "40e4a748-2192-161a-0510-9bf59fe950b5";

pub(crate) struct Desk {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: metrics::Registry,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    pub(crate) fn open() -> Desk {
        let clock = Clock::system();
        let handle = Handle::new(Registry::new(Node::own(NODE, NODE_ID, "127.0.0.1")), clock.clone());
        let (shutdown, metrics) = (Shutdown::new(), metrics::Registry::new(1));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, counts) = (shutdown.clone(), metrics.clone());
        let thread = std::thread::spawn(move || serve(listener, handle, stop, &counts, clock));
        Desk { address, shutdown, metrics, thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn get(&self, target: &str) -> Message {
        ask(self.address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    pub(crate) fn send(&self, method: &str, target: &str, body: &str) -> Message {
        ask(self.address, request(method, target, body))
    }

    pub(crate) fn put(&self, target: &str, body: &str) -> Message {
        self.send("PUT", target, body)
    }

    /// The JSON that a target has.
    pub(crate) fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        assert_eq!(
            (answer.status(), answer.field("content-type")),
            (200, Some("application/json")),
            "{answer:?}"
        );
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Does what must go well.
    pub(crate) fn done(&self, target: &str, body: &str) {
        let answer = self.put(target, body);
        assert_eq!((answer.status(), answer.text()), (200, String::new()), "{target}");
    }

    /// What a target's index is now.
    pub(crate) fn index(&self, target: &str) -> u64 {
        index_of(&self.get(target))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shutdown.enter(Phase::Stopped);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the listener fell over");
        }
    }
}

pub(crate) fn request(method: &str, target: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn index_of(answer: &Message) -> u64 {
    answer.field("x-consul-index").expect("an index").parse().unwrap()
}

fn serve(
    listener: std::net::TcpListener,
    handle: Handle,
    shutdown: Shutdown,
    metrics: &metrics::Registry,
    clock: Clock,
) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let core = ServerCore { sweeper: Sweeper::new(clock.clone()), dates: Rc::new(DateCache::new(clock)) };
        let sweeping = core.sweeper.clone().run();
        let http = RegistryHttp::new(handle.clone(), "dc1", shutdown, metrics, fastrand::Rng::with_seed(7));
        tokio::select! {
            served = serve_http(listener, http, core) => served.unwrap(),
            () = sweeping => {}
            () = handle.run(&Prober, std::future::pending()) => {}
        }
    });
}

/// Asks over real sockets, which is what the binary's does too.
struct Prober;

impl RegistryProbe for Prober {
    async fn probe(&self, order: &ProbeOrder) -> ProbeAnswer {
        let CheckKind::Http(check) = order.kind.clone() else {
            unreachable!("no other kind is registered here")
        };
        let asked = tokio::task::spawn_blocking(move || {
            let (authority, path) = check.url.strip_prefix("http://")?.split_once('/')?;
            let address: SocketAddr = authority.parse().ok()?;
            let head = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
            let mut client = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            std::io::Write::write_all(&mut client, head.as_bytes()).ok()?;
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut client, &mut answer).ok()?;
            answer.split(' ').nth(1).map(|status| status == "200")
        });
        match asked.await.unwrap() {
            Some(true) => ProbeAnswer { status: Status::Passing, output: "200 OK".into() },
            _ => ProbeAnswer { status: Status::Critical, output: "no 200".into() },
        }
    }
}
