//! Where a body ends: the one place that reads `Content-Length` and `Transfer-Encoding` (RFC 9112 §6).

use crate::head::{Method, RequestHead, ResponseHead, Version};
use crate::name::Name;
use crate::parse::Malformed;
use crate::section::Section;

/// How a received body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By its length in bytes; not zero.
    Length(u64),
    /// By the chunked coding.
    Chunked,
    /// By the end of the connection: HTTP/1.0 responses, and both directions of a tunnel.
    UntilClose,
}

impl Framing {
    /// Number of body bytes, where it is known beforehand.
    pub const fn length(self) -> Option<u64> {
        match self {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }
}

/// How the body of a received request is delimited.
pub fn of_request(head: &RequestHead) -> Result<Framing, Malformed> {
    match declared(head.fields(), head.version())? {
        Some(framing) => Ok(framing),
        None => Ok(Framing::None),
    }
}

/// How the body of a received response is delimited, given the method it answers.
pub fn of_response(head: &ResponseHead, method: Method) -> Result<Framing, Malformed> {
    if head.status() == 101 {
        return Ok(Framing::UntilClose);
    }
    let declared = declared(head.fields(), head.version())?;
    if method == Method::Head || has_no_body(head.status()) {
        return Ok(Framing::None);
    }
    Ok(declared.unwrap_or(Framing::UntilClose))
}

/// Whether responses with this status end with their head (RFC 9110 §6.4.1).
pub const fn has_no_body(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

/// Whether the sender of a head keeps the connection open behind its message (RFC 9112 §9.3).
pub fn keeps_alive(fields: &Section, version: Version) -> bool {
    let says = |option: &str| fields.lists(Name::Connection, option);
    match version {
        Version::Http10 => says("keep-alive") && !says("close"),
        _ => !says("close"),
    }
}

/// The length that a response without a body says its body would have: to `HEAD`, and 304.
pub fn declared_length(head: &ResponseHead) -> Option<u64> {
    let declared = head.fields().get(Name::ContentLength)?;
    parse_length(declared).ok()?.length()
}

/// Whether the sender of a request waits for a 100 before it sends the body; in HTTP/1.0 that means nothing
/// (RFC 9110 §10.1.1).
pub fn expects_continue(head: &RequestHead, framing: Framing) -> bool {
    framing != Framing::None && head.version() >= Version::Http11 && head.fields().get(Name::Expect).is_some()
}

/// Whether the sender wants the trailers of a chunked body (RFC 9110 §10.1.4).
pub fn takes_trailers(fields: &Section) -> bool {
    fields.lists(Name::Te, "trailers")
}

fn declared(fields: &Section, version: Version) -> Result<Option<Framing>, Malformed> {
    let mut lengths = fields.get_all(Name::ContentLength);
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Malformed::ContentLength);
    }
    let mut codings = fields.get_all(Name::TransferEncoding);
    let Some(coding) = codings.next() else {
        return length.map(parse_length).transpose();
    };
    if length.is_some() {
        return Err(Malformed::LengthAndCoding);
    }
    // HTTP/1.0 has no transfer codings: such a message was put together by somebody else (RFC 9112 §6.1).
    let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    if !is_chunked || version == Version::Http10 {
        return Err(Malformed::TransferCoding);
    }
    Ok(Some(Framing::Chunked))
}

fn parse_length(text: &[u8]) -> Result<Framing, Malformed> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::ContentLength);
    }
    let length = text
        .iter()
        .try_fold(0_u64, |length, &digit| length.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    match length.ok_or(Malformed::ContentLength)? {
        0 => Ok(Framing::None),
        length => Ok(Framing::Length(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Scheme;

    fn request(fields: &[(&str, &str)]) -> Result<Framing, Malformed> {
        let mut head = RequestHead::new("POST", Scheme::Http, "a", "/");
        for (name, value) in fields {
            head.fields_mut().append(name, value.as_bytes());
        }
        of_request(&head)
    }

    #[test]
    fn a_length_is_a_plain_number() {
        assert_eq!(request(&[]), Ok(Framing::None));
        assert_eq!(request(&[("content-length", "0")]), Ok(Framing::None));
        assert_eq!(request(&[("Content-Length", "18446744073709551615")]), Ok(Framing::Length(u64::MAX)));
        for text in ["", "+5", "-5", "5 5", "5, 5", "0x5", "5.0", "18446744073709551616", "٥"] {
            assert_eq!(request(&[("content-length", text)]), Err(Malformed::ContentLength), "{text}");
        }
        let twice = [("content-length", "5"), ("content-length", "5")];
        assert_eq!(request(&twice), Err(Malformed::ContentLength));
    }

    #[test]
    fn the_only_coding_is_one_chunked() {
        assert_eq!(request(&[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked));
        for text in ["", "gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;q=1"] {
            assert_eq!(request(&[("transfer-encoding", text)]), Err(Malformed::TransferCoding), "{text}");
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(request(&twice), Err(Malformed::TransferCoding));
        let both = [("transfer-encoding", "chunked"), ("content-length", "3")];
        assert_eq!(request(&both), Err(Malformed::LengthAndCoding));
    }

    #[test]
    fn some_responses_end_with_their_head() {
        let response = |status, method| of_response(&ResponseHead::new(status), method);
        assert_eq!(response(200, Method::Get), Ok(Framing::UntilClose));
        assert_eq!(response(200, Method::Head), Ok(Framing::None));
        assert_eq!(response(304, Method::Get), Ok(Framing::None));
        assert_eq!(response(103, Method::Get), Ok(Framing::None));
        assert_eq!(response(101, Method::Get), Ok(Framing::UntilClose));
    }
}
