//! The server loop, the client and the pool over real sockets.

mod client;
mod pool;
mod server;

use std::future::Future;

use forebay_clock::Clock;
use forebay_http::timer::Sweeper;

/// Runs a test's future on a core of its own, with a sweeper at work.
fn on_a_core<T, F: Future<Output = T>>(work: impl FnOnce(Sweeper) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    let sweeper = Sweeper::new(Clock::system());
    runtime.block_on(async {
        tokio::select! {
            done = work(sweeper.clone()) => done,
            () = sweeper.run() => unreachable!("it sweeps for ever"),
        }
    })
}
