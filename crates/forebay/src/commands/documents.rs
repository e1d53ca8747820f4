//! What is generated from the declarations of all settings.

use std::process::ExitCode;

use crate::message::say;
use crate::root::Root;

/// `forebay schema`
pub(crate) fn schema() -> ExitCode {
    say!("{:#}", forebay_config::json_schema::<Root>());
    ExitCode::SUCCESS
}

/// `forebay reference`
pub(crate) fn reference() -> ExitCode {
    print!("{}", forebay_config::reference::<Root>());
    ExitCode::SUCCESS
}
