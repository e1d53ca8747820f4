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

/// Whether a text can be a field's or a cookie's name (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}
