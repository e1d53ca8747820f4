//! What instances say when they register, renew, or change their state. Pure: bytes in, values out.

use std::time::Duration;

use crate::check::{CheckKind, CheckSpec, Status};
use crate::fields::{BadBody, Fields, Spelling};
use crate::instance::{Declared, Registration, Weights};

/// A lease is renewed a few times before it ends; a shorter one is more requests than news.
const TTL_MIN: Duration = Duration::from_secs(1);
/// An instance that was silent for so long does not come back under the same id.
const REMOVE_AFTER_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
const WEIGHT_MAX: u32 = 65_535;
const PORT_MAX: u32 = 65_535;
/// Fields that stand in the metadata of an instance, where Forebay looks for them.
const KNOWN_META: [&str; 4] = ["version", "zone", "schema_version", "api_version"];

/// An instance as it registers or renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Without checks: the lease is apart.
    pub(crate) registration: Registration,
    /// As it says; without a word, as it said before.
    pub(crate) declared: Option<Declared>,
    /// How it has to renew.
    pub(crate) lease: Option<CheckSpec>,
}

/// What somebody wants an instance's state to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The instance's own word; it ends maintenance.
    Declared(Declared),
    /// A person takes it out.
    Maintenance {
        /// For others.
        reason: String,
    },
}

/// The id of the check that an instance's lease is.
pub(crate) fn lease_id(id: &str) -> String {
    format!("lease:{id}")
}

/// Reads `PUT /registry/instances/ID`.
pub(crate) fn announcement(id: &str, body: &[u8]) -> Result<Announcement, BadBody> {
    let mut fields = Fields::of_body(body, Spelling::Exact)?;
    let service = fields.text("service")?;
    if service.is_empty() {
        return Err(BadBody::Invalid { field: "service".into(), why: "it is missing".into() });
    }
    let address = fields.text("address")?;
    let port = fields.count("port", PORT_MAX)?.unwrap_or(0);
    let tags = fields.texts("tags")?;
    let weight = fields.count("weight", WEIGHT_MAX)?.unwrap_or(1);
    let mut meta = fields.text_map("meta")?;
    for name in KNOWN_META {
        let value = fields.text(name)?;
        if !value.is_empty() && meta.insert(name.into(), value.into()).is_some() {
            return Err(BadBody::Twice { field: format!("meta.{name}") });
        }
    }
    let declared = match fields.text("state")?.as_str() {
        "" => None,
        word => {
            Some(declared(word).ok_or_else(|| no_state(word, "\"starting\", \"ready\" or \"draining\""))?)
        }
    };
    let lease = lease(id, &mut fields)?;
    fields.finish()?;
    let registration = Registration {
        id: Some(id.into()),
        service: service.into(),
        address: address.into(),
        // The bound above is that of the type.
        port: u16::try_from(port).unwrap_or_default(),
        tags,
        meta,
        weights: Weights { passing: weight, warning: weight },
        tagged_addresses: Default::default(),
        enable_tag_override: false,
        declared: Declared::Ready,
        checks: Vec::new(),
        replace_checks: true,
    };
    Ok(Announcement { registration, declared, lease })
}

fn lease(id: &str, fields: &mut Fields) -> Result<Option<CheckSpec>, BadBody> {
    let remove_after = fields.duration("remove_after")?;
    let Some(ttl) = fields.duration("ttl")? else {
        return match remove_after {
            None => Ok(None),
            Some(_) => {
                let why = "without a ttl there is no lease, and nothing to remove it after".to_owned();
                Err(BadBody::Invalid { field: "remove_after".into(), why })
            }
        };
    };
    if ttl < TTL_MIN {
        let why = format!("{} is too short; the shortest lease is 1s", crate::go_duration::write(ttl));
        return Err(BadBody::Invalid { field: "ttl".into(), why });
    }
    Ok(Some(CheckSpec {
        id: Some(lease_id(id).into()),
        name: "Lease".into(),
        // To announce itself is a sign of life.
        status: Status::Passing,
        deregister_after: Some(remove_after.unwrap_or(REMOVE_AFTER_DEFAULT)),
        ..CheckSpec::new(CheckKind::Ttl(ttl))
    }))
}

