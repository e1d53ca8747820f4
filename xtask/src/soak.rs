//! `cargo xtask soak NAME`: checks that take minutes, of which the tests run a short form.

use crate::process;
use crate::stop::{Stop, no_more};
use crate::workspace::Workspace;

/// One long check.
struct Soak {
    name: &'static str,
    package: &'static str,
    /// Of the ignored test.
    test: &'static str,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "browser",
        package: "forebay-gateway",
        test: "browser::a_browser_and_explain_agree_about_very_many_calls",
    },
    Soak {
        name: "nodes",
        package: "forebay",
        test: "nodes::a_minute_of_each_trouble_costs_no_read_and_repeats_no_write",
    },
];

pub(crate) fn run(workspace: &Workspace, mut arguments: lexopt::Parser) -> Result<(), Stop> {
    let known = || SOAKS.iter().map(|soak| soak.name).collect::<Vec<_>>().join(", ");
    let Some(lexopt::Arg::Value(name)) = arguments.next().map_err(|error| Stop::Usage(error.to_string()))?
    else {
        return Err(Stop::Usage(format!("soak needs a name: {}", known())));
    };
    no_more(arguments)?;
    let soak = SOAKS.iter().find(|soak| name == soak.name);
    let soak = soak.ok_or_else(|| Stop::Usage(format!("{name:?} is none of {}", known())))?;
    let mut command = process::cargo();
    command.current_dir(&workspace.root).args(["test", "--locked", "--package", soak.package]);
    command.args(["--", "--exact", soak.test, "--ignored", "--nocapture"]);
    process::run(&mut command)
}
