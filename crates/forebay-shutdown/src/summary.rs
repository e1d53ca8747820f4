//! Says to people what a stop waits for and what became of it.

use std::fmt;
use std::time::Duration;

use crate::{Kind, Progress, Signal};

/// The line that opens a stop: what it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a>(pub &'a Progress);

/// Why a stop is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was in flight any more.
    Drained,
    /// The grace passed first.
    GracePassed,
    /// Somebody was in a hurry.
    SecondSignal(Signal),
}

/// How a stop went. What was still in flight at its end is what was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it is over.
    pub end: End,
    /// From the first signal.
    pub took: Duration,
    /// What it could have taken.
    pub grace: Duration,
    /// The numbers at the end.
    pub progress: Progress,
}

impl Summary {
    /// The process's exit code: 0 for a stop that was asked for and came in the promised time, as with nginx and Envoy,
    /// since a supervisor must not take a slow download for a crash (what was cut off is said, not hidden). After
    /// a second signal 128 + its number, as if it had killed the process.
    pub fn exit_code(&self) -> u8 {
        match self.end {
            End::Drained | End::GracePassed => 0,
            End::SecondSignal(signal) => 128 + signal.number(),
        }
    }

    /// How many of `kind` were cut off.
    pub fn cut_off(&self, kind: Kind) -> u32 {
        self.progress[kind].in_flight
    }
}

/// The kinds that people are told about, with the words for them. Idle connections and listeners are machinery.
const TOLD: [Told; 2] = [
    Told { kind: Kind::Request, one: "request", many: "requests", heading: "requests" },
    Told { kind: Kind::Tunnel, one: "WebSocket", many: "WebSockets", heading: "websockets" },
];

struct Told {
    kind: Kind,
    one: &'static str,
    many: &'static str,
    heading: &'static str,
}

/// "14 requests" and "2 WebSockets": the kinds that are in flight, each with its number.
fn in_flight(progress: &Progress) -> impl Iterator<Item = String> {
    TOLD.iter().filter_map(|told| match progress[told.kind].in_flight {
        0 => None,
        1 => Some(format!("1 {}", told.one)),
        number => Some(format!("{number} {}", told.many)),
    })
}

impl fmt::Display for Announcement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("draining: readiness now fails; ")?;
        let mut kinds = in_flight(self.0);
        write!(f, "{} in flight", kinds.next().as_deref().unwrap_or("nothing"))?;
        kinds.try_for_each(|kind| write!(f, ", {kind}"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in &TOLD {
            let became = self.became(told.kind);
            if !became.is_empty() {
                writeln!(f, "  {:<13}{}", told.heading, became.join(", "))?;
            }
        }
        let (took, grace) = (Time(self.took), Time(self.grace));
        match self.end {
            End::Drained | End::GracePassed => write!(f, "stopped after {took} of {grace}; ")?,
            End::SecondSignal(_) => write!(f, "stopped by a second signal after {took} of {grace}; ")?,
        }
        let cut_off: Vec<String> = in_flight(&self.progress).collect();
        match cut_off.as_slice() {
            [] => f.write_str("nothing was cut off"),
            [only] if only.starts_with("1 ") => write!(f, "{only} was cut off"),
            kinds => write!(f, "{} were cut off", kinds.join(" and ")),
        }
    }
}

impl Summary {
    /// What became of `kind`, in words; empty if there was none.
    fn became(&self, kind: Kind) -> Vec<String> {
        let count = self.progress[kind];
        let number_told = |number: u32, what: &str| (number > 0).then(|| format!("{number} {what}"));
        let slowest = (!count.slowest.is_zero()).then(|| format!("slowest {}", Time(count.slowest)));
        let parts = [
            number_told(count.finished, "finished"),
            slowest,
            number_told(count.closed, "closed with 1001"),
            number_told(count.in_flight, "cut off"),
        ];
        parts.into_iter().flatten().collect()
    }
}

/// A length of time as people say it: "812 ms", "2.1 s", "25 s".
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match (ms / 1000, ms % 1000 / 100) {
            (0, _) => write!(f, "{ms} ms"),
            (s, 0) => write!(f, "{s} s"),
            (s, tenths) => write!(f, "{s}.{tenths} s"),
        }
    }
}
