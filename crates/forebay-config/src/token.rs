//! Whether a text may stand where HTTP wants a token: the name of a field, a method, a cookie. Stands here because settings
//! of many sections name such things; the codec has its own way with bytes from the network.

/// Whether this is a token (RFC 9110 §5.6.2).
pub fn is_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_space_separator_or_letter_beyond_ascii() {
        for token in ["X-Api-Key", "PATCH", "a", "!#$%&'*+-.^_`|~09"] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "a b", "a:", "a,b", "a/b", "\"a\"", "a\r\n", "ü"] {
            assert!(!is_token(other), "{other:?}");
        }
    }
}
