//! What is known about an endpoint: by checks, by its registry, by what requests met. Every core reads it while it serves
//! requests, without a lock. Decides nothing: the machines do.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_clock::Moment;

use crate::flap::Hold;
use crate::health::{Health, ProbeFailure};
use crate::outlier::{Ejection, Record};
use crate::pushed::Advertised;
use crate::suspect::TELL_EVERY;

/// Small, unique in this process and never given twice: a key for pools and other per-core tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

/// What changes by itself about an endpoint. Shared by all cores and all generations, adopted by identity.
// Each on its own cache line: requests to one endpoint must not slow down those to another.
#[derive(Debug)]
#[repr(align(64))]
pub struct LiveState {
    id: EndpointId,
    health: AtomicU8,
    // Its registry calls it critical.
    is_critical: AtomicBool,
    // Its registry calls it ready.
    is_vouched_for: AtomicBool,
    in_flight: AtomicU32,
    // A moment in nanoseconds; until then requests go elsewhere.
    suspect_until: AtomicU64,
    // A moment in nanoseconds: not before then is a suspicion told again.
    tell_from: AtomicU64,
    // A moment in nanoseconds: when it came, or came back.
    healthy_since: AtomicU64,
    record: Record,
    // For display only; never taken for a request.
    verdict: Mutex<Verdict>,
}

/// What active checks and its registry last said, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The same as [`LiveState::health`].
    pub health: Health,
    /// Since when.
    pub since: Moment,
    /// Why the latest probe failed; `None` when it succeeded or none was made.
    pub reason: Option<ProbeFailure>,
    /// Whether it is held out, for having turned back and forth.
    pub hold: Option<Hold>,
    /// What its registry has against it.
    pub critical: Option<Critical>,
}

/// A registry calls an endpoint critical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Critical {
    /// In its words.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Moment,
}

/// A request counted in [`LiveState::in_flight`] until this is dropped: when the response has been read to its end,
/// for an endpoint that still streams is busy.
#[derive(Debug)]
#[must_use = "the request counts as in flight only while this lives"]
pub struct InFlight<'s>(&'s LiveState);

impl LiveState {
    pub(crate) fn new(id: EndpointId, now: Moment) -> LiveState {
        let verdict =
            Verdict { health: Health::Unknown, since: now, reason: None, hold: None, critical: None };
        LiveState {
            id,
            health: AtomicU8::new(Health::Unknown as u8),
            is_critical: AtomicBool::new(false),
            is_vouched_for: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            suspect_until: AtomicU64::new(0),
            tell_from: AtomicU64::new(0),
            healthy_since: AtomicU64::new(now.as_nanos()),
            record: Record::default(),
            verdict: Mutex::new(verdict),
        }
    }

    /// Its number.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// What active checks say.
    pub fn health(&self) -> Health {
        // Relaxed: the verdict stands alone, no other memory is read because of it.
        Health::from_u8(self.health.load(Ordering::Relaxed))
    }

    /// Whether its registry calls it critical.
    pub fn is_critical(&self) -> bool {
        self.is_critical.load(Ordering::Relaxed)
    }

    /// Whether its registry calls it ready.
    pub fn is_vouched_for(&self) -> bool {
        self.is_vouched_for.load(Ordering::Relaxed)
    }

    /// Requests under way to it, from all cores.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether requests should go to it: no check calls it unhealthy and its registry not critical, it is not ejected, and
    /// nobody has just failed to reach it.
    pub fn is_eligible(&self, now: Moment) -> bool {
        self.health() != Health::Unhealthy
            && !self.is_critical()
            && self.suspect_until.load(Ordering::Relaxed) <= now.as_nanos()
            && !self.record.is_ejected(now)
    }

    /// When it came, or when a check last found it healthy again.
    pub fn healthy_since(&self) -> Moment {
        Moment::from_nanos(self.healthy_since.load(Ordering::Relaxed))
    }

