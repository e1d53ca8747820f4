//! The gateway's sections of the configuration: what may be written, and what is refused when it is read.

use std::net::SocketAddr;
use std::time::Duration;

use forebay_balance::BalanceSettings;
use forebay_config::{
    ByteSize, Check, FilePath, Name, Node, OneOrMany, Problem, Reader, Settings, Shape, Spanned, Value,
};
use forebay_discovery::DiscoverySettings;
use forebay_idempotency::IdempotencySettings;
use forebay_retry::{Priority, ResilienceSettings, RetrySettings};
use ipnet::IpNet;

use crate::pattern::Pattern;
use crate::router::Ambiguous;

/// The front listener and what holds for all routes.
#[derive(Clone, Debug, Settings)]
pub struct GatewaySettings {
    /// Addresses that clients connect to, one or several.
    #[setting(default = "127.0.0.1:8080", restart, min_length = 1)]
    pub listen: OneOrMany<SocketAddr>,
    /// Certificate and key; without them the listeners speak plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Threads that serve, each with connections of its own; as many as the machine has cores when not given.
    #[setting(min = 1, max = 256, restart)]
    pub workers: Option<u32>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` fields are believed: addresses or networks.
    #[setting(default = [], example = ["127.0.0.1", "10.0.0.0/8"])]
    pub trusted_proxies: Vec<IpNet>,
    /// From a request to the head of its response, every retry included; then the longest silence within the
    /// response, except in event streams and WebSockets.
    #[setting(default = "15s", min = "1ms", max = "1h")]
    pub timeout: Duration,
    /// From the first byte of a request's head to its last.
    #[setting(default = "10s", min = "10ms", max = "10m")]
    pub head_timeout: Duration,
    /// How long a client may keep a connection open without a request.
    #[setting(default = "75s", min = "1s", max = "1d")]
    pub idle_timeout: Duration,
    /// For a connection to an endpoint, TLS handshake included.
    #[setting(default = "1s", min = "1ms", max = "1m")]
    pub connect_timeout: Duration,
    /// How long a connection to an endpoint is kept for the next request. Shorter than what the services allow
    /// (Node closes after 5 s), so that it is never they who close.
    #[setting(default = "4s", min = "100ms", max = "1h")]
    pub upstream_idle_timeout: Duration,
    /// The longest silence in event streams and WebSockets.
    #[setting(default = "10m", min = "1s", max = "7d")]
    pub stream_idle_timeout: Duration,
    /// What pages of other origins may do on routes that do not say, and with answers to requests that match no route:
    /// a `[cors.NAME]`.
    #[setting(refers_to = "cors", example = "storefront")]
    pub cors: Option<Spanned<Name>>,
    /// Who may call routes that do not say: an `[auth.NAME]`. `auth = "none"` on a route lets everybody in.
    #[setting(example = "customers")]
    pub auth: Option<Spanned<Name>>,
    /// Bytes of a request's or response's head.
    #[setting(default = "32KiB", min = "1KiB", max = "1MiB")]
    pub max_head: ByteSize,
    /// Bytes of a request's body; a route may say otherwise.
    #[setting(default = "100MiB")]
    pub max_body: ByteSize,
    /// One line per request on standard output: `json`, `text`, `auto` (text on a terminal, else JSON) or `off`.
    #[setting(default = "auto", restart)]
    pub access_log: AccessLogFormat,
}

/// How the access log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum AccessLogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One JSON object per line.
    Json,
    /// One line for people.
    Text,
    /// None.
    Off,
}

/// A listener's certificate. Read again with every reload.
#[derive(Clone, Debug, Settings)]
pub struct TlsSettings {
    /// PEM file: the certificate and those between it and the root.
    pub certificate: Spanned<FilePath>,
    /// PEM file: the private key.
    pub key: Spanned<FilePath>,
}

/// One service: who answers.
#[derive(Clone, Debug, Settings)]
pub struct ServiceSettings {
    /// Where endpoints are found and how they are probed.
    #[setting(flatten)]
    pub discovery: DiscoverySettings,
    /// How requests spread over them.
    #[setting(flatten)]
    pub balance: BalanceSettings,
    /// Whether and when requests are tried again.
    pub retry: RetrySettings,
    /// What else keeps failures small.
    #[setting(flatten)]
    pub resilience: ResilienceSettings,
    /// How TLS is spoken to `https://` endpoints.
    pub tls: UpstreamTlsSettings,
    /// A port on 127.0.0.1 for the other processes of this machine: what they send there reaches the service with
    /// balancing, retries and deadline. 0 takes any that is free.
    #[setting(example = 7001)]
    pub local_port: Option<Spanned<u16>>,
    /// As `timeout` in [gateway], for this service's routes and its local port.
    #[setting(min = "1ms", max = "1h")]
    pub timeout: Option<Duration>,
}

/// How TLS is spoken to endpoints.
#[derive(Clone, Debug, Settings)]
pub struct UpstreamTlsSettings {
    /// PEM file of trusted roots, instead of the system's.
    pub roots: Option<Spanned<FilePath>>,
}

