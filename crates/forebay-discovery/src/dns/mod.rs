//! Looks places up in DNS, as a stub resolver: asks the system's recursive name servers, follows what they found.
//! Keeps nothing between lookups: how long an answer holds is decided by [`crate::Resolution`].
//!
//! The system's files are read anew for each lookup, a few microseconds on the control runtime, so that a laptop
//! that changed networks and an edited hosts file are noticed without a restart.
//! What only the C library's plug-ins know (mDNS, LDAP) is not found.
//!
//! Every address is an endpoint, unlike in a browser that races them, so an address that this machine has no route
//! to (IPv6 on most IPv4-only machines) would cost requests for ever: it is left out, as getaddrinfo does with
//! `AI_ADDRCONFIG`.

mod exchange;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod message;
mod system;

use std::cmp::Reverse;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::base::Rtype;
use futures_util::future::{self, Either};
use futures_util::stream::{self, StreamExt};

use self::message::{Along, Records, ServiceRecord};
use self::system::System;
use crate::answer::{Answer, Part, ResolveFailure};
use crate::endpoint::Target;
use crate::host::HostName;
use crate::source::Place;

/// One lookup, with all its record types, search domains, servers and attempts. Longer than one attempt at each
/// of two servers takes by default; shorter than people watch an unresolved service.
pub const LOOKUP_MAX: Duration = Duration::from_secs(15);
/// Targets of one SRV name that are looked up, those of the lowest priority number first. What fits into one
/// TCP answer could be thousands of lookups.
pub const SRV_TARGETS_MAX: usize = 256;
/// Targets of one SRV name looked up at once: two sockets each.
const SRV_TARGETS_AT_ONCE: usize = 8;
/// How long the addresses of one family wait for the other: some networks drop questions for AAAA.
const OTHER_FAMILY_MAX: Duration = Duration::from_secs(1);
/// How soon an edited hosts file is noticed; the file itself has no TTLs.
const HOSTS_TTL: Duration = Duration::from_secs(10);

/// The seam to whoever can look places up.
pub trait Resolve {
    /// Looks `place` up, in bounded time. An answer has at least one target.
    fn resolve(&self, place: &Place) -> impl Future<Output = Result<Answer, ResolveFailure>>;
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameServers {
    /// `/etc/hosts`, then the servers, search domains and options of `/etc/resolv.conf`.
    System,
    /// These in turn, names taken as absolute, and no files.
    Fixed(Vec<SocketAddr>),
}

/// Resolves over DNS.
#[derive(Debug)]
pub struct DnsResolver {
    servers: NameServers,
    // For message ids (RFC 5452 section 9.2); with the kernel's random ports, 32 bits against forged answers.
    rng: Mutex<fastrand::Rng>,
    has_route: fn(IpAddr) -> bool,
}

/// The addresses of one name, `None` for a family nobody answered for.
struct Addresses {
    name: HostName,
    v4: Option<Vec<IpAddr>>,
    v6: Option<Vec<IpAddr>>,
    ttl: Duration,
}

impl DnsResolver {
    /// Opens nothing and reads nothing yet.
    pub fn new(servers: NameServers, rng: fastrand::Rng) -> DnsResolver {
        DnsResolver { servers, rng: Mutex::new(rng), has_route }
    }

    /// Believes in a route to every address; for answers with made-up ones.
    pub fn without_route_check(self) -> DnsResolver {
        DnsResolver { has_route: |_| true, ..self }
    }

    async fn look_up(&self, place: &Place) -> Result<Answer, ResolveFailure> {
        let system = match &self.servers {
            NameServers::System => System::read(),
            NameServers::Fixed(servers) => System::fixed(servers.clone()),
        };
        match place {
            Place::Address(address) => {
                let part = Part { name: "address".into(), targets: Some(vec![Target::new(*address)]) };
                Ok(Answer { parts: vec![part], ttl: Duration::MAX })
            }
            Place::Host { name, port } => {
                let found = self.host(&system, name).await?.reachable(self.has_route);
                let to_target = |ip| Target::new(SocketAddr::new(ip, *port));
                Ok(Answer { ttl: found.ttl, parts: found.into_parts("", to_target) })
            }
            Place::Service { name } => self.service(&system, name).await,
            Place::File(path) => {
                Err(ResolveFailure::File { path: path.clone(), problem: "is not found in DNS".into() })
            }
            // Never looked up.
            Place::Registry { .. } => Err(ResolveFailure::NoServer),
        }
    }

