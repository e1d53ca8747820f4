//! A configuration in the shape of the real one, small enough to know by heart.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use forebay_config::{
    ByteSize, Check, Diagnostics, FilePath, HttpUrl, Inputs, Loaded, Name, OneOrMany, Rate, Secret, Settings,
    Share, Spanned, load,
};
use ipnet::IpNet;

/// The whole file.
#[derive(Debug, Clone, Settings)]
pub(crate) struct Root {
    /// The front listener and what holds for all routes.
    pub(crate) gateway: GatewaySettings,
    /// Who answers.
    pub(crate) service: BTreeMap<Name, ServiceSettings>,
    /// What goes where.
    pub(crate) route: Vec<Spanned<RouteSettings>>,
    /// Who may call.
    pub(crate) auth: BTreeMap<Name, AuthSettings>,
    /// Jobs to do later.
    pub(crate) queue: BTreeMap<Name, QueueSettings>,
}

/// The front listener and what holds for all routes.
#[derive(Debug, Clone, Settings)]
#[settings(check = GatewaySettings::check)]
pub(crate) struct GatewaySettings {
    /// Address that clients connect to.
    #[setting(default = "127.0.0.1:8080", restart)]
    pub(crate) listen: SocketAddr,
    /// A whole request, every retry included.
    #[setting(default = "15s", min = "1ms", max = "1h")]
    pub(crate) timeout: Duration,
    /// One attempt of it.
    #[setting(default = "5s")]
    pub(crate) attempt_timeout: Duration,
    /// Peers whose `Forwarded` headers are believed.
    #[setting(default = [])]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The largest request body.
    #[setting(default = "1MiB", max = "1GiB")]
    pub(crate) body_max: ByteSize,
    /// Requests that one client may send.
    pub(crate) rate: Option<Rate>,
    /// Certificates; without them the listener speaks plain HTTP.
    pub(crate) tls: Option<TlsSettings>,
    /// Connections kept waiting.
    #[setting(deprecated = "the kernel's limit is used", default = 128)]
    pub(crate) backlog: u16,
}

impl GatewaySettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.attempt_timeout > self.timeout {
            check
                .error("attempt_timeout", "`attempt_timeout` is longer than `timeout`")
                .note("the request is given up before its first attempt is")
                .help("make it shorter, or `timeout` longer");
        }
    }
}

/// A certificate and its key.
#[derive(Debug, Clone, Settings)]
#[settings(restart)]
pub(crate) struct TlsSettings {
    /// The chain, leaf first, as PEM.
    pub(crate) certificate: FilePath,
    /// The password of the key.
    pub(crate) password: Secret,
}

/// One service.
#[derive(Debug, Clone, Settings)]
pub(crate) struct ServiceSettings {
    #[setting(flatten)]
    pub(crate) discovery: DiscoverySettings,
    #[setting(flatten)]
    pub(crate) balance: BalanceSettings,
    /// What to do when an attempt fails.
    pub(crate) retry: RetrySettings,
    /// How to know that an endpoint is well.
    pub(crate) health: Option<HealthSettings>,
}

/// Where the endpoints are.
#[derive(Debug, Clone, Settings)]
pub(crate) struct DiscoverySettings {
    /// The endpoints, or who knows them.
    #[setting(example = "registry", what = "a source, a list of URLs, or a table")]
    pub(crate) endpoints: Endpoints,
}

/// Three ways to say where a service is.
#[derive(Debug, Clone, Settings)]
pub(crate) enum Endpoints {
    /// `"registry"`, or one URL.
    Source(String),
    /// The endpoints themselves.
    List(Vec<HttpUrl>),
    /// Something to ask.
    Dns(DnsSettings),
}

/// Endpoints from DNS.
#[derive(Debug, Clone, Settings)]
pub(crate) struct DnsSettings {
    /// The name to ask for.
    #[setting(min_length = 1)]
    pub(crate) dns: String,
}

/// Who gets the next request.
#[derive(Debug, Clone, Settings)]
pub(crate) struct BalanceSettings {
    /// How the endpoint for a request is chosen.
    #[setting(default = "least-request")]
    pub(crate) balance: Algorithm,
}

/// How the endpoint for a request is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub(crate) enum Algorithm {
    /// The one with the fewest requests in flight, of two.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// The same key to the same endpoint.
    Maglev,
}

/// What to do when an attempt fails.
#[derive(Debug, Clone, Settings)]
pub(crate) struct RetrySettings {
    /// Attempts in all.
    #[setting(default = 2, min = 1, max = 10)]
    pub(crate) attempts: u8,
    /// Retries per request.
    #[setting(
        default = "20%",
        what = "a share of requests",
        why = "a retry budget keeps retries from multiplying an outage",
        help = "write \"20%\" to allow one retry for every five requests"
    )]
    pub(crate) budget: Share,
}

/// How to know that an endpoint is well.
#[derive(Debug, Clone, Settings)]
pub(crate) struct HealthSettings {
    /// What to ask for.
    pub(crate) path: String,
    /// How often.
    #[setting(default = "2s", min = "100ms")]
    pub(crate) every: Duration,
}

/// One route.
#[derive(Debug, Clone, Settings)]
pub(crate) struct RouteSettings {
    /// Which requests: a literal, `{name}` for one segment, a trailing `*` for the rest.
    #[setting(name = "match", min_length = 1, example = "/api/*")]
    pub(crate) pattern: Spanned<String>,
    /// Who answers.
    #[setting(refers_to = "service")]
    pub(crate) service: Option<Spanned<Name>>,
    /// Who may ask.
    #[setting(refers_to = "auth")]
    pub(crate) auth: Option<OneOrMany<Name>>,
    /// Work later: stores the request and answers 202.
    pub(crate) queue: Option<QueueRoute>,
}

/// A route that works later.
#[derive(Debug, Clone, Settings)]
#[settings(short = "name")]
pub(crate) struct QueueRoute {
    /// The queue.
    #[setting(refers_to = "queue")]
    pub(crate) name: Name,
    /// What keeps its order.
    pub(crate) key: Option<String>,
}

/// Who may call.
#[derive(Debug, Clone, Settings)]
pub(crate) struct AuthSettings {
    /// The shared key.
    #[setting(min_length = 8)]
    pub(crate) secret_key: Secret,
}

/// Jobs to do later.
#[derive(Debug, Clone, Settings)]
pub(crate) struct QueueSettings {
    /// Attempts in all.
    #[setting(default = 8)]
    pub(crate) attempts: u32,
}

/// Files that exist only here.
pub(crate) struct Fake<'a>(pub(crate) &'a [(&'a str, &'a str)]);

impl forebay_config::Files for Fake<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Loads `forebay.toml` with this content and nothing else.
pub(crate) fn load_text(text: &str) -> Result<Loaded<Root>, Diagnostics> {
    let files = [("forebay.toml", text)];
    load(Inputs { file: Some("forebay.toml".into()), files: &Fake(&files), ..Inputs::default() })
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
