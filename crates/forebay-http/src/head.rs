//! Heads: the start line and fields of one message, in the bytes they came in, with edits beside them.
//!
//! A head has no lifetime. It owns the buffer it was read into and keeps positions, so a stage may hold it
//! across waits, edit it, and write it out again for every attempt. Added text goes to a second arena; a
//! removed field is only marked. Nothing here knows sockets or framing.

use crate::name::Name;
use crate::section::{Section, Span};

/// A request method (RFC 9110 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `CONNECT`
    Connect,
    /// Any other token; [`RequestHead::method_text`] has it.
    Other,
}

impl Method {
    /// Recognises a method; they are case-sensitive.
    pub fn of(text: &[u8]) -> Method {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// The method as written; empty for [`Method::Other`], whose text is in the head.
    pub const fn text(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Other => "",
        }
    }

    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Patch | Method::Connect | Method::Other)
    }
}

/// The HTTP version of a message as its sender wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As in the start line.
    pub const fn text(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        }
    }
}

/// Whether the client spoke TLS to whoever first received the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn text(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    pub(crate) method: Method,
    pub(crate) method_span: Span,
    pub(crate) version: Version,
    pub(crate) scheme: Scheme,
    /// From the target in absolute form; without it the `Host` field is the authority.
    pub(crate) target_authority: Option<Span>,
    /// Path and query, or `*`.
    pub(crate) target: Span,
    pub(crate) fields: Section,
}

impl RequestHead {
    /// A request of our own making. `target` is a path with its query; the caller vouches for its syntax.
    pub fn new(method: &str, scheme: Scheme, authority: &str, target: &str) -> RequestHead {
        let mut fields = Section::new();
        let method_span = fields.add_text(method.as_bytes());
        let target = fields.add_text(target.as_bytes());
        fields.append("host", authority.as_bytes());
        RequestHead {
            method: Method::of(method.as_bytes()),
            method_span,
            version: Version::Http11,
            scheme,
            target_authority: None,
            target,
            fields,
        }
    }

    /// The method, as one of the usual ones.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as written.
    pub fn method_text(&self) -> &str {
        match self.method {
            Method::Other => text_of(self.fields.text(self.method_span)),
            known => known.text(),
        }
    }

    /// The version its sender speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The scheme under which it reached Forebay.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// States what the socket knows.
    pub fn set_scheme(&mut self, scheme: Scheme) {
        self.scheme = scheme;
    }

    /// Host and port the request is for (RFC 9112 §3.3); the parser has checked that there is exactly one.
    pub fn authority(&self) -> &str {
        let authority = match self.target_authority {
            Some(span) => self.fields.text(span),
            None => self.fields.get(Name::Host).unwrap_or_default(),
        };
        text_of(authority)
    }

    /// The authority that the target in absolute form names, which overrules the `Host` field.
    pub fn target_authority(&self) -> Option<&str> {
        self.target_authority.map(|span| text_of(self.fields.text(span)))
    }

    /// The authority without its port, brackets of an IPv6 address kept.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        let port_from = if authority.starts_with('[') { authority.find(']').unwrap_or(0) } else { 0 };
        let colon = memchr::memchr(b':', &authority.as_bytes()[port_from..]);
        colon.map_or(authority, |colon| &authority[..port_from + colon])
    }

    /// Path and query as received, or `*`.
    pub fn target(&self) -> &str {
        text_of(self.fields.text(self.target))
    }

    /// The same as bytes, for the codec.
    pub(crate) fn target_bytes(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// The path as received, without the query.
    pub fn path(&self) -> &str {
        let target = self.target_bytes();
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        text_of(&target[..end])
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// Sends it elsewhere: path and query; the caller vouches for the syntax.
    pub fn set_target(&mut self, target: &str) {
        self.target = self.fields.add_text(target.as_bytes());
    }

    /// The fields.
    pub fn fields(&self) -> &Section {
        &self.fields
    }

    /// The fields, to be edited.
    pub fn fields_mut(&mut self) -> &mut Section {
        &mut self.fields
    }

    /// A compact copy for those who keep it: it holds no pooled buffer and may go to another thread.
    pub fn freeze(&self) -> RequestHead {
        let (mut fields, [method_span, target]) = self.fields.compact([self.method_span, self.target]);
        let target_authority = self.target_authority.map(|span| fields.add_text(self.fields.text(span)));
        RequestHead { method_span, target, target_authority, fields, ..*self }
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct ResponseHead {
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) fields: Section,
}

impl ResponseHead {
    /// A response of our own making, with the registered reason phrase.
    pub fn new(status: u16) -> ResponseHead {
        let mut fields = Section::new();
        let reason = fields.add_text(reason_phrase(status).as_bytes());
        ResponseHead { version: Version::Http11, status, reason, fields }
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The version its sender speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The reason phrase; may hold any visible byte.
    pub fn reason(&self) -> &[u8] {
        self.fields.text(self.reason)
    }

    /// The fields.
    pub fn fields(&self) -> &Section {
        &self.fields
    }

    /// The fields, to be edited.
    pub fn fields_mut(&mut self) -> &mut Section {
        &mut self.fields
    }

    /// A compact copy for those who keep it: it holds no pooled buffer and may go to another thread.
    pub fn freeze(&self) -> ResponseHead {
        let (fields, [reason, _]) = self.fields.compact([self.reason, Span::EMPTY]);
        ResponseHead { reason, fields, ..*self }
    }
}

/// The registered reason phrase of a status code; empty when it has none.
pub fn reason_phrase(status: u16) -> &'static str {
    if status == 413 {
        // As RFC 9110 has it; the library keeps the older name.
        return "Content Too Large";
    }
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// The parser lets only ASCII through in these places.
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;

    fn request() -> RequestHead {
        let mut head = RequestHead::new("GET", Scheme::Http, "shop.example:8080", "/a/b?c=d?e");
        head.fields_mut().append("Connection", b"keep-alive, X-Private");
        head.fields_mut().append("X-Private", b"1");
        head.fields_mut().append("X-Public", b"2");
        head
    }

    fn names(section: &Section) -> Vec<String> {
        section.iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn target_authority_and_host_come_apart() {
        let head = request();
        assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d?e")));
        assert_eq!((head.authority(), head.host()), ("shop.example:8080", "shop.example"));
        assert_eq!(RequestHead::new("GET", Scheme::Http, "[::1]:80", "/").host(), "[::1]");
        assert_eq!(RequestHead::new("GET", Scheme::Http, "[::1]", "/").host(), "[::1]");
    }

    #[test]
    fn fields_named_by_connection_are_removed_with_it() {
        let mut head = request();
        head.fields_mut().remove_hop_by_hop();
        assert_eq!(names(head.fields()), ["host", "X-Public"]);
    }

    #[test]
    fn connection_cannot_name_away_the_host() {
        let mut head = request();
        head.fields_mut().set("connection", b"host");
        head.fields_mut().remove_hop_by_hop();
        assert_eq!(head.authority(), "shop.example:8080");
    }

    #[test]
    fn a_frozen_head_reads_the_same_without_what_was_removed() {
        let mut head = request();
        head.fields_mut().remove_named("x-private");
        let frozen = head.freeze();
        assert_eq!(frozen.target(), head.target());
        assert_eq!(names(frozen.fields()), ["host", "Connection", "X-Public"]);
        assert_eq!(frozen.fields().value("x-public"), Some(&b"2"[..]));
    }

    #[test]
    fn debug_shows_no_values() {
        assert!(!format!("{:?}", request()).contains("keep-alive"));
    }
}
