//! What the demo's processes have been through: who runs, who died, what the gateway said. Told by the supervisor's
//! reports; draws nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_supervise::{Report, Stream};

use super::gateway_line::{self, Said};
use super::ports::Addresses;
use super::text::{Seconds, printable};
use super::{GATEWAY, INSTANCES, instance, instance_name};

/// Happenings that are remembered: more than any terminal shows.
const HAPPENINGS_MAX: usize = 200;
/// Lines of one diagnostic: what a person reads before trying again.
const DETAILS_MAX: usize = 40;
/// Failed requests that come together are one happening.
const FAILURES_APART: Duration = Duration::from_secs(1);

/// How good the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Plain,
    Bad,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// Since the demo began.
    pub(crate) at: Duration,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    /// Further lines: a diagnostic.
    pub(crate) details: Vec<String>,
}

/// One of the demo's processes.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) standing: Standing,
    pub(crate) pid: Option<u32>,
    pub(crate) deaths: u32,
    died_at: Option<Moment>,
}

/// Whether a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Starting,
    Ready,
    /// Until then; `None` when it will not be started again.
    Down {
        until: Option<Moment>,
    },
}

/// Everything that happened.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) began: Moment,
    pub(crate) addresses: Addresses,
    pub(crate) gateway: Member,
    pub(crate) instances: [Member; INSTANCES],
    /// Requests that the gateway sent more than once.
    pub(crate) retried: u64,
    /// The last line for people that the gateway wrote: in the end, how it stopped.
    pub(crate) last_text: String,
    generation: u64,
    happenings: VecDeque<Happening>,
    /// Happenings that nobody has taken yet.
    fresh: usize,
    /// Lines that belong to what the gateway says next.
    details: Vec<String>,
    failure_told_at: Option<Moment>,
}

impl Member {
    fn new(name: String, address: SocketAddr) -> Member {
        Member { name, address, standing: Standing::Starting, pid: None, deaths: 0, died_at: None }
    }
}

impl Story {
    pub(crate) fn new(began: Moment, addresses: Addresses) -> Story {
        let instance = |index| Member::new(instance_name(index), addresses.instances[index]);
        Story {
            began,
            addresses,
            gateway: Member::new(GATEWAY.to_owned(), addresses.gateway),
            instances: std::array::from_fn(instance),
            retried: 0,
            last_text: String::new(),
            generation: 1,
            happenings: VecDeque::new(),
            fresh: 0,
            details: Vec::new(),
            failure_told_at: None,
        }
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.instances.iter().chain([&self.gateway])
    }

