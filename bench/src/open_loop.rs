//! Load that comes when it comes: requests at fixed times, whether earlier ones were answered or not, as from many users
//! who know nothing of each other. Latency counts from the time a request was due.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::failure::{Doing as _, Failure};
use crate::response::content_length;
use crate::traffic;

const STACK_BYTES: usize = 64 * 1024;

/// When requests come and how long their users wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) per_second: u64,
    pub(crate) lasts: Duration,
    pub(crate) patience: Duration,
}

/// What became of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// When it was due, from the start.
    pub(crate) due: Duration,
    /// From then to the last byte, if that was a 200 and in time.
    pub(crate) took: Option<Duration>,
}

/// Sends them all; in the order in which they were due.
pub(crate) fn run(address: SocketAddr, plan: Plan) -> Result<Vec<Outcome>, Failure> {
    let count = plan.per_second * plan.lasts.as_millis() as u64 / 1000;
    // Enough that somebody is always free: each is busy for its user's patience at most.
    let users = (plan.per_second as f64 * plan.patience.as_secs_f64() * 1.1).ceil() as u64 + 8;
    let next = AtomicU64::new(0);
    let start = Instant::now() + Duration::from_millis(50);
    let outcomes = std::thread::scope(|scope| {
        let spawn = |_| {
            let user = || {
                let mut connection = None;
                let mut outcomes = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return outcomes;
                    }
                    let due = Duration::from_micros(number * 1_000_000 / plan.per_second);
                    std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
                    let is_ok = ask(&mut connection, address, start + due + plan.patience).unwrap_or(false);
                    let took = is_ok.then(|| (start + due).elapsed());
                    outcomes.push(Outcome { due, took: took.filter(|took| *took <= plan.patience) });
                    if took.is_none() {
                        connection = None;
                    }
                }
            };
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, user)
        };
        let users: Vec<_> = (0..users).map(spawn).collect::<Result<_, _>>().doing("cannot start a user")?;
        let all = users.into_iter().map(|user| user.join().map_err(|_| Failure::run("a user panicked")));
        Ok::<_, Failure>(all.collect::<Result<Vec<_>, _>>()?.concat())
    });
    let mut outcomes: Vec<Outcome> = outcomes?;
    outcomes.sort_by_key(|outcome| outcome.due);
    Ok(outcomes)
}

/// Whether a request was answered with 200 in time. An error is an answer that is none.
fn ask(kept: &mut Option<TcpStream>, address: SocketAddr, until: Instant) -> std::io::Result<bool> {
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut socket = match kept.take() {
        Some(socket) => socket,
        None => {
            let socket = TcpStream::connect_timeout(&address, left())?;
            socket.set_nodelay(true)?;
            socket
        }
    };
    socket.write_all(traffic::request(&traffic::path(traffic::SIZES[0])).as_bytes())?;
    let mut received = Vec::with_capacity(2048);
    let mut buffer = [0; 4096];
    let end = loop {
        socket.set_read_timeout(Some(left()))?;
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Ok(false);
        }
        received.extend_from_slice(&buffer[..length]);
        if let Some(end) = memchr::memmem::find(&received, b"\r\n\r\n")
            && received.len() >= end + 4 + content_length(&received[..end + 2]).unwrap_or(0)
        {
            break end;
        }
    };
    let head = &received[..end];
    if memchr::memmem::find(head, b"onnection: close").is_none() {
        *kept = Some(socket);
    }
    Ok(head.starts_with(b"HTTP/1.1 200 "))
}
