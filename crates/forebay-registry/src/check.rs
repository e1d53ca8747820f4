//! What is asked of an instance or a node, and what came of it last. Asks nobody itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Moment;

/// Names a check within its node, as Consul's `CheckID` does.
pub type CheckId = Arc<str>;

/// What a check last said. The order is that of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All is well.
    Passing,
    /// Gets requests all the same.
    Warning,
    /// Gets none.
    Critical,
}

impl Status {
    /// As Consul spells it.
    pub const fn text(self) -> &'static str {
        match self {
            Status::Passing => "passing",
            Status::Warning => "warning",
            Status::Critical => "critical",
        }
    }

    /// The inverse of [`Status::text`], whatever the case; Consul's own agent takes `pass` for none of them.
    pub fn parse(text: &str) -> Option<Status> {
        let all = [Status::Passing, Status::Warning, Status::Critical];
        all.into_iter().find(|status| status.text().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How a check finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// The instance says so itself, at least this often: a lease.
    Ttl(Duration),
    /// Forebay asks over HTTP.
    Http(HttpCheck),
    /// Forebay connects.
    Tcp(TcpCheck),
}

/// Asked over HTTP: 2xx is passing, 429 warning, anything else critical; what redirects is asked where it leads.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// `http://` or `https://`.
    pub url: Box<str>,
    /// GET unless said otherwise.
    pub method: Box<str>,
    /// Sent along. May hold secrets, so it is never shown.
    pub header: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Sent along; empty for none.
    pub body: Box<str>,
    /// Between two probes.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Whether an answer of 3xx leads to the next request; otherwise it is the answer, and critical.
    pub follows_redirects: bool,
    /// Whether a certificate that cannot be verified is taken all the same.
    pub tls_skip_verify: bool,
    /// The name that the certificate has to have, and that is asked for; empty for the URL's host.
    pub tls_server_name: Box<str>,
}

/// A connection that opens is passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCheck {
    /// `host:port`.
    pub address: Box<str>,
    /// Between two probes.
    pub interval: Duration,
    /// How long a connection may take.
    pub timeout: Duration,
}

/// A check as somebody registers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSpec {
    /// Unique on its node; made from the service's when not given.
    pub id: Option<CheckId>,
    /// For people.
    pub name: Box<str>,
    /// For people.
    pub notes: Box<str>,
    /// How it finds out.
    pub kind: CheckKind,
    /// Before it has found out; critical unless said otherwise, as with Consul.
    pub status: Status,
    /// The instance is deregistered after having been critical for so long.
    pub deregister_after: Option<Duration>,
    /// Successes in a row that make it passing; 0 and 1 mean the first.
    pub successes_before_passing: u16,
    /// Failures in a row that make it a warning.
    pub failures_before_warning: u16,
    /// Failures in a row that make it critical; 0 and 1 mean the first.
    pub failures_before_critical: u16,
}

impl CheckSpec {
    /// A check of which nothing is said but how it finds out: critical until it has, and every result counts.
    pub fn new(kind: CheckKind) -> CheckSpec {
        CheckSpec {
            id: None,
            name: "".into(),
            notes: "".into(),
            kind,
            status: Status::Critical,
            deregister_after: None,
            successes_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
        }
    }
}

impl HttpCheck {
    /// A GET that sends nothing along, follows redirects and verifies certificates.
    pub fn get(url: &str, interval: Duration, timeout: Duration) -> HttpCheck {
        HttpCheck {
            url: url.into(),
            method: "GET".into(),
            header: BTreeMap::new(),
            body: "".into(),
            interval,
            timeout,
            follows_redirects: true,
            tls_skip_verify: false,
            tls_server_name: "".into(),
        }
    }
}

/// A check at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Unique on its node.
    pub id: CheckId,
    /// As registered.
    pub spec: CheckSpec,
    /// What it said last.
    pub status: Status,
    /// In which words; at most [`OUTPUT_BYTES_MAX`] bytes.
    pub output: Box<str>,
    /// For a TTL check: when it falls silent. For the others: when the next probe is due.
    pub due: Moment,
    /// When a probe last answered.
    pub answered: Option<Moment>,
    /// Since when it is critical.
    pub critical_since: Option<Moment>,
    /// Results in a row that agree: successes count up from 1, failures down from -1. 0 before the first.
    pub streak: i32,
    /// Until when other words alone change no index: they are seen at once, and told about later.
    pub quiet_until: Moment,
    /// Its words changed while it was quiet.
    pub untold: bool,
    /// When it was first registered, in the registry's count of changes.
    pub create_index: u64,
    /// When it last changed.
    pub modify_index: u64,
}

/// What is kept of a check's words: Consul keeps as much.
pub const OUTPUT_BYTES_MAX: usize = 4096;

impl CheckKind {
    /// As Consul spells it in `Type`.
    pub const fn text(&self) -> &'static str {
        match self {
            CheckKind::Ttl(_) => "ttl",
            CheckKind::Http(_) => "http",
            CheckKind::Tcp(_) => "tcp",
        }
    }
}

impl fmt::Debug for HttpCheck {
    /// Fields and body may hold secrets; so may a query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        let names: Vec<&str> = self.header.keys().map(|name| &**name).collect();
        f.debug_struct("HttpCheck")
            .field("url", &url)
            .field("method", &self.method)
            .field("header", &names)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("follows_redirects", &self.follows_redirects)
            .field("tls_skip_verify", &self.tls_skip_verify)
            .field("tls_server_name", &self.tls_server_name)
            .finish_non_exhaustive()
    }
}

impl CheckKind {
    /// Between two probes; for a TTL check, the lease.
    pub const fn interval(&self) -> Duration {
        match self {
            CheckKind::Ttl(ttl) => *ttl,
            CheckKind::Http(http) => http.interval,
            CheckKind::Tcp(tcp) => tcp.interval,
        }
    }

    /// How long a probe may take; of a TTL check nothing is asked.
    pub const fn timeout(&self) -> Duration {
        match self {
            CheckKind::Ttl(_) => Duration::ZERO,
            CheckKind::Http(http) => http.timeout,
            CheckKind::Tcp(tcp) => tcp.timeout,
        }
    }

    /// Whether Forebay asks, rather than being told.
    pub const fn is_probed(&self) -> bool {
        !matches!(self, CheckKind::Ttl(_))
    }
}

/// As much of a check's words as is kept.
pub(crate) fn kept(output: &str) -> Box<str> {
    output[..output.floor_char_boundary(OUTPUT_BYTES_MAX)].into()
}
