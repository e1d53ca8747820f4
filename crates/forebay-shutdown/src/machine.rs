//! Decides the phases of a stop. Publishes nothing: the caller does what the [`Actions`] say.

use std::time::Duration;

use forebay_clock::Moment;

use crate::{End, Phase, Progress, Settings, Summary};

/// How often a drain looks whether it is over. Looking, rather than being told by the last request, keeps a memory
/// fence out of every request for the sake of the one exit.
pub const POLL_EVERY: Duration = Duration::from_millis(10);

/// A signal this soon after the first is its echo: Ctrl-C reaches a whole process group, so a supervised gateway
/// gets it from the terminal and again from its supervisor. No person is that quick.
pub const SIGNAL_ECHO: Duration = Duration::from_millis(100);

/// The signals that ask for a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: a person's Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor's request.
    Terminate,
}

impl Signal {
    /// The signal's number in POSIX.
    pub const fn number(self) -> u8 {
        match self {
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

/// What happens to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal arrived.
    Signal(Signal),
    /// Time has passed.
    Woke,
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// Publish this phase.
    pub enter: Option<Phase>,
    /// Step again at this moment, if no signal comes earlier.
    pub wake_at: Moment,
    /// It is over: print this, cut off what is left, and exit with its code.
    pub stopped: Option<Summary>,
}

/// One process's stop.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    settings: Settings,
    phase: Phase,
    /// When the stop began; without meaning while running.
    signalled_at: Moment,
}

impl Machine {
    /// A running process.
    pub fn new(settings: Settings) -> Machine {
        Machine { settings, phase: Phase::Running, signalled_at: Moment::START }
    }

    /// Takes in what happened and the present `progress`, and says what to do.
    pub fn step(&mut self, now: Moment, event: Event, progress: &Progress) -> Actions {
        match (self.phase, event) {
            (Phase::Stopped, _) | (Phase::Running, Event::Woke) => return self.actions(now, None),
            (Phase::Running, Event::Signal(_)) => {
                self.signalled_at = now;
                return self.enter(now, Phase::LameDuck);
            }
            (Phase::LameDuck | Phase::Draining, _) => {}
        }
        if let Some(end) = self.end(now, event, progress) {
            let actions = self.enter(now, Phase::Stopped);
            let (took, grace) = (now - self.signalled_at, self.settings.grace());
            return Actions { stopped: Some(Summary { end, took, grace, progress: *progress }), ..actions };
        }
        if self.phase == Phase::LameDuck && now >= self.signalled_at + self.settings.accept_delay() {
            return self.enter(now, Phase::Draining);
        }
        self.actions(now, None)
    }

    /// Whether a stop that has begun is over, and why.
    fn end(&self, now: Moment, event: Event, progress: &Progress) -> Option<End> {
        match event {
            Event::Signal(signal) if now >= self.signalled_at + SIGNAL_ECHO => {
                Some(End::SecondSignal(signal))
            }
            _ if self.phase == Phase::Draining && progress.is_quiet() => Some(End::Drained),
            _ if now >= self.deadline() => Some(End::GracePassed),
            _ => None,
        }
    }

    fn enter(&mut self, now: Moment, phase: Phase) -> Actions {
        self.phase = phase;
        self.actions(now, Some(phase))
    }

    fn actions(&self, now: Moment, enter: Option<Phase>) -> Actions {
        let wake_at = match self.phase {
            Phase::Running | Phase::Stopped => Moment::NEVER,
            Phase::LameDuck => self.signalled_at + self.settings.accept_delay(),
            Phase::Draining => (now + POLL_EVERY).min(self.deadline()),
        };
        Actions { enter, wake_at, stopped: None }
    }

    fn deadline(&self) -> Moment {
        self.signalled_at + self.settings.grace()
    }
}
