//! `forebay services`: services of a running Forebay, their endpoints, and why each is in its state.

use std::process::ExitCode;

use clap::Args;

use crate::asking;
use crate::cli::{Configured, exit};
use crate::configuration;
use crate::message::say;

#[derive(Args, Debug)]
pub(crate) struct ServicesArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configured: Configured,
}

pub(crate) fn run(arguments: &ServicesArguments) -> ExitCode {
    let loaded = match configuration::read(&arguments.configured) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprintln!("{}", configuration::drawn(&diagnostics));
            return exit::bad_configuration();
        }
    };
    let path = if arguments.json { "/services?format=json" } else { "/services?format=text" };
    match asking::admin(loaded.value.admin.listen, path) {
        Ok(text) => {
            say!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(message) => {
            message.print();
            exit::failed()
        }
    }
}
