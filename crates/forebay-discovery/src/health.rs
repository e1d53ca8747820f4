//! When to probe an endpoint and what the results mean. Never connects: the prober does.
//!
//! - An endpoint nobody has probed yet is *unknown* and gets requests: a restart of Forebay, or a new instance,
//!   must not wait for checks when all is well. HAProxy starts servers the same way.
//! - The first probe alone decides, as in HAProxy; after that, verdicts need their thresholds.
//! - An endpoint that was never healthy becomes so with one success, and is probed at the fast interval: whoever
//!   starts Forebay before the services waits for neither thresholds nor intervals.
//! - While results contradict the verdict, probes come at the fast interval (HAProxy's `fastinter`).
//! - A request that could not reach an endpoint has it probed at once, though not more often than at the fast interval, and
//!   that probe needs no others to agree with it: there are two witnesses already.
//! - One that turns back and forth is held out for longer and longer: see [`crate::flap`].
//! - First probes are spread over the fast interval, and later ones jittered, so that fleets do not march in step.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;

use crate::flap::{Flaps, Hold};

/// How often an endpoint is probed, and how results add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What a probe does.
    pub kind: CheckKind,
    /// Between probes while nothing changes; more than zero, which the configuration sees to.
    pub interval: Duration,
    /// Between probes while results contradict the verdict, and until the first success.
    pub interval_fast: Duration,
    /// How long a probe may take in all.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy endpoint healthy again; 0 means 1.
    pub healthy_after: u32,
    /// Failures in a row that make a healthy endpoint unhealthy; 0 means 1.
    pub unhealthy_after: u32,
    /// Each interval is longer or shorter by at most this percentage of itself, up to 100.
    pub jitter_percent: u8,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Connects, TLS handshake included when the endpoint speaks TLS, and closes.
    Tcp,
    /// Sends `GET path` and looks at the status.
    Http {
        /// Path and query.
        path: Arc<str>,
        /// The statuses that mean healthy.
        expect: RangeInclusive<u16>,
    },
}

impl HealthCheck {
    /// `GET path` every 2 s with 1 s of patience; 2xx is healthy; 3 failures take it out, 2 successes bring it
    /// back (HAProxy's defaults); 0.5 s between probes of changing endpoints, so that an endpoint that died is out
    /// within one more interval.
    pub fn http(path: &str) -> HealthCheck {
        HealthCheck { kind: CheckKind::Http { path: path.into(), expect: 200..=299 }, ..HealthCheck::tcp() }
    }

    /// As [`HealthCheck::http`], but a connection that opens is enough.
    pub fn tcp() -> HealthCheck {
        HealthCheck {
            kind: CheckKind::Tcp,
            interval: Duration::from_secs(2),
            interval_fast: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
            jitter_percent: 10,
        }
    }
}

/// What active checks say about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Health {
    /// No verdict yet, or no check configured; gets requests.
    #[default]
    Unknown = 0,
    /// Gets requests.
    Healthy = 1,
    /// Gets none while there is another.
    Unhealthy = 2,
}

impl Health {
    /// Whether requests should go there.
    pub fn is_eligible(self) -> bool {
        self != Health::Unhealthy
    }

    /// As it is spelled in metrics and listings.
    pub const fn text(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }

