//! Methods and header names as a policy lists them. Refuses those that browsers never let a script use.

use std::fmt;

use forebay_config::{Node, Problem, Reader, Shape, Value};

/// The longest method or header name that is looked at.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// Methods that a script may not use (Fetch, "forbidden method").
pub(crate) const FORBIDDEN_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];
/// Methods that browsers write in capitals whatever the script wrote (Fetch, "normalize a method").
pub(crate) const NORMALIZED_METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
/// Methods that need no preflight (Fetch, "CORS-safelisted method").
pub(crate) const SAFELISTED_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// Request headers that a script may not set (Fetch, "forbidden request-header"), besides those that begin with
/// `proxy-` or `sec-`.
const FORBIDDEN_HEADERS: [&str; 22] = [
    "accept-charset",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// One entry of a policy's `methods`: `*` or a method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MethodName(pub(crate) Box<str>);

/// One entry of a policy's `headers`: `*` or a name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestHeader(pub(crate) Box<str>);

/// One entry of a policy's `expose`: `*` or a name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseHeader(pub(crate) Box<str>);

/// Whether this is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = may_be_in_token(byte as u8);
        byte += 1;
    }
    table
};

const fn may_be_in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether a script may not set this request header at all, whatever its value; `name` in lower case.
pub(crate) fn is_forbidden_header(name: &str) -> bool {
    FORBIDDEN_HEADERS.contains(&name) || name.starts_with("proxy-") || name.starts_with("sec-")
}

pub(crate) fn is_forbidden_method(method: &str) -> bool {
    FORBIDDEN_METHODS.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(method))
}

/// Whether a policy may list it.
pub(crate) fn is_listable_method(text: &str) -> bool {
    method(text).is_ok()
}

fn method(text: &str) -> Result<MethodName, Problem> {
    if text == "*" {
        return Ok(MethodName(text.into()));
    }
    if !is_token(text.as_bytes()) || text.len() > NAME_BYTES_MAX {
        return Err(Problem::new("is no method").help("write for example \"PUT\""));
    }
    if is_forbidden_method(text) {
        return Err(Problem::new("is one that browsers refuse to scripts")
            .note("it would never be asked for")
            .help("remove it"));
    }
    let upper = text.to_ascii_uppercase();
    if text != upper && (upper == "PATCH" || NORMALIZED_METHODS.contains(&&*upper)) {
        let note = "methods are case-sensitive, and almost nobody means another spelling";
        return Err(Problem::new("is not in capitals").note(note).help(format!("write \"{upper}\"")));
    }
    Ok(MethodName(text.into()))
}

fn header(text: &str) -> Result<Box<str>, Problem> {
    let lower = text.to_ascii_lowercase();
    if !is_token(text.as_bytes()) || text.len() > NAME_BYTES_MAX {
        return Err(Problem::new("is no header name").help("write for example \"content-type\""));
    }
    Ok(lower.into())
}

fn request_header(text: &str) -> Result<RequestHeader, Problem> {
    let name = header(text)?;
    if is_forbidden_header(&name) {
        return Err(Problem::new("is one that browsers set themselves")
            .note("a script cannot set it, so it would never be asked for")
            .help("remove it"));
    }
    if name.starts_with("access-control-") {
        return Err(Problem::new("belongs to the CORS protocol itself")
            .note("it is an answer's header, not a request's")
            .help("remove it"));
    }
    Ok(RequestHeader(name))
}

fn response_header(text: &str) -> Result<ResponseHeader, Problem> {
    let name = header(text)?;
    if matches!(&*name, "set-cookie" | "set-cookie2") {
        return Err(Problem::new("is one that browsers hide from scripts")
            .note("exposing it has no effect")
            .help("remove it"));
    }
    if name.starts_with("access-control-") {
        return Err(Problem::new("belongs to the CORS protocol itself")
            .note("the browser reads it, a script has no use for it")
            .help("remove it"));
    }
    Ok(ResponseHeader(name))
}

macro_rules! names {
    ($($name:ident, $noun:literal, $example:literal, $read:ident;)+) => {$(
        impl Value for $name {
            const SHAPE: Shape = Shape::text($noun, $example);

            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<$name> {
                reader.text(node, &Self::SHAPE, $read)
            }
        }

        impl $name {
            /// Whether it is `*`.
            pub fn is_any(&self) -> bool {
                &*self.0 == "*"
            }

            /// As it is compared and sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    MethodName, "a method or `*`", "\"PUT\"", method;
    RequestHeader, "a request header or `*`", "\"content-type\"", request_header;
    ResponseHeader, "a response header or `*`", "\"etag\"", response_header;
}
