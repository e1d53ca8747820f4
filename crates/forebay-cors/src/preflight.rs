//! The answer to a preflight: what it says when it is allowed, and what helps its author when it is denied. Never says
//! what a browser could take for a permission that was not given.

use crate::decision::{Decision, Granted, Kind, Outcome, Reason};
use crate::edits::Edits;
use crate::names;
use crate::policy::Policy;

/// What the answer to a preflight depends on. An OPTIONS without these fields is none and goes to the service.
const VARY_PREFLIGHT: &[&str] =
    &["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"];
const VARY_PREFLIGHT_PRIVATE: &[&str] = &[
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Private-Network",
];

/// A preflight and its answer, which has no body.
#[derive(Debug)]
pub struct Preflight<'p, 'r> {
    pub(crate) policy: &'p Policy,
    pub(crate) outcome: Outcome,
    pub(crate) asked: Asked<'r>,
}

/// What a preflight asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) origin: &'r [u8],
    pub(crate) method: &'r [u8],
    pub(crate) headers: &'r [u8],
    /// Whether the page is a public one and the route is not.
    pub(crate) private_network: bool,
}

impl<'a> Preflight<'_, 'a> {
    /// What was decided.
    pub fn decision(&self) -> Decision {
        Decision { kind: Kind::Preflight, outcome: self.outcome, granted: Granted::Nobody }
    }

    /// The same, without what has to wait for a response.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The status of the answer, whatever was decided: another would hide from the page's author what is wrong.
    pub fn status(&self) -> u16 {
        self.policy.preflight_status
    }

    /// What the answer says.
    ///
    /// Denied for its method or a header, it still tells the origin what would be allowed, so that the browser can name
    /// what was not. It says nothing where the browser might take that for a permission.
    pub fn edits(&'a self) -> Edits<'a> {
        let Preflight { policy, asked, .. } = self;
        let mut edits =
            Edits::owning(if policy.private_network { VARY_PREFLIGHT_PRIVATE } else { VARY_PREFLIGHT });
        match self.outcome {
            Outcome::Allowed => {
                policy.grant(&mut edits, self.granted());
                self.allow(&mut edits);
                edits.add("access-control-max-age", &policy.max_age);
                if asked.private_network {
                    edits.add("access-control-allow-private-network", b"true");
                }
            }
            Outcome::Denied(Reason::HeaderNotAllowed) => self.tell_lists(&mut edits),
            Outcome::Denied(Reason::MethodNotAllowed) if !policy.methods.any && !self.is_safelisted() => {
                self.tell_lists(&mut edits);
            }
            _ => {}
        }
        policy.tell(&mut edits, self.outcome);
        edits
    }

    fn granted(&'a self) -> &'a [u8] {
        if self.policy.is_open() { b"*" } else { self.asked.origin }
    }

    /// With credentials `*` is no wildcard to a browser, so that what was asked for is repeated.
    fn allow(&'a self, edits: &mut Edits<'a>) {
        let Preflight { policy, asked, .. } = self;
        let methods = match policy.methods.any && policy.credentials {
            true => asked.method,
            false => &policy.allow_methods,
        };
        edits.add("access-control-allow-methods", methods);
        let headers = match policy.headers.is_any() && policy.credentials {
            true => asked.headers,
            false => &policy.allow_headers,
        };
        if !headers.is_empty() {
            edits.add("access-control-allow-headers", headers);
        }
    }

    fn tell_lists(&'a self, edits: &mut Edits<'a>) {
        self.policy.grant(edits, self.granted());
        let methods = match self.policy.methods.any && self.policy.credentials {
            true => self.asked.method,
            false => &self.policy.allow_methods,
        };
        edits.add("access-control-allow-methods", methods);
        if !self.policy.listed_headers.is_empty() {
            edits.add("access-control-allow-headers", &self.policy.listed_headers);
        }
    }

    /// Browsers use these methods without asking, so a list without them forbids nothing.
    fn is_safelisted(&self) -> bool {
        names::SAFELISTED_METHODS.iter().any(|method| method.as_bytes() == self.asked.method)
    }
}
