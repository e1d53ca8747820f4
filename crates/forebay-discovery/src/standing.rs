//! How far a source can be believed at present, in words for those who run it and in words for strangers.

use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;

use crate::answer::ResolveFailure;
use crate::pushed::Instances;

/// How far a source can be believed at present, whether it is looked up or a registry tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An address in the configuration: nothing to look up.
    Static,
    /// Never answered yet.
    Unresolved {
        /// Why the latest lookup failed, once one has.
        failure: Option<ResolveFailure>,
    },
    /// The latest lookup was answered.
    Fresh {
        /// When.
        answered: Moment,
    },
    /// The latest lookup failed and the last good answer serves.
    Stale {
        /// When the last good answer came.
        answered: Moment,
        /// Why the latest lookup failed.
        failure: ResolveFailure,
    },
    /// Lookups failed for so long that the last good answer was given up.
    GivenUp {
        /// When the last good answer came.
        answered: Moment,
        /// Why the latest lookup failed.
        failure: ResolveFailure,
    },
    /// The registry has said nothing yet.
    Unheard,
    /// The registry tells of every change.
    Told {
        /// Whom it knows.
        instances: Instances,
    },
    /// The registry cannot know what has changed, and what it knew serves.
    Outdated {
        /// Whom it knew.
        instances: Instances,
        /// When that was last known to be true.
        confirmed: Moment,
        /// What keeps it from knowing.
        failure: Arc<str>,
    },
}

impl Standing {
    /// In words, with ages as of `now`; also the reason to give when a service has no endpoint.
    pub fn describe(&self, now: Moment) -> String {
        let age = |answered: &Moment| Duration::from_secs(now.since(*answered).as_secs());
        match self {
            Standing::Static => "written in the configuration".into(),
            Standing::Unresolved { failure: None } => "not looked up yet".into(),
            Standing::Unresolved { failure: Some(failure) } => format!("never answered: {failure}"),
            Standing::Fresh { answered } => format!("answered {:?} ago", age(answered)),
            Standing::Stale { answered, failure } => {
                format!("keeps its answer of {:?} ago: {failure}", age(answered))
            }
            Standing::GivenUp { answered, failure } => {
                format!("gave up its answer of {:?} ago: {failure}", age(answered))
            }
            Standing::Unheard => "not heard from yet".into(),
            Standing::Told { instances } => instances.to_string(),
            Standing::Outdated { instances, confirmed, failure } => {
                format!("{instances}, as of {:?} ago: {failure}", age(confirmed))
            }
        }
    }

    /// Whether somebody should look why.
    pub fn is_trouble(&self) -> bool {
        match self {
            Standing::Static | Standing::Fresh { .. } | Standing::Unheard | Standing::Told { .. } => false,
            Standing::Unresolved { failure } => failure.is_some(),
            Standing::Stale { .. } | Standing::GivenUp { .. } | Standing::Outdated { .. } => true,
        }
    }

    /// Why a service that has nothing else has no endpoint, in words for strangers: no names, no addresses. `None` when it
    /// does have some.
    pub fn absence(&self) -> Option<&'static str> {
        match self {
            Standing::Static | Standing::Stale { .. } => None,
            Standing::Unresolved { failure: None } => Some("its DNS name has not been looked up yet"),
            Standing::Unresolved { failure: Some(failure) } | Standing::GivenUp { failure, .. } => {
                Some(failure.public())
            }
            Standing::Fresh { .. } => Some("the file or name that lists its endpoints lists none"),
            Standing::Unheard => Some("the registry has not been heard from yet"),
            Standing::Told { instances } | Standing::Outdated { instances, .. } => {
                match instances.endpoints() {
                    0 if instances.all() == 0 => Some("no instance of it is registered"),
                    0 => Some("all its registered instances are starting, draining or in maintenance"),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn strangers_hear_why_there_is_no_endpoint_and_no_names() {
        let answered = Moment::START;
        let name: Box<str> = "orders.internal".into();
        let server: Box<str> = "10.0.0.53:53".into();
        let failures = [
            ResolveFailure::NoSuchName { name: name.clone() },
            ResolveFailure::NoRecords { name: name.clone(), kind: "SRV" },
            ResolveFailure::Refused { name: name.clone(), server: server.clone(), code: "SERVFAIL".into() },
            ResolveFailure::TimedOut { name: name.clone(), within: Duration::from_secs(5) },
            ResolveFailure::Unreachable { server: server.clone(), reason: "Connection refused".into() },
            ResolveFailure::Malformed { name, server },
            ResolveFailure::File {
                path: Path::new("/etc/orders.json").into(),
                problem: "is not JSON".into(),
            },
            ResolveFailure::NoServer,
        ];
        let mut seen = String::new();
        let draining = Instances { draining: 2, ..Instances::default() };
        let others = [
            Standing::Unresolved { failure: None },
            Standing::Fresh { answered },
            Standing::Unheard,
            Standing::Told { instances: Instances::default() },
            Standing::Told { instances: draining },
        ];
        let denied = failures.map(|failure| Standing::Unresolved { failure: Some(failure) });
        for standing in denied.into_iter().chain(others) {
            seen += &format!("{}\n", standing.absence().unwrap());
        }
        assert_eq!(seen, include_str!("absences.golden"), "\n{seen}");
        let ready = Instances { ready: 1, ..Instances::default() };
        assert_eq!(Standing::Told { instances: ready }.absence(), None);
    }
}
