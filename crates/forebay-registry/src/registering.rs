//! Registering and deregistering, on this node. The same registration again changes nothing, and renews nothing either:
//! only a check's own report says that somebody is alive.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::check::{Check, CheckId, CheckSpec, Status};
use crate::checking::{CHECKS_MAX, INSTANCES_MAX, check_registration, check_spec};
use crate::instance::{Instance, Registration};
use crate::refusal::Refusal;
use crate::registry::{Due, Place, Registry};

impl Registry {
    /// Registers an instance, or changes one. Checks that it had and that are named again keep what they found out;
    /// those that are not named stay, unless the registration replaces them.
    pub fn register(&mut self, now: Moment, mut registration: Registration) -> Result<(), Refusal> {
        check_registration(&registration)?;
        let id = registration.id.clone().unwrap_or_else(|| Arc::clone(&registration.service));
        let specs = named(&id, &registration.service, std::mem::take(&mut registration.checks))?;
        let replace_checks = std::mem::take(&mut registration.replace_checks);
        registration.id = Some(Arc::clone(&id));
        let place = Place::Instance(Arc::clone(&id));
        specs.keys().try_for_each(|check| self.is_free(check, &place))?;
        let was = self.me.instances.get(&id);
        if was.is_none() && self.me.instances.len() >= INSTANCES_MAX {
            return Err(Refusal::TooMany { what: "instances of a node", max: INSTANCES_MAX });
        }
        let had = was.map(|was| was.checks.clone()).unwrap_or_default();
        let is_gone = |check: &CheckId| replace_checks && !specs.contains_key(check);
        let gone: Vec<CheckId> = had.keys().filter(|check| is_gone(check)).cloned().collect();
        let index = self.indexes.coming();
        let mut checks = had.clone();
        checks.retain(|check, _| !is_gone(check));
        for (check, spec) in specs {
            let check = made(now, index, check.clone(), spec, had.get(&check));
            checks.insert(Arc::clone(&check.id), check);
        }
        if checks.len() > CHECKS_MAX {
            return Err(Refusal::TooMany { what: "checks of an instance", max: CHECKS_MAX });
        }
        if was.is_some_and(|was| was.registration == registration) && checks == had {
            return Ok(());
        }
        let instance = Instance {
            node: Arc::clone(&self.me.name),
            id: Arc::clone(&id),
            maintenance: was.and_then(|was| was.maintenance.clone()),
            create_index: was.map_or(index, |was| was.create_index),
            modify_index: index,
            registration,
            checks,
        };
        gone.iter().for_each(|check| self.forget_check(check));
        let ids: Vec<CheckId> = instance.checks.keys().cloned().collect();
        for (id, check) in &instance.checks {
            self.forget_answer_to_another(had.get(id), check);
        }
        let me = Arc::clone(&self.me_key);
        self.replace(&me, &id, Some(instance));
        for check in ids {
            self.places.insert(Arc::clone(&check), place.clone());
            self.schedule(&check);
        }
        self.indexes.settle();
        Ok(())
    }

    /// Deregisters an instance with its checks.
    pub fn deregister(&mut self, _now: Moment, id: &str) -> Result<(), Refusal> {
        let found = self.me.instances.get(id);
        let instance = found.ok_or_else(|| Refusal::UnknownInstance { id: id.into() })?;
        let (id, checks) = (Arc::clone(&instance.id), instance.checks.keys().cloned().collect::<Vec<_>>());
        checks.iter().for_each(|check| self.forget_check(check));
        let me = Arc::clone(&self.me_key);
        self.replace(&me, &id, None);
        self.indexes.settle();
        Ok(())
    }

    /// Registers a check of an instance, or of the node. Its id is its name when it has none.
    pub fn register_check(
        &mut self,
        now: Moment,
        mut spec: CheckSpec,
        instance: Option<&str>,
    ) -> Result<CheckId, Refusal> {
        if spec.id.is_none() && !spec.name.is_empty() {
            spec.id = Some(spec.name.as_ref().into());
        }
        check_spec(&spec)?;
        let Some(id) = spec.id.clone() else { return Err(Refusal::invalid("Name", "is missing")) };
        if spec.name.is_empty() {
            spec.name = id.as_ref().into();
        }
        let (place, checks) = match instance {
            None => (Place::Node, &self.me.checks),
            Some(instance) => {
                let found = self.me.instances.get(instance);
                let found = found.ok_or_else(|| Refusal::UnknownInstance { id: instance.into() })?;
                (Place::Instance(Arc::clone(&found.id)), &found.checks)
            }
        };
        self.is_free(&id, &place)?;
        let had = checks.get(&id);
        if had.is_none() && checks.len() >= CHECKS_MAX {
            return Err(Refusal::TooMany { what: "checks of one instance or node", max: CHECKS_MAX });
        }
        if had.is_some_and(|had| had.spec == spec) {
            return Ok(id);
        }
        let had = had.cloned();
        let check = made(now, self.indexes.coming(), Arc::clone(&id), spec, had.as_ref());
        self.forget_answer_to_another(had.as_ref(), &check);
        let checks = match &place {
            Place::Node => Some(&mut self.me.checks),
            Place::Instance(instance) => self.me.instances.get_mut(instance).map(|found| &mut found.checks),
        };
        checks.map(|checks| checks.insert(Arc::clone(&id), check));
        self.touch_check(&place);
        self.places.insert(Arc::clone(&id), place);
        self.schedule(&id);
        self.indexes.settle();
        Ok(id)
    }