    /// Why and until when it is left alone for what requests met there.
    pub fn ejection(&self, now: Moment) -> Option<Ejection> {
        self.record.ejection(now)
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// A request could not reach it: until then others go elsewhere, where there is an elsewhere. Without this, an
    /// endpoint that refuses at once looks idle and would draw more requests than its share until checks notice.
    /// True for one core now and then, which is to tell of it.
    pub(crate) fn suspect(&self, now: Moment, until: Moment) -> bool {
        self.suspect_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        let from = self.tell_from.load(Ordering::Relaxed);
        let next = (now + TELL_EVERY).as_nanos();
        let swap = |to| self.tell_from.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        from <= now.as_nanos() && swap(next).is_ok()
    }

    /// A request reached it.
    pub fn trust(&self) {
        // Mostly a read: the line is shared by all cores.
        if self.suspect_until.load(Ordering::Relaxed) != 0 {
            self.suspect_until.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a request until the guard is dropped.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// The verdict with its age and reason, for display.
    pub fn verdict(&self) -> Verdict {
        lock(&self.verdict).clone()
    }

    pub(crate) fn judge(
        &self,
        now: Moment,
        health: Health,
        reason: Option<ProbeFailure>,
        hold: Option<Hold>,
    ) {
        let mut verdict = lock(&self.verdict);
        if verdict.health != health {
            verdict.since = now;
            if health == Health::Healthy && verdict.health == Health::Unhealthy {
                self.healthy_since.store(now.as_nanos(), Ordering::Relaxed);
            }
            if health == Health::Healthy {
                self.record.readmit();
            }
        }
        verdict.health = health;
        verdict.reason = reason;
        verdict.hold = hold;
        self.health.store(health as u8, Ordering::Relaxed);
    }

    /// Takes its registry's word, if it comes from one. True when it has come to be critical, or to be so no longer.
    pub(crate) fn advertise(&self, now: Moment, word: Option<&Advertised>) -> bool {
        let is_vouched_for = matches!(word, Some(Advertised::Ready));
        if self.is_vouched_for() != is_vouched_for {
            self.is_vouched_for.store(is_vouched_for, Ordering::Relaxed);
        }
        let reason = word.and_then(Advertised::reason);
        // By far the most, and nothing to do.
        if reason.is_none() && !self.is_critical() {
            return false;
        }
        let mut verdict = lock(&self.verdict);
        let before = verdict.critical.take();
        let since = before.as_ref().map_or(now, |critical| critical.since);
        verdict.critical = reason.map(|reason| Critical { reason: Arc::clone(reason), since });
        self.is_critical.store(reason.is_some(), Ordering::Relaxed);
        if reason.is_none() {
            self.healthy_since.store(now.as_nanos(), Ordering::Relaxed);
            self.record.readmit();
        }
        before.is_some() != reason.is_some()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// None of these locks guards an invariant that a panic could break half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_its_guard_is_dropped() {
        let live = Arc::new(LiveState::new(EndpointId(0), Moment::START));
        let guards = [live.enter(), live.enter()];
        assert_eq!(live.in_flight(), 2);
        drop(guards);
        assert_eq!(live.in_flight(), 0);
    }

    #[test]
    fn a_verdict_keeps_its_age_while_reasons_come_and_go() {
        let live = LiveState::new(EndpointId(0), Moment::START);
        let later = Moment::START + std::time::Duration::from_secs(1);
        live.judge(later, Health::Unknown, Some(ProbeFailure::Refused), None);
        assert_eq!(live.verdict().since, Moment::START);
        live.judge(later, Health::Unhealthy, Some(ProbeFailure::Refused), None);
        assert_eq!((live.verdict().since, live.health()), (later, Health::Unhealthy));
    }

    #[test]
    fn its_registry_takes_it_out_and_brings_it_back() {
        let at = |s: u64| Moment::START + std::time::Duration::from_secs(s);
        let live = LiveState::new(EndpointId(0), Moment::START);
        let critical = |reason: &str| Advertised::Critical { reason: reason.into() };
        let reasons = [critical("TTL expired"), critical("TTL expired twice")];
        assert!(!live.is_vouched_for());
        assert!(!live.advertise(at(0), Some(&Advertised::Ready)) && live.is_vouched_for());
        assert!(!live.advertise(at(1), None) && live.is_eligible(at(1)));
        assert!(live.advertise(at(2), Some(&reasons[0])) && !live.is_eligible(at(2)));
        assert!(!live.advertise(at(3), Some(&reasons[1])));
        assert!(!live.is_vouched_for());
        let critical = Critical { reason: "TTL expired twice".into(), since: at(2) };
        assert_eq!(live.verdict().critical, Some(critical));
        assert!(live.advertise(at(4), None) && live.is_eligible(at(4)));
        assert_eq!((live.verdict().critical, live.healthy_since()), (None, at(4)));
    }

    #[test]
    fn a_suspicion_is_told_by_one_and_not_all_the_time() {
        let live = LiveState::new(EndpointId(0), Moment::START);
        let tell = |after| live.suspect(Moment::START + after, Moment::START + after + TELL_EVERY);
        let told = [0, 1, 99, 100, 150, 200].map(|ms| tell(std::time::Duration::from_millis(ms)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
