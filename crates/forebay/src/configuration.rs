//! Loads the configuration from the files, the process environment and the arguments, and reports what is wrong.

#![expect(clippy::disallowed_methods, reason = "the binary is what reads the process environment")]

use forebay_config::{Diagnostics, Disk, Files, Inputs, Loaded, Style, load};
use forebay_gateway::plan::Plan;
use forebay_gateway::planning::{PlanError, plan};

use crate::cli::Configured;
use crate::message::wants_color;
use crate::root::Root;

/// Variables that begin with `FOREBAY_` and are no settings.
const FOREIGN: &[&str] = &[];

/// Whether the user wants no colour (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The process environment; what is not text cannot be a setting.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Reads and checks everything.
pub(crate) fn read(configured: &Configured) -> Result<Loaded<Root>, Diagnostics> {
    read_through(configured, &Disk)
}

/// The same, with files read by somebody who remembers them.
pub(crate) fn read_through(configured: &Configured, files: &dyn Files) -> Result<Loaded<Root>, Diagnostics> {
    load::<Root>(Inputs {
        file: Some(configured.config.clone()),
        overlay: configured.env.clone(),
        environment: environment(),
        set: configured.set.clone(),
        foreign: FOREIGN,
        files,
    })
}

/// The gateway's plan, with the certificates that the configuration names.
pub(crate) fn gateway_plan(loaded: &Loaded<Root>, files: &dyn Files) -> Result<Plan, Diagnostics> {
    let planned = plan(&loaded.value.sections(), &|path| files.read(path));
    planned.map_err(|errors| {
        let told = |PlanError { origin, problem, help }: PlanError| (origin, problem, help);
        loaded.found_later(errors.into_iter().map(told))
    })
}

/// Reads, checks and plans; prints what is wrong and what is odd. `None` when nothing can be started.
pub(crate) fn read_or_complain(configured: &Configured, files: &dyn Files) -> Option<(Loaded<Root>, Plan)> {
    let found = read_through(configured, files).and_then(|loaded| {
        if !loaded.warnings.is_empty() {
            eprintln!("{}", drawn(&loaded.warnings));
        }
        let plan = gateway_plan(&loaded, files)?;
        Ok((loaded, plan))
    });
    found
        .inspect_err(|diagnostics| {
            eprintln!("{}", drawn(diagnostics));
            eprintln!("{}; nothing was started", diagnostics.summary());
        })
        .ok()
}

/// Diagnostics as they are printed on standard error.
pub(crate) fn drawn(diagnostics: &Diagnostics) -> String {
    diagnostics.render(Style { color: wants_color(), ..Style::default() })
}
