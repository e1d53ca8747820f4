//! Messages to a person: where, what, why, what next.

use std::fmt::Write;
use std::io::IsTerminal;

/// One message of four parts, of which the last three may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) what: String,
    pub(crate) place: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) help: Option<String>,
}

impl Message {
    pub(crate) fn new(what: impl Into<String>) -> Message {
        Message { what: what.into(), ..Message::default() }
    }

    pub(crate) fn at(mut self, place: Option<String>) -> Message {
        self.place = place;
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Message {
        self.note = Some(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Message {
        self.help = Some(help.into());
        self
    }

    /// As it is printed, without colour.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {}", self.what);
        for (mark, part) in
            [("  --> ", &self.place), ("   = note: ", &self.note), ("   = help: ", &self.help)]
        {
            if let Some(part) = part {
                let _ = write!(text, "\n{mark}{part}");
            }
        }
        text
    }

    /// Says it on standard error.
    pub(crate) fn print(&self) {
        eprintln!("{}", self.text());
    }
}

/// An error and everything beneath it, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// Whether to use colour on standard error.
pub(crate) fn wants_color() -> bool {
    !crate::configuration::no_color() && std::io::stderr().is_terminal()
}

/// Prints a line on standard output. Whoever closes the pipe early, as `head` does, has read enough.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}
pub(crate) use say;

/// `count` of something, in words: `1 route`, `2 routes`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
