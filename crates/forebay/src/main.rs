//! The binary: the one place that reads the process environment, prints, and exits. Wires crates together and decides
//! nothing that a crate could.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "results go to stdout, messages to stderr")]

mod asking;
mod changes;
mod cli;
mod commands;
mod configuration;
mod control;
mod demo;
mod listeners;
mod message;
mod registry;
mod reload;
mod root;
mod storage;
mod told;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
