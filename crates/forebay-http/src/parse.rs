//! Reads heads and trailers, line by line, from bytes that arrive in pieces (RFC 9112 §2 to §5).
//!
//! Strict where leniency has let requests be smuggled: a line ends with CR LF and nothing else, no folding, no
//! white space before a colon, no control bytes, one `Host`. What is not understood is refused, never repaired.

use thiserror::Error;

use crate::buffer::Buffer;
use crate::field_reader::{FieldReader, has_control, is_token};
use crate::head::{Method, RequestHead, ResponseHead, Scheme, Version};
use crate::name::Name;
use crate::section::{Section, Span};
use crate::target::{is_authority, target};

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head, start line included.
    pub bytes_max: usize,
    /// Number of fields.
    pub fields_max: usize,
    /// Bytes of the request target.
    pub target_bytes_max: usize,
}

impl Default for HeadLimits {
    /// 32 KiB as Node and Envoy are usually run with, 128 fields, and a target of 8 KiB (RFC 9110 §4.1 asks for 8,000).
    fn default() -> HeadLimits {
        HeadLimits { bytes_max: 32 * 1024, fields_max: 128, target_bytes_max: 8 * 1024 }
    }
}

/// A method longer than this is no method.
const METHOD_BYTES_MAX: usize = 32;
/// What a request line holds besides method and target: two spaces, the version, CR LF.
const LINE_BYTES_REST: usize = "  HTTP/1.1\r\n".len();

/// Why a message was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A line feed without a carriage return before it.
    #[error("a line ends with a bare line feed")]
    BareLineFeed,
    /// NUL, CR, DEL or another control byte.
    #[error("the head has a control byte")]
    ControlByte,
    /// The start line is not `METHOD SP target SP HTTP/1.1`.
    #[error("the request line is not `METHOD target HTTP/1.1`")]
    RequestLine,
    /// The start line is not `HTTP/1.1 SP status SP reason`.
    #[error("the status line is not `HTTP/1.1 status reason`")]
    StatusLine,
    /// A major version that is not 1.
    #[error("the HTTP version is not supported")]
    Version,
    /// The request target is in none of the forms of RFC 9112 §3.2.
    #[error("the request target is not valid")]
    Target,
    /// The request target is longer than the limit.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The head is longer than the limit or has too many fields.
    #[error("the head is too large")]
    HeadTooLarge,
    /// A field line starts with white space (obs-fold).
    #[error("a field line is folded or starts with white space")]
    Folded,
    /// White space between field name and colon.
    #[error("white space stands before a colon")]
    SpaceBeforeColon,
    /// A field line without a colon, or with a name that is no token.
    #[error("a field name is not valid")]
    FieldName,
    /// No `Host` on HTTP/1.1, more than one, or one that is no host.
    #[error("the Host field is missing, repeated or not valid")]
    Host,
    /// `Content-Length` is repeated or not a plain number.
    #[error("the Content-Length field is repeated or not a number")]
    ContentLength,
    /// `Content-Length` and `Transfer-Encoding` together.
    #[error("Content-Length and Transfer-Encoding are both present")]
    LengthAndCoding,
    /// A transfer coding that is not one final `chunked`, or any with HTTP/1.0.
    #[error("the transfer coding is not a single `chunked`")]
    TransferCoding,
    /// A chunk that is not as RFC 9112 §7.1 has it.
    #[error("the chunked body is not valid")]
    Chunk,
    /// The trailer section is not valid or too large.
    #[error("the trailer section is not valid")]
    Trailer,
    /// An `Expect` other than `100-continue`.
    #[error("the expectation is not `100-continue`")]
    Expectation,
}

impl Malformed {
    /// The status that says it to a client.
    pub const fn status(self) -> u16 {
        match self {
            Malformed::TargetTooLong => 414,
            Malformed::HeadTooLarge => 431,
            Malformed::Expectation => 417,
            Malformed::Version => 505,
            _ => 400,
        }
    }
}

struct RequestLine {
    method: Method,
    method_span: Span,
    version: Version,
    scheme: Scheme,
    authority: Option<Span>,
    target: Span,
}

/// Reads one request head.
pub struct RequestParser {
    limits: HeadLimits,
    line: Option<RequestLine>,
    fields: FieldReader,
}

