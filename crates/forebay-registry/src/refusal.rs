//! Why the registry does not do what it was asked. Every refusal says what helps.

use forebay_store::StoreError;
use thiserror::Error;

/// Why a request to the registry was refused. Nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No such instance is registered with this node.
    #[error("no instance {id:?} is registered with this node")]
    UnknownInstance {
        /// As asked for.
        id: Box<str>,
    },
    /// No such check is registered with this node.
    #[error("no check {id:?} is registered with this node")]
    UnknownCheck {
        /// As asked for.
        id: Box<str>,
    },
    /// Only TTL checks are reported to.
    #[error("check {id:?} is of kind {kind}, and only TTL checks are reported to")]
    WrongKind {
        /// As asked for.
        id: Box<str>,
        /// What it is.
        kind: &'static str,
    },
    /// The check's id is in use by somebody else.
    #[error("check id {id:?} belongs to {owner}")]
    CheckTaken {
        /// As asked for.
        id: Box<str>,
        /// Whose it is, in words.
        owner: Box<str>,
    },
    /// There is no room for another one.
    #[error("there may be {max} {what}")]
    TooMany {
        /// What there would be too many of, in the plural.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Something is not as it has to be.
    #[error("{field} {why}")]
    Invalid {
        /// What, as Consul's API spells it.
        field: &'static str,
        /// What is wrong with it; continues the field's name.
        why: Box<str>,
    },
}

impl Refusal {
    pub(crate) fn invalid(field: &'static str, why: impl Into<Box<str>>) -> Refusal {
        Refusal::Invalid { field, why: why.into() }
    }

    /// What the asker can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Refusal::UnknownInstance { .. } => {
                "register it first; an instance is known to the node it registered with"
            }
            Refusal::UnknownCheck { .. } => {
                "register it first; a check is known to the node it registered with"
            }
            Refusal::WrongKind { .. } => {
                "HTTP and TCP checks find out themselves; register a TTL check to report"
            }
            Refusal::CheckTaken { .. } => {
                "leave the check's id out, or give every instance's checks ids of their own"
            }
            Refusal::TooMany { .. } => "deregister what is not needed any more",
            Refusal::Invalid { .. } => "correct it and register again",
        }
    }

    /// The status of the HTTP answer.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::UnknownInstance { .. } | Refusal::UnknownCheck { .. } => 404,
            Refusal::CheckTaken { .. } => 409,
            Refusal::TooMany { .. } | Refusal::WrongKind { .. } | Refusal::Invalid { .. } => 400,
        }
    }
}

/// Why a change is not known to be kept.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It was refused; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It holds in memory, and the disk did not take it: after a restart it may be gone.
    #[error("the registry took it, and it could not be stored: a restart would forget it")]
    NotStored(#[source] std::sync::Arc<StoreError>),
}

impl RegistryError {
    /// What the asker can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            RegistryError::Refused(refusal) => refusal.help(),
            RegistryError::NotStored(_) => {
                "try again; if it stays so, look at the state directory's disk, and restart Forebay if its log says that the store failed"
            }
        }
    }

    /// The status of the HTTP answer.
    pub fn status(&self) -> u16 {
        match self {
            RegistryError::Refused(refusal) => refusal.status(),
            RegistryError::NotStored(_) => 503,
        }
    }
}
