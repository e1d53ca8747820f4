//! Asks instances how they are, as their HTTP and TCP checks say, over Forebay's own HTTP client on the control runtime.
//! Where a redirect leads, and how far, is [`crate::check_request`]'s to say. Takes no certificate that neither the
//! configuration nor the system trusts but for checks that say so.

use std::cell::OnceCell;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use forebay_clock::Moment;
use forebay_discovery::{HostName, Place, Resolve};
use forebay_http::client::{ConnectError, Connection, FetchError, TlsTarget, fetch};
use forebay_http::parse::HeadLimits;
use forebay_http::timer::{Sweeper, Timer};
use forebay_http::tls::client_config;
use forebay_http::{ResponseHead, Scheme};
use forebay_registry::{CheckKind, HttpCheck, ProbeAnswer, ProbeOrder, RegistryProbe, Status, TcpCheck};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::check_request::{CheckRequest, host_and_port};
use crate::probe::ProbeTls;
use crate::unverified::unverified_config;

/// Pages of checks are small, and people want to read why one failed; a probe reads no more of them.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// What is kept of a page in the check's words.
const WORDS_BYTES_MAX: usize = 1024;

/// Makes the probes of registered checks.
pub struct RegistryProber<'r, R> {
    sweeper: Sweeper,
    resolver: &'r R,
    /// What the configuration names, and may name otherwise after a reload.
    configured: ProbeTls,
    /// The system's roots, read when the first check needs them.
    system: OnceCell<Arc<ClientConfig>>,
    /// For checks that take any certificate.
    unverified: OnceCell<Arc<ClientConfig>>,
}

impl<'r, R: Resolve> RegistryProber<'r, R> {
    /// On the thread whose `sweeper` this is; names are looked up by `resolver`.
    pub fn new(sweeper: Sweeper, resolver: &'r R, configured: ProbeTls) -> RegistryProber<'r, R> {
        let (system, unverified) = (OnceCell::new(), OnceCell::new());
        RegistryProber { sweeper, resolver, configured, system, unverified }
    }

    /// Asks, and asks again where an answer redirects to, all within the check's time.
    async fn ask(&self, check: &HttpCheck) -> Result<ProbeAnswer, String> {
        let timer = self.sweeper.timer();
        let until = timer.now() + check.timeout;
        let mut request = CheckRequest::first(check)?;
        // Bounded: no request leads to more than nine others.
        loop {
            let said = async {
                let (head, page) = self.send(check, &request, &timer, until).await?;
                let next = request.after(&head)?;
                Ok((head, page, next))
            };
            let (head, page, next) = said.await.map_err(|why: String| match request.redirected() {
                Some(place) => format!("redirected to {place}: {why}"),
                None => why,
            })?;
            match next {
                Some(next) => request = next,
                None => return Ok(answer(check, &request, head.status(), &page)),
            }
        }
    }

    async fn send(
        &self,
        check: &HttpCheck,
        request: &CheckRequest<'_>,
        timer: &Timer,
        until: Moment,
    ) -> Result<(ResponseHead, Vec<u8>), String> {
        let (host, port) = request.url.host_and_port().ok_or("the URL names no host")?;
        let tls = match request.url.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(self.tls_target(check, host)?),
        };
        let address = self.address(host, port).await?;
        let (head, body) = (request.head(), request.body());
        match fetch(address, tls.as_ref(), &head, body, PAGE_BYTES_MAX, timer, until).await {
            Ok(answer) => Ok(answer),
            // The status says it all, however long the page is.
            Err(FetchError::TooLarge { head, begun }) => Ok((*head, begun)),
            Err(FetchError::Connect(error)) => Err(words(error, check.timeout)),
            Err(FetchError::TimedOut) => Err(ProbeAnswer::timed_out(check.timeout).output.into()),
            Err(error) => Err(format!("no valid response: {error}")),
        }
    }

