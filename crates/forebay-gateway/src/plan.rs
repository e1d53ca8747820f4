//! The checked configuration of the gateway: past this point only valid values exist.
//!
//! A plan is configuration only. Whatever lives longer than a reload (health, budgets, pools) is kept elsewhere and
//! found by name.

use std::sync::Arc;
use std::time::Duration;

use forebay_auth::{Digest, Material, Policy as AuthRules};
use forebay_balance::{Balance, HashKey, Sticky};
use forebay_cors::CorsSettings;
use forebay_discovery::ServiceDefinition;
use forebay_http::parse::HeadLimits;
use forebay_http::server::ServerSettings;
use forebay_retry::{BreakerSettings, BudgetSettings, Hedge, LimitSettings, Policy, Priority, RateLimit};
use ipnet::IpNet;

use crate::identity_fields::IdentityFields;
use crate::pattern::Pattern;
use crate::router::{Ambiguous, Router};

/// Everything one generation of the gateway decides with.
pub struct Plan {
    /// Limits and time-outs that hold for every connection.
    pub limits: Limits,
    /// Certificate and key of the listeners; without them they speak plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Those of the configuration in its order, which the router names by place; behind them those of service ports.
    pub routes: Vec<Route>,
    /// In the order of their names; routes name them by place.
    pub services: Vec<Service>,
    /// In the order of their names; routes name them by place.
    pub cors: Vec<CorsPolicy>,
    /// For what matches no route.
    pub cors_default: Option<usize>,
    /// In the order of their names; routes name them by place.
    pub auth: Vec<AuthPolicy>,
    /// How TLS is spoken to what the checks of registered instances name, where that is configured.
    pub checks_tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) identity_fields: IdentityFields,
    router: Router,
}

/// What a plan is put together from; each as in [`Plan`].
#[derive(Debug)]
pub struct Parts {
    /// Limits and time-outs.
    pub limits: Limits,
    /// Of the listeners.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Those of the configuration, in its order.
    pub routes: Vec<Route>,
    /// In the order of their names.
    pub services: Vec<Service>,
    /// In the order of their names.
    pub cors: Vec<CorsPolicy>,
    /// For what matches no route.
    pub cors_default: Option<usize>,
    /// In the order of their names.
    pub auth: Vec<AuthPolicy>,
    /// Of checks of registered instances.
    pub checks_tls: Option<Arc<rustls::ClientConfig>>,
}

/// What pages of other origins may do.
#[derive(Debug)]
pub struct CorsPolicy {
    /// Of `[cors.NAME]`.
    pub name: Arc<str>,
    /// The table, compiled.
    pub policy: forebay_cors::Policy,
}

impl CorsPolicy {
    /// Compiles a table.
    pub fn new(name: &str, settings: &CorsSettings) -> CorsPolicy {
        CorsPolicy { name: name.into(), policy: forebay_cors::Policy::new(settings) }
    }
}

/// Who may call, and how Forebay knows.
#[derive(Debug)]
pub struct AuthPolicy {
    /// The table, compiled.
    pub policy: Arc<AuthRules>,
    /// How TLS is spoken to whoever publishes its keys.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// What its file holds, where it has one.
    pub initial: Option<Arc<Material>>,
    /// Of its text.
    pub initial_text: Option<Digest>,
    /// The service that it asks, by its place.
    pub service: Option<usize>,
}

/// Bounds of one request and one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Size of request and response heads.
    pub head: HeadLimits,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// Of a client connection between requests.
    pub idle_timeout: Duration,
    /// Of a kept connection to an endpoint.
    pub upstream_idle_timeout: Duration,
    /// For a connection to an endpoint, TLS handshake included.
    pub connect_timeout: Duration,
    /// Without a byte in either direction, for tunnels and event streams.
    pub stream_idle_timeout: Duration,
}