impl RequestParser {
    /// For a head that starts with the next byte.
    pub fn new(limits: HeadLimits) -> RequestParser {
        RequestParser { limits, line: None, fields: FieldReader::new() }
    }

    /// Reads on. `bytes` starts with the head's first byte at every call. Gives the head's length once it is whole.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.line.is_none() {
            match self.fields.lines.next(bytes)? {
                Some((_, end)) => self.line = Some(request_line(&bytes[..end], &self.limits)?),
                None if bytes.len() >= METHOD_BYTES_MAX + self.limits.target_bytes_max + LINE_BYTES_REST => {
                    return Err(Malformed::TargetTooLong);
                }
                None => return Ok(None),
            }
        }
        self.fields.advance_within(bytes, &self.limits)
    }

    /// The head, given the buffer whose filled part `advance` has read.
    pub fn finish(self, received: Buffer) -> Result<RequestHead, Malformed> {
        let line = self.line.ok_or(Malformed::RequestLine)?;
        let mut fields = self.fields.section;
        fields.adopt(received);
        check_host(&fields, line.version)?;
        let mut head = RequestHead {
            method: line.method,
            method_span: line.method_span,
            version: line.version,
            scheme: line.scheme,
            target_authority: line.authority,
            target: line.target,
            fields,
        };
        if head.target_authority.is_some() && !head.target().starts_with('/') {
            // `http://host` and `http://host?query`: the path is empty and means the root (RFC 9110 §4.2.3).
            let target = format!("/{}", head.target());
            head.set_target(&target);
        }
        Ok(head)
    }
}

fn request_line(line: &[u8], limits: &HeadLimits) -> Result<RequestLine, Malformed> {
    if has_control(line) {
        return Err(Malformed::ControlByte);
    }
    let method_len = line.iter().position(|&byte| !is_token(byte)).ok_or(Malformed::RequestLine)?;
    if method_len == 0 || method_len > METHOD_BYTES_MAX || line[method_len] != b' ' {
        return Err(Malformed::RequestLine);
    }
    let start = method_len + 1;
    let target_len = memchr::memchr(b' ', &line[start..]).ok_or(Malformed::RequestLine)?;
    if target_len > limits.target_bytes_max {
        return Err(Malformed::TargetTooLong);
    }
    let end = start + target_len;
    let version = version(&line[end + 1..]).map_err(|error| error.unwrap_or(Malformed::RequestLine))?;
    let method = Method::of(&line[..method_len]);
    let (scheme, authority, target) = target(method, line, start, end)?;
    Ok(RequestLine { method, method_span: Span::received(0, method_len), version, scheme, authority, target })
}

/// `Err(None)` when it is no version at all.
fn version(text: &[u8]) -> Result<Version, Option<Malformed>> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        // A higher minor version is read as the highest known one (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0' | b'2'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Some(Malformed::Version))
        }
        _ => Err(None),
    }
}

fn check_host(fields: &Section, version: Version) -> Result<(), Malformed> {
    let mut hosts = fields.get_all(Name::Host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_authority(host) => Ok(()),
        (None, _) if version == Version::Http10 => Ok(()),
        _ => Err(Malformed::Host),
    }
}

/// Reads one response head.
pub struct ResponseParser {
    limits: HeadLimits,
    line: Option<(Version, u16, Span)>,
    fields: FieldReader,
}

impl ResponseParser {
    /// For a head that starts with the next byte.
    pub fn new(limits: HeadLimits) -> ResponseParser {
        ResponseParser { limits, line: None, fields: FieldReader::new() }
    }

    /// Reads on. `bytes` starts with the head's first byte at every call. Gives the head's length once it is whole.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.line.is_none() {
            match self.fields.lines.next(bytes)? {
                Some((_, end)) => self.line = Some(status_line(&bytes[..end])?),
                None if bytes.len() > self.limits.bytes_max => return Err(Malformed::HeadTooLarge),
                None => return Ok(None),
            }
        }
        self.fields.advance_within(bytes, &self.limits)
    }

    /// The head, given the buffer whose filled part `advance` has read.
    pub fn finish(self, received: Buffer) -> Result<ResponseHead, Malformed> {
        let (version, status, reason) = self.line.ok_or(Malformed::StatusLine)?;
        let mut fields = self.fields.section;
        fields.adopt(received);
        Ok(ResponseHead { version, status, reason, fields })
    }
}

