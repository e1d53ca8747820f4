//! When to look a source up, and which of its answers holds. Never asks anybody: the discoverer does.
//!
//! - An answer holds for its TTL, clamped to the settings, and is then asked for again while it goes on serving.
//! - *Silence* (timeout, SERVFAIL, no network) says nothing about the endpoints: the last answer is kept for
//!   `stale_max`. Unbounded would be wrong, since an address may come to belong to somebody else.
//! - *Denial* (NXDOMAIN, or no record of the type) does say something, but it is also what a mistake in a zone,
//!   a lost VPN and a name server that just started say. It must last for `denied_hold` before it is believed;
//!   30 s is HAProxy's `hold nx` too. Health checks take dead endpoints out long before.
//! - An answer may lack a part, such as the AAAA half: that part keeps what it had, on the same terms as silence.
//! - Before the first answer the source is unresolved, which is not the same as empty.

use std::time::Duration;

use forebay_clock::Moment;

use crate::answer::{Answer, Part, ResolveFailure};
use crate::backoff;
use crate::endpoint::Target;
use crate::standing::Standing;

/// Bounds on how long answers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolutionSettings {
    /// An answer is asked for again no sooner, whatever its TTL says; Consul answers with a TTL of 0. More than zero,
    /// which the configuration sees to.
    pub ttl_min: Duration,
    /// An answer is asked for again no later.
    pub ttl_max: Duration,
    /// How long an answer outlives its confirmation while nobody answers.
    pub stale_max: Duration,
    /// How long an answer outlives the first denial.
    pub denied_hold: Duration,
}

impl Default for ResolutionSettings {
    /// 1 s to 5 min of TTL; one day of silence, the lower end of what RFC 8767 section 5 suggests; 30 s of denial.
    fn default() -> ResolutionSettings {
        ResolutionSettings {
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(300),
            stale_max: Duration::from_secs(24 * 60 * 60),
            denied_hold: Duration::from_secs(30),
        }
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The moment of [`Step::due`] has come.
    Due,
    /// The lookup was answered.
    Answered(Answer),
    /// The lookup failed.
    Failed(ResolveFailure),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Start a lookup. Exactly one `Answered` or `Failed` is owed for each.
    pub resolve: bool,
    /// [`Resolution::targets`] is another set than before.
    pub changed: bool,
    /// When to report `Due`; it replaces what earlier steps said.
    pub due: Moment,
}

/// The machine of one source.
#[derive(Clone, Debug)]
pub struct Resolution {
    settings: ResolutionSettings,
    kept: Vec<Kept>,
    // Sorted and free of repetition, so that DNS rotating its answers is no change.
    targets: Vec<Target>,
    answered: Option<Moment>,
    failure: Option<ResolveFailure>,
    failures: u32,
    denied_since: Option<Moment>,
    asking: bool,
}

/// The last good answer's part, and when it was last confirmed.
#[derive(Clone, Debug)]
struct Kept {
    name: Box<str>,
    targets: Vec<Target>,
    confirmed: Moment,
}

impl Resolution {
    /// An unresolved source, due at once.
    pub fn new(settings: ResolutionSettings) -> Resolution {
        Resolution {
            settings,
            kept: Vec::new(),
            targets: Vec::new(),
            answered: None,
            failure: None,
            failures: 0,
            denied_since: None,
            asking: false,
        }
    }

    /// Takes new settings; they count from the next step.
    pub fn configure(&mut self, settings: ResolutionSettings) {
        self.settings = settings;
    }

    /// The targets that hold at present, sorted.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// How far they can be believed.
    pub fn standing(&self) -> Standing {
        match (self.answered, self.failure.clone()) {
            (None, failure) => Standing::Unresolved { failure },
            (Some(answered), None) => Standing::Fresh { answered },
            (Some(answered), Some(failure)) if self.targets.is_empty() => {
                Standing::GivenUp { answered, failure }
            }
            (Some(answered), Some(failure)) => Standing::Stale { answered, failure },
        }
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, now: Moment, event: Event, rng: &mut fastrand::Rng) -> Step {
        match event {
            Event::Due => {
                let resolve = !self.asking;
                self.asking = true;
                // The answer that is owed sets the next time.
                Step { resolve, changed: false, due: Moment::NEVER }
            }
            Event::Answered(answer) => self.answered(now, answer),
            Event::Failed(failure) => self.failed(now, failure, rng),
        }
    }