/// One route: which requests go where. A route needs a `match` and exactly one of `service`, `redirect`, `respond`.
#[derive(Clone, Debug, Settings)]
#[settings(check = RouteSettings::check)]
pub struct RouteSettings {
    /// For logs and metrics; the pattern itself when not given.
    pub name: Option<Spanned<Name>>,
    /// Which requests: `[METHOD ][HOST]/path`, with `{name}` for one segment and a trailing `*` for the rest. The most
    /// specific pattern wins.
    #[setting(name = "match", example = "/api/orders/*")]
    pub pattern: Spanned<Pattern>,
    /// The service that answers.
    #[setting(refers_to = "service", example = "orders")]
    pub service: Option<Spanned<Name>>,
    /// Sends the client elsewhere.
    #[setting(example = { to = "https://shop.example/*" })]
    pub redirect: Option<RedirectSettings>,
    /// Always the same answer.
    #[setting(example = { status = 200, body = "ok" })]
    pub respond: Option<RespondSettings>,
    /// What pages of other origins may do: a `[cors.NAME]`.
    #[setting(refers_to = "cors", example = "storefront")]
    pub cors: Option<Spanned<Name>>,
    /// Who may call: an `[auth.NAME]`, or `none` for everybody.
    #[setting(example = "customers")]
    pub auth: Option<Spanned<Name>>,
    /// Runs a POST or PATCH with an `Idempotency-Key` once, however often it is sent.
    #[setting(example = "subject")]
    pub idempotency: Option<IdempotencySettings>,
    /// As `timeout` in [gateway], for this route.
    #[setting(min = "1ms", max = "1h")]
    pub timeout: Option<Duration>,
    /// As `max_body` in [gateway], for this route.
    pub max_body: Option<ByteSize>,
    /// Who is served first when the service has reached its limit, unless a trusted proxy says otherwise in
    /// `forebay-priority`.
    #[setting(default = "normal")]
    pub priority: Priority,
}

/// A redirect. A target alone is short for a table with it.
#[derive(Clone, Debug, Settings)]
#[settings(short = "to", check = RedirectSettings::check)]
pub struct RedirectSettings {
    /// The new place; a trailing `*` takes what the pattern's `*` matched.
    #[setting(min_length = 1, max_length = 2000)]
    pub to: String,
    /// 308 keeps method and body and may be remembered by clients; 307 is for the time being.
    #[setting(default = 308, min = 301, max = 308)]
    pub status: u16,
}

/// A fixed answer.
#[derive(Clone, Debug, Settings)]
pub struct RespondSettings {
    /// The status.
    #[setting(default = 200, min = 200, max = 599)]
    pub status: u16,
    /// The media type of the body.
    #[setting(default = "text/plain; charset=utf-8", max_length = 200)]
    pub content_type: FieldText,
    /// The body.
    #[setting(default = "", max_length = 65536)]
    pub body: String,
}

/// A field's value: visible ASCII and spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldText(pub String);

impl Value for FieldText {
    const SHAPE: Shape = Shape::text("a header field's value", "\"text/plain\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<FieldText> {
        reader.text(node, &Self::SHAPE, |text| match text.chars().find(|&c| !(' '..='~').contains(&c)) {
            Some(odd) => Err(Problem::new(format!("has {odd:?}")).help("use visible ASCII and spaces alone")),
            None => Ok(FieldText(text.to_owned())),
        })
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl Value for Pattern {
    const SHAPE: Shape = Shape::text("a route pattern", "\"/api/*\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
        reader.text(node, &Self::SHAPE, |text| text.parse().map_err(|error| Problem::new(format!("{error}"))))
    }
}

impl RedirectSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            check
                .error("status", format!("{} is not a redirect", self.status))
                .help("write 301, 302, 303, 307 or 308");
        }
        if let Some(odd) = self.to.chars().find(|c| !c.is_ascii_graphic()) {
            check
                .error("to", format!("a `Location` cannot hold {odd:?}"))
                .help("encode it with a percent sign");
        }
    }
}

impl RouteSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.idempotency.is_some() && self.service.is_none() {
            check
                .error("idempotency", "this route has no service whose answers could be kept")
                .help("remove it, or give the route a `service`");
        }
        let written: Vec<&str> =
            ["service", "redirect", "respond"].into_iter().filter(|key| check.is_written(key)).collect();
        match written.as_slice() {
            [] => {
                check
                    .error("match", "this route says which requests, but not who answers them")
                    .help("add one of `service`, `redirect`, `respond`");
            }
            [_] => {
                let takes_rest = self.redirect.as_ref().is_some_and(|redirect| redirect.to.ends_with('*'));
                if takes_rest && !self.pattern.path.rest {
                    check
                        .error("redirect", "the target ends with `*`, and `match` has none")
                        .note("the target's `*` takes what the pattern's `*` matched")
                        .help("end the pattern with `/*`, or the target without");
                }
            }
            [_, second, ..] => {
                let both = written.join("` and `");
                check
                    .error(second, format!("`{both}` cannot stand together"))
                    .note("a request has one answer")
                    .help("keep one of them, or make two routes");
            }
        }
    }
}

/// Reports what only all routes together can tell: pairs that leave two answers, and names used twice.
pub fn check_routes(routes: &[Spanned<RouteSettings>], check: &mut Check<'_, '_>) {
    let patterns: Vec<Pattern> = routes.iter().map(|route| route.pattern.value.clone()).collect();
    for conflict in crate::router::Router::new(&patterns).err().unwrap_or_default() {
        let Ambiguous { first, second, routes: (_, later) } = conflict;
        let message = if first == second {
            format!("another route matches `{second}` already")
        } else {
            format!("`{second}` and `{first}` match the same requests, and neither is the more specific")
        };
        check
            .error_at(routes[later].pattern.origin, message)
            .note("the most specific pattern wins, so two that tie would leave it to chance")
            .help("make one of them more specific, or give them different methods or hosts");
    }
    let names: Vec<&Spanned<Name>> = routes.iter().filter_map(|route| route.name.as_ref()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].iter().any(|earlier| earlier.value == name.value) {
            check
                .error_at(name.origin, format!("another route is named \"{}\" already", name.value))
                .note("logs and metrics tell routes apart by their names")
                .help("choose another name, or leave it out to use the pattern");
        }
    }
}
