//! The lines that a program writes, standard output and standard error in the order they came.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::process;
use crate::stop::Stop;

/// A started program and the lines it writes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    pub(crate) started: Instant,
}

/// How it went on.
#[derive(Debug)]
pub(crate) enum Next {
    Line(String),
    Ended(ExitStatus),
    /// Killed, because it ran for longer than allowed.
    Stuck,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Result<Running, Stop> {
        let cannot = |error: &io::Error| process::cannot_start(&command, error);
        let (reader, writer) = io::pipe().map_err(|error| cannot(&error))?;
        let second = writer.try_clone().map_err(|error| cannot(&error))?;
        command.stdin(Stdio::null()).stdout(writer).stderr(second);
        let started = Instant::now();
        let child = command.spawn().map_err(|error| process::cannot_start(&command, &error))?;
        // The command holds our copies of the writing end; with them the reader would never see an end.
        drop(command);

        let (sender, lines) = mpsc::channel();
        // Ends with the stream: when the program ends or, if that left children behind, with this process.
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, lines, started })
    }

    /// Waits for the next line or the end, at most until `limit` has passed since the start.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Next, Stop> {
        match self.lines.recv_timeout(limit.saturating_sub(self.started.elapsed())) {
            Ok(line) => Ok(Next::Line(line)),
            Err(RecvTimeoutError::Disconnected) => self.wait().map(Next::Ended),
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended by itself this instant; then there is nothing to kill.
                let _ = self.child.kill();
                self.wait().map(|_| Next::Stuck)
            }
        }
    }

    fn wait(&mut self) -> Result<ExitStatus, Stop> {
        self.child.wait().map_err(|error| Stop::failed(format!("a started program is lost: {error}")))
    }
}
