//! What balancing reads of a `[service.NAME]` table.

use std::time::Duration;

use forebay_config::{Check, Node, Problem, Reader, Secret, Settings, Shape, Share, Value, is_token};

use crate::sticky::StickyKey;
use crate::{Balance, HashKey, Policy, Ramp, SameSite, Sticky};

/// How requests spread over a service's endpoints.
#[derive(Clone, Debug, Settings)]
#[settings(check = BalanceSettings::check)]
pub struct BalanceSettings {
    /// Who gets the next request: `least-request` takes the less busy of two endpoints drawn at random, `peak-ewma` the
    /// one of two with the lower latency times requests, `round-robin` one after the other, `random` any; `maglev` and
    /// `ring-hash` the one that the request's key belongs to.
    #[setting(default = "least-request")]
    pub balance: Policy,
    /// What ties a request to an endpoint, for `maglev` and `ring-hash`; the client's address if left out. A request
    /// without it goes to the less busy of two.
    #[setting(example = "header:x-user")]
    pub hash: Option<HashSettings>,
    /// Keeps a client with the endpoint that answered it first, by a cookie of this name, as long as that endpoint is
    /// healthy.
    #[setting(example = "forebay")]
    pub sticky: Option<StickySettings>,
    /// The time in which an endpoint that is new, or healthy again, comes to its full share of requests.
    #[setting(min = "1s", max = "1h", example = "30s")]
    pub slow_start: Option<Duration>,
    /// When less than this share of the endpoints, by weight, is healthy, requests go to all of them.
    #[setting(default = "10%")]
    pub panic_threshold: Share,
    /// The zone that this Forebay runs in: endpoints there are preferred while their share of the requests is fair.
    #[setting(min_length = 1, example = "${ZONE}")]
    pub zone: Option<String>,
}

/// What ties a request to an endpoint. A key alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "key")]
pub struct HashSettings {
    /// `header:NAME`, `cookie:NAME`, `query:NAME`, `path:NAME` (a parameter of the route's pattern) or `address`.
    #[setting(default = "address")]
    pub key: HashKey,
    /// How far above the average an endpoint's load may rise before requests walk on to the next.
    #[setting(default = "25%", min = "1%")]
    pub headroom: Share,
}

/// The cookie of sticky sessions. A name alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "cookie", check = StickySettings::check)]
pub struct StickySettings {
    /// The cookie's name.
    #[setting(default = "forebay")]
    pub cookie: CookieName,
    /// Makes the cookie's value, which names an endpoint, unguessable; the same on every node. Without it, whoever
    /// guesses an endpoint's address can find out that the guess is right.
    pub secret: Option<Secret>,
    /// For which paths clients send it back.
    #[setting(default = "/")]
    pub path: CookiePath,
    /// Whether scripts of the page must not see it.
    #[setting(default = true)]
    pub http_only: bool,
    /// Whether clients send it over https only; if left out, when they got it over https.
    pub secure: Option<bool>,
    /// Whether requests from other sites carry it: `strict`, `lax` or `none`.
    #[setting(default = "lax")]
    pub same_site: SameSite,
    /// How long a client keeps it from the first answer on; if left out, until the browser is closed.
    #[setting(min = "1s", max = "8760h", example = "1h")]
    pub ttl: Option<Duration>,
}

/// A cookie's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieName(pub Box<str>);

/// A cookie's `Path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePath(pub Box<str>);

impl BalanceSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        let hashing = self.balance.is_hashing();
        if self.hash.is_some() && !hashing {
            check
                .error("hash", format!("{} does not look at a key", self.balance))
                .help("write balance = \"maglev\", or remove `hash`");
        }
        if self.slow_start.is_some() && hashing {
            check
                .error("slow_start", format!("{} has no slow start", self.balance))
                .note("a key belongs to its endpoint from the first request on")
                .help("remove `slow_start`, or choose another `balance`");
        }
        if self.zone.is_some() && hashing {
            check
                .error("zone", format!("{} prefers no zone", self.balance))
                .note("nodes in other zones would send the same key to other endpoints")
                .help("remove `zone`, or choose another `balance`");
        }
    }

    /// The balance they come to.
    pub fn balance(&self) -> Balance {
        Balance {
            headroom: self.hash.as_ref().map_or(crate::HEADROOM, |hash| hash.headroom),
            ramp: Ramp::over(self.slow_start.unwrap_or_default()),
            panic_threshold: self.panic_threshold,
            zone: self.zone.as_deref().map(Into::into),
            sticky: self
                .sticky
                .as_ref()
                .map(|sticky| StickyKey::new(sticky.secret.as_ref().map(Secret::reveal))),
            ..Balance::from(self.balance)
        }
    }

    /// What ties requests to endpoints; `None` for policies that do not hash.
    pub fn hash_key(&self) -> Option<HashKey> {
        let key = || self.hash.as_ref().map_or(HashKey::Address, |hash| hash.key.clone());
        self.balance.is_hashing().then(key)
    }

    /// The cookie of sticky sessions; `None` without them.
    pub fn sticky(&self) -> Option<Sticky> {
        let settings = self.sticky.as_ref()?;
        Some(Sticky {
            cookie: settings.cookie.0.clone(),
            path: settings.path.0.clone(),
            http_only: settings.http_only,
            secure: settings.secure,
            same_site: settings.same_site,
            ttl: settings.ttl,
        })
    }
}

impl StickySettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.same_site == SameSite::None && self.secure == Some(false) {
            check
                .error("secure", "browsers drop a cookie that is for all sites and not for https only")
                .help("remove `secure`, or write same_site = \"lax\"");
        }
        if self.cookie.0.starts_with("__") && self.secure != Some(true) {
            check
                .error("cookie", "browsers drop a cookie of such a name that is not for https only")
                .help("write secure = true, or choose a name without the underscores");
        }
    }
}

impl Value for Policy {
    const SHAPE: Shape = Shape::text("a balancing policy", "\"least-request\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Policy> {
        reader.text(node, &Self::SHAPE, |text| {
            text.parse().map_err(|_| {
                let known: Vec<&str> = Policy::ALL.iter().map(|policy| policy.name()).collect();
                Problem::new("is not known").help(format!("write one of {}", known.join(", ")))
            })
        })
    }
}

impl Value for HashKey {
    const SHAPE: Shape = Shape::text("a hash key", "\"header:x-user\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<HashKey> {
        reader.text(node, &Self::SHAPE, |text| {
            text.parse().map_err(|error: crate::Error| {
                Problem::new(format!("cannot be used: {error}")).help(
                    "write \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"path:NAME\" or \"address\"",
                )
            })
        })
    }
}

impl Value for CookieName {
    const SHAPE: Shape = Shape::text("a cookie's name", "\"forebay\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<CookieName> {
        reader.text(node, &Self::SHAPE, |text| match is_token(text) {
            true => Ok(CookieName(text.into())),
            false => Err(Problem::new("is no name for a cookie").help("use letters, digits, `-` and `_`")),
        })
    }
}

impl Value for CookiePath {
    const SHAPE: Shape = Shape::text("a path", "\"/\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<CookiePath> {
        reader.text(node, &Self::SHAPE, |text| {
            if !text.starts_with('/') {
                return Err(Problem::new("does not begin with a slash").help(format!("write \"/{text}\"")));
            }
            if let Some(odd) = text.chars().find(|&c| !c.is_ascii_graphic() || c == ';') {
                return Err(Problem::new(format!("has {odd:?}, which ends a cookie's path")));
            }
            Ok(CookiePath(text.into()))
        })
    }
}