    fn answered(&mut self, now: Moment, answer: Answer) -> Step {
        self.asking = false;
        self.answered = Some(now);
        self.failure = None;
        self.failures = 0;
        self.denied_since = None;
        let mut before = std::mem::take(&mut self.kept);
        self.kept = answer.parts.into_iter().filter_map(|part| self.keep(now, part, &mut before)).collect();
        let ttl = answer.ttl.min(self.settings.ttl_max).max(self.settings.ttl_min);
        Step { resolve: false, changed: self.settle(), due: now + ttl }
    }

    fn keep(&self, now: Moment, part: Part, before: &mut [Kept]) -> Option<Kept> {
        if let Some(targets) = part.targets {
            return Some(Kept { name: part.name, targets, confirmed: now });
        }
        let old = before.iter_mut().find(|kept| kept.name == part.name)?;
        let believed = now.since(old.confirmed) < self.settings.stale_max;
        believed.then(|| Kept {
            name: part.name,
            targets: std::mem::take(&mut old.targets),
            confirmed: old.confirmed,
        })
    }

    fn failed(&mut self, now: Moment, failure: ResolveFailure, rng: &mut fastrand::Rng) -> Step {
        self.asking = false;
        self.failures = self.failures.saturating_add(1);
        if failure.is_denial() {
            self.denied_since.get_or_insert(now);
        }
        self.failure = Some(failure);
        let mut due = now + backoff::wait(self.failures, rng);
        let given_up_at = self.given_up_at();
        if given_up_at <= now {
            self.kept.clear();
        } else {
            // Asks once more at that very moment, so that the bound is kept to the length of a lookup.
            due = due.min(given_up_at);
        }
        Step { resolve: false, changed: self.settle(), due }
    }

    /// When the last good answer stops serving if lookups go on failing like this.
    fn given_up_at(&self) -> Moment {
        let silent = self.answered.map_or(Moment::NEVER, |answered| answered + self.settings.stale_max);
        let denied = match (&self.failure, self.denied_since) {
            (Some(failure), Some(since)) if failure.is_denial() => since + self.settings.denied_hold,
            _ => Moment::NEVER,
        };
        silent.min(denied)
    }

