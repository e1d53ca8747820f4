//! Takes request targets and authorities apart (RFC 9112 §3.2, RFC 9110 §7.2): which forms there are, and nothing else.

use crate::head::{Method, Scheme};
use crate::parse::Malformed;
use crate::section::Span;

/// Takes the request target apart (RFC 9112 §3.2).
pub(crate) fn target(
    method: Method,
    line: &[u8],
    start: usize,
    end: usize,
) -> Result<(Scheme, Option<Span>, Span), Malformed> {
    let target = &line[start..end];
    // Fragments are never sent, and bytes beyond ASCII are always encoded (RFC 3986 §2).
    if target.iter().any(|&byte| byte == b'#' || byte >= 0x80) {
        return Err(Malformed::Target);
    }
    let whole = Span::received(start, end);
    if target.first() == Some(&b'/') || (method == Method::Options && target == b"*") {
        return Ok((Scheme::Http, None, whole));
    }
    if method == Method::Connect {
        let valid = is_authority(target);
        return if valid { Ok((Scheme::Http, Some(whole), whole)) } else { Err(Malformed::Target) };
    }
    let (scheme, prefix) = match target {
        _ if starts_with_ignoring_case(target, b"http://") => (Scheme::Http, 7),
        _ if starts_with_ignoring_case(target, b"https://") => (Scheme::Https, 8),
        _ => return Err(Malformed::Target),
    };
    let rest = &target[prefix..];
    let authority_len = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    if !is_authority(&rest[..authority_len]) {
        return Err(Malformed::Target);
    }
    let authority_end = start + prefix + authority_len;
    let authority = Span::received(start + prefix, authority_end);
    Ok((scheme, Some(authority), Span::received(authority_end, end)))
}

/// `uri-host [":" port]` (RFC 9110 §7.2), not empty and without user information.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(close) = memchr::memchr(b']', rest) else { return false };
            let address = &rest[..close];
            let is_v6 = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.iter().all(is_v6) {
                return false;
            }
            (address, &rest[close + 1..])
        }
        _ => {
            let colon = memchr::memchr(b':', text).unwrap_or(text.len());
            let (host, port) = text.split_at(colon);
            if !host.iter().all(|&byte| is_host_byte(byte)) {
                return false;
            }
            (host, port)
        }
    };
    let port_is_valid = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && port_is_valid
}

/// `unreserved`, `sub-delims` and `%` of RFC 3986, without the comma: two hosts in one field are an attack.
fn is_host_byte(byte: u8) -> bool {
    HOST[usize::from(byte)]
}

static HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let symbol = matches!(
            byte as u8,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
        );
        table[byte] = symbol || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

fn starts_with_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
