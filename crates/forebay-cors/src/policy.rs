//! A policy, compiled: decides preflights and requests, and what their responses say. Decides without allocating, and
//! never about more bytes than it has to look at.

use forebay_http::Fields;

use crate::decision::{Decision, Granted, Kind, OriginText, Outcome, Reason};
use crate::edits::Edits;
use crate::names::{self, NAME_BYTES_MAX};
use crate::origin::ORIGIN_BYTES_MAX;
use crate::origins::{Found, Origins};
use crate::request_headers::RequestHeaders;
use crate::settings::CorsSettings;

/// What the answer to a preflight depends on. An OPTIONS without these fields is none and goes to the service.
const VARY_PREFLIGHT: &[&str] =
    &["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"];
const VARY_PREFLIGHT_PRIVATE: &[&str] = &[
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Private-Network",
];
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
pub enum Verdict<'p, 'r> {
    /// Forebay answers it itself, at once.
    Answer(Preflight<'p, 'r>),
    /// It goes on; the response needs [`Policy::edits`].
    Pass(Decision),
}

/// A preflight and its answer, which has no body.
#[derive(Debug)]
pub struct Preflight<'p, 'r> {
    policy: &'p Policy,
    outcome: Outcome,
    asked: Asked<'r>,
}

/// What a preflight asks for.
#[derive(Clone, Copy, Debug)]
struct Asked<'r> {
    origin: &'r [u8],
    method: &'r [u8],
    headers: &'r [u8],
    /// Whether the page is a public one and the route is not.
    private_network: bool,
}

/// A `[cors.NAME]` table, compiled.
#[derive(Debug)]
pub struct Policy {
    origins: Origins,
    methods: Methods,
    headers: RequestHeaders,
    credentials: bool,
    private_network: bool,
    shadow: bool,
    debug: bool,
    preflight_status: u16,
    timing: bool,
    /// The `Access-Control-Allow-Origin` of every response, where it is the same for all.
    fixed_origin: Option<Box<[u8]>>,
    allow_methods: Box<[u8]>,
    allow_headers: Box<[u8]>,
    /// The same without `*`, for the answer to a preflight that is denied.
    listed_headers: Box<[u8]>,
    expose: Box<[u8]>,
    max_age: Box<[u8]>,
    resource_policy: &'static [u8],
}

#[derive(Debug)]
struct Methods {
    any: bool,
    listed: Vec<Box<str>>,
    /// Whether GET or HEAD is listed: what may be got may be looked at, and caches answer the one with the other.
    get: bool,
}

impl Methods {
    fn new(any: bool, listed: Vec<Box<str>>) -> Methods {
        let get = listed.iter().any(|method| matches!(&**method, "GET" | "HEAD"));
        Methods { any, listed, get }
    }

    fn allows(&self, method: &[u8]) -> bool {
        if self.any {
            let text = std::str::from_utf8(method).unwrap_or_default();
            return names::is_token(method) && !names::is_forbidden_method(text);
        }
        match method {
            b"GET" | b"HEAD" => self.get,
            _ => self.listed.iter().any(|listed| listed.as_bytes() == method),
        }
    }
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
        fields.each_value("origin", &mut |value| {
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
            && let Some(method) = fields.value("access-control-request-method")
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
            Ok(_) if !self.methods.allows(ask.method.as_bytes()) => Outcome::Denied(Reason::MethodNotAllowed),
            Ok(_) => Outcome::Allowed,
        };
        let granted = match (found, outcome) {
            (_, Outcome::Allowed) if self.fixed_origin.is_some() => Granted::Nobody,
            (Ok(Found::Listed(number)), Outcome::Allowed) => Granted::Listed(number),
            (_, Outcome::Allowed) if self.is_open() => Granted::Everybody,
            (Ok(Found::Covered), Outcome::Allowed) => {
                OriginText::new(origin).map_or(Granted::Nobody, Granted::Covered)
            }
            _ => Granted::Nobody,
        };
        Decision { kind: Kind::Actual, outcome, granted }
    }

    /// Whether everybody may, and the answer is `*`.
    fn is_open(&self) -> bool {
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
        fields.each_value("access-control-request-headers", &mut |value| {
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
            fields.value("access-control-request-private-network").is_some_and(|value| value == b"true");
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

    fn grant<'a>(&self, edits: &mut Edits<'a>, origin: &'a [u8]) {
        edits.add("access-control-allow-origin", origin);
        if self.credentials {
            edits.add("access-control-allow-credentials", b"true");
        }
    }

    fn tell(&self, edits: &mut Edits<'_>, outcome: Outcome) {
        if self.debug {
            edits.add("forebay-cors", outcome.text().as_bytes());
        }
    }
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

/// Whether a page of the very origin that is asked sends this: browsers send `Origin` with same-origin POSTs too.
fn is_own(origin: &[u8], ask: &Ask<'_>) -> bool {
    let rest = origin.strip_prefix(ask.scheme.as_bytes()).and_then(|rest| rest.strip_prefix(b"://"));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(ask.authority.as_bytes()))
}

fn join<'n>(names: impl Iterator<Item = &'n str>) -> Box<[u8]> {
    names.collect::<Vec<_>>().join(", ").into_bytes().into()
}
