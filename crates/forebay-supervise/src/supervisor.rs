//! Carries out what the machine decides: starts processes, passes signals, tells the watcher.

use std::rc::Rc;
use std::time::Duration;

use forebay_clock::{Clock, Moment};
use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::child::Child;
use crate::ending::Ending;
use crate::machine::{Command, Event, Machine};
use crate::process::{self, Stream};

/// A process is asked to end once and killed once.
const SIGNALS_MAX: usize = 2;

/// What happens to a child.
#[derive(Debug)]
pub enum Report<'a> {
    /// Its process runs; whether it is ready, it must say itself.
    Started {
        /// The process's number.
        pid: u32,
    },
    /// It wrote a line.
    Line {
        /// Where.
        stream: Stream,
        /// Without the line end, at most [`crate::LINE_BYTES_MAX`] bytes. May hold control characters.
        text: &'a str,
    },
    /// Its process is gone.
    Ended {
        /// How.
        ending: &'a Ending,
        /// When the next one is started; `None` while stopping.
        restart_in: Option<Duration>,
    },
}

/// Told of everything, as it happens. Called on the supervisor's thread, which waits for it.
pub type Watch = Rc<dyn Fn(&Child, Report<'_>)>;

/// What the supervisor's owner wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Children run, and are started again when they end.
    #[default]
    No,
    /// They end in order, each with its patience.
    InOrder,
    /// They end now.
    Now,
}

/// Starts the children and keeps them running until `stop` says otherwise; returns when none is left. A sender that is
/// gone means [`Stop::InOrder`]. Dropped before, it kills them.
///
/// Runs on a tokio runtime that takes local tasks and has I/O and time. Children are started from its thread, which
/// is the one that [`crate::die_with_parent`] ties them to.
pub async fn supervise(children: Vec<Child>, clock: &Clock, mut stop: watch::Receiver<Stop>, watch: Watch) {
    let mut machine = Machine::new(children.iter().map(Child::terms));
    let children: Vec<Rc<Child>> = children.into_iter().map(Rc::new).collect();
    let mut signals: Vec<Option<mpsc::Sender<Signal>>> = vec![None; children.len()];
    let mut processes = JoinSet::new();
    let mut wanted = Stop::No;
    let mut event = Event::Woke;
    let mut ended: Option<(usize, Ending)> = None;
    loop {
        let now = clock.now();
        let actions = machine.step(now, event);
        if let Some((index, ending)) = ended.take() {
            let restart_in = actions.restart_at.map(|start_at| now.until(start_at));
            watch(&children[index], Report::Ended { ending: &ending, restart_in });
        }
        for command in actions.commands {
            match command {
                Command::Start(index) => {
                    let (sender, receiver) = mpsc::channel(SIGNALS_MAX);
                    signals[index] = Some(sender);
                    let (child, watch) = (children[index].clone(), watch.clone());
                    processes
                        .spawn_local(async move { (index, process::run(&child, receiver, &watch).await) });
                }
                Command::Terminate(index) => send(&signals[index], Signal::TERM),
                Command::Kill(index) => send(&signals[index], Signal::KILL),
            }
        }
        if actions.finished {
            return;
        }
        event = tokio::select! {
            Some(joined) = processes.join_next() => match joined {
                Ok((index, ending)) => {
                    ended = Some((index, ending));
                    Event::Ended(index)
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            wish = next_wish(&mut stop, wanted) => {
                wanted = wish;
                if wish == Stop::Now { Event::StopNow } else { Event::Stop }
            }
            () = sleep_until(clock, actions.wake_at) => Event::Woke,
        };
    }
}

fn send(signals: &Option<mpsc::Sender<Signal>>, signal: Signal) {
    if let Some(signals) = signals {
        // A process that is gone needs no signal, and there is room for both it can get.
        let _ = signals.try_send(signal);
    }
}

/// Waits until more is wanted than `wanted`: a stop is not taken back.
async fn next_wish(stop: &mut watch::Receiver<Stop>, wanted: Stop) -> Stop {
    match stop.wait_for(|wish| *wish > wanted).await {
        Ok(wish) => *wish,
        Err(_) if wanted == Stop::No => Stop::InOrder,
        Err(_) => std::future::pending().await,
    }
}

async fn sleep_until(clock: &Clock, moment: Moment) {
    if moment == Moment::NEVER {
        return std::future::pending().await;
    }
    tokio::time::sleep(clock.now().until(moment)).await;
}
