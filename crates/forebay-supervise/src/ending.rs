//! How a process ended, and how people say it.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

/// How a process ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal of this number.
    Killed(i32),
    /// It never began.
    NotStarted(io::Error),
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Ending {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exited(code),
            (None, signal) => Ending::Killed(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ending {
    /// Goes on after a name: "was killed by SIGKILL".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with {code}"),
            Ending::Killed(number) => match signal_name(*number) {
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {number}"),
            },
            Ending::NotStarted(error) => write!(f, "could not be started: {error}"),
        }
    }
}

/// The signals that end processes in practice.
fn signal_name(number: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
    ];
    names.into_iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_reads_on_after_a_name() {
        let check = |raw, expected| assert_eq!(Ending::from(ExitStatus::from_raw(raw)).to_string(), expected);
        check(0, "exited with 0");
        check(64 << 8, "exited with 64");
        check(9, "was killed by SIGKILL");
        check(11 | 0x80, "was killed by SIGSEGV");
        check(40, "was killed by signal 40");
    }
}