    /// Addresses by the hosts file, the rule for `localhost`, and the search domains in turn.
    async fn host(&self, system: &System, name: &HostName) -> Result<Addresses, ResolveFailure> {
        if let Some(ips) = system.known_without_asking(name) {
            return Ok(Addresses { name: name.clone(), v4: Some(ips), v6: Some(Vec::new()), ttl: HOSTS_TTL });
        }
        let mut denied = None;
        for candidate in system.candidates(name) {
            match self.addresses(system, &candidate).await {
                // Only a denial leads on: after silence, a later candidate could be somebody else's host.
                Err(failure) if failure.is_denial() => denied = denied.or(Some(failure)),
                result => return result,
            }
        }
        Err(denied.unwrap_or(ResolveFailure::NoSuchName { name: name.as_str().into() }))
    }

    /// A and AAAA of exactly this name.
    async fn addresses(&self, system: &System, name: &HostName) -> Result<Addresses, ResolveFailure> {
        self.remaining_addresses(system, name, Along::default()).await
    }

    /// A and AAAA of exactly this name, as far as they are not there. Each family may be missing for its own reason.
    async fn remaining_addresses(
        &self,
        system: &System,
        name: &HostName,
        along: Along,
    ) -> Result<Addresses, ResolveFailure> {
        let rest = async |kind, along: Option<Records<IpAddr>>| match along {
            Some(records) => Ok(records),
            None => self.query(system, name, kind, message::addresses).await,
        };
        let v4 = pin!(rest(Rtype::A, along.v4));
        let v6 = pin!(rest(Rtype::AAAA, along.v6));
        let (v4, v6) = match future::select(v4, v6).await {
            Either::Left((v4, v6)) if v4.is_ok() => (v4, soon(name, v6).await),
            Either::Right((v6, v4)) if v6.is_ok() => (soon(name, v4).await, v6),
            Either::Left((v4, v6)) => (v4, v6.await),
            Either::Right((v6, v4)) => (v4.await, v6),
        };
        match (v4, v6) {
            (Err(v4), Err(v6)) => Err(weightier(v4, v6)),
            (v4, v6) => {
                let ttl =
                    [&v4, &v6].into_iter().flatten().map(|records| records.ttl).min().unwrap_or_default();
                Ok(Addresses { name: name.clone(), v4: family(v4), v6: family(v6), ttl })
            }
        }
    }

    async fn service(&self, system: &System, name: &HostName) -> Result<Answer, ResolveFailure> {
        let mut services = self.query(system, name, Rtype::SRV, message::services).await?;
        // Of one priority, those that are to get the most.
        services.records.sort_unstable_by(|one, other| {
            (one.priority, Reverse(one.weight), one).cmp(&(other.priority, Reverse(other.weight), other))
        });
        services.records.truncate(SRV_TARGETS_MAX);
        let found: Vec<_> = stream::iter(services.records)
            .map(|mut record| async move {
                let along = std::mem::take(&mut record.along);
                (self.remaining_addresses(system, &record.target, along).await, record)
            })
            .buffered(SRV_TARGETS_AT_ONCE)
            .collect()
            .await;
        let mut answer = Answer { parts: Vec::new(), ttl: services.ttl };
        let mut silence = None;
        for (addresses, record) in found {
            let addresses = addresses.unwrap_or_else(|failure| {
                let unanswered = !failure.is_denial();
                if unanswered {
                    silence = Some(failure);
                }
                Addresses::nothing(record.target.clone(), unanswered)
            });
            let addresses = addresses.reachable(self.has_route);
            answer.ttl = answer.ttl.min(addresses.ttl);
            let context = format!("{} ", record.port);
            answer.parts.extend(addresses.into_parts(&context, |ip| record.to_target(ip)));
        }
        if answer.parts.iter().any(|part| part.targets.as_ref().is_some_and(|targets| !targets.is_empty())) {
            return Ok(answer);
        }
        Err(silence
            .unwrap_or(ResolveFailure::NoRecords { name: name.as_str().into(), kind: "reachable SRV" }))
    }