    /// Deregisters a check of the node or of an instance.
    pub fn deregister_check(&mut self, _now: Moment, id: &str) -> Result<(), Refusal> {
        let found = self.places.get_key_value(id).map(|(id, place)| (Arc::clone(id), place.clone()));
        let (id, place) = found.ok_or_else(|| Refusal::UnknownCheck { id: id.into() })?;
        match &place {
            Place::Node => drop(self.me.checks.remove(&id)),
            Place::Instance(instance) => {
                if let Some(instance) = self.me.instances.get_mut(instance) {
                    instance.checks.remove(&id);
                }
            }
        }
        self.forget_check(&id);
        self.touch_check(&place);
        self.indexes.settle();
        Ok(())
    }

    /// An id in use elsewhere is refused: moved, it would leave an instance that nothing vouches for.
    fn is_free(&self, id: &CheckId, place: &Place) -> Result<(), Refusal> {
        match self.places.get(id) {
            Some(other) if other != place => {
                let owner = match other {
                    Place::Node => "the node itself".into(),
                    Place::Instance(instance) => format!("instance {instance:?}").into(),
                };
                Err(Refusal::CheckTaken { id: id.as_ref().into(), owner })
            }
            _ => Ok(()),
        }
    }

    /// Writes down when something happens to a check by itself. Forgets what was written before.
    pub(crate) fn schedule(&mut self, id: &CheckId) {
        let Some((check, instance)) = self.check(id) else { return };
        let after = check.spec.deregister_after.filter(|_| instance.is_some());
        let removal = check.critical_since.zip(after).map_or(Moment::NEVER, |(since, after)| since + after);
        let words = if check.untold { check.quiet_until } else { Moment::NEVER };
        let (due, is_probed) = (check.due, check.spec.kind.is_probed());
        let is_probing = self.probing.contains_key(id);
        self.due.set(Due::Removal(Arc::clone(id)), removal);
        self.due.set(Due::Words(Arc::clone(id)), words);
        self.due.set(Due::Silence(Arc::clone(id)), if is_probed { Moment::NEVER } else { due });
        let is_asked = is_probed && !is_probing;
        self.probes.set(Arc::clone(id), if is_asked { due } else { Moment::NEVER });
    }

    /// An answer that is on its way to what a check asked before says nothing of what it asks now.
    fn forget_answer_to_another(&mut self, had: Option<&Check>, check: &Check) {
        if had.is_some_and(|had| had.spec.kind != check.spec.kind) {
            self.probing.remove(&check.id);
        }
    }

    /// Nothing happens to this check any more.
    pub(crate) fn forget_check(&mut self, id: &CheckId) {
        self.places.remove(id);
        self.probing.remove(id);
        self.probes.cancel(id);
        for due in [Due::Removal(Arc::clone(id)), Due::Words(Arc::clone(id)), Due::Silence(Arc::clone(id))] {
            self.due.cancel(&due);
        }
    }
}

/// Gives every check an id and a name, as Consul does.
fn named(
    id: &Arc<str>,
    service: &Arc<str>,
    specs: Vec<CheckSpec>,
) -> Result<BTreeMap<CheckId, CheckSpec>, Refusal> {
    let count = specs.len();
    let mut named = BTreeMap::new();
    for (number, mut spec) in (1..).zip(specs) {
        let given = spec.id.take().unwrap_or_else(|| match count {
            1 => format!("service:{id}").into(),
            _ => format!("service:{id}:{number}").into(),
        });
        if spec.name.is_empty() {
            spec.name = format!("Service '{service}' check").into();
        }
        spec.id = Some(Arc::clone(&given));
        if named.insert(Arc::clone(&given), spec).is_some() {
            return Err(Refusal::invalid("CheckID", format!("{given:?} is there twice")));
        }
    }
    Ok(named)
}

/// A check as it is when registered: one that was there keeps what it found out.
fn made(now: Moment, index: u64, id: CheckId, spec: CheckSpec, had: Option<&Check>) -> Check {
    let due = if spec.kind.is_probed() { now } else { now + spec.kind.interval() };
    match had {
        Some(had) if had.spec == spec => had.clone(),
        Some(had) => {
            let due = if had.spec.kind == spec.kind { had.due } else { due };
            Check { id, spec, due, streak: 0, modify_index: index, ..had.clone() }
        }
        None => Check {
            status: spec.status,
            output: "".into(),
            due,
            answered: None,
            critical_since: (spec.status == Status::Critical).then_some(now),
            streak: 0,
            quiet_until: now,
            untold: false,
            create_index: index,
            modify_index: index,
            id,
            spec,
        },
    }
}