    /// Whether everybody serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.members().all(|member| member.standing == Standing::Ready)
    }

    /// Processes that ended by themselves, or by somebody else's hand.
    pub(crate) fn deaths(&self) -> u32 {
        self.members().map(|member| member.deaths).sum()
    }

    /// The latest happenings, the oldest first.
    pub(crate) fn happenings(&self) -> impl DoubleEndedIterator<Item = &Happening> {
        self.happenings.iter()
    }

    /// The happenings since the last call.
    pub(crate) fn take_fresh(&mut self) -> Vec<Happening> {
        let fresh = std::mem::take(&mut self.fresh).min(self.happenings.len());
        self.happenings.range(self.happenings.len() - fresh..).cloned().collect()
    }

    /// Takes in what the supervisor reports of the process with this name.
    pub(crate) fn saw(&mut self, now: Moment, name: &str, report: Report<'_>) {
        let is_gateway = name == GATEWAY;
        match report {
            Report::Started { pid } => {
                let member = self.member(name);
                member.pid = Some(pid);
                member.standing = Standing::Starting;
            }
            Report::Ended { ending, restart_in } => {
                let until = restart_in.map(|wait| now + wait);
                let member = self.member(name);
                let pid = member.pid.take().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                member.standing = Standing::Down { until };
                if let Some(wait) = restart_in {
                    member.deaths += 1;
                    member.died_at = Some(now);
                    let text = format!("{name}{pid} {ending}; starts again in {}", Seconds(wait));
                    let details = std::mem::take(&mut self.details);
                    self.happened(now, Tone::Bad, text, if is_gateway { details } else { Vec::new() });
                }
            }
            Report::Line { stream, text } if is_gateway => self.gateway_said(now, stream, text),
            Report::Line { text: instance::READY, .. } => self.serves(now, name),
            Report::Line { text, .. } => {
                self.happened(now, Tone::Bad, format!("{name}: {}", printable(text)), Vec::new());
            }
        }
    }

    /// A request of the load failed.
    pub(crate) fn failed(&mut self, now: Moment, why: &str) {
        if self.failure_told_at.is_none_or(|told_at| now.since(told_at) >= FAILURES_APART) {
            self.failure_told_at = Some(now);
            self.happened(now, Tone::Bad, format!("failed: {}", printable(why)), Vec::new());
        }
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.instances.iter_mut().find(|member| member.name == name).unwrap_or(&mut self.gateway)
    }

    fn serves(&mut self, now: Moment, name: &str) {
        let member = self.member(name);
        member.standing = Standing::Ready;
        let pid = member.pid.unwrap_or_default();
        let text = match member.died_at.take() {
            Some(died_at) => format!("{name} is back as pid {pid}, after {}", Seconds(now - died_at)),
            None => format!("{name} is ready: pid {pid}, {}", member.address),
        };
        self.happened(now, Tone::Good, text, Vec::new());
    }

    fn gateway_said(&mut self, now: Moment, stream: Stream, line: &str) {
        match gateway_line::read(stream, line) {
            Said::Serving => self.serves(now, GATEWAY),
            Said::Reloaded { generation } => {
                self.generation = generation;
                let details = std::mem::take(&mut self.details);
                let text = format!("forebay.toml reloaded: generation {generation} is in force");
                self.happened(now, Tone::Good, text, details);
            }
            Said::Rejected => {
                let details = std::mem::take(&mut self.details);
                let text = format!("forebay.toml rejected: generation {} stays in force", self.generation);
                self.happened(now, Tone::Bad, text, details);
            }
            Said::Answered { attempts } => self.retried += u64::from(attempts > 1),
            Said::Warning(text) => self.happened(now, Tone::Plain, printable(&text), Vec::new()),
            Said::Text => {
                self.last_text = printable(line);
                if self.details.len() < DETAILS_MAX {
                    self.details.push(printable(line));
                }
            }
            Said::Nothing => {}
        }
    }

    fn happened(&mut self, now: Moment, tone: Tone, text: String, details: Vec<String>) {
        if self.happenings.len() == HAPPENINGS_MAX {
            self.happenings.pop_front();
        }
        self.happenings.push_back(Happening { at: now - self.began, tone, text, details });
        self.fresh += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_supervise::Ending;

    const KILLED: &Ending = &Ending::Killed(9);

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    fn story() -> Story {
        Story::new(at(0), Addresses::EXAMPLE)
    }

    fn line(text: &str) -> Report<'_> {
        Report::Line { stream: Stream::Err, text }
    }

    fn told(story: &mut Story) -> Vec<String> {
        let fresh = story.take_fresh();
        fresh.into_iter().flat_map(|happening| [vec![happening.text], happening.details].concat()).collect()
    }

    #[test]
    fn the_demo_is_ready_when_everybody_said_so() {
        let mut story = story();
        for (name, pid) in [("orders-1", 1), ("orders-2", 2), ("orders-3", 3), ("gateway", 4)] {
            assert!(!story.is_ready());
            story.saw(at(1), name, Report::Started { pid });
            let ready = if name == "gateway" { r#"{"message":"serving"}"# } else { "ready" };
            story.saw(at(2), name, line(ready));
        }
        assert!(story.is_ready());
        assert_eq!(told(&mut story)[1], "orders-2 is ready: pid 2, 127.0.0.1:40002");
    }

    #[test]
    fn a_death_and_a_return_are_told_with_their_times() {
        let mut story = story();
        story.saw(at(0), "orders-2", Report::Started { pid: 4711 });
        story.saw(at(1), "orders-2", line("ready"));
        told(&mut story);
        let restart_in = Some(Duration::from_secs(1));
        story.saw(at(5000), "orders-2", Report::Ended { ending: KILLED, restart_in });
        assert_eq!(story.instances[1].standing, Standing::Down { until: Some(at(6000)) });
        story.saw(at(6000), "orders-2", Report::Started { pid: 4800 });
        story.saw(at(6020), "orders-2", line("ready"));
        assert_eq!(
            told(&mut story),
            [
                "orders-2 (pid 4711) was killed by SIGKILL; starts again in 1.0 s",
                "orders-2 is back as pid 4800, after 1.0 s"
            ]
        );
        assert_eq!(story.deaths(), 1);
    }

    #[test]
    fn a_rejected_configuration_comes_with_its_diagnostics() {
        let mut story = story();
        story.saw(at(1), GATEWAY, line("error: unknown key `timout` in [gateway]"));
        story.saw(at(1), GATEWAY, line("  --> forebay.toml:12:1"));
        story.saw(at(1), GATEWAY, line(r#"{"level":"error","message":"reload rejected; …"}"#));
        assert_eq!(
            told(&mut story),
            [
                "forebay.toml rejected: generation 1 stays in force",
                "error: unknown key `timout` in [gateway]",
                "  --> forebay.toml:12:1"
            ]
        );
    }

    #[test]
    fn failures_that_come_together_are_told_once() {
        let mut story = story();
        (0..50).for_each(|count| story.failed(at(count * 20), "GET /api/orders/7: 502"));
        assert_eq!(told(&mut story).len(), 1);
        story.failed(at(1000), "GET /api/orders/8: 502");
        assert_eq!(told(&mut story), ["failed: GET /api/orders/8: 502"]);
    }

    #[test]
    fn an_end_that_was_asked_for_is_no_death() {
        let mut story = story();
        story.saw(at(1), GATEWAY, Report::Ended { ending: &Ending::Exited(0), restart_in: None });
        assert_eq!((story.deaths(), told(&mut story).len()), (0, 0));
    }
}