    async fn connect(&self, check: &TcpCheck) -> Result<ProbeAnswer, String> {
        let timer = self.sweeper.timer();
        let until = timer.now() + check.timeout;
        let (host, port) = host_and_port(&check.address, Scheme::Http).ok_or("it names no host")?;
        let address = self.address(host, port).await?;
        self.open(address, &timer, until).await.map_err(|error| words(error, check.timeout))?;
        let output = format!("TCP connect {}: Success", check.address);
        Ok(ProbeAnswer { status: Status::Passing, output: output.into() })
    }

    async fn open(&self, address: SocketAddr, timer: &Timer, until: Moment) -> Result<(), ConnectError> {
        Connection::open(address, None, HeadLimits::default(), timer, until).await.map(drop)
    }

    /// The first address of a host; an address stands for itself.
    async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, String> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        // RFC 6761 §6.3: a name that means this machine is not asked about.
        if host.eq_ignore_ascii_case("localhost") {
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
        let name = HostName::parse(host).map_err(|flaw| format!("{host} is no name of a host: {flaw}"))?;
        let found = self.resolver.resolve(&Place::Host { name, port }).await;
        let answer = found.map_err(|failure| format!("{host} was not found: {failure}"))?;
        let first = answer.parts.iter().filter_map(|part| part.targets.as_ref()).flatten().next();
        first.map(|target| target.address).ok_or_else(|| format!("{host} has no address"))
    }

    fn tls_target(&self, check: &HttpCheck, host: &str) -> Result<TlsTarget, String> {
        let config = if check.tls_skip_verify {
            made_once(&self.unverified, || unverified_config().map_err(|error| error.to_string()))?
        } else if let Some(config) = self.configured.checks() {
            config
        } else {
            made_once(&self.system, || client_config(None).map_err(|error| error.to_string()))?
        };
        let host = if check.tls_server_name.is_empty() { host } else { &check.tls_server_name };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} can have no certificate"))?;
        Ok(TlsTarget { config, name })
    }
}

/// What was not to be had is tried again the next time: roots may be installed late.
fn made_once<T: Clone>(kept: &OnceCell<T>, make: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match kept.get() {
        Some(known) => Ok(known.clone()),
        None => make().map(|new| kept.get_or_init(|| new).clone()),
    }
}

impl<R: Resolve> RegistryProbe for RegistryProber<'_, R> {
    async fn probe(&self, order: &ProbeOrder) -> ProbeAnswer {
        let answer = match &order.kind {
            CheckKind::Http(check) => self.ask(check).await,
            CheckKind::Tcp(check) => self.connect(check).await,
            CheckKind::Ttl(_) => Err("it is not asked".into()),
        };
        answer.unwrap_or_else(|why| ProbeAnswer { status: Status::Critical, output: why.into() })
    }
}

/// What the last answer of a probe amounts to.
fn answer(check: &HttpCheck, request: &CheckRequest<'_>, status: u16, page: &[u8]) -> ProbeAnswer {
    let url = check.url.split(['?', '#']).next().unwrap_or_default();
    let mut output = format!("HTTP {} {url}: {status}", check.method);
    if let Some(place) = request.redirected() {
        let _ = write!(output, " (redirected to {place})");
    }
    let page = String::from_utf8_lossy(page);
    let page = page.trim();
    if !page.is_empty() {
        let _ = write!(output, " Output: {}", &page[..page.floor_char_boundary(WORDS_BYTES_MAX)]);
    }
    let status = match status {
        200..=299 => Status::Passing,
        429 => Status::Warning,
        _ => Status::Critical,
    };
    ProbeAnswer { status, output: output.into() }
}

fn words(error: ConnectError, timeout: std::time::Duration) -> String {
    match error {
        ConnectError::Tcp(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".into()
        }
        ConnectError::Tcp(error) => format!("cannot connect: {error}"),
        ConnectError::Tls(error) => format!("TLS handshake failed: {error}"),
        ConnectError::TimedOut => ProbeAnswer::timed_out(timeout).output.into(),
    }
}
