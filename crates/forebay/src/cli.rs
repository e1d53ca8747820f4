//! The command line: every command is one line of [`Command`], and says what it returns.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Exit codes besides 0 and clap's own 2 for wrong usage.
pub(crate) mod exit {
    use std::process::ExitCode;

    /// It did not work.
    pub(crate) fn failed() -> ExitCode {
        ExitCode::from(1)
    }

    /// The configuration is wrong; nothing was started.
    pub(crate) fn bad_configuration() -> ExitCode {
        ExitCode::from(64)
    }
}

/// One binary in front of and beside HTTP services.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it all at work: a gateway, three instances of a small service, a gentle load.
    Demo(commands::demo::DemoArguments),
    /// Serve: put Forebay in front of the services of a configuration file.
    Serve(Configured),
    /// Check a configuration and print everything that is wrong with it.
    Check(commands::check::CheckArguments),
    /// Say why something is as it is.
    Explain(commands::explain::ExplainArguments),
    /// Show the services of a running Forebay, their endpoints, and why each is in its state.
    Services(commands::services::ServicesArguments),
    /// Say why a browser blocks a call, and what to change.
    Cors(commands::cors::CorsArguments),
    /// Make, list and revoke API keys.
    Keys(commands::keys::KeysArguments),
    /// Write a commented forebay.toml for your own services.
    Init(commands::init::InitArguments),
    /// Run a command again while it fails.
    Retry(commands::retry::RetryArguments),
    /// Print the JSON Schema of forebay.toml, for editors.
    Schema,
    /// Print the reference of all settings as Markdown.
    Reference,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Configured {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "forebay.toml")]
    pub(crate) config: PathBuf,
    /// Lay forebay.ENV.toml over it.
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,
    /// Set one key, over everything else.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Demo(arguments) => commands::demo::run(&arguments),
        Command::Serve(configured) => commands::serve::run(&configured),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Services(arguments) => commands::services::run(&arguments),
        Command::Cors(arguments) => commands::cors::run(&arguments),
        Command::Keys(arguments) => commands::keys::run(&arguments),
        Command::Init(arguments) => commands::init::run(&arguments),
        Command::Retry(arguments) => commands::retry::run(&arguments),
        Command::Schema => commands::documents::schema(),
        Command::Reference => commands::documents::reference(),
    }
}
