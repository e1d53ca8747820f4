//! The plan that settings come to. Reads the certificates they name; everything else was checked when it was read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use forebay_auth::AuthSettings;
use forebay_config::{FilePath, Name, Origin, Spanned};
use forebay_cors::CorsSettings;
use forebay_http::parse::HeadLimits;
use forebay_http::tls::{self, TlsError};
use forebay_registry::RegistrySettings;
use forebay_retry::{BreakerTable, ConcurrencySettings, HedgeSettings, RateLimitSettings};
use thiserror::Error;

use crate::auth_planning;
use crate::plan::{Answer, CorsPolicy, Limits, LocalPort, Parts, Plan, Route, Service};
use crate::router::Ambiguous;
use crate::settings::{GatewaySettings, RespondSettings, RouteSettings, ServiceSettings, TlsSettings};

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

/// The sections that a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'s> {
    /// `[gateway]`
    pub gateway: &'s GatewaySettings,
    /// `[service.NAME]`
    pub services: &'s BTreeMap<Name, ServiceSettings>,
    /// `[[route]]`
    pub routes: &'s [Spanned<RouteSettings>],
    /// `[cors.NAME]`
    pub cors: &'s BTreeMap<Name, CorsSettings>,
    /// `[auth.NAME]`
    pub auth: &'s BTreeMap<Name, AuthSettings>,
    /// `[registry]`
    pub registry: Option<&'s RegistrySettings>,
}

/// The plan of a checked configuration. Certificates are read through `read`.
pub fn plan(sections: &Sections<'_>, read: ReadFile<'_>) -> Result<Plan, Vec<PlanError>> {
    let Sections { gateway, services, routes, cors, auth, registry } = *sections;
    let mut errors = Vec::new();
    let tls =
        gateway.tls.as_ref().and_then(|tls| server_tls(tls, read).map_err(|error| errors.push(error)).ok());
    let planned = services.iter().filter_map(|(name, settings)| {
        service(name, settings, gateway, read).map_err(|error| errors.push(error)).ok()
    });
    let planned = planned.collect();
    let policies = auth.iter().filter_map(|(name, settings)| {
        auth_planning::auth(name, settings, sections, read).map_err(|error| errors.push(error)).ok()
    });
    let policies = policies.collect();
    let roots = registry.and_then(|registry| registry.checks.roots.as_ref());
    let checks_tls = roots.and_then(|file| trusting(file, read).map_err(|error| errors.push(error)).ok());
    if !errors.is_empty() {
        return Err(errors);
    }
    let parts = Parts {
        limits: limits(gateway),
        tls,
        trusted_proxies: gateway.trusted_proxies.clone(),
        routes: routes.iter().filter_map(|settings| route(settings, sections)).collect(),
        services: planned,
        cors: cors.iter().map(|(name, settings)| CorsPolicy::new(name.as_str(), settings)).collect(),
        cors_default: gateway.cors.as_ref().and_then(|name| place_in(cors, name)),
        auth: policies,
        checks_tls,
    };
    Plan::new(parts).map_err(|conflicts| {
        let error = |conflict: Ambiguous| PlanError {
            origin: None,
            problem: conflict.to_string(),
            help: "make one of them more specific".to_owned(),
        };
        conflicts.into_iter().map(error).collect()
    })
}

/// Where a section stands among those of its kind. References were checked when the file was read.
pub(crate) fn place_in<T>(sections: &BTreeMap<Name, T>, name: &Name) -> Option<usize> {
    sections.keys().position(|known| known == name)
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
    let resilience = &settings.resilience;
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
        hedge: resilience.hedge.as_ref().map(HedgeSettings::hedge),
        breaker: resilience.breaker.as_ref().map(BreakerTable::breaker),
        limit: resilience.concurrency.as_ref().map(ConcurrencySettings::limit),
        tls,
        local: settings.local_port.as_ref().map(|port| LocalPort {
            port: port.value,
            timeout: settings.timeout.unwrap_or(gateway.timeout),
            body_bytes_max: gateway.max_body.0,
        }),
    })
}

fn route(settings: &RouteSettings, sections: &Sections<'_>) -> Option<Route> {
    let Sections { gateway, services, cors, .. } = *sections;
    let pattern = settings.pattern.value.clone();
    let mut timeout = gateway.timeout;
    let answer = if let Some(name) = &settings.service {
        timeout = services.get(&name.value)?.timeout.unwrap_or(timeout);
        Answer::Service(place_in(services, name)?)
    } else if let Some(redirect) = &settings.redirect {
        Answer::Redirect { status: redirect.status, to: redirect.to.clone() }
    } else {
        let RespondSettings { status, content_type, body } = settings.respond.clone()?;
        Answer::Static { status, content_type: content_type.0, body }
    };
    let timeout = settings.timeout.unwrap_or(timeout);
    let name = settings.name.as_ref().map_or_else(|| pattern.to_string(), |name| name.value.to_string());
    Some(Route {
        name: name.into(),
        pattern,
        answer,
        cors: settings.cors.as_ref().or(gateway.cors.as_ref()).and_then(|name| place_in(cors, name)),
        auth: auth_planning::of_route(settings, sections),
        timeout,
        body_bytes_max: settings.max_body.unwrap_or(gateway.max_body).0,
        rate_limit: settings.rate_limit.as_ref().map(RateLimitSettings::limit),
        priority: settings.priority,
        idempotency: settings.idempotency.as_ref().map(|settings| Arc::new(settings.policy(timeout))),
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
        Some(file) => trusting(file, read),
        None => tls::client_config(None).map_err(|error| PlanError {
            origin: None,
            problem: error.to_string(),
            help: "install the ca-certificates package, or name trusted roots with `tls = { roots = \"…\" }`"
                .to_owned(),
        }),
    }
}

/// TLS towards those whose certificate comes from one of these roots.
pub(crate) fn trusting(
    roots: &Spanned<FilePath>,
    read: ReadFile<'_>,
) -> Result<Arc<rustls::ClientConfig>, PlanError> {
    tls::client_config(Some(&read_pem(roots, read)?)).map_err(|error| tls_error(&error, roots))
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
