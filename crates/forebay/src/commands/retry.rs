//! `forebay retry`: runs a command, and runs it again while it fails. What it prints, it prints for itself: nothing of it is
//! read.

use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use forebay_clock::{Clock, Moment};
use forebay_config::format_duration;
use forebay_retry::{Backoff, Jitter};
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::signal::unix::SignalKind;

use crate::cli::exit;
use crate::message::Message;

/// How long a command that took too long may take to end after SIGTERM; then it is killed.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// As shells have it: there is no such command, or it cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Runs a command again while it fails.
#[derive(Args, Debug)]
pub(crate) struct RetryArguments {
    /// How often it is run at most, the first time included.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// The longest first wait; each further one may be twice as long.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    backoff: Duration,
    /// No wait is longer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    max_backoff: Duration,
    /// How a wait is drawn.
    #[arg(long, value_enum, default_value_t = JitterArgument::Full)]
    jitter: JitterArgument,
    /// How long all of it may take, waits included.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long one run may take; then it gets SIGTERM, and SIGKILL five seconds later.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    per_try_timeout: Option<Duration>,
    /// Run it again only after these exit codes, as 1,75; after any but 0 otherwise.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..))]
    on_exit_codes: Vec<u8>,
    /// Say nothing about runs that fail.
    #[arg(long, short)]
    quiet: bool,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JitterArgument {
    /// The whole window, always.
    None,
    /// Anywhere between nothing and the window.
    Full,
    /// Half the window, and anywhere within the other half.
    Equal,
    /// Anywhere between the first window and three times the wait before.
    Decorrelated,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write a number and ms, s, m, h or d, for example 250ms".to_owned()),
    };
    let ms = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| "write a number and ms, s, m, h or d, for example 250ms".to_owned())
}

pub(crate) fn run(arguments: &RetryArguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(retry(arguments))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            Message::new(format!("the command cannot be watched: {error}")).print();
            exit::failed()
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Exited(u8),
    Killed(u8),
    /// By this signal, because it took too long.
    TookTooLong(u8),
}

impl Ending {
    /// As shells have it.
    fn code(self) -> u8 {
        match self {
            Ending::Exited(code) => code,
            Ending::Killed(signal) | Ending::TookTooLong(signal) => signal.saturating_add(128),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with {code}"),
            Ending::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Ending::TookTooLong(_) => f.write_str("took too long"),
        }
    }
}

async fn retry(arguments: &RetryArguments) -> std::io::Result<u8> {
    let clock = Clock::system();
    let deadline = arguments.timeout.map_or(Moment::NEVER, |timeout| clock.now() + timeout);
    let mut signals = Signals::listen()?;
    let input = Input::look();
    let mut rng = fastrand::Rng::new();
    let (mut number, mut waited) = (1, Duration::ZERO);
    loop {
        let mut child = match command(arguments, input.take(number)).spawn() {
            Ok(child) => child,
            Err(error) => return Ok(not_started(arguments, &error)),
        };
        let until = arguments.per_try_timeout.map_or(deadline, |limit| deadline.min(clock.now() + limit));
        let (ending, stopped) = attend(&mut child, &mut signals, &clock, until).await?;
        if ending == Ending::Exited(0) || stopped {
            return Ok(ending.code());
        }
        let wait = arguments.backoff().wait(number, waited, &mut rng);
        if let Some(reason) = arguments.objection(ending, number, clock.now() + wait, deadline) {
            arguments.say(format!("attempt {number} of {} {ending}; {reason}", arguments.attempts));
            return Ok(ending.code());
        }
        let shown = format_duration(Duration::from_millis(wait.as_millis() as u64));
        arguments.say(format!("attempt {number} of {} {ending}; again in {shown}", arguments.attempts));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            signal = signals.stopping() => return Ok(128 + signal.as_raw() as u8),
        }
        (number, waited) = (number + 1, wait);
    }
}

impl RetryArguments {
    fn backoff(&self) -> Backoff {
        let jitter = match self.jitter {
            JitterArgument::None => Jitter::None,
            JitterArgument::Full => Jitter::Full,
            JitterArgument::Equal => Jitter::Equal,
            JitterArgument::Decorrelated => Jitter::Decorrelated,
        };
        Backoff { base: self.backoff, max: self.max_backoff, jitter }
    }

    /// What speaks against another run that would begin at `next`.
    fn objection(&self, ending: Ending, number: u32, next: Moment, deadline: Moment) -> Option<&'static str> {
        let is_listed = match ending {
            Ending::Exited(code) => self.on_exit_codes.is_empty() || self.on_exit_codes.contains(&code),
            Ending::Killed(_) => self.on_exit_codes.is_empty() || self.on_exit_codes.contains(&ending.code()),
            // Asked for by name.
            Ending::TookTooLong(_) => true,
        };
        if !is_listed {
            Some("not an exit code to try again after")
        } else if number >= self.attempts {
            Some("no attempts left")
        } else if next >= deadline {
            Some("no time left")
        } else {
            None
        }
    }

    fn say(&self, text: String) {
        if !self.quiet {
            eprintln!("retry: {text}");
        }
    }
}

