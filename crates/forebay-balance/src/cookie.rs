//! Reads one cookie out of a `Cookie` field (RFC 6265, section 5.4), where servers may rely on nothing.

/// The first value of the cookie `name`, without the quotes that some put around it.
pub(crate) fn value<'f>(field: &'f [u8], name: &str) -> Option<&'f [u8]> {
    field.split(|&byte| byte == b';').find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let value = pair[at + 1..].trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        (pair[..at].trim_ascii() == name.as_bytes()).then_some(unquoted.unwrap_or(value))
    })
}
