//! `forebay check`: everything that is wrong with a configuration, at once, and nothing started.

use std::process::ExitCode;

use clap::Args;
use forebay_config::Disk;

use crate::cli::{Configured, exit};
use crate::configuration;
use crate::message::{counted, say};

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    configured: Configured,
    /// Print the problems as JSON on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    if arguments.json {
        return run_json(&arguments.configured);
    }
    let Some((loaded, plan)) = configuration::read_or_complain(&arguments.configured, &Disk) else {
        return exit::bad_configuration();
    };
    let files: Vec<String> = loaded.files().iter().map(|file| file.display().to_string()).collect();
    let (services, routes) =
        (counted(plan.services.len(), "service"), counted(loaded.value.route.len(), "route"));
    let found = match loaded.warnings.len() {
        0 => "no problems".to_owned(),
        count => format!("{}, no errors", counted(count, "warning")),
    };
    say!("{}: {services}, {routes}; {found}", files.join(", "));
    ExitCode::SUCCESS
}

fn run_json(configured: &Configured) -> ExitCode {
    let found = configuration::read(configured).and_then(|loaded| {
        configuration::gateway_plan(&loaded, &Disk)?;
        Ok(loaded.warnings)
    });
    match found {
        Ok(warnings) => {
            say!("{}", warnings.to_json());
            ExitCode::SUCCESS
        }
        Err(diagnostics) => {
            say!("{}", diagnostics.to_json());
            exit::bad_configuration()
        }
    }
}
