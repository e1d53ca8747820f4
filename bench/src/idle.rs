//! `bench idle`: resident memory of a proxy per keep-alive connection that has served a request and now waits.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::Client;
use crate::failure::{Doing as _, Failure};
use crate::options::Options;
use crate::peer::{Kind, Prepared};
use crate::traffic;
use crate::upstream::Upstream;

const CONNECTIONS: usize = 5000;
const CONNECTIONS_QUICK: usize = 500;
/// Forebay's resident memory per connection is at most this.
const BAR_BYTES: f64 = 4096.0;
/// Time for buffers to go back to where they came from.
const SETTLE: Duration = Duration::from_secs(2);

/// Whether the bar holds, if Forebay was measured.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    raise_file_limit()?;
    let connections = if options.quick { CONNECTIONS_QUICK } else { CONNECTIONS };
    println!("resident memory per idle keep-alive connection, of {connections}");
    let mut holds = true;
    for &kind in &options.peers {
        let bytes = measure(kind, connections, options)?;
        let verdict = match kind {
            Kind::Forebay if bytes <= BAR_BYTES => "  at most 4.00: holds",
            Kind::Forebay => "  at most 4.00: DOES NOT HOLD",
            _ => "",
        };
        println!("{:<8} {:>7.2} KiB{verdict}", kind.name(), bytes / 1024.0);
        holds &= kind != Kind::Forebay || bytes <= BAR_BYTES;
    }
    Ok(holds)
}

/// Bytes per connection.
fn measure(kind: Kind, connections: usize, options: &Options) -> Result<f64, Failure> {
    let upstream = Upstream::start(None)?;
    let proxy = Prepared::new(kind, &upstream.ports, options)?.start(None)?;
    let named = |failure| Failure::run(format!("{}: {failure}", kind.name()));
    let (path, body) = (traffic::path(traffic::SIZES[0]), traffic::body(traffic::SIZES[0]));
    let before = proxy.tree.resident()?;
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = Client::connect(proxy.address)?;
        client.expect(&path, &body).map_err(named)?;
        clients.push(client);
    }
    std::thread::sleep(SETTLE);
    let after = proxy.tree.resident()?;
    // A connection that was closed meanwhile takes no memory, and does not count.
    for client in &mut clients {
        client.expect(&path, &body).map_err(named)?;
    }
    Ok((after as f64 - before as f64) / connections as f64)
}

/// As many open files as the system allows us and those we start.
pub(crate) fn raise_file_limit() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .doing("cannot raise the limit of open files")
}