    async fn query<T>(
        &self,
        system: &System,
        name: &HostName,
        kind: Rtype,
        read: impl Fn(&message::Reply) -> Option<Records<T>>,
    ) -> Result<Records<T>, ResolveFailure> {
        let id = self.rng.lock().unwrap_or_else(PoisonError::into_inner).u16(..);
        let query = message::query(id, name, kind);
        let (reply, server) = exchange::ask(system, name, &query).await?;
        message::interpret(&reply, name, kind, server, read)
    }
}

impl Resolve for DnsResolver {
    async fn resolve(&self, place: &Place) -> Result<Answer, ResolveFailure> {
        let late = || ResolveFailure::TimedOut { name: place.to_string().into(), within: LOOKUP_MAX };
        tokio::time::timeout(LOOKUP_MAX, self.look_up(place)).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The other family's result, if it comes soon.
async fn soon<T>(
    name: &HostName,
    other: impl Future<Output = Result<T, ResolveFailure>>,
) -> Result<T, ResolveFailure> {
    let late = || ResolveFailure::TimedOut { name: name.as_str().into(), within: OTHER_FAMILY_MAX };
    tokio::time::timeout(OTHER_FAMILY_MAX, other).await.unwrap_or_else(|_| Err(late()))
}

/// Asks the kernel. Connecting a datagram socket looks the route up and sends nothing.
fn has_route(ip: IpAddr) -> bool {
    const DISCARD: u16 = 9;
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    std::net::UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, DISCARD))).is_ok()
}

/// A family that is denied is empty; one that went unanswered is unknown. Some name servers say NXDOMAIN to AAAA
/// when there is an A (RFC 4074 section 4.2), so a denial never speaks for the other family.
fn family(result: Result<Records<IpAddr>, ResolveFailure>) -> Option<Vec<IpAddr>> {
    match result {
        Ok(records) => Some(records.records),
        Err(failure) => failure.is_denial().then(Vec::new),
    }
}

/// Of two reasons for one name: silence about one half leaves open whether the whole is empty, and a name that
/// has other records does exist.
fn weightier(v4: ResolveFailure, v6: ResolveFailure) -> ResolveFailure {
    let weight = |failure: &ResolveFailure| match failure {
        ResolveFailure::NoSuchName { .. } => 0,
        ResolveFailure::NoRecords { .. } => 1,
        _ => 2,
    };
    if weight(&v6) > weight(&v4) { v6 } else { v4 }
}

impl Addresses {
    fn nothing(name: HostName, unanswered: bool) -> Addresses {
        let family = || (!unanswered).then(Vec::new);
        Addresses { name, v4: family(), v6: family(), ttl: Duration::MAX }
    }

    /// Without what there is no route to. When there is a route to none, the network is down: all are kept, so that
    /// they are there when it comes back.
    fn reachable(mut self, has_route: impl Fn(IpAddr) -> bool) -> Addresses {
        if [&self.v4, &self.v6].into_iter().flatten().flatten().any(|&ip| has_route(ip)) {
            for ips in [&mut self.v4, &mut self.v6].into_iter().flatten() {
                ips.retain(|&ip| has_route(ip));
            }
        }
        self
    }

    fn into_parts(self, context: &str, to_target: impl Fn(IpAddr) -> Target) -> Vec<Part> {
        let Addresses { name, v4, v6, .. } = self;
        let part = |kind: &str, ips: Option<Vec<IpAddr>>| Part {
            name: format!("{context}{name} {kind}").into(),
            targets: ips.map(|ips| ips.into_iter().map(&to_target).collect()),
        };
        vec![part("A", v4), part("AAAA", v6)]
    }
}

impl ServiceRecord {
    /// RFC 2782 gives weight 0 "a very small chance": here the smallest weight there is.
    fn to_target(&self, ip: IpAddr) -> Target {
        let address = SocketAddr::new(ip, self.port);
        let weight = u32::from(self.weight).max(1);
        Target { priority: self.priority, weight, ..Target::new(address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_routable_addresses_are_kept_unless_there_are_none() {
        fn check(routes: &[&str], expected: &[&str]) {
            let parse = |text: &&str| text.parse::<IpAddr>().unwrap();
            let found = Addresses {
                name: HostName::parse("a").unwrap(),
                v4: Some(vec![parse(&"10.0.0.1")]),
                v6: Some(vec![parse(&"fd00::1"), parse(&"fd00::2")]),
                ttl: Duration::ZERO,
            };
            let routes: Vec<_> = routes.iter().map(parse).collect();
            let kept = found.reachable(|ip| routes.contains(&ip));
            let kept: Vec<_> = kept.v4.into_iter().chain(kept.v6).flatten().collect();
            assert_eq!(kept, expected.iter().map(parse).collect::<Vec<_>>());
        }
        check(&["10.0.0.1"], &["10.0.0.1"]);
        check(&["10.0.0.1", "fd00::2"], &["10.0.0.1", "fd00::2"]);
        check(&[], &["10.0.0.1", "fd00::1", "fd00::2"]);
    }

    #[test]
    fn there_is_a_route_to_this_machine() {
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
    }
}
