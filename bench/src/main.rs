//! `forebay-bench`: measures Forebay and its peers in one run, each with the same load and the same upstream.
//! Started by `cargo xtask bench`, which builds and installs what it needs. Judges nothing but the bars.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool: it prints, starts processes and waits for them"
)]

mod balance;
mod chart;
mod client;
mod failure;
mod floor;
mod idle;
mod latency;
mod load;
mod open_loop;
mod options;
mod origin;
mod peer;
mod place;
mod proxy;
mod registry;
mod response;
mod start;
mod statistics;
mod storm;
mod traffic;
mod upstream;
mod usage;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::options::Options;

const USAGE: &str = "\
usage: cargo xtask bench NAME [OPTIONS]

  proxy              CPU per proxied request, 1 KiB and 100 KiB, on one core and on two
  idle               resident memory per idle keep-alive connection
  start              time from starting the program to its first answer
  balance            failures and latency before eight endpoints, of which one is slow and one fails half the time
  storm              what retries make of an outage: requests in time before, during and after it
  registry           CPU while 5,000 instances renew, and how soon 1,000 who wait hear of a change

  --only A,B         some of nginx, haproxy, floor, forebay; the floor is a relay that reads nothing
  --rounds N         rounds of bench proxy, instead of 7
  --quick            fewer and shorter rounds: to try it out, not to quote";

fn main() -> ExitCode {
    let outcome = Options::parse(lexopt::Parser::from_env()).and_then(|options| run(&options));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// Success when every bar that was measured holds.
fn run(options: &Options) -> Result<ExitCode, Failure> {
    let holds = match options.name.as_str() {
        "proxy" => proxy::run(options)?,
        "idle" => idle::run(options)?,
        "start" => start::run(options)?,
        "balance" => balance::run(options)?,
        "storm" => storm::run(options)?,
        "registry" => registry::run(options)?,
        // Not for people: the harness starts itself as these.
        "upstream" => upstream::run()?,
        "floor" => match options.numbers[..] {
            [first, second, port] => floor::run(port as u16, [first as u16, second as u16])?,
            _ => return Err(Failure::Usage("floor takes three ports".into())),
        },
        "origin" => origin::run(&options.numbers)?,
        "help" => {
            println!("{USAGE}");
            true
        }
        other => return Err(Failure::Usage(format!("there is no benchmark `{other}`\n\n{USAGE}"))),
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
