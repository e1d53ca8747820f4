//! The names under which the registry answers, and what is said of all of them. Holds no records.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::name::{Label, NameBuilder, ToName};
use domain::base::{Name, Serial, Ttl};
use domain::rdata::{Soa, ZoneRecordData};

use super::asked::Asked;
use crate::check::Status;
use crate::found::Found;
use crate::instance::InstanceState;
use crate::registry::Registry;
use crate::settings::RegistrySettings;

/// An absolute name of our own making.
pub(super) type OwnName = Name<Vec<u8>>;
/// What a record says.
pub(super) type Data = ZoneRecordData<Vec<u8>, OwnName>;

/// Consul's values of the SOA record. There are no secondaries that would heed them.
const REFRESH: Ttl = Ttl::from_secs(3600);
const RETRY: Ttl = Ttl::from_secs(600);
const EXPIRE: Ttl = Ttl::from_secs(86_400);
/// TTLs are 31 bits (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// The registry's domain and how it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    domain: OwnName,
    /// Labels of the domain, the root included.
    depth: usize,
    datacenter: Box<str>,
    ttl: Ttl,
    only_passing: bool,
}

/// A domain or datacenter that no name can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Neither `consul` nor `services.example.com`.
    #[error("{domain:?} is no domain name")]
    Domain {
        /// As it was written.
        domain: Box<str>,
    },
    /// The longest names have no room under it.
    #[error("the domain {domain:?} is longer than {max} octets", max = Zone::DOMAIN_OCTETS_MAX)]
    Long {
        /// As it was written.
        domain: Box<str>,
    },
    /// More than one label, or none.
    #[error("{datacenter:?} is no label of a domain name")]
    Datacenter {
        /// As it was written.
        datacenter: Box<str>,
    },
}

impl Zone {
    /// So that `HEXADDRESS.addr.DATACENTER` always fits in front of it: 32 digits, a label, the longest label.
    pub const DOMAIN_OCTETS_MAX: usize = 255 - 33 - 5 - 64;

    /// As the settings have it.
    ///
    /// # Errors
    ///
    /// See [`Zone::new`]; settings that were checked give none.
    pub fn of(settings: &RegistrySettings) -> Result<Zone, ZoneError> {
        let RegistrySettings { domain, datacenter, dns_ttl, dns_only_passing, .. } = settings;
        Zone::new(domain, datacenter, *dns_ttl, *dns_only_passing)
    }

    /// Answers for `domain`, with or without the dot at its end, in `datacenter`. Instances that warn are left out
    /// with `only_passing`.
    ///
    /// # Errors
    ///
    /// When no names can be made below the domain.
    pub fn new(domain: &str, datacenter: &str, ttl: Duration, only_passing: bool) -> Result<Zone, ZoneError> {
        let parsed: Result<OwnName, _> = domain.parse();
        let parsed = parsed.ok().filter(|name| !name.is_root());
        let parsed = parsed.ok_or_else(|| ZoneError::Domain { domain: domain.into() })?;
        if parsed.len() > Zone::DOMAIN_OCTETS_MAX {
            return Err(ZoneError::Long { domain: domain.into() });
        }
        let label = !datacenter.is_empty() && !datacenter.contains('.');
        if !label || Label::from_slice(datacenter.as_bytes()).is_err() {
            return Err(ZoneError::Datacenter { datacenter: datacenter.into() });
        }
        let ttl = u32::try_from(ttl.as_secs()).unwrap_or(TTL_MAX).min(TTL_MAX);
        Ok(Zone {
            depth: parsed.label_count(),
            domain: parsed,
            datacenter: datacenter.into(),
            ttl: Ttl::from_secs(ttl),
            only_passing,
        })
    }

    pub(super) fn domain(&self) -> &OwnName {
        &self.domain
    }

    pub(super) fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// What the name stands for; `None` when it is not in this zone.
    pub(super) fn asked(&self, name: &impl ToName) -> Option<Asked> {
        if !name.ends_with(&self.domain) {
            return None;
        }
        let labels: Vec<&Label> = name.iter_labels().collect();
        let own = &labels[..labels.len() - self.depth];
        let texts: Option<Vec<&str>> =
            own.iter().map(|label| str::from_utf8(label.as_slice()).ok()).collect();
        // What is registered is text.
        Some(texts.map_or(Asked::Unknown, |texts| Asked::parse(&texts, &self.datacenter)))
    }

    /// Whether the instance gets requests, and so an answer.
    pub(super) fn answers(&self, found: &Found<'_>) -> bool {
        found.state() == InstanceState::Ready && (!self.only_passing || found.status() == Status::Passing)
    }

    /// `NODE.node.DATACENTER.DOMAIN`; `None` when no domain name can be made of the node's.
    pub(super) fn node(&self, node: &str) -> Option<OwnName> {
        let mut name = NameBuilder::new_vec();
        for label in node.split('.') {
            name.append_label(label.as_bytes()).ok()?;
        }
        self.complete(name, "node")
    }

    /// `7f000001.addr.DATACENTER.DOMAIN`: every address has a name.
    pub(super) fn address(&self, ip: IpAddr) -> Option<OwnName> {
        let digits = match ip {
            IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
        };
        let mut name = NameBuilder::new_vec();
        name.append_label(digits.as_bytes()).ok()?;
        self.complete(name, "addr")
    }

    fn complete(&self, mut name: NameBuilder<Vec<u8>>, kind: &str) -> Option<OwnName> {
        name.append_label(kind.as_bytes()).ok()?;
        name.append_label(self.datacenter.as_bytes()).ok()?;
        name.append_origin(&self.domain).ok()
    }

    /// The name server of the zone: this node.
    pub(super) fn server(&self, registry: &Registry) -> OwnName {
        self.node(&registry.me().name).unwrap_or_else(|| self.domain.clone())
    }

    /// Its serial is the registry's count of changes, so that it grows with each and is the same until the next.
    pub(super) fn soa(&self, registry: &Registry) -> Data {
        // Serials wrap around by design (RFC 1982).
        #[expect(clippy::cast_possible_truncation, reason = "the lower 32 bits are the serial")]
        let serial = Serial(registry.count() as u32);
        let person = self.hostmaster();
        let server = self.server(registry);
        Soa::new(server, person, serial, REFRESH, RETRY, EXPIRE, self.ttl).into()
    }

    fn hostmaster(&self) -> OwnName {
        let mut name = NameBuilder::new_vec();
        let named = name.append_label(b"hostmaster").is_ok();
        let name = if named { name.append_origin(&self.domain).ok() } else { None };
        name.unwrap_or_else(|| self.domain.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_that_no_name_fits_under_are_refused() {
        let check = |domain: &str, datacenter: &str, expected: &str| {
            let zone = Zone::new(domain, datacenter, Duration::ZERO, false);
            assert_eq!(zone.unwrap_err().to_string(), expected);
        };
        check("", "dc1", "\"\" is no domain name");
        check(".", "dc1", "\".\" is no domain name");
        check("a..b", "dc1", "\"a..b\" is no domain name");
        check("consul", "eu.west", "\"eu.west\" is no label of a domain name");
        check("consul", "", "\"\" is no label of a domain name");
        let long = ["a"; 80].join(".");
        check(&long, "dc1", &format!("the domain {long:?} is longer than 153 octets"));
    }
}
