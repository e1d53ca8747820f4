//! The checked configuration of the gateway: past this point only valid values exist.
//!
//! A plan is configuration only. Whatever lives longer than a reload (health, budgets, pools) is kept elsewhere and
//! found by name.

use std::sync::Arc;
use std::time::Duration;

use forebay_balance as balance;
use forebay_discovery::ServiceDefinition;
use forebay_http::parse::HeadLimits;
use forebay_http::server::ServerSettings;
use forebay_retry::{BudgetSettings, Policy};
use ipnet::IpNet;

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
    /// In the order of the configuration; the router names them by place.
    pub routes: Vec<Route>,
    /// In the order of their names; routes name them by place.
    pub services: Vec<Service>,
    router: Router,
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
    /// From the request's head to the response's head, every retry included; then between pieces of the body.
    pub timeout: Duration,
    /// Of a request body.
    pub body_bytes_max: u64,
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
    pub balance: balance::Policy,
    /// Whether and when a request is tried again.
    pub retry: Policy,
    /// How many retries there may be.
    pub budget: BudgetSettings,
    /// How TLS is spoken to endpoints that want it.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Plan {
    /// Puts checked parts together. The one thing that can still be wrong is a pair of routes.
    pub fn new(
        limits: Limits,
        tls: Option<Arc<rustls::ServerConfig>>,
        trusted_proxies: Vec<IpNet>,
        routes: Vec<Route>,
        services: Vec<Service>,
    ) -> Result<Plan, Vec<Ambiguous>> {
        let patterns: Vec<Pattern> = routes.iter().map(|route| route.pattern.clone()).collect();
        Ok(Plan { limits, tls, trusted_proxies, routes, services, router: Router::new(&patterns)? })
    }

    /// The lookup over its routes.
    pub fn router(&self) -> &Router {
        &self.router
    }
}
