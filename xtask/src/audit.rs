//! `cargo xtask audit`: licences, and the RustSec advisories where a tool and its database can be had. Never
//! green for advisories that nobody looked up.

use std::process::Command;

use crate::licences;
use crate::process;
use crate::steps::Steps;
use crate::stop::{Stop, no_more};
use crate::workspace::Workspace;

/// Programs that know the advisory database, the better one first.
const TOOLS: &[(&str, &[&str])] =
    &[("cargo-audit", &["audit"]), ("cargo-deny", &["deny", "check", "advisories"])];

pub(crate) fn run(workspace: &Workspace, arguments: lexopt::Parser) -> Result<(), Stop> {
    no_more(arguments)?;
    let mut steps = Steps::default();
    steps.step("licences", || licences::check(workspace));
    steps.step("advisories", || advisories(workspace));
    steps.finish()
}

fn advisories(workspace: &Workspace) -> Result<String, Stop> {
    let Some((tool, arguments)) = TOOLS.iter().find(|(program, _)| process::has_program(program)) else {
        return Err(Stop::failed(
            "advisories were not checked: neither cargo-audit nor cargo-deny is installed\n   \
             = help: cargo install --locked cargo-audit",
        ));
    };
    let mut command = Command::new("cargo");
    process::run(command.current_dir(&workspace.root).args(*arguments)).map_err(|stop| {
        Stop::failed(format!(
            "{stop}\n   = note: advisories above, or a database that could not be fetched\n   \
             = help: {tool} fetches https://github.com/RustSec/advisory-db and needs the network for it"
        ))
    })?;
    Ok(format!("none, says {tool}"))
}
