//! The gateway's sections of the configuration, and the plan they come to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_balance::BalanceSettings;
use forebay_config::{
    ByteSize, Check, FilePath, Name, Node, OneOrMany, Origin, Problem, Reader, Settings, Shape, Spanned,
    Value,
};
use forebay_discovery::DiscoverySettings;
use forebay_http::parse::HeadLimits;
use forebay_http::tls::{self, TlsError};
use forebay_retry::RetrySettings;
use ipnet::IpNet;
use thiserror::Error;

use crate::pattern::Pattern;
use crate::plan::{Answer, Limits, LocalPort, Plan, Route, Service};
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
    /// As `timeout` in [gateway], for this route.
    #[setting(min = "1ms", max = "1h")]
    pub timeout: Option<Duration>,
    /// As `max_body` in [gateway], for this route.
    pub max_body: Option<ByteSize>,
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

/// Reports local ports that are taken twice: by two services, or by a listener of this configuration.
pub fn check_local_ports<'s>(
    services: impl Iterator<Item = (&'s Name, &'s ServiceSettings)>,
    listeners: &[(&str, SocketAddr)],
    check: &mut Check<'_, '_>,
) {
    let mut taken: Vec<(String, u16)> = listeners
        .iter()
        .filter(|(_, address)| {
            address.ip().is_unspecified() || address.ip().to_canonical() == Ipv4Addr::LOCALHOST
        })
        .map(|(key, address)| (format!("`{key}`"), address.port()))
        .collect();
    for (name, settings) in services {
        let Some(port) = &settings.local_port else { continue };
        if let Some((by, _)) = taken.iter().find(|(_, known)| *known == port.value && port.value != 0) {
            check
                .error_at(port.origin, format!("port {} is that of {by} already", port.value))
                .note("each port has one listener")
                .help("choose another, or 0 for any that is free");
        }
        taken.push((format!("service `{name}`"), port.value));
    }
}

/// Why valid settings still come to no plan: something outside the file.
#[derive(Debug, Error)]
#[error("{problem}")]
pub struct PlanError {
    /// Where the setting is written.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

/// Reads a file named in the configuration.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// The plan of a checked configuration. Certificates are read through `read`.
pub fn plan<'s>(
    gateway: &GatewaySettings,
    services: impl Iterator<Item = (&'s Name, &'s ServiceSettings)>,
    routes: &[Spanned<RouteSettings>],
    read: ReadFile<'_>,
) -> Result<Plan, Vec<PlanError>> {
    let mut errors = Vec::new();
    let tls =
        gateway.tls.as_ref().and_then(|tls| server_tls(tls, read).map_err(|error| errors.push(error)).ok());
    let (mut names, mut timeouts) = (Vec::new(), Vec::new());
    let mut planned = Vec::new();
    for (name, settings) in services {
        match service(name, settings, gateway, read) {
            Ok(service) => planned.push(service),
            Err(error) => errors.push(error),
        }
        names.push(name);
        timeouts.push(settings.timeout);
    }
    let place = |name: &Name| names.iter().position(|known| *known == name);
    let timeout_of = |place: usize| timeouts.get(place).copied().flatten().unwrap_or(gateway.timeout);
    let routes = routes.iter().filter_map(|settings| route(settings, gateway, place, timeout_of)).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    Plan::new(limits(gateway), tls, gateway.trusted_proxies.clone(), routes, planned).map_err(|conflicts| {
        let error = |conflict: Ambiguous| PlanError {
            origin: None,
            problem: conflict.to_string(),
            help: "make one of them more specific".to_owned(),
        };
        conflicts.into_iter().map(error).collect()
    })
}

fn limits(gateway: &GatewaySettings) -> Limits {
    Limits {
        head: HeadLimits { bytes_max: gateway.max_head.as_usize(), ..HeadLimits::default() },
        head_timeout: gateway.head_timeout,
        idle_timeout: gateway.idle_timeout,
        upstream_idle_timeout: gateway.upstream_idle_timeout,
        connect_timeout: gateway.connect_timeout,
        stream_idle_timeout: gateway.stream_idle_timeout,
    }
}

