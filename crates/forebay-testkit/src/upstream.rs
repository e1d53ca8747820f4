//! A server that does what a test's script says, and remembers every byte it got.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use socket2::SockRef;

use crate::PATIENCE;
use crate::message::Message;
use crate::tls::TestRoot;
use crate::wire::Wire;

/// What a script does with one connection; an error ends the connection, as its return does.
type Script = dyn Fn(&mut Connection) -> io::Result<()> + Send + Sync;

/// A scripted server. Ends with its last connection when dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// Every byte received, by connection.
    received: Vec<Vec<u8>>,
    /// Requests that arrived whole, in that order.
    requests: Vec<Message>,
    /// Connections that are over.
    ended: usize,
    /// Of the others, to break them.
    open: HashMap<usize, TcpStream>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

/// One connection to an upstream. Reads as a [`Wire`] does; requests read here are remembered.
pub struct Connection {
    wire: Wire,
    /// Counts connections of this upstream from 0.
    pub number: usize,
    shared: Arc<Shared>,
}

impl Connection {
    /// Reads a whole request.
    pub fn request(&mut self) -> io::Result<Message> {
        let request = self.wire.request()?;
        self.shared.change(|state| state.requests.push(request.clone()));
        Ok(request)
    }

    /// Closes with a reset.
    pub fn reset(&mut self) -> io::Result<()> {
        self.wire.reset_on_close()
    }

    /// Does nothing until the peer is gone.
    pub fn hang(&mut self) -> io::Result<()> {
        self.wire.read_to_end().map(drop)
    }

    /// Sends byte by byte.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send_pieces(bytes, 1)
    }
}

impl Deref for Connection {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Upstream {
    /// Runs `script` on a thread for every connection.
    pub fn start(script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Upstream {
        Upstream::launch(Arc::new(script), None)
    }

    /// The same behind TLS, as `localhost` under `root`.
    pub fn start_tls(
        root: TestRoot,
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Upstream {
        Upstream::launch(Arc::new(script), Some(Arc::new(root)))
    }

    /// Answers every request with these bytes.
    pub fn answering(response: impl Into<Vec<u8>>) -> Upstream {
        let response = response.into();
        Upstream::start(move |connection| {
            loop {
                connection.request()?;
                connection.send(&response)?;
            }
        })
    }

    /// Reads one request on each connection, sends these bytes, and closes.
    pub fn answering_once(response: impl Into<Vec<u8>>) -> Upstream {
        let response = response.into();
        Upstream::start(move |connection| {
            connection.request()?;
            connection.send(&response)
        })
    }

    fn launch(script: Arc<Script>, root: Option<Arc<TestRoot>>) -> Upstream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has no free port");
        let address = listener.local_addr().expect("a listener without address");
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let accepting = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                while let Ok((socket, _)) = listener.accept() {
                    if !shared.admit(socket, &script, root.as_ref()) {
                        return;
                    }
                }
            })
        };
        Upstream { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of connections it has had.
    pub fn connections(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// The requests that came whole, in that order.
    pub fn requests(&self) -> Vec<Message> {
        self.shared.lock().requests.clone()
    }

    /// The only request it got.
    ///
    /// # Panics
    /// When it got another number.
    pub fn only_request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.swap_remove(0)
    }

    /// Waits until this many requests came whole.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_requests(&self, count: usize) {
        self.shared.wait(|state| state.requests.len() >= count);
    }

    /// Waits until it has had this many connections.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_connections(&self, count: usize) {
        self.shared.wait(|state| state.received.len() >= count);
    }

    /// Waits until this many connections are over.
    ///
    /// # Panics
    /// When they stay.
    pub fn wait_for_ended(&self, count: usize) {
        self.shared.wait(|state| state.ended >= count);
    }

    /// Waits until it got these bytes somewhere.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_bytes(&self, bytes: &[u8]) {
        let has = |received: &Vec<u8>| received.windows(bytes.len()).any(|window| window == bytes);
        self.shared.wait(|state| state.received.iter().any(has));
    }

    /// Dies as a killed process does: connections break and its port refuses.
    pub fn kill(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.lock().stopped = true;
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        let _ = accepting.join();
        for socket in self.shared.lock().open.values() {
            let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.kill();
        let threads = std::mem::take(&mut self.shared.lock().threads);
        let panicked = threads.into_iter().map(JoinHandle::join).any(|ended| ended.is_err());
        assert!(!panicked || std::thread::panicking(), "the script of an upstream panicked");
    }
}

impl Shared {
    /// Serves one more connection. False when the upstream is over.
    fn admit(
        self: &Arc<Shared>,
        socket: TcpStream,
        script: &Arc<Script>,
        root: Option<&Arc<TestRoot>>,
    ) -> bool {
        let mut state = self.lock();
        if state.stopped {
            return false;
        }
        let number = state.received.len();
        state.received.push(Vec::new());
        let Ok(control) = socket.try_clone() else { return true };
        state.open.insert(number, control);
        let (shared, script, root) = (self.clone(), script.clone(), root.cloned());
        state.threads.push(std::thread::spawn(move || {
            let served = shared.serve(socket, number, &*script, root.as_deref());
            shared.change(|state| {
                state.open.remove(&number);
                state.ended += 1;
            });
            served
        }));
        drop(state);
        self.changed.notify_all();
        true
    }

    fn serve(
        self: &Arc<Shared>,
        socket: TcpStream,
        number: usize,
        script: &Script,
        root: Option<&TestRoot>,
    ) -> io::Result<()> {
        let mut wire = match root {
            Some(root) => root.accept(socket)?,
            None => Wire::plain(socket)?,
        };
        let shared = self.clone();
        wire.tap(move |piece| shared.change(|state| state.received[number].extend_from_slice(piece)));
        script(&mut Connection { wire, number, shared: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, condition: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |state| !condition(state));
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        let got: Vec<_> = state.received.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        assert!(!waited.timed_out(), "it did not happen; received so far: {got:?}");
    }
}
