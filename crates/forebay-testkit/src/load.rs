//! A gentle load: clients that ask one thing after the other, each over a kept connection, and count.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::PATIENCE;
use crate::wire::Wire;

/// Failures that are kept as text; one shows what is wrong, a thousand do not show it better.
const FAILURES_KEPT_MAX: usize = 5;

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    report: Report,
}

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answered with 200, whole.
    pub answered: usize,
    /// Answered otherwise, or not at all.
    pub failed: usize,
    /// What the first failures were.
    pub failures: Vec<String>,
    /// Answers that said `Connection: close`.
    pub closed: usize,
}

impl Load {
    /// Starts a client for each request text, which asks it again and again. A client ends when it is told so, when
    /// its request fails, and, if `ends_on_close`, when an answer says `Connection: close`; otherwise it then connects
    /// again.
    pub fn start(address: SocketAddr, requests: &[&'static str], ends_on_close: bool) -> Load {
        let shared = Arc::<Shared>::default();
        let clients = requests.iter().map(|&request| {
            let shared = shared.clone();
            std::thread::spawn(move || {
                if let Err(failure) = drive(address, request, ends_on_close, &shared) {
                    shared.change(|report| {
                        report.failed += 1;
                        if report.failures.len() < FAILURES_KEPT_MAX {
                            report.failures.push(failure);
                        }
                    });
                }
            })
        });
        Load { clients: clients.collect(), shared }
    }

    /// Waits until this many more requests were answered, or a client failed.
    ///
    /// # Panics
    /// When nothing of that happens.
    pub fn wait_for_more(&self, count: usize) {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let goal = state.report.answered + count;
        let pending = |state: &mut State| state.report.answered < goal && state.report.failed == 0;
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, pending);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "the load stands still: {:?}", state.report);
    }

    /// Lets every client finish its request and end.
    pub fn stop(self) -> Report {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.join()
    }

    /// Waits for clients that end by themselves.
    pub fn join(self) -> Report {
        for client in self.clients {
            // A client that panicked was not answered either.
            if client.join().is_err() {
                self.shared.change(|report| report.failed += 1);
            }
        }
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).report.clone()
    }
}

fn drive(address: SocketAddr, request: &str, ends_on_close: bool, shared: &Shared) -> Result<(), String> {
    let connect = || -> std::io::Result<Wire> { Wire::plain(TcpStream::connect(address)?) };
    let mut wire = connect().map_err(|error| format!("connecting: {error}"))?;
    loop {
        wire.send(request).map_err(|error| format!("sending: {error}"))?;
        let response = wire.response().map_err(|error| format!("receiving: {error}"))?;
        if response.status() != 200 {
            return Err(format!("{response:?}"));
        }
        let closes = response.field("connection") == Some("close");
        let stopped = shared.change(|report| {
            report.answered += 1;
            report.closed += usize::from(closes);
        });
        if stopped || (closes && ends_on_close) {
            return Ok(());
        }
        if closes {
            wire = connect().map_err(|error| format!("connecting: {error}"))?;
        }
    }
}

impl Shared {
    /// Gives whether the load is to stop.
    fn change(&self, change: impl FnOnce(&mut Report)) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.report);
        let stopped = state.stopped;
        drop(state);
        self.changed.notify_all();
        stopped
    }
}
