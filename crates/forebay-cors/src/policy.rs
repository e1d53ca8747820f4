//! A policy, compiled: decides preflights and requests, and what their responses say. Decides without allocating, and
//! never about more bytes than it has to look at.

use forebay_http::{Fields, Name};

use crate::decision::{Decision, Granted, Kind, Outcome, Reason};
use crate::edits::Edits;
use crate::methods::Methods;
use crate::names::NAME_BYTES_MAX;
use crate::origin::ORIGIN_BYTES_MAX;
use crate::origins::{Found, Origins};
use crate::preflight::{Asked, Preflight};
use crate::request_headers::RequestHeaders;
use crate::settings::CorsSettings;

const VARY_ACTUAL: &[&str] = &["Origin"];

/// The request line's part in a decision.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'r> {
    /// As written.
    pub method: &'r str,
    /// `http` or `https`, as the client spoke to whoever it first met.
    pub scheme: &'r str,
    /// Host and port that the request is for: pages of that origin are no strangers.
    pub authority: &'r str,
}

/// What becomes of a request.
#[derive(Debug)]
// A box would be an allocation for each request.
#[allow(clippy::large_enum_variant)]
pub enum Verdict<'p, 'r> {
    /// Forebay answers it itself, at once.
    Answer(Preflight<'p, 'r>),
    /// It goes on; the response needs [`Policy::edits`].
    Pass(Decision),
}

/// A `[cors.NAME]` table, compiled.
#[derive(Debug)]
pub struct Policy {
    pub(crate) origins: Origins,
    pub(crate) methods: Methods,
    pub(crate) headers: RequestHeaders,
    pub(crate) credentials: bool,
    pub(crate) private_network: bool,
    pub(crate) shadow: bool,
    pub(crate) debug: bool,
    pub(crate) preflight_status: u16,
    pub(crate) timing: bool,
    /// The `Access-Control-Allow-Origin` of every response, where it is the same for all.
    pub(crate) fixed_origin: Option<Box<[u8]>>,
    pub(crate) allow_methods: Box<[u8]>,
    pub(crate) allow_headers: Box<[u8]>,
    /// The same without `*`, for the answer to a preflight that is denied.
    pub(crate) listed_headers: Box<[u8]>,
    pub(crate) expose: Box<[u8]>,
    pub(crate) max_age: Box<[u8]>,
    pub(crate) resource_policy: &'static [u8],
}

impl Policy {
    /// Compiles settings, which are valid by having been loaded.
    pub fn new(settings: &CorsSettings) -> Policy {
        let origins = Origins::new(settings.origins.iter().map(|origin| &origin.value));
        let credentials = *settings.credentials;
        let methods = settings.methods.iter().filter(|method| !method.is_any());
        let methods = Methods::new(
            settings.methods.iter().any(|method| method.is_any()),
            methods.map(|method| method.as_str().into()).collect(),
        );
        let fixed_origin = match origins.single() {
            // A debugging header tells origins apart. Where nobody may use GET, a cached response says so to pages alone.
            _ if settings.debug || !methods.allows(b"GET") => None,
            _ if origins.is_any() => (!credentials).then(|| b"*"[..].into()),
            single => single.map(Into::into),
        };
        let names = |any: bool, listed: &[Box<str>]| {
            let star = (any && !credentials).then_some("*");
            join(star.into_iter().chain(listed.iter().map(|name| &**name)))
        };
        let listed = settings.headers.iter().filter(|name| !name.is_any()).map(|name| name.as_str().into());
        let headers =
            RequestHeaders::new(settings.headers.iter().any(|name| name.is_any()), listed.collect());
        Policy {
            fixed_origin,
            allow_methods: names(methods.any, &methods.listed),
            allow_headers: names(headers.is_any(), headers.listed()),
            listed_headers: names(false, headers.listed()),
            expose: join(settings.expose.iter().map(|name| name.as_str())),
            max_age: settings.max_age.as_secs().to_string().into_bytes().into(),
            resource_policy: settings.resource_policy.map_or(b"", |policy| policy.text().as_bytes()),
            origins,
            methods,
            headers,
            credentials,
            private_network: *settings.private_network,
            shadow: settings.shadow,
            debug: settings.debug,
            preflight_status: settings.preflight_status,
            timing: settings.timing_allow_origin,
        }
    }

    /// Whether it decides and counts only.
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Whether responses say the same to every origin, and so need no `Vary`.
    pub fn is_static(&self) -> bool {
        self.fixed_origin.is_some()
    }

    pub(crate) fn allows_method(&self, method: &str) -> bool {
        self.methods.allows(method.as_bytes())
    }

    /// Decides about one request. Allocates nothing, and looks at no value longer than a policy can allow.
    pub fn decide<'p, 'r>(&'p self, ask: &Ask<'_>, fields: &'r (impl Fields + ?Sized)) -> Verdict<'p, 'r> {
        let mut origin: Option<&'r [u8]> = None;
        let mut repeated = false;
        fields.each_known(Name::Origin, &mut |value| {
            repeated = origin.replace(value).is_some();
            !repeated
        });
        let Some(origin) = origin else {
            return Verdict::Pass(Decision {
                kind: Kind::Actual,
                outcome: Outcome::NotCors,
                granted: Granted::Nobody,
            });
        };
        let origin = if repeated { b"" } else { origin };
        if ask.method == "OPTIONS"
            && let Some(method) = fields.known(Name::AccessControlRequestMethod)
        {
            return self.preflight(origin, method, fields);
        }
        Verdict::Pass(self.actual(ask, origin))
    }

