//! The stage that counts a request against its route's rate limit, as soon as it is known whose it is. Decides nothing: that
//! is `forebay-retry`.
//!
//! A limit by address counts strangers too, and before anybody is asked who they are: that is what guessing passwords is
//! limited by. Every other limit is for those who are let in, since a stranger must not use up what belongs to a caller. A
//! retry or a hedge of Forebay's own is no request, nor is a preflight, which no stage behind CORS learns of.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;
use forebay_http::problem::{Fault, Problem};
use forebay_http::{Fields, RequestHead};
use forebay_retry::{Callers, Counted, CountedBy, RateLimit};

use crate::authenticate::Caller;
use crate::core::Core;
use crate::generation::CoreGeneration;
use crate::telemetry::RateLimitMetrics;
use crate::visit::Visit;

/// What all cores share of a route's limit.
pub(crate) struct LiveLimit {
    pub(crate) callers: Arc<Callers>,
    /// Nobody outside can tell which callers meet in one place.
    pub(crate) hasher: RandomState,
    pub(crate) metrics: RateLimitMetrics,
}

/// Whose request it is. Each kind is its own, so that nobody is taken for somebody of another. Without `Debug`: a field's
/// value may be a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose<'a> {
    V4([u8; 4]),
    /// The upper half of an IPv6 address: what a customer gets. All of the lower half is his to choose from.
    V6Network([u8; 8]),
    /// With the policy, because another one may give the same name to somebody else.
    Subject(&'a str, &'a str),
    Consumer(&'a str, &'a str),
    Value(&'a [u8]),
    Everybody,
}

/// A request that is still to be counted, once it is known who calls.
pub(crate) struct Due<'g> {
    limit: &'g RateLimit,
    live: &'g LiveLimit,
    /// By the field that the client sent, which authentication may take off.
    sent: Option<u64>,
}

/// Counts a request to this route, if its limit is one of strangers too; else it is due later. Before authentication.
pub(crate) fn at_the_door<'g>(
    core: &Core,
    generation: &'g CoreGeneration,
    route: Option<usize>,
    head: &RequestHead,
    visit: &Visit<'_>,
) -> Result<Option<Due<'g>>, Box<Problem>> {
    let shared = &generation.shared;
    let found = route.and_then(|route| {
        Some((shared.plan.routes[route].rate_limit.as_ref()?, shared.limits[route].as_ref()?))
    });
    let Some((limit, live)) = found else { return Ok(None) };
    let mut due = Due { limit, live, sent: None };
    match &limit.by {
        CountedBy::Address => {
            let whose = due.hash(of_address(visit.client.address));
            return due.count(core, whose, visit.received).map(|()| None);
        }
        CountedBy::Header(name) => due.sent = due.field(name, head),
        CountedBy::Subject | CountedBy::Route => {}
    }
    Ok(Some(due))
}

impl Due<'_> {
    /// Counts the request. Who has nothing of what is counted by is counted by address.
    pub(crate) fn settle(
        &self,
        core: &Core,
        head: &RequestHead,
        visit: &Visit<'_>,
    ) -> Result<(), Box<Problem>> {
        let whose = match &self.limit.by {
            CountedBy::Route => Some(self.hash(Whose::Everybody)),
            CountedBy::Subject => visit.caller.as_deref().and_then(of_caller).map(|whose| self.hash(whose)),
            // Where a policy copies it, it is the deciding service's word and was not sent.
            CountedBy::Header(name) => self.sent.or_else(|| self.field(name, head)),
            CountedBy::Address => None,
        };
        let whose = whose.unwrap_or_else(|| self.hash(of_address(visit.client.address)));
        // Who calls may have taken seconds to find out.
        self.count(core, whose, core.now())
    }

    fn count(&self, core: &Core, whose: u64, now: Moment) -> Result<(), Box<Problem>> {
        match self.live.callers.count(whose, now) {
            Counted::Within { forgot } => {
                if forgot {
                    self.live.metrics.forgotten.inc(core.metrics);
                }
                Ok(())
            }
            Counted::Over(wait) => {
                self.live.metrics.refused.inc(core.metrics);
                Err(Box::new(too_many(self.limit, wait)))
            }
        }
    }

    fn field(&self, name: &str, head: &RequestHead) -> Option<u64> {
        let value = head.fields().only_value(name).filter(|value| !value.is_empty())?;
        Some(self.hash(Whose::Value(value)))
    }

    fn hash(&self, whose: Whose<'_>) -> u64 {
        self.live.hasher.hash_one(whose)
    }
}

