//! `forebay demo`: the whole thing at work, with nothing else needed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::exit;
use crate::configuration::no_color;
use crate::demo::{Options, conduct, instance};
use crate::message::{Message, whole};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(override_usage = "forebay demo [OPTIONS]")]
pub(crate) struct DemoArguments {
    /// What the demo starts itself as.
    #[command(subcommand)]
    part: Option<Part>,
    /// End after this time, with a summary; exit code 0 only when no request failed.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    /// The gateway's port; 8080 when it is free, else any free one.
    #[arg(long)]
    port: Option<u16>,
    /// Print lines instead of drawing; the same as without a terminal or with NO_COLOR.
    #[arg(long)]
    plain: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One instance of the demo's service.
    #[command(hide = true)]
    Orders {
        #[arg(long)]
        name: String,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Becomes `forebay ARGUMENTS`, which the kernel kills when its parent is gone.
    #[command(hide = true)]
    Tied {
        parent: u32,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<OsString>,
    },
}

pub(crate) fn run(arguments: &DemoArguments) -> ExitCode {
    let done = match &arguments.part {
        None => show(arguments),
        Some(Part::Orders { name, listen }) => serve_orders(name, *listen),
        Some(Part::Tied { parent, arguments }) => Err(become_tied(*parent, arguments)),
    };
    done.unwrap_or_else(|message| {
        message.print();
        exit::failed()
    })
}

fn show(arguments: &DemoArguments) -> Result<ExitCode, Message> {
    let program = std::env::current_exe().map_err(|error| Message::new(whole(&error)))?;
    let options =
        Options { lasts: arguments.lasts, port: arguments.port, plain: arguments.plain || no_color() };
    let summary = block_on(conduct(options, &program, &std::env::temp_dir()))??;
    use std::io::Write;
    // A summary that nobody reads is no failure.
    let _ = writeln!(std::io::stdout(), "{}", summary.text);
    Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { exit::failed() })
}

fn serve_orders(name: &str, listen: SocketAddr) -> Result<ExitCode, Message> {
    block_on(instance::run(name.to_owned(), listen))?.map_err(|error| Message::new(whole(&error)))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns only when it does not work.
fn become_tied(parent: u32, arguments: &[OsString]) -> Message {
    if let Err(error) = forebay_supervise::die_with_parent(parent) {
        return Message::new(whole(&error));
    }
    match std::env::current_exe() {
        Ok(program) => Message::new(whole(&Command::new(program).args(arguments).exec())),
        Err(error) => Message::new(whole(&error)),
    }
}

/// One thread for everything: children are tied to the thread that starts them.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Message> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    Ok(runtime.map_err(|error| Message::new(whole(&error)))?.block_on(work))
}

/// `500ms`, `10s`, `5m`, `1h`, as in forebay.toml.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number and a unit, as in 10s or 5m"),
    };
    let number: u32 =
        text[..unit_at].parse().map_err(|_| "write a whole number and a unit, as in 10s or 5m")?;
    Ok(Duration::from_millis(u64::from(number) * ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spelled_as_in_the_configuration() {
        let check =
            |text, expected_ms: u64| assert_eq!(duration(text), Ok(Duration::from_millis(expected_ms)));
        check("500ms", 500);
        check("10s", 10_000);
        check("5m", 300_000);
        for wrong in ["", "10", "s", "1.5s", "-1s", "10 s", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