    fn actual(&self, ask: &Ask<'_>, origin: &[u8]) -> Decision {
        let found = self.find(origin);
        let outcome = match found {
            Err(_) if is_own(origin, ask) => Outcome::NotCors,
            Err(reason) => Outcome::Denied(reason),
            Ok(_) if self.methods.allows(ask.method.as_bytes()) => Outcome::Allowed,
            // A page of the very origin needs nobody's permission, whether or not the policy knows it.
            Ok(_) if is_own(origin, ask) => Outcome::NotCors,
            Ok(_) => Outcome::Denied(Reason::MethodNotAllowed),
        };
        let granted = match (found, outcome) {
            (_, Outcome::Allowed) if self.fixed_origin.is_some() => Granted::Nobody,
            (Ok(Found::Listed(number)), Outcome::Allowed) => Granted::Listed(number),
            (_, Outcome::Allowed) if self.is_open() => Granted::Everybody,
            (Ok(Found::Covered), Outcome::Allowed) => Granted::covered(origin),
            _ => Granted::Nobody,
        };
        Decision { kind: Kind::Actual, outcome, granted }
    }

    /// Whether everybody may, and the answer is `*`.
    pub(crate) fn is_open(&self) -> bool {
        self.origins.is_any() && !self.credentials
    }

    fn find(&self, origin: &[u8]) -> Result<Found, Reason> {
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
            return Err(Reason::OriginMalformed);
        }
        // Whatever it is, the answer is `*`.
        if self.is_open() {
            return Ok(Found::Covered);
        }
        self.origins.find(origin).ok_or(Reason::OriginNotAllowed)
    }

    fn preflight<'p, 'r>(
        &'p self,
        origin: &'r [u8],
        method: &'r [u8],
        fields: &'r (impl Fields + ?Sized),
    ) -> Verdict<'p, 'r> {
        let mut asked = Asked { origin, method, headers: b"", private_network: false };
        let outcome = match self.permits(&mut asked, fields) {
            Ok(()) => Outcome::Allowed,
            Err(reason) => Outcome::Denied(reason),
        };
        let preflight = Preflight { policy: self, outcome, asked };
        if self.shadow { Verdict::Pass(preflight.decision()) } else { Verdict::Answer(preflight) }
    }

    fn permits<'r>(&self, asked: &mut Asked<'r>, fields: &'r (impl Fields + ?Sized)) -> Result<(), Reason> {
        self.find(asked.origin)?;
        if asked.method.len() > NAME_BYTES_MAX || !self.methods.allows(asked.method) {
            return Err(Reason::MethodNotAllowed);
        }
        let mut lists = 0;
        fields.each_known(Name::AccessControlRequestHeaders, &mut |value| {
            asked.headers = value;
            lists += 1;
            lists < 2
        });
        // Browsers send one list; several would leave the order between them to chance.
        if lists > 1 {
            return Err(Reason::HeadersMalformed);
        }
        self.headers.check(asked.headers)?;
        asked.private_network =
            fields.known(Name::AccessControlRequestPrivateNetwork).is_some_and(|value| value == b"true");
        if asked.private_network && !self.private_network {
            return Err(Reason::PrivateNetworkNotAllowed);
        }
        Ok(())
    }

    /// What the decision does to the response of the request it was about, Forebay's own errors included.
    pub fn edits<'a>(&'a self, decision: &'a Decision) -> Edits<'a> {
        if self.shadow {
            return Edits::nothing();
        }
        let mut edits = Edits::owning(if self.is_static() { &[] } else { VARY_ACTUAL });
        let granted = match (&self.fixed_origin, &decision.granted) {
            // It says the same to all, so it may be said to all, and caches may keep it (Fetch, "CORS protocol and HTTP
            // caches"). Not for a method that nobody may use.
            (Some(_), _) if decision.outcome == Outcome::Denied(Reason::MethodNotAllowed) => None,
            (Some(fixed), _) => Some(&**fixed),
            (None, Granted::Nobody) => None,
            (None, Granted::Everybody) => Some(&b"*"[..]),
            (None, Granted::Listed(number)) => Some(self.origins.text(*number)),
            (None, Granted::Covered(text)) => Some(text.as_bytes()),
        };
        if let Some(origin) = granted {
            self.grant(&mut edits, origin);
            if !self.expose.is_empty() {
                edits.add("access-control-expose-headers", &self.expose);
            }
            if self.timing {
                edits.add("timing-allow-origin", origin);
            }
        }
        if !self.resource_policy.is_empty() {
            edits.add("cross-origin-resource-policy", self.resource_policy);
        }
        self.tell(&mut edits, decision.outcome);
        edits
    }

    pub(crate) fn grant<'a>(&self, edits: &mut Edits<'a>, origin: &'a [u8]) {
        edits.add("access-control-allow-origin", origin);
        if self.credentials {
            edits.add("access-control-allow-credentials", b"true");
        }
    }

    pub(crate) fn tell(&self, edits: &mut Edits<'_>, outcome: Outcome) {
        if self.debug {
            edits.add("forebay-cors", outcome.text().as_bytes());
        }
    }
}

/// Whether a page of the very origin that is asked sends this: browsers send `Origin` with same-origin POSTs too.
fn is_own(origin: &[u8], ask: &Ask<'_>) -> bool {
    let rest = origin.strip_prefix(ask.scheme.as_bytes()).and_then(|rest| rest.strip_prefix(b"://"));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(ask.authority.as_bytes()))
}

fn join<'n>(names: impl Iterator<Item = &'n str>) -> Box<[u8]> {
    names.collect::<Vec<_>>().join(", ").into_bytes().into()
}
