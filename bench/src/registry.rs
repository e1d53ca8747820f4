//! `bench registry`: what a full registry costs, and how soon those who wait for a change hear of it. A whole
//! `forebay serve`, asked over HTTP as Consul's clients ask.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::client::{Client, field};
use crate::failure::Failure;
use crate::idle::raise_file_limit;
use crate::options::Options;
use crate::peer::{Kind, Prepared, Spawned, free_port};
use crate::statistics::Summary;
use crate::usage::Tree;

/// Instances, each with a connection of its own and a TTL check.
const INSTANCES: usize = 5000;
const INSTANCES_QUICK: usize = 500;
/// How often each renews its lease.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How often all of them renew while it is measured.
const TURNS: u32 = 3;
/// Share of one core that renewals take at most.
const BAR_SHARE: f64 = 0.05;
/// Blocking queries on one service.
const WAITERS: usize = 1000;
/// Changes of that service.
const CHANGES: usize = 20;
const CHANGES_QUICK: usize = 5;
/// From before the change is sent to the last of the answers, in the median.
const BAR_MS: f64 = 50.0;
/// Past this it does not start.
const START_MAX: Duration = Duration::from_secs(10);
/// For all who wait to be waiting.
const SETTLE: Duration = Duration::from_millis(500);

/// Whether both bars hold.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    raise_file_limit()?;
    let (_process, tree, address) = start(options)?;
    let instances = if options.quick { INSTANCES_QUICK } else { INSTANCES };
    let share = renewals(address, &tree, instances)?;
    let verdict = if share < BAR_SHARE { "holds" } else { "DOES NOT HOLD" };
    println!(
        "{instances} instances renew every {RENEW_EVERY:?}: {:.2}% of one core, below {:.0}%: {verdict}",
        share * 100.0,
        BAR_SHARE * 100.0
    );
    let changes = if options.quick { CHANGES_QUICK } else { CHANGES };
    let times = wake_ups(address, changes)?;
    let Summary { median, max, .. } = Summary::of(times);
    let verdict = if median < BAR_MS { "holds" } else { "DOES NOT HOLD" };
    println!(
        "{WAITERS} blocking queries, from a change to the last answer in ms, of {changes}: \
         median {median:.1}  max {max:.1}  below {BAR_MS:.0}: {verdict}"
    );
    Ok(share < BAR_SHARE && median < BAR_MS)
}

fn start(options: &Options) -> Result<(Spawned, Tree, SocketAddr), Failure> {
    let (http, dns) = (free_port()?, free_port()?);
    let prepared = Prepared::with(Kind::Forebay, &[], options, |setting| {
        let (port, admin, state) = (setting.port, setting.admin, setting.directory.join("registry-state"));
        format!(
            "[gateway]\nlisten = \"127.0.0.1:{port}\"\naccess_log = \"off\"\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n[state]\ndirectory = \"{}\"\n\
             [registry]\nlisten = \"127.0.0.1:{http}\"\ndns = \"127.0.0.1:{dns}\"\n\
             [service.orders]\nendpoints = \"registry\"\n[[route]]\nmatch = \"/*\"\nservice = \"orders\"\n",
            state.display()
        )
    })?;
    let mut spawned = prepared.spawn(None)?;
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, http).into();
    let start = Instant::now();
    while let Err(failure) = Client::connect(address) {
        if start.elapsed() > START_MAX || spawned.has_ended() {
            return Err(Failure::run(format!("forebay's registry does not start: {failure}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let tree = Tree::of(spawned.id());
    Ok((spawned, tree, address))
}

/// The share of one core that the process takes while all instances renew.
fn renewals(address: SocketAddr, tree: &Tree, instances: usize) -> Result<f64, Failure> {
    let mut clients = Vec::with_capacity(instances);
    for number in 0..instances {
        let mut client = Client::connect(address)?;
        let port = 10_000 + number;
        let body = format!(
            r#"{{"Name":"fleet-{}","ID":"i{number}","Address":"127.0.0.1","Port":{port},
                "Check":{{"TTL":"30s","Status":"passing"}}}}"#,
            number % 50
        );
        put(&mut client, address, "/v1/agent/service/register", &body)?;
        clients.push(client);
    }
    let between = RENEW_EVERY / u32::try_from(instances).unwrap_or(u32::MAX);
    let mut turn = |tree: Option<&Tree>| -> Result<f64, Failure> {
        let before = tree.map(Tree::cpu).transpose()?;
        let start = Instant::now();
        for (number, client) in (0..).zip(&mut clients) {
            put(client, address, &format!("/v1/agent/check/pass/service:i{number}"), "")?;
            let due = start + between * (number + 1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let Some((tree, before)) = tree.zip(before) else { return Ok(0.0) };
        let used_ns = tree.cpu()?.since(before).total_ns as f64;
        Ok(used_ns / start.elapsed().as_nanos() as f64)
    };
    // The first turn changes what the checks say; the others are what goes on for ever.
    turn(None)?;
    let shares: Vec<f64> = (0..TURNS).map(|_| turn(Some(tree))).collect::<Result<_, _>>()?;
    Ok(Summary::of(shares).median)
}

/// Milliseconds from a change to the last answer, for each of them.
fn wake_ups(address: SocketAddr, changes: usize) -> Result<Vec<f64>, Failure> {
    let mut writer = Client::connect(address)?;
    let mut change = |number: usize| {
        let body = format!(r#"{{"Name":"orders","ID":"orders-1","Port":9001,"Tags":["v{number}"]}}"#);
        put(&mut writer, address, "/v1/agent/service/register", &body)
    };
    change(0)?;
    let mut waiters = (0..WAITERS).map(|_| Client::connect(address)).collect::<Result<Vec<_>, _>>()?;
    let mut index = 0;
    let mut times = Vec::with_capacity(changes);
    for number in 0..=changes {
        for waiter in &mut waiters {
            let path = format!("/v1/health/service/orders?index={index}&wait=60s");
            waiter.send(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
        }
        // The first answers come at once, and say where to wait from.
        let start = if number == 0 {
            Instant::now()
        } else {
            std::thread::sleep(SETTLE);
            let start = Instant::now();
            change(number)?;
            start
        };
        for waiter in &mut waiters {
            let reply = waiter.reply()?;
            let found = field(&reply.head, "x-consul-index").and_then(|text| text.parse().ok());
            let found: u64 = found.ok_or_else(|| Failure::run("an answer has no X-Consul-Index"))?;
            let text = String::from_utf8_lossy(&reply.body);
            if !reply.is_ok() || !text.contains(&format!("\"v{number}\"")) {
                return Err(Failure::run(format!("change {number} was answered with {text}")));
            }
            index = found;
        }
        if number > 0 {
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(times)
}

fn put(client: &mut Client, address: SocketAddr, path: &str, body: &str) -> Result<(), Failure> {
    let length = body.len();
    client
        .send(&format!("PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"))?;
    let reply = client.reply()?;
    if reply.is_ok() {
        return Ok(());
    }
    let line = reply.head.lines().next().unwrap_or_default();
    Err(Failure::run(format!("{path} was answered with `{line}`: {}", String::from_utf8_lossy(&reply.body))))
}
