//! The server loop with answers that do odd things: whatever an exchange leaves undone, the connection stays in order.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_http::date::DateCache;
use forebay_http::io::Io;
use forebay_http::parse::HeadLimits;
use forebay_http::problem::Problem;
use forebay_http::reader::Piece;
use forebay_http::server::{Exchange, Peer, Request, ServerCore, ServerSettings, serve};
use forebay_http::timer::Sweeper;
use forebay_http::writer::WriteError;
use forebay_http::{ResponseHead, Scheme};
use forebay_testkit::Client;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Answers by path, and tells which paths it saw.
struct Odd {
    seen: RefCell<Sender<String>>,
}

impl Exchange for Odd {
    async fn exchange(&self, mut request: Request<'_>) {
        let path = request.head.path().to_owned();
        let _ = self.seen.borrow().send(path.clone());
        let responder = &mut request.responder;
        match path.as_str() {
            "/abandon" => {}
            "/half" => {
                responder.start(ResponseHead::new(200), Some(10));
                let taken = poll_fn(|cx| responder.body().poll_body(cx, b"hello")).await;
                assert!(matches!(taken, Ok(5)));
                assert!(matches!(responder.body().end(None), Err(WriteError::TooShort)));
                let _ = poll_fn(|cx| responder.body().poll_flush(cx)).await;
            }
            "/too-long" => {
                responder.start(ResponseHead::new(200), Some(2));
                let taken = poll_fn(|cx| responder.body().poll_body(cx, b"hello")).await;
                assert!(matches!(taken, Err(WriteError::TooLong)));
            }
            "/limited" => {
                request.body.limit(4);
                while let Ok(Piece::Data(count)) = poll_fn(|cx| request.body.poll_piece(cx)).await {
                    request.body.consume(count);
                }
                let over = request.body.is_over().to_string();
                let _ = responder.send(ResponseHead::new(200), over.as_bytes()).await;
            }
            _ => {
                let _ = responder.send(ResponseHead::new(200), b"ok").await;
            }
        }
    }

    fn refused(&self, _: &Peer, problem: &Problem) {
        let _ = self.seen.borrow().send(problem.status.to_string());
    }
}

/// A server of odd answers on a thread of its own.
struct Server {
    address: SocketAddr,
    seen: Receiver<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Server {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (seen_here, seen) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || run(listener, seen_here, stopped));
        Server { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Everything that exchanges saw until now.
    fn seen(&self) -> Vec<String> {
        self.seen.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

fn run(listener: std::net::TcpListener, seen: Sender<String>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        listener.set_nonblocking(true).expect("a socket without options");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let clock = Clock::system();
        let sweeper = Sweeper::new(clock.clone());
        let core = Rc::new(ServerCore { sweeper: sweeper.clone(), dates: Rc::new(DateCache::new(clock)) });
        let odd = Rc::new(Odd { seen: RefCell::new(seen) });
        let accepting = async {
            loop {
                let (stream, address) = listener.accept().await.expect("it listens");
                let peer = Peer::new(address, address, Scheme::Http);
                let (core, odd) = (core.clone(), odd.clone());
                tokio::task::spawn_local(async move {
                    serve(Io::tcp(stream), peer, &core, &settings(), &*odd).await;
                });
            }
        };
        tokio::select! {
            _ = stopped => {}
            () = sweeper.run() => {}
            () = accepting => {}
        }
    });
}

fn settings() -> ServerSettings {
    ServerSettings {
        limits: HeadLimits::default(),
        head_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        closing: Arc::default(),
    }
}

#[test]
fn a_short_body_nobody_read_does_not_end_the_connection() {
    let server = Server::start();
    let mut client = server.client();
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = body.len();
    for _ in 0..3 {
        let request = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(client.ask(request).body, b"ok");
        let chunked = format!(
            "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        assert_eq!(client.ask(chunked).body, b"ok");
    }
    assert_eq!(server.seen(), ["/a", "/b", "/a", "/b", "/a", "/b"], "and none of it is a request");
}

#[test]
fn a_long_body_nobody_read_ends_the_connection_behind_the_answer() {
    let server = Server::start();
    let mut client = server.client();
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").unwrap();
    client.send("x".repeat(150_000)).unwrap();
    assert_eq!(client.response().unwrap().body, b"ok");
    client.expect_closed();
    assert_eq!(server.seen(), ["/a"]);
}

#[test]
fn a_malformed_rest_of_a_body_ends_the_connection() {
    let server = Server::start();
    let mut client = server.client();
    client
        .send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(client.response().unwrap().body, b"ok");
    client.end().unwrap();
    client.expect_closed();
    assert_eq!(server.seen(), ["/a"]);
}

#[test]
fn an_exchange_that_ends_early_ends_the_connection() {
    let server = Server::start();
    for (path, body) in [("/abandon", ""), ("/half", "hello"), ("/too-long", "")] {
        let mut client = server.client();
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
            .unwrap();
        let rest = client.rest();
        assert!(rest.ends_with(body.as_bytes()), "{path} {rest:?}");
        assert_eq!(server.seen(), [path], "nothing follows a response that is not whole");
    }
}

#[test]
fn a_body_is_given_out_up_to_its_bound() {
    let server = Server::start();
    let mut client = server.client();
    let put = |body: &str| {
        format!("PUT /limited HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    assert_eq!(client.ask(put("1234")).body, b"true");
    assert_eq!(client.ask(put("12345")).body, b"false");
    client.expect_closed();
}

#[test]
fn a_refusal_is_read_by_a_client_that_goes_on_sending() {
    let server = Server::start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n").unwrap();
    for _ in 0..20 {
        // Without a lingering close these bytes would make the kernel throw the answer away.
        client.send("x".repeat(10_000)).unwrap();
    }
    assert_eq!(client.response().unwrap().status(), 400);
    client.end().unwrap();
    client.expect_closed();
    assert_eq!(server.seen(), ["400"]);
}
