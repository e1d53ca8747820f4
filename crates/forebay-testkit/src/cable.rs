//! A cable between a program and a server that can be cut: bytes stop, connections stay open, and nobody is told. What
//! a partition looks like from both of its sides.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What one read takes.
const BYTES: usize = 16 * 1024;

/// Passes connections on to a server. Whole at first; its end closes them all.
#[derive(Debug)]
pub struct Cable {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    ended: bool,
    sockets: Vec<TcpStream>,
    pumps: Vec<JoinHandle<()>>,
}

impl Cable {
    /// A cable to this server.
    ///
    /// # Panics
    /// When no port is free.
    pub fn to(server: SocketAddr) -> Cable {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for client in listener.incoming().flatten() {
                    if shared.lock().ended {
                        return;
                    }
                    join(&shared, client, server);
                }
            }
        });
        Cable { address, shared, accepting: Some(accepting) }
    }

    /// Where to connect instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on no byte passes. New connections open and stay silent.
    pub fn cut(&self) {
        self.set(true);
    }

    /// What was held back passes, and everything after it.
    pub fn mend(&self) {
        self.set(false);
    }

    fn set(&self, cut: bool) {
        self.shared.lock().cut = cut;
        self.shared.changed.notify_all();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let pumps = {
            let mut state = self.shared.lock();
            state.ended = true;
            for socket in &state.sockets {
                let _ = socket.shutdown(Shutdown::Both);
            }
            std::mem::take(&mut state.pumps)
        };
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        for thread in pumps.into_iter().chain(self.accepting.take()) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until bytes may pass; false when the cable has ended.
    fn passes(&self) -> bool {
        let waited = self.changed.wait_while(self.lock(), |state| state.cut && !state.ended);
        !waited.unwrap_or_else(PoisonError::into_inner).ended
    }
}

fn join(shared: &Arc<Shared>, client: TcpStream, server: SocketAddr) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    let mut state = shared.lock();
    let ways = [(from_client, server), (from_server, client)];
    for (from, to) in ways {
        state.sockets.extend(from.try_clone());
        let shared = Arc::clone(shared);
        state.pumps.push(std::thread::spawn(move || pump(&shared, from, to)));
    }
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; BYTES];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if !shared.passes() {
            return;
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
}