impl Limits {
    /// What the server loop needs of them.
    pub fn server(&self, closing: Arc<std::sync::atomic::AtomicBool>) -> ServerSettings {
        ServerSettings {
            limits: self.head,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            closing,
        }
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// For logs and metrics; unique.
    pub name: Arc<str>,
    /// What it matches.
    pub pattern: Pattern,
    /// Who answers.
    pub answer: Answer,
    /// The policy for pages of other origins, by its place.
    pub cors: Option<usize>,
    /// The policy of who may call, by its place; everybody where there is none.
    pub auth: Option<usize>,
    /// From the request's head to the response's head, every retry included; then between pieces of the body.
    pub timeout: Duration,
    /// Of a request body.
    pub body_bytes_max: u64,
    /// How many requests it takes.
    pub rate_limit: Option<RateLimit>,
    /// Who is served first when there is too much.
    pub priority: Priority,
    /// Whether a POST with a key runs once.
    pub idempotency: Option<Arc<forebay_idempotency::Policy>>,
}

/// Who answers a route's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The service at this place.
    Service(usize),
    /// Forebay itself, by sending the client elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`; a trailing `*` takes the part of the path that the pattern's `*` matched.
        to: String,
    },
    /// Forebay itself, always the same.
    Static {
        /// The status.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Where its endpoints are found and how they are probed.
    pub definition: ServiceDefinition,
    /// How requests spread over them.
    pub balance: Balance,
    /// What ties a request to an endpoint, for the policies that hash.
    pub hash_key: Option<HashKey>,
    /// The cookie that keeps a client with its endpoint.
    pub sticky: Option<Sticky>,
    /// Whether and when a request is tried again.
    pub retry: Policy,
    /// How many retries there may be.
    pub budget: BudgetSettings,
    /// Whether a request that waits is sent a second time.
    pub hedge: Option<Hedge>,
    /// When the service as a whole is left alone.
    pub breaker: Option<BreakerSettings>,
    /// Between what the limit of requests in flight moves.
    pub limit: Option<LimitSettings>,
    /// How TLS is spoken to endpoints that want it.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How other processes of this machine reach it.
    pub local: Option<LocalPort>,
}

/// A port of a service's own on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// 0 for any that is free.
    pub port: u16,
    /// As a route's.
    pub timeout: Duration,
    /// As a route's.
    pub body_bytes_max: u64,
}

/// No route of the configuration can have it: names have no colon, and patterns have a slash.
fn local_route_name(service: &str) -> String {
    format!("local:{service}")
}

impl Plan {
    /// Puts checked parts together. The one thing that can still be wrong is a pair of routes.
    pub fn new(parts: Parts) -> Result<Plan, Vec<Ambiguous>> {
        let Parts {
            limits,
            tls,
            trusted_proxies,
            mut routes,
            services,
            cors,
            cors_default,
            auth,
            checks_tls,
        } = parts;
        let patterns: Vec<Pattern> = routes.iter().map(|route| route.pattern.clone()).collect();
        let router = Router::new(&patterns)?;
        let local = services.iter().enumerate();
        routes.extend(local.filter_map(|(place, service)| {
            let LocalPort { timeout, body_bytes_max, .. } = service.local?;
            Some(Route {
                name: local_route_name(&service.name).into(),
                pattern: Pattern::everything(),
                answer: Answer::Service(place),
                // Pages of other origins are refused there.
                cors: None,
                // Processes of this machine are not asked who they are.
                auth: None,
                timeout,
                body_bytes_max,
                rate_limit: None,
                priority: Priority::default(),
                idempotency: None,
            })
        }));
        let identity_fields = IdentityFields::new(&auth);
        Ok(Plan {
            limits,
            tls,
            trusted_proxies,
            routes,
            services,
            cors,
            cors_default,
            auth,
            checks_tls,
            identity_fields,
            router,
        })
    }

    /// The route of what arrives at a service's own port.
    pub fn local_route(&self, service: &str) -> Option<usize> {
        let name = local_route_name(service);
        self.routes.iter().rposition(|route| *route.name == name)
    }

    /// The lookup over its routes.
    pub fn router(&self) -> &Router {
        &self.router
    }
}
