//! Definitions of checks as Consul's clients write them. Kinds of checks that Forebay does not run are refused by name.

use std::collections::BTreeMap;
use std::time::Duration;

use super::refused::Refused;
use crate::check::{CheckKind, CheckSpec, HttpCheck, Status, TcpCheck};
use crate::fields::{BadBody, Fields};

/// As Consul has it.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// As Consul has it: a shorter interval becomes this one.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// As Consul has it: an instance is not given up sooner.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
/// More results in a row than anybody waits for.
const STREAK_MAX: u32 = 1000;
/// Fields of kinds of checks that are not run here, with what they are for.
const FOREIGN_TEXTS: [(&str, &str); 8] = [
    ("GRPC", "gRPC checks"),
    ("H2PING", "HTTP/2 ping checks"),
    ("UDP", "UDP checks"),
    ("OSService", "checks of operating-system services"),
    ("AliasNode", "alias checks"),
    ("AliasService", "alias checks"),
    ("DockerContainerID", "checks inside containers"),
    ("Script", "script checks"),
];

/// A check as it is written, each field by itself.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    notes: String,
    status: String,
    ttl: Option<Duration>,
    http: String,
    method: String,
    header: BTreeMap<Box<str>, Vec<Box<str>>>,
    body: String,
    disable_redirects: bool,
    tls_skip_verify: bool,
    tls_server_name: String,
    tcp: String,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    deregister_after: Option<Duration>,
    successes_before_passing: u16,
    failures_before_warning: u16,
    failures_before_critical: u16,
}

impl Definition {
    /// Takes every field of a check but `Name`, which stands for other things in other places.
    pub(crate) fn read(fields: &mut Fields) -> Result<Definition, Refused> {
        refuse_foreign(fields)?;
        // Output is bounded anyway.
        fields.count("OutputMaxSize", u32::MAX)?;
        let id = [fields.text("CheckID")?, fields.text("ID")?].into_iter().find(|id| !id.is_empty());
        Ok(Definition {
            id,
            name: String::new(),
            notes: fields.text("Notes")?,
            status: fields.text("Status")?,
            ttl: positive(fields.duration("TTL")?),
            http: fields.text("HTTP")?,
            method: fields.text("Method")?,
            header: fields.texts_map("Header")?,
            body: fields.text("Body")?,
            disable_redirects: fields.flag("DisableRedirects")?,
            tls_skip_verify: fields.flag("TLSSkipVerify")?,
            tls_server_name: fields.text("TLSServerName")?,
            tcp: fields.text("TCP")?,
            interval: positive(fields.duration("Interval")?),
            timeout: positive(fields.duration("Timeout")?),
            deregister_after: positive(fields.duration("DeregisterCriticalServiceAfter")?),
            successes_before_passing: streak(fields, "SuccessBeforePassing")?,
            failures_before_warning: streak(fields, "FailuresBeforeWarning")?,
            failures_before_critical: streak(fields, "FailuresBeforeCritical")?,
        })
    }

    /// What it comes to.
    pub(crate) fn spec(self) -> Result<CheckSpec, Refused> {
        let status = match self.status.as_str() {
            "" => Status::Critical,
            text => Status::parse(text).ok_or_else(|| {
                let help = "write \"passing\", \"warning\" or \"critical\"";
                Refused::bad(format!("a check's Status {text:?} is none; {help}"))
            })?,
        };
        let deregister_after = self.deregister_after.map(|after| after.max(DEREGISTER_AFTER_MIN));
        let notes = self.notes.as_str().into();
        Ok(CheckSpec {
            id: self.id.as_deref().map(Into::into),
            name: self.name.as_str().into(),
            notes,
            status,
            deregister_after,
            successes_before_passing: self.successes_before_passing,
            failures_before_warning: self.failures_before_warning,
            failures_before_critical: self.failures_before_critical,
            kind: self.kind()?,
        })
    }

    fn kind(self) -> Result<CheckKind, Refused> {
        let name = &self.name;
        let kinds = [self.ttl.is_some(), !self.http.is_empty(), !self.tcp.is_empty()];
        if kinds.iter().filter(|given| **given).count() != 1 {
            return Err(Refused::bad(format!("the check {name:?} must have one of TTL, HTTP and TCP")));
        }
        if let Some(ttl) = self.ttl {
            return match self.interval {
                None => Ok(CheckKind::Ttl(ttl)),
                Some(_) => {
                    Err(Refused::bad(format!("the check {name:?} has both TTL and Interval; it takes one")))
                }
            };
        }
        let Some(interval) = self.interval else {
            return Err(Refused::bad(format!("the check {name:?} needs an Interval, such as \"10s\"")));
        };
        let interval = interval.max(INTERVAL_MIN);
        let timeout = self.timeout.unwrap_or(TIMEOUT_DEFAULT);
        if !self.tcp.is_empty() {
            return Ok(CheckKind::Tcp(TcpCheck { address: self.tcp.into(), interval, timeout }));
        }
        Ok(CheckKind::Http(HttpCheck {
            url: self.http.into(),
            method: if self.method.is_empty() { "GET".into() } else { self.method.into() },
            header: self.header,
            body: self.body.into(),
            interval,
            timeout,
            follows_redirects: !self.disable_redirects,
            tls_skip_verify: self.tls_skip_verify,
            tls_server_name: self.tls_server_name.into(),
        }))
    }
}

/// Consul's larger editions have several of each; here there is one.
pub(crate) fn refuse_places(fields: &mut Fields) -> Result<(), Refused> {
    for name in ["Namespace", "Partition"] {
        let named = fields.text(name)?;
        if !matches!(named.as_str(), "" | "default") {
            return Err(Refused::bad(format!("there is no {name} {named:?}; the only one is \"default\"")));
        }
    }
    Ok(())
}

fn refuse_foreign(fields: &mut Fields) -> Result<(), Refused> {
    for name in ["Args", "ScriptArgs"] {
        if !fields.texts(name)?.is_empty() {
            return Err(foreign(name, "script checks"));
        }
    }
    for (name, what) in FOREIGN_TEXTS {
        if !fields.text(name)?.is_empty() {
            return Err(foreign(name, what));
        }
    }
    // They say how a kind of check is to be made that was not refused, so nobody asks for it.
    for name in ["GRPCUseTLS", "H2PingUseTLS"] {
        fields.flag(name)?;
    }
    fields.text("Shell")?;
    if fields.flag("TCPUseTLS")? {
        return Err(foreign("TCPUseTLS", "TLS in TCP checks"));
    }
    Ok(())
}

fn foreign(field: &str, what: &str) -> Refused {
    let help = "use TTL and report from the instance, or HTTP or TCP";
    Refused::bad(format!("{field} is not supported: Forebay runs no {what}; {help}"))
}

fn positive(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|duration| !duration.is_zero())
}

fn streak(fields: &mut Fields, name: &'static str) -> Result<u16, BadBody> {
    let count = fields.count(name, STREAK_MAX)?.unwrap_or(0);
    Ok(u16::try_from(count).unwrap_or(u16::MAX))
}
