//! Which services there are, who belongs to each, and with which tags. Decides when that list is another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::indexes::{folded, folded_arc};
use crate::instance::Registration;

/// An instance everywhere: the folded name of its node, and its id there.
pub type Member = (Arc<str>, Arc<str>);

/// Services by folded name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services(BTreeMap<Arc<str>, Service>);

#[derive(Clone, Debug)]
struct Service {
    /// As the first who registered spelled it.
    name: Arc<str>,
    members: BTreeSet<Member>,
    /// How many instances have each tag.
    tags: BTreeMap<Box<str>, usize>,
}

/// What came of a change.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// There are other services or other tags than before.
    pub(crate) changed: bool,
    /// This service has no instance any more.
    pub(crate) gone: Option<Arc<str>>,
}

impl Services {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, BTreeSet<&str>)> {
        self.0.values().map(|service| (&service.name, service.tags.keys().map(|tag| &**tag).collect()))
    }

    /// By node, then id.
    pub(crate) fn members(&self, service: &str) -> impl Iterator<Item = &Member> {
        self.0.get(&*folded(service)).into_iter().flat_map(|service| &service.members)
    }

    /// An instance that was `old` is now `new`.
    pub(crate) fn change(
        &mut self,
        member: &Member,
        old: Option<&Registration>,
        new: Option<&Registration>,
    ) -> Listed {
        let mut listed = Listed::default();
        let same = old.zip(new).is_some_and(|(old, new)| folded(&old.service) == folded(&new.service));
        if same {
            self.adjust(member, old, new, &mut listed);
        } else {
            self.adjust(member, old, None, &mut listed);
            self.adjust(member, None, new, &mut listed);
        }
        listed
    }

    /// For a service of which both are, if they are.
    fn adjust(
        &mut self,
        member: &Member,
        old: Option<&Registration>,
        new: Option<&Registration>,
        listed: &mut Listed,
    ) {
        let Some(registration) = new.or(old) else { return };
        let name = folded_arc(&registration.service);
        let is_new = !self.0.contains_key(&name);
        let service = self.0.entry(Arc::clone(&name)).or_insert_with(|| Service {
            name: Arc::clone(&registration.service),
            members: BTreeSet::new(),
            tags: BTreeMap::new(),
        });
        let tags = |registration: Option<&Registration>| {
            registration.map(|registration| registration.tags.clone()).unwrap_or_default()
        };
        let (old_tags, new_tags) = (tags(old), tags(new));
        if old_tags != new_tags {
            let all: BTreeSet<&str> = old_tags.iter().chain(&new_tags).map(|tag| &**tag).collect();
            let had: Vec<bool> = all.iter().map(|tag| service.tags.contains_key(*tag)).collect();
            for tag in &new_tags {
                *service.tags.entry(tag.clone()).or_default() += 1;
            }
            for tag in &old_tags {
                if let Some(count) = service.tags.get_mut(tag) {
                    *count -= 1;
                }
            }
            service.tags.retain(|_, count| *count > 0);
            listed.changed |= all.iter().zip(had).any(|(tag, had)| service.tags.contains_key(*tag) != had);
        }
        listed.changed |= is_new;
        if new.is_some() {
            service.members.insert(member.clone());
        } else {
            service.members.remove(member);
        }
        if service.members.is_empty() {
            self.0.remove(&name);
            listed.changed = true;
            listed.gone = Some(name);
        }
    }
}