fn status_line(line: &[u8]) -> Result<(Version, u16, Span), Malformed> {
    if has_control(line) {
        return Err(Malformed::ControlByte);
    }
    let version_text = line.get(..8).ok_or(Malformed::StatusLine)?;
    let version = version(version_text).map_err(|error| error.unwrap_or(Malformed::StatusLine))?;
    match line[8..] {
        // The reason phrase and even its space are often left out (RFC 9112 §4 lets a reader be lenient here).
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ref rest @ ..]
            if rest.is_empty() || rest[0] == b' ' =>
        {
            let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Ok((version, status, Span::received((8 + 5).min(line.len()), line.len())))
        }
        _ => Err(Malformed::StatusLine),
    }
}

/// Reads the trailer section behind the last chunk.
#[derive(Debug)]
pub(crate) struct TrailerParser(FieldReader);

impl TrailerParser {
    pub(crate) fn new() -> TrailerParser {
        TrailerParser(FieldReader::new())
    }

    /// Gives the section and its length once it is whole.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Malformed> {
        self.0.advance_within(bytes, limits).map_err(|_| Malformed::Trailer)
    }

    /// The section, with its text copied out of `bytes`: the buffer goes on to the next message.
    pub(crate) fn finish(self, bytes: &[u8]) -> Section {
        let mut received = Buffer::take();
        while received.free().len() < bytes.len() {
            received.grow();
        }
        received.push(bytes);
        let mut section = self.0.section;
        section.adopt(received);
        section
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<RequestHead>, Malformed> {
        let mut buffer = Buffer::take();
        buffer.push(text.as_bytes());
        let mut parser = RequestParser::new(HeadLimits::default());
        match parser.advance(buffer.filled())? {
            Some(_) => parser.finish(buffer).map(Some),
            None => Ok(None),
        }
    }

    #[track_caller]
    fn refuses(text: &str, why: Malformed) {
        assert_eq!(parse(text).map(|head| head.is_some()), Err(why), "{text:?}");
    }

    fn with_line(line: &str) -> String {
        format!("{line}\r\nHost: a\r\n\r\n")
    }

    fn with_field(field: &str) -> String {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")
    }

    #[test]
    fn a_request_is_taken_apart() {
        let head =
            parse("GET /a?b HTTP/1.1\r\nHost: shop.example\r\nX-A:  1 2\t\r\nx-b:\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.method(), head.target(), head.version()), (Method::Get, "/a?b", Version::Http11));
        assert_eq!(head.authority(), "shop.example");
        let fields: Vec<_> = head.fields().iter().map(|(_, name, value)| (name, value)).collect();
        assert_eq!(fields, [(&b"Host"[..], &b"shop.example"[..]), (b"X-A", b"1 2"), (b"x-b", b"")]);
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        let text = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let mut parser = RequestParser::new(HeadLimits::default());
        for end in 0..text.len() - 3 {
            assert_eq!(parser.advance(&text[..end]), Ok(None), "{end}");
        }
        assert_eq!(parser.advance(text), Ok(Some(text.len() - 3)));
    }

    #[test]
    fn the_absolute_form_decides_over_the_host_field() {
        let head =
            parse("GET http://one.example:80?q HTTP/1.1\r\nHost: two.example\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.authority(), head.target()), ("one.example:80", "/?q"));
    }

    #[test]
    fn request_lines_are_strict() {
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1.10",
            "G(T / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "/ HTTP/1.1",
            "GET / x HTTP/1.1",
        ] {
            refuses(&with_line(line), Malformed::RequestLine);
        }
        for target in
            ["a", "*", "ftp://a/", "http://", "http:///x", "http://u@a/", "/a#b", "http://a:99999999/"]
        {
            refuses(&with_line(&format!("GET {target} HTTP/1.1")), Malformed::Target);
        }
        refuses(&with_line("GET / HTTP/2.0"), Malformed::Version);
        refuses(&with_line("GET /\0 HTTP/1.1"), Malformed::ControlByte);
        assert!(parse(&with_line("OPTIONS * HTTP/1.1")).unwrap().is_some());
        assert!(parse(&with_line("GET / HTTP/1.2")).unwrap().is_some());
    }

    #[test]
    fn field_lines_are_strict() {
        refuses(&with_field("X-A : 1"), Malformed::SpaceBeforeColon);
        refuses(&with_field("X-A\t: 1"), Malformed::SpaceBeforeColon);
        refuses(&with_field("X-A: 1\r\n folded"), Malformed::Folded);
        refuses(&with_field(" X-A: 1"), Malformed::Folded);
        refuses(&with_field("X-A"), Malformed::FieldName);
        refuses(&with_field(": 1"), Malformed::FieldName);
        refuses(&with_field("X A: 1"), Malformed::FieldName);
        refuses(&with_field("X(A): 1"), Malformed::FieldName);
        refuses(&with_field("X-A: 1\n"), Malformed::BareLineFeed);
        refuses("GET / HTTP/1.1\nHost: a\n\n", Malformed::BareLineFeed);
        refuses("GET / HTTP/1.1\r\nHost: a\r\n\n", Malformed::BareLineFeed);
        for control in ["\0", "\r", "\x0b", "\x7f", "\x1b"] {
            refuses(&with_field(&format!("X-A: 1{control}2")), Malformed::ControlByte);
            refuses(&with_field(&format!("X{control}A: 1")), Malformed::ControlByte);
        }
        assert!(parse(&with_field("X-A: caf\u{e9} \"tab\tin\"")).unwrap().is_some());
    }

    #[test]
    fn there_is_exactly_one_host() {
        refuses("GET / HTTP/1.1\r\n\r\n", Malformed::Host);
        refuses(&with_field("Host: a"), Malformed::Host);
        for host in ["", "a b", "a,b", "user@a", "a/b", "a:b", "[::1", "[]", "[::1]x", "a:1:2", "a:123456"] {
            refuses(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::Host);
        }
        for host in ["a", "a:80", "[::1]", "[::1]:80", "127.0.0.1:8080", "a_b.example"] {
            assert!(parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap().is_some(), "{host}");
        }
        assert!(parse("GET / HTTP/1.0\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn sizes_are_bounded() {
        refuses(&with_line(&format!("GET /{} HTTP/1.1", "a".repeat(9000))), Malformed::TargetTooLong);
        let limits = HeadLimits { bytes_max: 64, fields_max: 2, target_bytes_max: 32 };
        let advance = |text: &str| RequestParser::new(limits).advance(text.as_bytes());
        assert_eq!(advance(&"a".repeat(76)), Err(Malformed::TargetTooLong));
        assert_eq!(
            advance(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(64))),
            Err(Malformed::HeadTooLarge)
        );
        assert_eq!(advance("GET / HTTP/1.1\r\na:\r\nb:\r\nc:\r\n\r\n"), Err(Malformed::HeadTooLarge));
    }

    #[test]
    fn the_longest_line_may_arrive_byte_by_byte() {
        let limits = HeadLimits { target_bytes_max: 40, ..HeadLimits::default() };
        let text = format!("{} /{} HTTP/1.1\r\n", "M".repeat(METHOD_BYTES_MAX), "a".repeat(39));
        let mut parser = RequestParser::new(limits);
        for end in 0..=text.len() {
            assert_eq!(parser.advance(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_cannot_be_mended_is_refused_before_the_head_is_whole() {
        refuses("GET /\0", Malformed::ControlByte);
        refuses("\x16\x03\x01\x02", Malformed::ControlByte);
        refuses("GET / HTTP/1.1\r\nHost: a\r\nX-A: \x01", Malformed::ControlByte);
    }

    #[test]
    fn status_lines_may_lack_the_reason() {
        let parse = |line: &str| status_line(line.as_bytes()).map(|(version, status, _)| (version, status));
        assert_eq!(parse("HTTP/1.1 200 OK"), Ok((Version::Http11, 200)));
        assert_eq!(parse("HTTP/1.0 404"), Ok((Version::Http10, 404)));
        assert_eq!(parse("HTTP/1.1 200 "), Ok((Version::Http11, 200)));
        for line in
            ["HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 099", "HTTP/1.1  200", "ICY 200 OK", "HTTP/1.1"]
        {
            assert_eq!(parse(line), Err(Malformed::StatusLine), "{line}");
        }
    }
}