    /// The inverse of `as u8`; what is no verdict is unknown.
    pub(crate) fn from_u8(byte: u8) -> Health {
        match byte {
            1 => Health::Healthy,
            2 => Health::Unhealthy,
            _ => Health::Unknown,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a probe failed, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No connection for another reason.
    #[error("cannot connect: {0}")]
    Unreachable(Box<str>),
    /// Connected, and TLS failed.
    #[error("TLS handshake failed: {0}")]
    Tls(Box<str>),
    /// Not done in [`HealthCheck::timeout`].
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// Answered with another status.
    #[error("status {got}, expected {}", statuses(.expected))]
    Status {
        /// What came.
        got: u16,
        /// What was wanted.
        expected: RangeInclusive<u16>,
    },
    /// Answered with something that is not HTTP, or closed before answering.
    #[error("no valid response: {0}")]
    Response(Box<str>),
}

fn statuses(range: &RangeInclusive<u16>) -> String {
    let (first, last) = (*range.start(), *range.end());
    match first {
        _ if first == last => first.to_string(),
        _ if first % 100 == 0 && last == first + 99 => format!("{}xx", first / 100),
        _ => format!("{first} to {last}"),
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The moment of [`Step::due`] has come.
    Due,
    /// The probe is done.
    Probed(Result<(), ProbeFailure>),
    /// A request could not reach the endpoint.
    Suspected,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Start a probe. Exactly one `Probed` is owed for each.
    pub probe: bool,
    /// The verdict changed to this; [`HealthMachine::reason`] says why.
    pub became: Option<Health>,
    /// When to report `Due`; it replaces what earlier steps said.
    pub due: Moment,
}

/// The machine of one endpoint.
#[derive(Clone, Debug)]
pub struct HealthMachine {
    check: HealthCheck,
    health: Health,
    was_healthy: bool,
    // Results in a row that contradict the verdict.
    contrary: u32,
    reason: Option<ProbeFailure>,
    probing: bool,
    flaps: Flaps,
    // When the next probe is due while none runs.
    due: Moment,
    // A request could not reach it since the latest probe began.
    suspected: bool,
    // The latest probe began because of that.
    doubted: bool,
    // Not before then is a probe brought forward again.
    hasten_from: Moment,
}

impl HealthMachine {
    /// An unknown endpoint.
    pub fn new(check: HealthCheck) -> HealthMachine {
        HealthMachine {
            check,
            health: Health::Unknown,
            was_healthy: false,
            contrary: 0,
            reason: None,
            probing: false,
            flaps: Flaps::default(),
            due: Moment::NEVER,
            suspected: false,
            doubted: false,
            hasten_from: Moment::START,
        }
    }

    /// When to report the first `Due`: somewhere within the fast interval.
    pub fn first_due(&mut self, now: Moment, rng: &mut fastrand::Rng) -> Moment {
        self.due = now + self.check.interval_fast.mul_f64(rng.f64());
        self.due
    }

    /// Takes another check's settings and keeps the verdict, which the next probes confirm or not.
    pub fn configure(&mut self, check: HealthCheck) {
        self.check = check;
        self.contrary = 0;
    }

    /// The check in force.
    pub fn check(&self) -> &HealthCheck {
        &self.check
    }

    /// The verdict.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Why the latest probe failed; `None` when it succeeded.
    pub fn reason(&self) -> Option<&ProbeFailure> {
        self.reason.as_ref()
    }

    /// Whether it is held out because it turned back and forth.
    pub fn hold(&self, now: Moment) -> Option<Hold> {
        self.flaps.hold(now).filter(|_| self.health == Health::Unhealthy)
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, now: Moment, event: Event, rng: &mut fastrand::Rng) -> Step {
        match event {
            Event::Due => {
                let probe = !self.probing;
                self.probing = true;
                self.doubted = std::mem::take(&mut self.suspected);
                // The result that is owed sets the next time.
                Step { probe, became: None, due: Moment::NEVER }
            }
            Event::Suspected => Step { probe: false, became: None, due: self.suspect(now) },
            Event::Probed(result) => {
                self.probing = false;
                let before = self.health;
                self.reason = result.err();
                self.judge(now);
                let became = (self.health != before).then_some(self.health);
                self.due = now + self.wait(now, rng);
                Step { probe: false, became, due: self.due }
            }
        }
    }

    /// Brings the next probe forward; gives when it is due.
    fn suspect(&mut self, now: Moment) -> Moment {
        self.suspected = true;
        if self.probing {
            // It may have begun before the endpoint was gone: its result has the next one hurry.
            return Moment::NEVER;
        }
        let soonest = now.max(self.hasten_from);
        if self.health.is_eligible() && soonest < self.due {
            self.due = soonest;
            self.hasten_from = soonest + self.check.interval_fast;
        }
        self.due
    }

    fn judge(&mut self, now: Moment) {
        let seen = if self.reason.is_none() { Health::Healthy } else { Health::Unhealthy };
        if seen == self.health {
            self.contrary = 0;
            return;
        }
        self.contrary = self.contrary.saturating_add(1);
        let needed = match self.health {
            Health::Unknown => 1,
            Health::Healthy if self.doubted || self.suspected => 1,
            Health::Healthy => self.check.unhealthy_after,
            Health::Unhealthy if self.was_healthy => self.check.healthy_after,
            Health::Unhealthy => 1,
        };
        if self.contrary >= needed && self.hold(now).is_none() {
            if self.health == Health::Healthy {
                self.flaps.fall(now);
            }
            self.health = seen;
            self.contrary = 0;
            self.was_healthy |= seen == Health::Healthy;
        }
    }

    fn wait(&self, now: Moment, rng: &mut fastrand::Rng) -> Duration {
        let contradicts = self.contrary > 0 && self.hold(now).is_none();
        let hurried = contradicts || self.suspected || !self.was_healthy;
        let interval = if hurried { self.check.interval_fast } else { self.check.interval };
        let jitter = f64::from(self.check.jitter_percent.min(100)) / 100.0;
        interval.mul_f64(1.0 + jitter * (2.0 * rng.f64() - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> HealthCheck {
        HealthCheck { jitter_percent: 0, ..HealthCheck::http("/healthz") }
    }

    /// Feeds results (`+` success, `-` failure) and writes each verdict (`?`, `H`, `U`) and wait (`f`ast, `s`low).
    fn run(results: &str) -> String {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut machine = HealthMachine::new(plain());
        let mut seen = String::new();
        for result in results.chars() {
            assert!(machine.step(Moment::START, Event::Due, &mut rng).probe);
            let result = if result == '+' { Ok(()) } else { Err(ProbeFailure::Refused) };
            let before = machine.health();
            let step = machine.step(Moment::START, Event::Probed(result), &mut rng);
            assert_eq!(step.became.is_some(), before != machine.health());
            seen.push(match machine.health() {
                Health::Unknown => '?',
                Health::Healthy => 'H',
                Health::Unhealthy => 'U',
            });
            seen.push(if step.due == Moment::START + machine.check().interval { 's' } else { 'f' });
        }
        seen
    }

    #[test]
    fn results_add_up_to_verdicts() {
        fn check(results: &str, expected: &str) {
            assert_eq!(run(results), expected, "{results}");
        }
        // The first probe alone decides.
        check("+", "Hs");
        check("-", "Uf");
        // One success brings up what never was, several what was.
        check("--+", "UfUfHs");
        check("+---++", "HsHfHfUsUfHs");
        // A result that agrees with the verdict forgets those that did not.
        check("+--+--", "HsHfHfHsHfHf");
        check("+---+-+", "HsHfHfUsUfUsUf");
    }

    #[test]
    fn an_endpoint_is_eligible_until_the_first_verdict() {
        assert!(HealthMachine::new(plain()).health().is_eligible());
        assert!(!Health::Unhealthy.is_eligible());
    }

    #[test]
    fn one_probe_at_a_time() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut machine = HealthMachine::new(plain());
        assert!(machine.step(Moment::START, Event::Due, &mut rng).probe);
        assert!(!machine.step(Moment::START, Event::Due, &mut rng).probe);
    }

    #[test]
    fn a_suspicion_brings_the_probe_forward_and_lets_it_decide_alone() {
        let at = |ms: u64| Moment::START + Duration::from_millis(ms);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut machine = HealthMachine::new(plain());
        let mut step = |machine: &mut HealthMachine, ms, event| machine.step(at(ms), event, &mut rng);
        step(&mut machine, 0, Event::Due);
        assert_eq!(step(&mut machine, 0, Event::Probed(Ok(()))).due, at(2000));
        assert_eq!(step(&mut machine, 100, Event::Suspected).due, at(100));
        step(&mut machine, 100, Event::Due);
        // Nothing is wrong. The next time is the fast interval later at the soonest.
        assert_eq!(step(&mut machine, 110, Event::Probed(Ok(()))).due, at(2110));
        assert_eq!(step(&mut machine, 120, Event::Suspected).due, at(600));
        assert_eq!(step(&mut machine, 130, Event::Suspected).due, at(600));
        step(&mut machine, 600, Event::Due);
        let dead = step(&mut machine, 601, Event::Probed(Err(ProbeFailure::Refused)));
        assert_eq!((dead.became, dead.due), (Some(Health::Unhealthy), at(2601)));
        assert_eq!(step(&mut machine, 700, Event::Suspected).due, at(2601), "it is out already");
    }

    #[test]
    fn a_probe_that_began_before_the_suspicion_is_followed_by_a_hurried_one() {
        let at = |ms: u64| Moment::START + Duration::from_millis(ms);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut machine = HealthMachine::new(plain());
        machine.step(at(0), Event::Due, &mut rng);
        machine.step(at(0), Event::Probed(Ok(())), &mut rng);
        machine.step(at(2000), Event::Due, &mut rng);
        assert_eq!(machine.step(at(2001), Event::Suspected, &mut rng).due, Moment::NEVER);
        assert_eq!(machine.step(at(2002), Event::Probed(Ok(())), &mut rng).due, at(2502));
        machine.step(at(2502), Event::Due, &mut rng);
        let dead = machine.step(at(2503), Event::Probed(Err(ProbeFailure::Refused)), &mut rng);
        assert_eq!(dead.became, Some(Health::Unhealthy));
    }

    #[test]
    fn an_endpoint_that_turns_back_and_forth_is_held_out_for_longer_and_longer() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut machine = HealthMachine::new(plain());
        let mut now = Moment::START;
        let mut probe = |machine: &mut HealthMachine, now: &mut Moment, result| {
            machine.step(*now, Event::Due, &mut rng);
            let step = machine.step(*now, Event::Probed(result), &mut rng);
            *now = step.due;
            step.became
        };
        let mut out_s = Vec::new();
        for _ in 0..5 {
            while machine.health() != Health::Healthy {
                probe(&mut machine, &mut now, Ok(()));
            }
            let mut fell = now;
            while machine.health() == Health::Healthy {
                fell = now;
                probe(&mut machine, &mut now, Err(ProbeFailure::Refused));
            }
            while machine.health() == Health::Unhealthy {
                assert!(now.since(fell) < crate::flap::HOLD_MAX + Duration::from_secs(3));
                if probe(&mut machine, &mut now, Ok(())).is_some() {
                    out_s.push(now.since(fell).as_secs() - 2);
                }
            }
        }
        // The last probe before the hold is over may come an interval earlier, and the next one then decides.
        assert_eq!(out_s, [2, 2, 6, 10, 20]);
    }

    #[test]
    fn reasons_are_words() {
        fn check(failure: ProbeFailure, expected: &str) {
            assert_eq!(failure.to_string(), expected);
        }
        check(ProbeFailure::Refused, "connection refused");
        check(ProbeFailure::TimedOut(Duration::from_secs(1)), "timed out after 1s");
        check(ProbeFailure::Status { got: 500, expected: 200..=299 }, "status 500, expected 2xx");
        check(ProbeFailure::Status { got: 500, expected: 204..=204 }, "status 500, expected 204");
        check(ProbeFailure::Status { got: 500, expected: 200..=399 }, "status 500, expected 200 to 399");
    }

    proptest! {
        #[test]
        fn verdicts_need_their_thresholds_and_waits_keep_their_bounds(results in "[+-]{1,80}", seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let check = HealthCheck::tcp();
            let mut machine = HealthMachine::new(check.clone());
            prop_assert!(machine.first_due(Moment::START, &mut rng) <= Moment::START + check.interval_fast);
            let (mut run, mut falls) = (0, 0);
            let mut last = None;
            for result in results.chars() {
                run = if last == Some(result) { run + 1 } else { 1 };
                last = Some(result);
                let before = machine.health();
                machine.step(Moment::START, Event::Due, &mut rng);
                let result = if result == '+' { Ok(()) } else { Err(ProbeFailure::Refused) };
                let step = machine.step(Moment::START, Event::Probed(result), &mut rng);
                if (before, step.became) == (Health::Healthy, Some(Health::Unhealthy)) {
                    prop_assert!(run >= check.unhealthy_after);
                }
                // All of it happens at one moment, when no hold ever ends.
                falls += u32::from((before, step.became) == (Health::Healthy, Some(Health::Unhealthy)));
                prop_assert!(falls <= crate::flap::FALLS_FREE + 1);
                let wait = step.due - Moment::START;
                prop_assert!(wait >= check.interval_fast.mul_f64(0.9) && wait <= check.interval.mul_f64(1.1));
            }
        }
    }
}
