//! Asks a Forebay that runs, through its admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use forebay_clock::Clock;
use forebay_http::client::fetch;
use forebay_http::timer::Sweeper;
use forebay_http::{RequestHead, Scheme};

use crate::message::{Message, whole};

/// For one request and its answer.
pub(crate) const ASK_TIME: Duration = Duration::from_secs(10);
/// Of an answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Asks the admin listener; the body of a 200, or why there is none.
pub(crate) fn admin(address: SocketAddr, path: &str) -> Result<String, Message> {
    let head = RequestHead::new("GET", Scheme::Http, &address.to_string(), path);
    let asked = run(async |sweeper| {
        let timer = sweeper.timer();
        let until = timer.now() + ASK_TIME;
        fetch(address, None, &head, Bytes::new(), ANSWER_BYTES_MAX, &timer, until).await
    });
    let (head, body) = asked?.map_err(|error| {
        Message::new(format!("no Forebay answers on {address}: {}", whole(&error)))
            .note("this command asks one that runs, at `admin.listen` of the configuration")
            .help("start one with `forebay serve`, or name its configuration with --config")
    })?;
    if head.status() != 200 {
        return Err(Message::new(format!("Forebay on {address} answers {} to GET {path}", head.status())));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Runs work that needs time limits.
pub(crate) fn run<T>(work: impl AsyncFnOnce(&Sweeper) -> T) -> Result<T, Message> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    let runtime = runtime.map_err(|error| Message::new(whole(&error)))?;
    let sweeper = Sweeper::new(Clock::system());
    Ok(runtime.block_on(async {
        tokio::task::spawn_local(sweeper.clone().run());
        work(&sweeper).await
    }))
}
