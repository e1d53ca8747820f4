//! What one request leaves behind in the access log.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Extra fields of one record: every stage of the pipeline that may answer or change a request has room for
/// one.
pub const EXTRA_MAX: usize = 8;

/// One finished request. Everything is borrowed: writing it is the only copy. Empty text and `None` mean
/// "there was none", and leave no field in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRecord<'a> {
    /// When the first byte of the request arrived.
    pub begun: SystemTime,
    /// From then to the last byte of the response, or to the failure.
    pub duration: Duration,
    /// The client, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// The method, as received.
    pub method: &'a [u8],
    /// The host asked for, as received.
    pub host: &'a [u8],
    /// The path, as received. Leave the query out where it may carry a secret.
    pub path: &'a [u8],
    /// For example `HTTP/1.1`.
    pub protocol: &'a str,
    /// The final status; none when the client left before a response was begun.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// The route's name.
    pub route: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The endpoint that gave the final answer, or was tried last.
    pub endpoint: &'a str,
    /// How often the request was sent to an endpoint.
    pub attempts: u32,
    /// From the start of the last attempt to its response's head.
    pub upstream: Option<Duration>,
    /// The W3C trace id; zero, which that standard forbids, is none.
    pub trace_id: u128,
    /// What went wrong, and on which side.
    pub failure: Option<Failure<'a>>,
    /// Fields of further stages: cache, API version, queue.
    pub extra: Extra<'a>,
}

impl AccessRecord<'_> {
    /// A record that holds nothing but its time, to fill in with `..`.
    pub const fn begun(begun: SystemTime) -> AccessRecord<'static> {
        AccessRecord {
            begun,
            duration: Duration::ZERO,
            client: None,
            method: b"",
            host: b"",
            path: b"",
            protocol: "",
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            route: "",
            service: "",
            endpoint: "",
            attempts: 0,
            upstream: None,
            trace_id: 0,
            failure: None,
            extra: Extra::new(),
        }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Whose failure it is.
    pub side: Side,
    /// A fixed word for the reason, for example `connect-timeout`.
    pub reason: &'a str,
}

/// A side of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client sent something wrong, or left.
    Client,
    /// The endpoint refused, broke off or took too long.
    Upstream,
    /// Forebay declined: overload, shutdown, a bound.
    Forebay,
}

impl Side {
    /// As it is spelled in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Upstream => "upstream",
            Side::Forebay => "forebay",
        }
    }
}

/// Up to [`EXTRA_MAX`] named texts, kept in the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra<'a> {
    fields: [(&'a str, &'a str); EXTRA_MAX],
    len: usize,
}

impl<'a> Extra<'a> {
    /// None.
    pub const fn new() -> Extra<'a> {
        Extra { fields: [("", ""); EXTRA_MAX], len: 0 }
    }

    /// Adds a field, for example `("cache", "hit")`; false when there is no room left. The name must differ
    /// from the record's own and from those added before.
    pub fn push(&mut self, name: &'a str, value: &'a str) -> bool {
        let Some(free) = self.fields.get_mut(self.len) else {
            return false;
        };
        *free = (name, value);
        self.len += 1;
        true
    }

    /// The fields in the order they were added.
    pub fn as_slice(&self) -> &[(&'a str, &'a str)] {
        &self.fields[..self.len]
    }
}

impl Default for Extra<'_> {
    fn default() -> Self {
        Extra::new()
    }
}
