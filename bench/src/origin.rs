//! An origin that behaves: so many workers, so much time for a request, a queue in front of them, and perhaps a fault.
//! Work that has begun is finished, whether its client still waits or not, as most servers have it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::failure::{Doing as _, Failure};
use crate::traffic;

/// Stops the workers for so many milliseconds: `/outage/10000`.
pub(crate) const OUTAGE: &str = "/outage/";
/// Says how many requests have come, outages and health checks aside.
pub(crate) const COUNT: &str = "/count";
/// Threads that wait for a request need little.
const STACK_BYTES: usize = 64 * 1024;

/// How an origin behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub(crate) workers: usize,
    pub(crate) service_ms: u64,
    /// Requests that wait for a worker; a further one gets 503 at once.
    pub(crate) queue_max: usize,
    /// Every second request fails: in turn with 503 and by a closed connection.
    pub(crate) fails_half: bool,
}

/// A started origin; ends with the value.
#[derive(Debug)]
pub(crate) struct Origin {
    child: Child,
    pub(crate) port: u16,
}

impl Origin {
    pub(crate) fn start(behaviour: Behaviour) -> Result<Origin, Failure> {
        let program = std::env::current_exe().doing("cannot find this program")?;
        let Behaviour { workers, service_ms, queue_max, fails_half } = behaviour;
        let numbers = [workers as u64, service_ms, queue_max as u64, u64::from(fails_half)];
        let mut command = Command::new(program);
        command.arg("origin").args(numbers.map(|number| number.to_string()));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().doing("cannot start an origin")?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).doing("cannot read the origin's port")?;
        }
        let port = line.trim().parse().map_err(|_| Failure::run("an origin did not start"))?;
        Ok(Origin { child, port })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Shared {
    behaviour: Behaviour,
    waiting: Mutex<VecDeque<SyncSender<u64>>>,
    arrived: Condvar,
    /// Until then nobody works.
    outage_until: Mutex<Instant>,
    requests: AtomicU64,
}

/// Serves until killed. Prints its port first.
pub(crate) fn run(numbers: &[u64]) -> Result<bool, Failure> {
    let &[workers, service_ms, queue_max, fails_half] = numbers else {
        return Err(Failure::Usage("an origin takes four numbers".into()));
    };
    set_parent_process_death_signal(Some(Signal::KILL)).doing("cannot tie the origin to the harness")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("cannot listen")?;
    println!("{}", listener.local_addr().doing("a listener without an address")?.port());
    let behaviour = Behaviour {
        workers: workers as usize,
        service_ms,
        queue_max: queue_max as usize,
        fails_half: fails_half != 0,
    };
    let shared = Arc::new(Shared {
        behaviour,
        waiting: Mutex::default(),
        arrived: Condvar::new(),
        outage_until: Mutex::new(Instant::now()),
        requests: AtomicU64::new(0),
    });
    for _ in 0..behaviour.workers {
        let shared = shared.clone();
        spawn(move || shared.work())?;
    }
    for socket in listener.incoming() {
        let Ok(socket) = socket else { continue };
        let shared = shared.clone();
        // Without room for a thread the client sees a closed connection.
        let _ = spawn(move || {
            let _ = shared.serve(&socket);
        });
    }
    Ok(true)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
    builder.spawn(work).map(drop).doing("cannot start a thread")
}

impl Shared {
    fn work(&self) {
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.is_empty() {
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let job = waiting.pop_front();
            drop(waiting);
            let until = *self.outage_until.lock().unwrap_or_else(PoisonError::into_inner);
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            std::thread::sleep(Duration::from_millis(self.behaviour.service_ms));
            // Whoever asked may have gone; the work is done all the same.
            let _ = job.map(|job| job.send(0));
        }
    }

    fn serve(&self, socket: &TcpStream) -> std::io::Result<()> {
        socket.set_nodelay(true)?;
        let mut reader = BufReader::new(socket);
        let body = traffic::body(traffic::SIZES[0]);
        let ok = traffic::response("application/octet-stream", &body);
        loop {
            let Some(path) = request(&mut reader)? else { return Ok(()) };
            if path == traffic::HEALTH {
                (&*socket).write_all(&traffic::response("text/plain", b"ok\n"))?;
            } else if path == COUNT {
                let count = self.requests.load(Ordering::Relaxed).to_string();
                (&*socket).write_all(&traffic::response("text/plain", count.as_bytes()))?;
            } else if let Some(ms) = path.strip_prefix(OUTAGE).and_then(|ms| ms.parse().ok()) {
                let until = Instant::now() + Duration::from_millis(ms);
                *self.outage_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
                (&*socket).write_all(&traffic::response("text/plain", b"ok\n"))?;
            } else {
                match self.answer() {
                    Answer::Ok => (&*socket).write_all(&ok)?,
                    Answer::Busy => {
                        (&*socket).write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")?
                    }
                    Answer::Nothing => return Ok(()),
                }
            }
        }
    }

    fn answer(&self) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if self.behaviour.fails_half && number.is_multiple_of(2) {
            return if number.is_multiple_of(4) { Answer::Busy } else { Answer::Nothing };
        }
        let (done, finished) = sync_channel(1);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.behaviour.queue_max {
            return Answer::Busy;
        }
        waiting.push_back(done);
        drop(waiting);
        self.arrived.notify_one();
        match finished.recv() {
            Ok(_) => Answer::Ok,
            Err(_) => Answer::Nothing,
        }
    }
}

enum Answer {
    Ok,
    Busy,
    Nothing,
}

/// The path of the next request; none when the client has closed. Bodies are not looked for: the load has none.
fn request(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(path))
}
