//! Active health checks over Forebay's own HTTP client, on the control runtime.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use forebay_discovery::{CheckKind, Endpoint, HealthCheck, Probe, ProbeFailure};
use forebay_http::client::{ConnectError, Connection, FetchError, TlsTarget, fetch};
use forebay_http::parse::HeadLimits;
use forebay_http::timer::Sweeper;
use forebay_http::{RequestHead, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::plan::{Plan, Service};

/// Health pages are small; a probe reads no more of them.
const PAGE_BYTES_MAX: usize = 64 * 1024;

/// How TLS is spoken to those who are probed; replaced by every reload.
#[derive(Clone, Debug, Default)]
pub struct ProbeTls(Arc<Mutex<Configs>>);

#[derive(Debug, Default)]
struct Configs {
    /// To the endpoints of each service.
    services: BTreeMap<Arc<str>, Arc<ClientConfig>>,
    /// To what the checks of registered instances name, where that is configured.
    checks: Option<Arc<ClientConfig>>,
}

impl ProbeTls {
    /// Replaces all by what a plan says.
    pub fn set(&self, plan: &Plan) {
        let of = |service: &Service| Some((service.name.clone(), service.tls.clone()?));
        let services = plan.services.iter().filter_map(of).collect();
        *self.lock() = Configs { services, checks: plan.checks_tls.clone() };
    }

    pub(crate) fn checks(&self) -> Option<Arc<ClientConfig>> {
        self.lock().checks.clone()
    }

    fn target(&self, endpoint: &Endpoint) -> Option<TlsTarget> {
        let name = ServerName::try_from(endpoint.tls.as_ref()?.to_string()).ok()?;
        let config = self.lock().services.get(&endpoint.service)?.clone();
        Some(TlsTarget { config, name })
    }

    fn lock(&self) -> MutexGuard<'_, Configs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes probes.
pub struct Prober {
    sweeper: Sweeper,
    tls: ProbeTls,
}

impl Prober {
    /// On the thread whose `sweeper` this is.
    pub fn new(sweeper: Sweeper, tls: ProbeTls) -> Prober {
        Prober { sweeper, tls }
    }
}

impl Probe for Prober {
    async fn probe(&self, endpoint: &Endpoint, check: &HealthCheck) -> Result<(), ProbeFailure> {
        let timer = self.sweeper.timer();
        let until = timer.now() + check.timeout;
        let tls = self.tls.target(endpoint);
        let CheckKind::Http { path, expect } = &check.kind else {
            let opened =
                Connection::open(endpoint.address, tls.as_ref(), HeadLimits::default(), &timer, until);
            return opened.await.map(drop).map_err(|error| connect_failure(error, check));
        };
        let address = endpoint.address.to_string();
        let authority = endpoint.authority.as_deref().unwrap_or(&address);
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let mut head = RequestHead::new("GET", scheme, authority, path);
        head.fields_mut().append("user-agent", b"forebay-health");
        head.fields_mut().append("accept", b"*/*");
        head.fields_mut().append("connection", b"close");
        let fetched =
            fetch(endpoint.address, tls.as_ref(), &head, Bytes::new(), PAGE_BYTES_MAX, &timer, until).await;
        // The status says it all, however long the page is.
        let status = match fetched {
            Ok((head, _)) => Ok(head.status()),
            Err(FetchError::TooLarge { head, .. }) => Ok(head.status()),
            Err(error) => Err(error),
        };
        match status {
            Ok(status) if expect.contains(&status) => Ok(()),
            Ok(got) => Err(ProbeFailure::Status { got, expected: expect.clone() }),
            Err(FetchError::Connect(error)) => Err(connect_failure(error, check)),
            Err(FetchError::TimedOut) => Err(ProbeFailure::TimedOut(check.timeout)),
            Err(error) => Err(ProbeFailure::Response(error.to_string().into())),
        }
    }
}

fn connect_failure(error: ConnectError, check: &HealthCheck) -> ProbeFailure {
    match error {
        ConnectError::Tcp(error) if error.kind() == ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        ConnectError::Tcp(error) => ProbeFailure::Unreachable(error.to_string().into()),
        ConnectError::Tls(error) => ProbeFailure::Tls(error.to_string().into()),
        ConnectError::TimedOut => ProbeFailure::TimedOut(check.timeout),
    }
}
