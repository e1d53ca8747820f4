//! When HTTP and TCP checks are asked, and what the answers amount to. Never connects: a [`RegistryProbe`] does.
//!
//! - A new check is asked at once, so that an instance gets requests as soon as it can take them.
//! - Thresholds are Consul's: `success_before_passing` successes in a row, `failures_before_critical` failures in a row;
//!   a warning counts as a success.
//! - Intervals are jittered, so that fleets do not march in step.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;

use crate::check::{CheckId, CheckKind, CheckSpec, Status};
use crate::registry::Registry;

/// Each interval is longer or shorter by at most this share of itself.
const JITTER: f64 = 0.1;
/// What requests met at an address has its checks asked out of turn, but no sooner than this after the last answer: a
/// flood of failures must not become a flood of probes.
pub const SUSPECT_EVERY: Duration = Duration::from_millis(500);

/// Carries out probes.
pub trait RegistryProbe {
    /// Asks, within the check's timeout, and says what came of it. TTL checks are never given.
    fn probe(&self, order: &ProbeOrder) -> impl Future<Output = ProbeAnswer>;
}

/// A probe to be made. Exactly one answer is owed for each.
#[derive(Clone, Debug)]
pub struct ProbeOrder {
    /// Whose it is; to be given back with the answer.
    pub id: ProbeId,
    /// What to do.
    pub kind: CheckKind,
}

/// Names a probe under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeId {
    /// The check.
    pub check: CheckId,
    number: u64,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// How it is.
    pub status: Status,
    /// In which words.
    pub output: Box<str>,
}

impl ProbeAnswer {
    /// What a probe amounts to that did not end in time.
    pub fn timed_out(timeout: Duration) -> ProbeAnswer {
        ProbeAnswer { status: Status::Critical, output: format!("timed out after {timeout:?}").into() }
    }
}

impl Registry {
    /// A probe that is due, if there is one; the check that has waited longest first.
    pub fn pop_probe(&mut self, now: Moment) -> Option<ProbeOrder> {
        let id = self.probes.pop(now)?;
        let kind = self.check(&id)?.0.spec.kind.clone();
        self.orders += 1;
        self.probing.insert(Arc::clone(&id), self.orders);
        Some(ProbeOrder { id: ProbeId { check: id, number: self.orders }, kind })
    }

    /// Takes an answer. One that comes after its check was deregistered, registered anew included, is ignored.
    pub fn probed(&mut self, now: Moment, id: &ProbeId, answer: ProbeAnswer, rng: &mut fastrand::Rng) {
        if self.probing.get(&id.check) != Some(&id.number) {
            return;
        }
        self.probing.remove(&id.check);
        let Some(check) = self.check_mut(&id.check) else { return };
        let interval = check.spec.kind.interval();
        check.answered = Some(now);
        check.due = now + interval.mul_f64(1.0 + JITTER * (2.0 * rng.f64() - 1.0));
        let is_success = answer.status != Status::Critical;
        check.streak = match (is_success, check.streak) {
            (true, before) => before.max(0).saturating_add(1),
            (false, before) => before.min(0).saturating_sub(1),
        };
        let status = verdict(check.streak, answer.status, &check.spec);
        if let Some(status) = status {
            self.hear(now, &id.check, status, &answer.output);
        }
        self.schedule(&id.check);
        self.indexes.settle();
    }

    /// Requests could not connect to this address: the checks of what answers there are asked at once.
    pub fn suspect(&mut self, now: Moment, address: SocketAddr) {
        let Some(instances) = self.addresses.get(&address) else { return };
        let checks: Vec<CheckId> = instances
            .iter()
            .filter_map(|id| self.me.instances.get(id))
            .flat_map(|instance| instance.checks.values())
            .filter(|check| check.spec.kind.is_probed())
            .map(|check| Arc::clone(&check.id))
            .collect();
        for id in checks {
            let Some(check) = self.check_mut(&id) else { continue };
            let soonest = check.answered.map_or(now, |answered| (answered + SUSPECT_EVERY).max(now));
            check.due = check.due.min(soonest);
            self.schedule(&id);
        }
    }
}

/// What a check's status becomes; `None` when thresholds say to wait.
fn verdict(streak: i32, answer: Status, spec: &CheckSpec) -> Option<Status> {
    let count = streak.unsigned_abs();
    if answer != Status::Critical {
        return (count >= u32::from(spec.successes_before_passing)).then_some(answer);
    }
    let critical = u32::from(spec.failures_before_critical);
    let warning = match spec.failures_before_warning {
        0 => critical,
        count => u32::from(count),
    };
    if count >= critical {
        return Some(Status::Critical);
    }
    (count >= warning).then_some(Status::Warning)
}
