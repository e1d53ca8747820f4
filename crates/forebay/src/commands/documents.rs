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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        assert_eq!(forebay_config::check_declarations::<Root>(), [""; 0]);
    }

    #[test]
    fn the_reference_page_is_current() {
        let page = include_str!("../../../../docs/configuration.md");
        let (_, written) = page.split_once("<!-- forebay reference -->\n\n").expect("the mark");
        assert_eq!(written, forebay_config::reference::<Root>(), "CONTRIBUTING.md says how to renew it");
    }
}
