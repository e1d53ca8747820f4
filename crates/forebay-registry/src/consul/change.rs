//! What clients change: read here, without touching anything, then carried out.

use std::sync::Arc;

use super::options::flag;
use super::refused::Refused;
use super::registration::{self, CheckRegistration};
use super::routes::Call;
use crate::check::Status;
use crate::handle::Handle;
use crate::instance::Registration;
use crate::refusal::{Refusal, RegistryError};

/// What a person sees of an instance in maintenance for which nobody gave a reason.
const NO_REASON: &str = "taken out for maintenance; no reason was given";

/// One change to what is registered with this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Register(Box<Registration>),
    Deregister {
        id: String,
    },
    RegisterCheck(Box<CheckRegistration>),
    DeregisterCheck {
        id: String,
    },
    Report {
        check: String,
        status: Status,
        output: String,
    },
    /// Without an instance it is the node; without a reason it is over.
    Maintain {
        instance: Option<String>,
        reason: Option<String>,
    },
}

pub(crate) fn register(call: &Call<'_>) -> Result<Change, Refused> {
    let replace_checks = flag(&call.asked.query, "replace-existing-checks")?;
    registration::service(&call.asked.body, replace_checks).map(Box::new).map(Change::Register)
}

pub(crate) fn deregister(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(Change::Deregister { id: call.name.clone() })
}

pub(crate) fn register_check(call: &Call<'_>) -> Result<Change, Refused> {
    registration::check(&call.asked.body).map(Box::new).map(Change::RegisterCheck)
}

pub(crate) fn deregister_check(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(Change::DeregisterCheck { id: call.name.clone() })
}

pub(crate) fn pass(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(report(call, Status::Passing))
}

pub(crate) fn warn(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(report(call, Status::Warning))
}

pub(crate) fn fail(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(report(call, Status::Critical))
}

fn report(call: &Call<'_>, status: Status) -> Change {
    let output = call.asked.query.first("note").unwrap_or_default().to_owned();
    Change::Report { check: call.name.clone(), status, output }
}

pub(crate) fn update(call: &Call<'_>) -> Result<Change, Refused> {
    let (status, output) = registration::update(&call.asked.body)?;
    Ok(Change::Report { check: call.name.clone(), status, output })
}

pub(crate) fn maintain_instance(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(Change::Maintain { instance: Some(call.name.clone()), reason: reason(call)? })
}

pub(crate) fn maintain_node(call: &Call<'_>) -> Result<Change, Refused> {
    Ok(Change::Maintain { instance: None, reason: reason(call)? })
}

fn reason(call: &Call<'_>) -> Result<Option<String>, Refused> {
    if call.asked.query.first("enable").unwrap_or_default().is_empty() {
        return Err(Refused::bad("?enable is missing: write ?enable=true, or ?enable=false to end it"));
    }
    let reason = call.asked.query.first("reason").filter(|reason| !reason.is_empty()).unwrap_or(NO_REASON);
    Ok(flag(&call.asked.query, "enable")?.then(|| reason.to_owned()))
}

/// Carries it out; once this returns, a restart does not forget it, but for reports, which come again.
pub(crate) async fn carry_out(handle: &Handle, change: Change) -> Result<(), Refused> {
    let done = match change {
        Change::Register(registration) => {
            handle.write(|registry, now| registry.register(now, *registration)).await
        }
        Change::Deregister { id } => handle.write(|registry, now| registry.deregister(now, &id)).await,
        Change::RegisterCheck(check) => {
            let CheckRegistration { spec, instance } = *check;
            let registered =
                handle.write(|registry, now| registry.register_check(now, spec, instance.as_deref())).await;
            registered.map(|_: Arc<str>| ())
        }
        Change::DeregisterCheck { id } => {
            handle.write(|registry, now| registry.deregister_check(now, &id)).await
        }
        Change::Report { check, status, output } => handle
            .touch(|registry, now| registry.report(now, &check, status, &output))
            .map_err(RegistryError::Refused),
        Change::Maintain { instance, reason } => {
            handle.write(|registry, now| registry.maintain(now, instance.as_deref(), reason.as_deref())).await
        }
    };
    done.map_err(Refused::from)
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Refused {
        let text = match &error {
            // Clients tell these from a path that does not exist by their first words.
            RegistryError::Refused(Refusal::UnknownInstance { id }) => {
                format!("Unknown service ID {id:?}; {}", error.help())
            }
            RegistryError::Refused(Refusal::UnknownCheck { id }) => {
                format!("Unknown check ID {id:?}; {}", error.help())
            }
            error => format!("{error}; {}", error.help()),
        };
        Refused::new(error.status(), text)
    }
}
