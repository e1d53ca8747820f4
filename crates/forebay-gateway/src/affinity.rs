//! What ties a request to an endpoint: a hash of its key, and the cookie of its session. Where it goes is the balancer's
//! decision.

use std::borrow::Cow;
use std::net::IpAddr;

use forebay_balance::{Facts, HashKey, Token};
use forebay_http::{Fields as _, RequestHead, ResponseHead, Scheme};

use crate::path;
use crate::pattern::{Pattern, Segment};
use crate::plan::{Route, Service};

/// The ties of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Affinity {
    /// For hashing policies.
    pub(crate) key: Option<u64>,
    /// What the client's cookie names.
    pub(crate) session: Option<Token>,
}

impl Affinity {
    /// The ties of a request; none for most services, which costs nothing.
    pub(crate) fn of(service: &Service, route: &Route, head: &RequestHead, client: IpAddr) -> Affinity {
        if service.hash_key.is_none() && service.sticky.is_none() {
            return Affinity::default();
        }
        let needs_path = matches!(service.hash_key, Some(HashKey::Path(_)));
        let path = needs_path.then(|| path::normalize(head.path()).unwrap_or_default());
        let facts = RequestFacts { head, pattern: &route.pattern, path: path.unwrap_or_default(), client };
        Affinity {
            key: service.hash_key.as_ref().and_then(|key| key.of(&facts)),
            session: service.sticky.as_ref().and_then(|sticky| sticky.read(&facts)),
        }
    }

    /// Has the client's cookie name the endpoint that answers, if it does not yet.
    pub(crate) fn keep(
        self,
        service: &Service,
        answers: Option<Token>,
        scheme: Scheme,
        head: &mut ResponseHead,
    ) {
        let Some((sticky, answers)) = service.sticky.as_ref().zip(answers) else { return };
        if let Some(cookie) = sticky.set(self.session, answers, scheme == Scheme::Https) {
            head.fields_mut().append("set-cookie", cookie.as_bytes());
        }
    }
}

struct RequestFacts<'a> {
    head: &'a RequestHead,
    pattern: &'a Pattern,
    /// As routes see it.
    path: Cow<'a, str>,
    client: IpAddr,
}

impl Facts for RequestFacts<'_> {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) {
        self.head.fields().each_value(name, &mut |value| each(value));
    }

    fn query(&self) -> Option<&str> {
        self.head.query()
    }

    fn path_parameter(&self, name: &str) -> Option<&str> {
        let is_named = |segment: &Segment| matches!(segment, Segment::Parameter(known) if known == name);
        let place = self.pattern.path.segments.iter().position(is_named)?;
        path::after_segments(&self.path, place).split('/').next()
    }

    fn address(&self) -> IpAddr {
        self.client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_the_segment_in_its_place() {
        let head = RequestHead::new("GET", Scheme::Http, "a", "/shops/%61bc/orders/7?x=1");
        let pattern: Pattern = "/shops/{shop}/orders/{id}".parse().unwrap();
        let client = IpAddr::from([10, 0, 0, 1]);
        let path = path::normalize(head.path()).unwrap();
        let facts = RequestFacts { head: &head, pattern: &pattern, path, client };
        let found = ["shop", "id", "other"].map(|name| facts.path_parameter(name));
        assert_eq!(found, [Some("abc"), Some("7"), None]);
        assert_eq!(facts.query(), Some("x=1"));
    }
}
