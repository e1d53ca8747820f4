//! Fetches a key set from its issuer over Forebay's own HTTP client, on the control runtime. Follows no redirect: where
//! keys come from is configured.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forebay_auth::JWKS_BYTES_MAX;
use forebay_clock::Moment;
use forebay_config::{Host, HttpUrl, Scheme as UrlScheme};
use forebay_discovery::{HostName, Place, Resolve};
use forebay_http::client::{TlsTarget, fetch};
use forebay_http::timer::Timer;
use forebay_http::{RequestHead, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// For a whole fetch, the lookup of its host included.
pub(crate) const FETCH_TIME: Duration = Duration::from_secs(5);
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 3;

/// The text at a URL, or why there is none.
pub(crate) async fn fetch_keys(
    url: &HttpUrl,
    tls: Option<Arc<ClientConfig>>,
    resolver: &impl Resolve,
    timer: &Timer,
    until: Moment,
) -> Result<Vec<u8>, String> {
    let default = url.port == url.scheme.default_port();
    let authority = if default { url.host.to_string() } else { format!("{}:{}", url.host, url.port) };
    let (scheme, tls) = match url.scheme {
        UrlScheme::Http => (Scheme::Http, None),
        UrlScheme::Https => {
            let name = match &url.host {
                Host::Name(name) => {
                    ServerName::try_from(name.to_string()).map_err(|error| error.to_string())?
                }
                Host::V4(address) => ServerName::from(IpAddr::from(*address)),
                Host::V6(address) => ServerName::from(IpAddr::from(*address)),
            };
            (Scheme::Https, tls.map(|config| TlsTarget { config, name }))
        }
    };
    let mut head = RequestHead::new("GET", scheme, &authority, &url.path);
    head.fields_mut().append("user-agent", b"forebay");
    head.fields_mut().append("accept", b"application/jwk-set+json, application/json");
    head.fields_mut().append("connection", b"close");
    let mut trouble = "the host has no address".to_owned();
    for address in addresses(url, resolver).await?.into_iter().take(ADDRESSES_MAX) {
        let fetched = fetch(address, tls.as_ref(), &head, Bytes::new(), JWKS_BYTES_MAX, timer, until).await;
        match fetched {
            Ok((answer, text)) if answer.status() == 200 => return Ok(text),
            Ok((answer, _)) => trouble = format!("the issuer answers {}", answer.status()),
            Err(error) => trouble = whole(&error),
        }
    }
    Err(trouble)
}

async fn addresses(url: &HttpUrl, resolver: &impl Resolve) -> Result<Vec<SocketAddr>, String> {
    let name = match &url.host {
        Host::V4(address) => return Ok(vec![(*address, url.port).into()]),
        Host::V6(address) => return Ok(vec![(*address, url.port).into()]),
        Host::Name(name) => HostName::parse(name).map_err(|error| error.to_string())?,
    };
    let place = Place::Host { name, port: url.port };
    let answer = resolver.resolve(&place).await.map_err(|error| error.to_string())?;
    let targets = answer.parts.into_iter().filter_map(|part| part.targets).flatten();
    Ok(targets.map(|target| target.address).collect())
}

/// An error and everything beneath it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
