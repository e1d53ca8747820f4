//! The project's own commands: parses the command line and hands over. Knows nothing about the product's
//! code, so that it builds in seconds before everything else.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool: it prints, reads the environment and starts processes"
)]

mod audit;
mod bench;
mod finding;
mod fuzz;
mod licences;
mod npm;
mod packages;
mod process;
mod python;
mod soak;
mod steps;
mod stop;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use crate::stop::Stop;
use crate::workspace::Workspace;

/// One entry of `cargo xtask help`. A new command is a line in [`COMMANDS`] and a file of its own.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, lexopt::Parser) -> Result<(), Stop>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "",
        about: "format, lints, every test, tidy, licences: what CI runs",
        run: test::run,
    },
    Command {
        name: "tidy",
        arguments: "",
        about: "what has grown, and whether the house rules of the code hold",
        run: tidy::run,
    },
    Command {
        name: "bench",
        arguments: "NAME [OPTIONS]",
        about: "measure against nginx, HAProxy and Envoy: proxy, idle, start, balance, storm, ...",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        arguments: "NAME [--for 10m]",
        about: "run one fuzz target of fuzz/",
        run: fuzz::run,
    },
    Command {
        name: "soak",
        arguments: "NAME",
        about: "run a check that takes minutes: browser, nodes",
        run: soak::run,
    },
    Command {
        name: "audit",
        arguments: "",
        about: "licences, and known advisories where a database can be had",
        run: audit::run,
    },
];

fn main() -> ExitCode {
    match dispatch(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("error: {stop}");
            stop.exit_code()
        }
    }
}

fn dispatch(mut arguments: lexopt::Parser) -> Result<(), Stop> {
    use lexopt::prelude::*;
    let name = match arguments.next()? {
        Some(Value(name)) => name.string()?,
        Some(Long("help") | Short('h')) | None => "help".into(),
        Some(other) => return Err(other.unexpected().into()),
    };
    if name == "help" {
        help();
        return Ok(());
    }
    let command = COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
        Stop::Usage(format!("there is no command `{name}`\n   = help: `cargo xtask help` lists them"))
    })?;
    (command.run)(&Workspace::load()?, arguments)
}

fn help() {
    println!("usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        println!("  {:<24} {}", format!("{} {}", command.name, command.arguments), command.about);
    }
    println!("  {:<24} this list", "help");
}
