//! Runs the examples in the documentation, all crates in one go of cargo, and keeps the time per crate.
//! One go, because cargo chooses features by what it is asked to build: crate by crate would build anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::output::{Next, Running};
use super::tally::Tally;
use crate::process;
use crate::stop::Stop;
use crate::workspace::Workspace;

/// Far more than all examples together may take; see the bound per crate.
const STUCK_AFTER: Duration = Duration::from_secs(600);

/// What the examples of each package did.
pub(crate) fn run(workspace: &Workspace) -> Result<BTreeMap<String, Tally>, Stop> {
    let mut command = process::cargo();
    command.current_dir(&workspace.root);
    command.args(["test", "--workspace", "--doc", "--locked", "--no-fail-fast", "--color=never"]);
    let mut running = Running::start(command)?;
    let mut crates: Vec<(String, Tally)> = Vec::new();
    let mut since = Duration::ZERO;
    loop {
        let next = running.next(STUCK_AFTER)?;
        let now = running.started.elapsed();
        if let Some((_, tally)) = crates.last_mut() {
            tally.took += now - since;
        }
        since = now;
        match next {
            Next::Line(line) => take(&line, workspace, &mut crates),
            Next::Ended(status) if status.success() => return Ok(crates.into_iter().collect()),
            // Failed examples are in the counts; without any, cargo itself failed.
            Next::Ended(_) if crates.iter().any(|(_, tally)| tally.failed > 0) => {
                return Ok(crates.into_iter().collect());
            }
            Next::Ended(status) => return Err(Stop::failed(format!("cargo test --doc: {status}"))),
            Next::Stuck => return Err(Stop::failed("cargo test --doc did not end")),
        }
    }
}

/// Takes a line: a heading begins a crate, a closing line has its counts. The rest is only shown.
fn take(line: &str, workspace: &Workspace, crates: &mut Vec<(String, Tally)>) {
    if let Some(library) = line.trim_start().strip_prefix("Doc-tests ") {
        let package = workspace.packages.iter().find(|package| package.name.replace('-', "_") == library);
        let name = package.map_or(library, |package| &package.name).to_owned();
        println!("-- {name} (documentation)");
        crates.push((name, Tally::default()));
        return;
    }
    if let Some((_, tally)) = crates.last_mut() {
        tally.read(line);
    }
    if !line.is_empty() && !line.starts_with("running ") && !line.ends_with(" ... ok") {
        println!("{line}");
    }
}
