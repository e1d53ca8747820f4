//! Runs one test program: quiet while all is well, its whole output when it is not, and never for ever.

use std::time::Duration;

use super::build::TestProgram;
use super::output::{Next, Running};
use super::tally::Tally;
use crate::stop::Stop;

/// A program that runs this long waits for something that will not come. Well past the bound for a crate, so
/// that a slow crate is told apart from a stuck one.
const STUCK_AFTER: Duration = Duration::from_secs(300);

pub(crate) fn run(program: &TestProgram) -> Result<Tally, Stop> {
    println!("-- {} ({})", program.package, program.target);
    let mut running = Running::start(program.command())?;
    let mut lines = Vec::new();
    let end = loop {
        match running.next(STUCK_AFTER)? {
            Next::Line(line) => lines.push(line),
            Next::Ended(status) if status.success() => break None,
            Next::Ended(status) => break Some(format!("ended with {status}")),
            Next::Stuck => break Some(format!("stopped: still running after {} s", STUCK_AFTER.as_secs())),
        }
    };

    let mut tally = Tally { took: running.started.elapsed(), broken: end.is_some(), ..Tally::default() };
    for line in &lines {
        let closing = tally.read(line);
        if tally.broken || closing {
            println!("{line}");
        }
    }
    if let Some(end) = end {
        println!("{} ({}) {end}", program.package, program.target);
    }
    Ok(tally)
}