    /// Recomputes the targets; true when they are others than before.
    fn settle(&mut self) -> bool {
        let mut targets: Vec<Target> =
            self.kept.iter().flat_map(|kept| kept.targets.iter().cloned()).collect();
        targets.sort_unstable();
        targets.dedup();
        let changed = targets != self.targets;
        self.targets = targets;
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn target(last: u8) -> Target {
        Target::new(([10, 0, 0, last], 80).into())
    }

    fn answer(addresses: &[u8], ttl_s: u64) -> Event {
        let targets = Some(addresses.iter().map(|&last| target(last)).collect());
        Event::Answered(Answer {
            parts: vec![Part { name: "A".into(), targets }],
            ttl: Duration::from_secs(ttl_s),
        })
    }

    fn silence() -> Event {
        Event::Failed(ResolveFailure::TimedOut { name: "orders".into(), within: SECOND })
    }

    fn denial() -> Event {
        Event::Failed(ResolveFailure::NoSuchName { name: "orders".into() })
    }

    /// One machine with its clock and randomness.
    struct Bench {
        machine: Resolution,
        now: Moment,
        rng: fastrand::Rng,
    }

    impl Bench {
        fn new() -> Bench {
            Bench {
                machine: Resolution::new(ResolutionSettings::default()),
                now: Moment::START,
                rng: fastrand::Rng::with_seed(7),
            }
        }

        fn step(&mut self, event: Event) -> Step {
            self.machine.step(self.now, event, &mut self.rng)
        }

        fn lookup(&mut self, result: Event) -> Step {
            assert!(self.step(Event::Due).resolve);
            self.step(result)
        }

        fn serving(&self) -> Vec<Target> {
            self.machine.targets().to_vec()
        }
    }

    #[test]
    fn before_the_first_answer_it_is_unresolved_and_says_why() {
        let mut bench = Bench::new();
        assert_eq!(bench.machine.standing(), Standing::Unresolved { failure: None });
        let step = bench.lookup(silence());
        assert!(!step.changed);
        assert!(matches!(bench.machine.standing(), Standing::Unresolved { failure: Some(_) }));
        assert!(step.due <= bench.now + backoff::RETRY_BASE);
    }

    #[test]
    fn a_standing_is_described_with_its_age() {
        let mut bench = Bench::new();
        let mut seen = vec![bench.machine.standing().describe(bench.now)];
        for event in [silence(), answer(&[1], 30), silence(), denial()] {
            bench.lookup(event);
            bench.now = bench.now + SECOND * 12;
            seen.push(bench.machine.standing().describe(bench.now));
        }
        bench.now = bench.now + SECOND * 30;
        bench.lookup(denial());
        seen.push(bench.machine.standing().describe(bench.now));
        let expected = [
            "not looked up yet",
            "never answered: no answer for orders within 1s",
            "answered 12s ago",
            "keeps its answer of 24s ago: no answer for orders within 1s",
            "keeps its answer of 36s ago: orders does not exist",
            "gave up its answer of 66s ago: orders does not exist",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_ttl_decides_when_to_ask_again_within_bounds() {
        fn check(ttl_s: u64, expected_s: u64) {
            let mut bench = Bench::new();
            let step = bench.lookup(answer(&[1], ttl_s));
            assert_eq!(step.due, bench.now + SECOND * expected_s as u32, "ttl {ttl_s}");
        }
        check(0, 1);
        check(30, 30);
        check(86_400, 300);
    }

    #[test]
    fn only_another_set_of_targets_is_a_change() {
        let mut bench = Bench::new();
        let changed = |bench: &mut Bench, addresses: &[u8]| bench.lookup(answer(addresses, 1)).changed;
        assert!(changed(&mut bench, &[1, 2]));
        assert!(!changed(&mut bench, &[2, 1]));
        assert!(!changed(&mut bench, &[2, 1, 2]));
        assert!(changed(&mut bench, &[2]));
    }

    #[test]
    fn one_lookup_at_a_time() {
        let mut bench = Bench::new();
        assert!(bench.step(Event::Due).resolve);
        assert!(!bench.step(Event::Due).resolve);
        bench.step(answer(&[1], 1));
        assert!(bench.step(Event::Due).resolve);
    }

    #[test]
    fn silence_keeps_the_last_answer_up_to_the_bound() {
        let mut bench = Bench::new();
        bench.lookup(answer(&[1, 2], 30));
        let answered = bench.now;
        bench.now = bench.now + SECOND * 3600 * 23;
        assert!(!bench.lookup(silence()).changed);
        assert!(matches!(bench.machine.standing(), Standing::Stale { answered: at, .. } if at == answered));
        assert_eq!(bench.serving(), [target(1), target(2)]);
        bench.now = answered + SECOND * 3600 * 24;
        assert!(bench.lookup(silence()).changed);
        assert!(matches!(bench.machine.standing(), Standing::GivenUp { .. }));
        assert!(bench.serving().is_empty());
    }

    #[test]
    fn a_denial_is_believed_once_it_has_lasted() {
        let mut bench = Bench::new();
        bench.lookup(answer(&[1], 1));
        assert!(!bench.lookup(denial()).changed);
        bench.now = bench.now + SECOND * 40;
        assert!(!bench.lookup(silence()).changed, "silence confirms no denial");
        assert!(bench.lookup(denial()).changed);
    }

    #[test]
    fn an_answer_between_two_denials_starts_the_hold_anew() {
        let mut bench = Bench::new();
        bench.lookup(answer(&[1], 1));
        bench.lookup(denial());
        bench.now = bench.now + SECOND * 29;
        bench.lookup(answer(&[1], 1));
        bench.now = bench.now + SECOND * 29;
        assert!(!bench.lookup(denial()).changed);
    }

    #[test]
    fn a_part_nobody_answered_for_keeps_what_it_had() {
        let part = |name: &str, targets: Option<Vec<Target>>| Part { name: name.into(), targets };
        let mut bench = Bench::new();
        let both = vec![part("A", Some(vec![target(1)])), part("AAAA", Some(vec![target(6)]))];
        bench.lookup(Event::Answered(Answer { parts: both, ttl: SECOND }));
        let half = vec![part("A", Some(vec![target(2)])), part("AAAA", None)];
        bench.lookup(Event::Answered(Answer { parts: half, ttl: SECOND }));
        assert_eq!(bench.serving(), [target(2), target(6)]);
    }

    proptest! {
        #[test]
        fn an_answer_is_never_lost_to_silence_and_a_lookup_is_always_ahead(script in prop::collection::vec((0..3u8, 0..20u64), 1..60)) {
            let mut bench = Bench::new();
            let mut last_good: Vec<Target> = Vec::new();
            for (kind, ttl) in script {
                let result = match kind {
                    0 => { last_good = vec![target(ttl as u8)]; answer(&[ttl as u8], ttl) }
                    _ => silence(),
                };
                let step = bench.lookup(result);
                prop_assert!(bench.now < step.due && step.due <= bench.now + SECOND * 300);
                prop_assert_eq!(bench.machine.targets(), &last_good[..]);
                bench.now = step.due;
            }
        }
    }
}