fn service(
    name: &Name,
    settings: &ServiceSettings,
    gateway: &GatewaySettings,
    read: ReadFile<'_>,
) -> Result<Service, PlanError> {
    let definition = settings.discovery.definition();
    let speaks_tls = definition.sources.iter().any(|source| source.tls.is_some());
    let tls = if speaks_tls { Some(client_tls(settings, read)?) } else { None };
    Ok(Service {
        name: name.as_str().into(),
        definition,
        balance: settings.balance.balance(),
        hash_key: settings.balance.hash_key(),
        sticky: settings.balance.sticky(),
        retry: settings.retry.policy(),
        budget: settings.retry.budget(),
        tls,
        local: settings.local_port.as_ref().map(|port| LocalPort {
            port: port.value,
            timeout: settings.timeout.unwrap_or(gateway.timeout),
            body_bytes_max: gateway.max_body.0,
        }),
    })
}

fn route(
    settings: &RouteSettings,
    gateway: &GatewaySettings,
    place: impl Fn(&Name) -> Option<usize>,
    timeout_of: impl Fn(usize) -> Duration,
) -> Option<Route> {
    let pattern = settings.pattern.value.clone();
    let answer = if let Some(service) = &settings.service {
        // References were checked when the file was read.
        Answer::Service(place(&service.value)?)
    } else if let Some(redirect) = &settings.redirect {
        Answer::Redirect { status: redirect.status, to: redirect.to.clone() }
    } else {
        let RespondSettings { status, content_type, body } = settings.respond.clone()?;
        Answer::Static { status, content_type: content_type.0, body }
    };
    let timeout = match answer {
        Answer::Service(place) => timeout_of(place),
        Answer::Redirect { .. } | Answer::Static { .. } => gateway.timeout,
    };
    Some(Route {
        name: settings
            .name
            .as_ref()
            .map_or_else(|| pattern.to_string(), |name| name.value.to_string())
            .into(),
        pattern,
        answer,
        timeout: settings.timeout.unwrap_or(timeout),
        body_bytes_max: settings.max_body.unwrap_or(gateway.max_body).0,
    })
}

fn read_pem(path: &Spanned<FilePath>, read: ReadFile<'_>) -> Result<Vec<u8>, PlanError> {
    read(&path.value).map_err(|error| PlanError {
        origin: Some(path.origin),
        problem: format!("{} cannot be read: {error}", path.value.display()),
        help: "relative paths start at the directory of the file they are written in".to_owned(),
    })
}

fn server_tls(settings: &TlsSettings, read: ReadFile<'_>) -> Result<Arc<rustls::ServerConfig>, PlanError> {
    let (chain, key) = (read_pem(&settings.certificate, read)?, read_pem(&settings.key, read)?);
    tls::server_config(&chain, &key).map_err(|error| {
        let file = if matches!(error, TlsError::Key) { &settings.key } else { &settings.certificate };
        tls_error(&error, file)
    })
}

fn client_tls(
    settings: &ServiceSettings,
    read: ReadFile<'_>,
) -> Result<Arc<rustls::ClientConfig>, PlanError> {
    match &settings.tls.roots {
        Some(path) => {
            tls::client_config(Some(&read_pem(path, read)?)).map_err(|error| tls_error(&error, path))
        }
        None => tls::client_config(None).map_err(|error| PlanError {
            origin: None,
            problem: error.to_string(),
            help: "install the ca-certificates package, or name trusted roots with `tls = { roots = \"…\" }`"
                .to_owned(),
        }),
    }
}

fn tls_error(error: &TlsError, file: &Spanned<FilePath>) -> PlanError {
    PlanError {
        origin: Some(file.origin),
        problem: format!("{}: {error}", file.value.display()),
        help:
            "a PEM file has blocks that begin with -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY-----"
                .to_owned(),
    }
}
