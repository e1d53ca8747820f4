//! What instances and people say, and what silence says. Decides when a check's status changes and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;

use crate::check::{CheckId, CheckKind, Status, kept};
use crate::indexes::folded_arc;
use crate::instance::Declared;
use crate::refusal::Refusal;
use crate::registry::{Due, Registry};
use crate::topic::Topic;

/// How often other words alone are told, stored and counted: an instance that reports the time of day must not wake
/// everybody at every report. Consul's `check_update_interval` is the same idea, with 5 minutes.
pub const WORDS_EVERY: Duration = Duration::from_secs(60);
/// The longest reason for maintenance that is kept.
const REASON_BYTES_MAX: usize = 512;

/// What a TTL check says when nobody reported to it; the words are Consul's.
const EXPIRED: &str = "TTL expired";

impl Registry {
    /// An instance reports to a TTL check, which renews its lease.
    pub fn report(&mut self, now: Moment, check: &str, status: Status, output: &str) -> Result<(), Refusal> {
        let Some(found) = self.check_mut(check) else {
            return Err(Refusal::UnknownCheck { id: check.into() });
        };
        let CheckKind::Ttl(ttl) = found.spec.kind else {
            return Err(Refusal::WrongKind { id: check.into(), kind: found.spec.kind.text() });
        };
        found.due = now + ttl;
        let (id, due) = (Arc::clone(&found.id), found.due);
        if !self.hear(now, &id, status, output) {
            // Nothing else is due otherwise: the usual case, five hundred times a second.
            self.due.set(Due::Silence(id), due);
        }
        self.indexes.settle();
        Ok(())
    }

    /// An instance says how it stands.
    pub fn declare(&mut self, _now: Moment, id: &str, declared: Declared) -> Result<(), Refusal> {
        let index = self.indexes.coming();
        let Some(instance) = self.me.instances.get_mut(id) else {
            return Err(Refusal::UnknownInstance { id: id.into() });
        };
        if instance.registration.declared == declared {
            return Ok(());
        }
        instance.registration.declared = declared;
        instance.modify_index = index;
        self.touch_instance(id, false);
        self.indexes.settle();
        Ok(())
    }

    /// A person takes an instance out, or the node with all its instances; or, without a reason, back in.
    pub fn maintain(
        &mut self,
        _now: Moment,
        instance: Option<&str>,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let reason: Option<Box<str>> =
            reason.map(|reason| reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].into());
        let index = self.indexes.coming();
        match instance {
            None => {
                if self.me.maintenance == reason {
                    return Ok(());
                }
                (self.me.maintenance, self.me.modify_index) = (reason, index);
                self.effects.node = true;
                let key = Arc::clone(&self.me_key);
                self.touch_whole_node(&key);
            }
            Some(id) => {
                let Some(found) = self.me.instances.get_mut(id) else {
                    return Err(Refusal::UnknownInstance { id: id.into() });
                };
                if found.maintenance == reason {
                    return Ok(());
                }
                (found.maintenance, found.modify_index) = (reason, index);
                self.touch_instance(id, true);
            }
        }
        self.indexes.settle();
        Ok(())
    }

    /// Does what time alone brings about: silent TTL checks turn critical, instances that have been critical for too
    /// long go. Each once.
    pub fn lapse(&mut self, now: Moment) {
        while let Some(due) = self.due.pop(now) {
            match due {
                Due::Silence(id) => {
                    let Some(check) = self.check_mut(&id) else { continue };
                    check.due = Moment::NEVER;
                    let output = match &*check.output {
                        "" => EXPIRED.to_owned(),
                        last if last.starts_with(EXPIRED) => last.to_owned(),
                        last => format!("{EXPIRED} (last output before timeout follows): {last}"),
                    };
                    self.hear(now, &id, Status::Critical, &output);
                }
                Due::Removal(id) => {
                    let instance = self.check(&id).and_then(|(_, instance)| instance);
                    if let Some(instance) = instance.map(|instance| Arc::clone(&instance.id)) {
                        // It is there: it was found a line ago.
                        let _ = self.deregister(now, &instance);
                    }
                }
                Due::Words(id) => {
                    let coming = self.indexes.coming();
                    let Some(check) = self.check_mut(&id) else { continue };
                    (check.untold, check.quiet_until, check.modify_index) =
                        (false, now + WORDS_EVERY, coming);
                    self.touch_check_of(&id);
                }
            }
            self.indexes.settle();
        }
    }

    /// A check says this now. Whether anything changed that is told at once, or a moment was written down for later.
    pub(crate) fn hear(&mut self, now: Moment, id: &CheckId, status: Status, output: &str) -> bool {
        let coming = self.indexes.coming();
        let Some(check) = self.check_mut(id) else { return false };
        let is_other = check.status != status;
        let output = kept(output);
        if !is_other && check.output == output {
            return false;
        }
        check.output = output;
        if is_other {
            check.status = status;
            check.critical_since = (status == Status::Critical).then_some(now);
        }
        check.untold = !is_other && now < check.quiet_until;
        if check.untold {
            self.schedule(id);
            return true;
        }
        check.quiet_until = now + WORDS_EVERY;
        check.modify_index = coming;
        self.touch_check_of(id);
        self.schedule(id);
        true
    }

    fn touch_check_of(&mut self, id: &CheckId) {
        if let Some(place) = self.places.get(id).cloned() {
            self.touch_check(&place);
        }
    }

    /// An instance of ours, apart from its checks, has changed in place.
    fn touch_instance(&mut self, id: &str, is_checks: bool) {
        let Some(instance) = self.me.instances.get(id) else { return };
        let (id, service) = (Arc::clone(&instance.id), folded_arc(&instance.registration.service));
        self.touch_member(&service, &(Arc::clone(&self.me_key), Arc::clone(&id)));
        self.effects.instances.insert(id);
        self.indexes.touch(Topic::Node(Arc::clone(&self.me_key)));
        if is_checks {
            self.indexes.touch(Topic::Checks);
        }
    }
}
