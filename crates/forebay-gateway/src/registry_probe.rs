//! Asks instances how they are, as their HTTP and TCP checks say, over Forebay's own HTTP client on the control runtime.
//! Follows no redirect, and takes no certificate that the system does not trust but for checks that say so.

use std::cell::OnceCell;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use forebay_clock::Moment;
use forebay_discovery::{HostName, Place, Resolve};
use forebay_http::client::{ConnectError, Connection, FetchError, TlsTarget, fetch};
use forebay_http::parse::HeadLimits;
use forebay_http::timer::{Sweeper, Timer};
use forebay_http::tls::client_config;
use forebay_http::{RequestHead, Scheme};
use forebay_registry::{CheckKind, HttpCheck, ProbeAnswer, ProbeOrder, RegistryProbe, Status, TcpCheck};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::unverified::unverified_config;

/// Pages of checks are small, and people want to read why one failed; a probe reads no more of them.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// What is kept of a page in the check's words.
const WORDS_BYTES_MAX: usize = 1024;

/// Makes the probes of registered checks.
pub struct RegistryProber<'r, R> {
    sweeper: Sweeper,
    resolver: &'r R,
    /// Read when the first check asks for TLS.
    tls: OnceCell<Arc<ClientConfig>>,
    /// For checks that take any certificate.
    unverified: OnceCell<Arc<ClientConfig>>,
}

impl<'r, R: Resolve> RegistryProber<'r, R> {
    /// On the thread whose `sweeper` this is; names are looked up by `resolver`.
    pub fn new(sweeper: Sweeper, resolver: &'r R) -> RegistryProber<'r, R> {
        RegistryProber { sweeper, resolver, tls: OnceCell::new(), unverified: OnceCell::new() }
    }

    async fn ask(&self, check: &HttpCheck) -> Result<ProbeAnswer, String> {
        let timer = self.sweeper.timer();
        let until = timer.now() + check.timeout;
        let (scheme, authority, target) = parts(&check.url).ok_or("the URL cannot be read")?;
        let (host, port) = host_and_port(authority, scheme).ok_or("the URL names no host")?;
        let tls = match scheme {
            Scheme::Http => None,
            Scheme::Https => Some(self.tls_target(check, host)?),
        };
        let address = self.address(host, port).await?;
        let head = request(check, scheme, authority, &target);
        let body = Bytes::copy_from_slice(check.body.as_bytes());
        let fetched = fetch(address, tls.as_ref(), &head, body, PAGE_BYTES_MAX, &timer, until).await;
        let (head, page) = match fetched {
            Ok(answer) => answer,
            // The status says it all, however long the page is.
            Err(FetchError::TooLarge { head, begun }) => (*head, begun),
            Err(FetchError::Connect(error)) => return Err(words(error, check.timeout)),
            Err(FetchError::TimedOut) => return Err(ProbeAnswer::timed_out(check.timeout).output.into()),
            Err(error) => return Err(format!("no valid response: {error}")),
        };
        let status = match head.status() {
            200..=299 => Status::Passing,
            429 => Status::Warning,
            _ => Status::Critical,
        };
        let url = check.url.split(['?', '#']).next().unwrap_or_default();
        let mut output = format!("HTTP {} {url}: {}", check.method, head.status());
        let page = String::from_utf8_lossy(&page);
        let page = page.trim();
        if !page.is_empty() {
            let _ = write!(output, " Output: {}", &page[..page.floor_char_boundary(WORDS_BYTES_MAX)]);
        }
        Ok(ProbeAnswer { status, output: output.into() })
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
        } else {
            made_once(&self.tls, || client_config(None).map_err(|error| error.to_string()))?
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

/// Scheme, authority, and path with query; what follows a `#` is nobody's business but a browser's.
fn parts(url: &str) -> Option<(Scheme, &str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = if scheme.eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Some((scheme, authority, target))
}

/// The host without brackets, and the port or the scheme's own.
fn host_and_port(authority: &str, scheme: Scheme) -> Option<(&str, u16)> {
    let port_of_scheme = if scheme == Scheme::Https { 443 } else { 80 };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => Some((host, port_of_scheme)),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, port_of_scheme)),
    }
}

/// What a check sends; its own fields replace ours, and `Host` is one of them.
fn request(check: &HttpCheck, scheme: Scheme, authority: &str, target: &str) -> RequestHead {
    let field = |name: &str| check.header.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    let host = field("host").and_then(|(_, values)| values.first());
    let mut head = RequestHead::new(&check.method, scheme, host.map_or(authority, |host| host), target);
    for (name, value) in [("user-agent", "forebay-registry"), ("accept", "*/*")] {
        if field(name).is_none() {
            head.fields_mut().append(name, value.as_bytes());
        }
    }
    // What frames the message is the codec's.
    const FRAMING: [&str; 5] = ["host", "connection", "content-length", "transfer-encoding", "upgrade"];
    for (name, values) in &check.header {
        if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            continue;
        }
        for value in values {
            head.fields_mut().append(&name.to_ascii_lowercase(), value.as_bytes());
        }
    }
    head.fields_mut().append("connection", b"close");
    head
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_apart_as_it_was_meant() {
        #[track_caller]
        fn check(url: &str, host: &str, port: u16, target: &str) {
            let (scheme, authority, found) = parts(url).unwrap();
            assert_eq!((host_and_port(authority, scheme), &*found), (Some((host, port)), target), "{url}");
        }
        check("http://127.0.0.1:9001/healthz?deep=1#top", "127.0.0.1", 9001, "/healthz?deep=1");
        check("HTTPS://orders.internal", "orders.internal", 443, "/");
        check("http://[::1]:80?x", "::1", 80, "/?x");
        check("http://[::1]/", "::1", 80, "/");
    }
}