/// Reads `PUT /registry/instances/ID/state`: a word, bare or as JSON has it, or an object with a reason.
pub(crate) fn state(body: &[u8]) -> Result<Wanted, BadBody> {
    let (word, reason) = match body.trim_ascii() {
        object @ [b'{', ..] => {
            let mut fields = Fields::of_body(object, Spelling::Exact)?;
            let read = (fields.text("state")?, fields.text("reason")?);
            fields.finish()?;
            read
        }
        quoted @ [b'"', ..] => {
            let word = serde_json::from_slice(quoted);
            (word.map_err(|error| BadBody::NotJson { why: error.to_string() })?, String::new())
        }
        word => (String::from_utf8_lossy(word).into_owned(), String::new()),
    };
    match word.as_str() {
        "maintenance" => Ok(Wanted::Maintenance { reason }),
        word => match declared(word) {
            Some(declared) if reason.is_empty() => Ok(Wanted::Declared(declared)),
            Some(_) => {
                Err(BadBody::Invalid { field: "reason".into(), why: "only maintenance has a reason".into() })
            }
            None => Err(no_state(word, "\"starting\", \"ready\", \"draining\" or \"maintenance\"")),
        },
    }
}

fn declared(word: &str) -> Option<Declared> {
    [Declared::Starting, Declared::Ready, Declared::Draining].into_iter().find(|one| one.text() == word)
}

fn no_state(word: &str, known: &str) -> BadBody {
    BadBody::Invalid { field: "state".into(), why: format!("{word:?} is none; write {known}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str, why: &str) {
        let error = announcement("a", body.as_bytes()).expect_err(body).to_string();
        assert!(error.contains(why), "{body}: {error}");
    }

    #[test]
    fn an_announcement_is_read_whole() {
        let body = br#"{"service":"orders","address":"10.0.0.7","port":9001,"ttl":"10s","state":"starting","version":"7",
            "zone":"eu-1","weight":3,"schema_version":"2026_06","api_version":"2026-06-01","tags":["blue"],"meta":{"a":"b"}}"#;
        let Announcement { registration, declared, lease } = announcement("orders-1", body).unwrap();
        assert_eq!((&*registration.service, registration.port), ("orders", 9001));
        assert_eq!(registration.meta.len(), 5);
        assert_eq!(registration.meta.get("zone").map(|zone| &**zone), Some("eu-1"));
        assert_eq!(registration.weights, Weights { passing: 3, warning: 3 });
        assert_eq!(declared, Some(Declared::Starting));
        let lease = lease.unwrap();
        assert_eq!((lease.id.as_deref(), lease.status), (Some("lease:orders-1"), Status::Passing));
        assert_eq!(lease.kind, CheckKind::Ttl(Duration::from_secs(10)));
    }

    #[test]
    fn without_a_ttl_there_is_no_lease() {
        assert_eq!(announcement("a", br#"{"service":"orders"}"#).unwrap().lease, None);
        refused(r#"{"service":"orders","remove_after":"1h"}"#, "without a ttl");
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused("{}", "service: it is missing");
        refused(r#"{"service":"a","state":"maintenance"}"#, "\"maintenance\" is none");
        refused(r#"{"service":"a","ttl":"10ms"}"#, "the shortest lease is 1s");
        refused(r#"{"service":"a","zone":"x","meta":{"zone":"y"}}"#, "meta.zone is given twice");
        refused(r#"{"service":"a","prot":1}"#, "did you mean port?");
        refused(r#"{"service":"a","port":65536}"#, "0 to 65535");
    }

    #[test]
    fn a_state_is_a_word_or_an_object() {
        assert_eq!(state(b"draining\n"), Ok(Wanted::Declared(Declared::Draining)));
        assert_eq!(state(b"\"draining\""), Ok(Wanted::Declared(Declared::Draining)), "as JSON has it");
        assert_eq!(state(br#"{"state":"ready"}"#), Ok(Wanted::Declared(Declared::Ready)));
        let maintenance = Wanted::Maintenance { reason: "disk".into() };
        assert_eq!(state(br#" {"state":"maintenance","reason":"disk"}"#), Ok(maintenance));
        for broken in [&b""[..], b"critical", b"\xff", br#"{"state":"ready","reason":"x"}"#, b"{", b"\"ready"]
        {
            assert!(state(broken).is_err(), "{broken:?}");
        }
    }
}