fn of_address(address: IpAddr) -> Whose<'static> {
    match address.to_canonical() {
        IpAddr::V4(address) => Whose::V4(address.octets()),
        IpAddr::V6(address) => match address.octets() {
            // All of IPv4 stands below one /96 where a network translates it (RFC 6052 section 2.1).
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Whose::V4([a, b, c, d]),
            [a, b, c, d, e, f, g, h, ..] => Whose::V6Network([a, b, c, d, e, f, g, h]),
        },
    }
}

fn of_caller(caller: &Caller) -> Option<Whose<'_>> {
    let Caller { identity, policy } = caller;
    let subject = identity.subject.as_deref().map(|subject| Whose::Subject(&policy.name, subject));
    subject.or_else(|| Some(Whose::Consumer(&policy.name, identity.consumer.as_deref()?)))
}

fn too_many(limit: &RateLimit, wait: Duration) -> Problem {
    let of = match &limit.by {
        CountedBy::Address => " from one address".to_owned(),
        CountedBy::Subject => " from one caller".to_owned(),
        CountedBy::Header(name) => format!(" with one value of {name}"),
        CountedBy::Route => String::new(),
    };
    let detail = format!("this route takes {}{of}, at most {} at once", limit.rate, limit.burst);
    let problem = Problem::new(429, "rate-limited", Fault::Client, detail);
    // Rounded up: sooner it would be refused again.
    let seconds = u32::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
    Problem { retry_after_s: Some(seconds.max(1)), ..problem }
}

#[cfg(test)]
mod tests {
    use forebay_config::{Rate, RatePeriod};

    use super::*;

    fn of(address: &str) -> Whose<'static> {
        of_address(address.parse().unwrap())
    }

    #[test]
    fn a_customer_of_ipv6_is_one_caller_and_of_ipv4_an_address() {
        assert!(of("2001:db8:1:2::1") == of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(of("2001:db8:1:2::1") != of("2001:db8:1:3::1"));
        assert!(of("192.0.2.1") == of("::ffff:192.0.2.1"));
        assert!(of("192.0.2.1") == of("64:ff9b::192.0.2.1"));
        assert!(of("64:ff9b::192.0.2.1") != of("64:ff9b::192.0.2.2"), "of all that NAT64 lets through");
        assert!(of("192.0.2.1") != of("192.0.2.2"));
    }

    #[test]
    fn who_waits_as_long_as_he_is_told_is_not_refused_again() {
        let rate = Rate { count: 10, period: RatePeriod::Second };
        let limit = RateLimit { rate, burst: 20, by: CountedBy::Address };
        let told = |wait| too_many(&limit, wait).retry_after_s;
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(told(nanosecond), Some(1));
        assert_eq!(told(Duration::from_secs(2)), Some(2));
        assert_eq!(told(Duration::from_secs(2) + nanosecond), Some(3));
        assert_eq!(told(Duration::MAX), Some(u32::MAX));
    }

    #[test]
    fn the_refusal_says_what_the_route_takes() {
        let detail = |by| {
            let rate = Rate { count: 10, period: RatePeriod::Second };
            too_many(&RateLimit { rate, burst: 20, by }, Duration::ZERO).detail
        };
        assert_eq!(detail(CountedBy::Address), "this route takes 10/s from one address, at most 20 at once");
        assert_eq!(
            detail(CountedBy::Header("x-tenant".into())),
            "this route takes 10/s with one value of x-tenant, at most 20 at once"
        );
        assert_eq!(detail(CountedBy::Route), "this route takes 10/s, at most 20 at once");
    }
}
