//! The URL of a PostgreSQL (manual, "Connection URIs"), `sslmode` and `sslrootcert` with libpq's meaning. Refuses
//! what the driver does not know; never shows the user or the password.

use std::fmt;
use std::path::PathBuf;

use forebay_config::{Node, Problem, Reader, Scalar, Shape, Value};
use tokio_postgres::config::{Host, SslMode};

/// What is checked of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: `prefer` and `require`, as libpq has it.
    Nothing,
    /// That a trusted root has signed it: `verify-ca`, or `require` with `sslrootcert`.
    Chain,
    /// The host's name too: `verify-full`.
    Full,
}

/// Where a PostgreSQL is and how to log in.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: tokio_postgres::Config,
    pub(super) verify: Verify,
    /// A PEM file; without it, the system's roots.
    pub(super) roots: Option<PathBuf>,
}

impl PostgresUrl {
    /// Reads a URL that begins with `postgres://` or `postgresql://`. The problem never repeats any of it.
    pub fn parse(text: &str) -> Result<PostgresUrl, Problem> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(Problem::new("has another scheme than postgres")
                .help("write \"postgres://USER:PASSWORD@HOST/DATABASE\"")
                .hidden());
        }
        let (rest, mode, roots) = take_tls_options(text);
        let mut config: tokio_postgres::Config = rest.parse().map_err(|_| {
            Problem::new("is not a PostgreSQL URL that can be used")
                .note("client certificates, service files and some options of libpq are not supported")
                .help("percent-encode what is special in user and password: @ as %40, / as %2F, ? as %3F")
                .hidden()
        })?;
        let system = roots.as_deref() == Some("system");
        let roots = roots.filter(|_| !system).map(PathBuf::from);
        let (mode, verify) = match mode.as_deref() {
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            None | Some("prefer") if !system => (SslMode::Prefer, Verify::Nothing),
            Some("require") if roots.is_none() && !system => (SslMode::Require, Verify::Nothing),
            Some("require" | "verify-ca") if !system => (SslMode::Require, Verify::Chain),
            // libpq takes the system's roots for `verify-full` alone: anybody can get a certificate signed by one.
            None | Some("verify-full") => (SslMode::Require, Verify::Full),
            _ => {
                return Err(Problem::new("has an `sslmode` that cannot be used")
                    .help("use disable, prefer, require, verify-ca or verify-full; the last one with sslrootcert=system")
                    .hidden());
            }
        };
        config.ssl_mode(mode);
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Problem::new("has no host").hidden());
        }
        Ok(PostgresUrl { config, verify, roots })
    }

    /// What is checked of the server's certificate, when there is one.
    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// Host and database, for messages.
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.config.get_hostaddrs().iter().map(ToString::to_string);
        let hosts: Vec<String> = hosts.chain(addresses).collect();
        match self.config.get_dbname() {
            Some(database) => format!("{}/{database}", hosts.join(",")),
            None => hosts.join(","),
        }
    }
}

/// Takes `sslmode` and `sslrootcert` out of the query: the driver does not know all their values.
fn take_tls_options(text: &str) -> (String, Option<String>, Option<String>) {
    let Some((start, query)) = text.split_once('?') else { return (text.to_owned(), None, None) };
    let (mut mode, mut roots) = (None, None);
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(decoded(value)),
            Some(("sslrootcert", value)) => roots = Some(decoded(value)),
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { start.to_owned() } else { format!("{start}?{}", kept.join("&")) };
    (rest, mode, roots)
}

/// Without percent-encoding (RFC 3986 §2.1); what is no encoding stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, code.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.place()).finish()
    }
}

impl Value for PostgresUrl {
    const SHAPE: Shape = Shape::Scalar(Scalar {
        secret: true,
        ..Scalar::text("a PostgreSQL URL", "\"postgres://forebay:${STORE_PASSWORD}@db.internal/forebay\"")
    });

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, PostgresUrl::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(SslMode, Verify, Option<&str>)>) {
        let parsed = PostgresUrl::parse(text).ok();
        let found = parsed.as_ref().map(|url| {
            (url.config.get_ssl_mode(), url.verify, url.roots.as_ref().and_then(|path| path.to_str()))
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn sslmode_means_what_libpq_means_by_it() {
        check("postgres://h/d", Some((SslMode::Prefer, Verify::Nothing, None)));
        check("postgres://h/d?sslmode=disable", Some((SslMode::Disable, Verify::Nothing, None)));
        check("postgres://h/d?sslmode=require", Some((SslMode::Require, Verify::Nothing, None)));
        check(
            "postgres://h/d?sslmode=require&sslrootcert=%2Fca.pem",
            Some((SslMode::Require, Verify::Chain, Some("/ca.pem"))),
        );
        check("postgres://h/d?sslmode=verify-ca", Some((SslMode::Require, Verify::Chain, None)));
        check("postgres://h/d?sslmode=verify-full", Some((SslMode::Require, Verify::Full, None)));
        check("postgres://h/d?sslrootcert=system", Some((SslMode::Require, Verify::Full, None)));
        check("postgres://h/d?sslmode=require&sslrootcert=system", None);
        check("postgres://h/d?sslmode=maybe", None);
        check("postgres://h/d?sslcert=x", None);
        check("mysql://h/d", None);
        check("postgres:///d", None);
    }

    #[test]
    fn no_formatter_shows_who_logs_in_and_how() {
        let url = PostgresUrl::parse("postgres://anna:hush%2Fhush@db.internal/shop").unwrap();
        assert_eq!(format!("{url:?}"), "PostgresUrl(\"db.internal/shop\")");
        let problem = PostgresUrl::parse("postgres://anna:hush@db.internal:x/shop").unwrap_err();
        assert!(!format!("{problem:?}").contains("hush"), "{problem:?}");
    }
}
