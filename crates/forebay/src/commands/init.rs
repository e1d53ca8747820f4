//! `forebay init`: a commented configuration to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::exit;
use crate::message::{Message, say};

/// Ten lines that work, for services on this machine.
const BEGINNING: &str = include_str!("init.toml");

#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// Where to write it.
    #[arg(value_name = "FILE", default_value = "forebay.toml")]
    file: PathBuf,
    /// Write every setting there is, commented out, with its default.
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(arguments: &InitArguments) -> ExitCode {
    let text =
        if arguments.full { forebay_config::template::<crate::root::Root>() } else { BEGINNING.to_owned() };
    // Never over a file that is there: it may be the only copy of somebody's work.
    let created = OpenOptions::new().write(true).create_new(true).open(&arguments.file);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            let file = arguments.file.display();
            say!(
                "wrote {file}; edit it, then: forebay check --config {file} && forebay serve --config {file}"
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            let help = match error.kind() {
                io::ErrorKind::AlreadyExists => "name another file, or move this one away",
                _ => "name a file in a directory that you may write to",
            };
            Message::new(format!("{} cannot be written: {error}", arguments.file.display()))
                .help(help)
                .print();
            exit::failed()
        }
    }
}