fn command(arguments: &RetryArguments, input: Stdio) -> Command {
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]).stdin(input).kill_on_drop(true);
    command
}

/// That would be so every time.
fn not_started(arguments: &RetryArguments, error: &std::io::Error) -> u8 {
    let name = arguments.command[0].to_string_lossy();
    let (code, help) = match error.kind() {
        std::io::ErrorKind::NotFound => (NOT_FOUND, "it is looked up in PATH unless it has a slash"),
        _ => (NOT_EXECUTABLE, "it must be a program, or a script that begins with #!, that you may execute"),
    };
    Message::new(format!("{name} cannot be started: {error}"))
        .note("it was not tried again: the next time would be no different")
        .help(help)
        .print();
    code
}

/// Stays with a run until it is gone, hands it the signals that come, and ends it when its time is over. Also says whether
/// one of those signals means that no other run is wanted.
async fn attend(
    child: &mut Child,
    signals: &mut Signals,
    clock: &Clock,
    until: Moment,
) -> std::io::Result<(Ending, bool)> {
    let (mut stopped, mut too_long) = (false, false);
    let mut until = (until != Moment::NEVER).then_some(until);
    loop {
        let left = until.map_or(Duration::MAX, |until| clock.now().until(until));
        tokio::select! {
            status = child.wait() => {
                let ending = ended(status?);
                let was_ended = too_long && matches!(ending, Ending::Killed(_));
                let ending = if was_ended { Ending::TookTooLong(ending.code() - 128) } else { ending };
                return Ok((ending, stopped));
            }
            (signal, stops) = signals.next() => {
                stopped |= stops;
                // From a terminal it has come to the whole foreground group already.
                let came_to_all = matches!(signal, Signal::INT | Signal::QUIT) && at_terminal();
                if !came_to_all {
                    send(child, signal);
                }
            }
            () = tokio::time::sleep(left), if until.is_some() => {
                send(child, if too_long { Signal::KILL } else { Signal::TERM });
                until = (!too_long).then(|| clock.now() + KILL_AFTER);
                too_long = true;
            }
        }
    }
}

fn ended(status: std::process::ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code as u8),
        (None, signal) => Ending::Killed(signal.unwrap_or_default() as u8),
    }
}

fn send(child: &Child, signal: Signal) {
    // It was not waited for yet, so the number is still its own.
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
        // Fails only for a process that has ended, which `wait` is about to say.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn at_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// The signals that are for the command.
struct Signals {
    sources: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        let forwarded = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];
        let listen = |signal: Signal| {
            Ok((signal, tokio::signal::unix::signal(SignalKind::from_raw(signal.as_raw()))?))
        };
        Ok(Signals { sources: forwarded.into_iter().map(listen).collect::<std::io::Result<_>>()? })
    }

    /// The next one, and whether it asks for an end.
    async fn next(&mut self) -> (Signal, bool) {
        std::future::poll_fn(|cx| {
            for (signal, source) in &mut self.sources {
                if source.poll_recv(cx).is_ready() {
                    let stops = !matches!(*signal, Signal::USR1 | Signal::USR2);
                    return std::task::Poll::Ready((*signal, stops));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    async fn stopping(&mut self) -> Signal {
        loop {
            if let (signal, true) = self.next().await {
                return signal;
            }
        }
    }
}

/// What the command reads. A second run must not find an input that the first has emptied, and take that for all there is.
enum Input {
    /// A terminal, or `/dev/null`: the same for every run.
    Same,
    /// A file is read from where it was at the beginning.
    File { from: u64 },
    /// A pipe is for the first run; what it has taken is gone.
    Once,
}

impl Input {
    fn look() -> Input {
        use std::os::unix::fs::FileTypeExt;
        let Ok(mut file) = std::io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from) else {
            return Input::Same;
        };
        match file.metadata().map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_file() => match file.stream_position() {
                Ok(from) => Input::File { from },
                Err(_) => Input::Once,
            },
            Ok(kind) if kind.is_fifo() || kind.is_socket() => Input::Once,
            _ => Input::Same,
        }
    }

    /// The input of run `number`.
    fn take(&self, number: u32) -> Stdio {
        match self {
            Input::File { from } if number > 1 => {
                // The position is shared with the command, which has moved it.
                if let Ok(fd) = std::io::stdin().as_fd().try_clone_to_owned() {
                    let _ = std::fs::File::from(fd).seek(SeekFrom::Start(*from));
                }
                Stdio::inherit()
            }
            // Open for writing alone, so that reading is an error and not an end: a command that reads must fail, one that
            // does not may go on.
            Input::Once if number > 1 => match std::fs::File::options().write(true).open("/dev/null") {
                Ok(unreadable) => unreadable.into(),
                Err(_) => Stdio::null(),
            },
            _ => Stdio::inherit(),
        }
    }
}
