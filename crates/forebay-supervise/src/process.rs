//! One process of a child, from its start to its end. Whether another one follows is not decided here.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::child::Child;
use crate::ending::Ending;
use crate::lines::Lines;
use crate::supervisor::{Report, Watch};

/// Read at once from a pipe.
const READ_BYTES: usize = 4 * 1024;
/// After its end, time to read what it wrote last. Somebody it started may keep the pipe open for ever.
const LAST_WORDS_TIME: Duration = Duration::from_millis(200);

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: results.
    Out,
    /// Standard error: messages.
    Err,
}

/// Starts the process and stays with it until it is gone. A child that writes faster than `watch` takes waits for its
/// pipe: nothing piles up here.
pub(crate) async fn run(child: &Child, mut signals: mpsc::Receiver<Signal>, watch: &Watch) -> Ending {
    let mut process = match command(child).spawn() {
        Ok(process) => process,
        Err(error) => return Ending::NotStarted(error),
    };
    if let Some(pid) = process.id() {
        watch(child, Report::Started { pid });
    }
    let mut out = Tap::new(process.stdout.take(), Stream::Out);
    let mut err = Tap::new(process.stderr.take(), Stream::Err);
    let status = loop {
        tokio::select! {
            status = process.wait() => break status,
            Some(signal) = signals.recv() => {
                // It was not waited for yet, so the number is still its own.
                if let Some(pid) = process.id().and_then(|pid| Pid::from_raw(pid as i32)) {
                    // Fails only for a process that has ended, which `wait` is about to say.
                    let _ = kill_process(pid, signal);
                }
            }
            () = out.read(child, watch) => {}
            () = err.read(child, watch) => {}
        }
    };
    let last_words = async {
        while out.is_open() || err.is_open() {
            tokio::select! {
                () = out.read(child, watch) => {}
                () = err.read(child, watch) => {}
            }
        }
    };
    // Past the time, the rest belongs to somebody else.
    let _ = tokio::time::timeout(LAST_WORDS_TIME, last_words).await;
    out.end(child, watch);
    err.end(child, watch);
    status.map_or_else(Ending::NotStarted, Ending::from)
}

fn command(child: &Child) -> Command {
    let mut command = Command::new(&child.program);
    command
        .args(&child.arguments)
        .env_clear()
        .envs(child.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &child.directory {
        command.current_dir(directory);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which stops its children in order.
    command.process_group(0);
    command.kill_on_drop(true);
    command
}

/// One of a process's two outputs.
struct Tap<P> {
    /// `None` once it is closed.
    pipe: Option<P>,
    lines: Lines,
    stream: Stream,
}

impl<P: AsyncRead + Unpin> Tap<P> {
    fn new(pipe: Option<P>, stream: Stream) -> Tap<P> {
        Tap { pipe, lines: Lines::default(), stream }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads once and hands on the lines that this completes; never ready after the end.
    async fn read(&mut self, child: &Child, watch: &Watch) {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        let mut bytes = [0; READ_BYTES];
        match pipe.read(&mut bytes).await {
            Ok(count) if count > 0 => {
                let stream = self.stream;
                self.lines.push(&bytes[..count], |text| watch(child, Report::Line { stream, text }));
            }
            _ => self.pipe = None,
        }
    }

    fn end(&mut self, child: &Child, watch: &Watch) {
        let stream = self.stream;
        self.lines.end(|text| watch(child, Report::Line { stream, text }));
    }
}
