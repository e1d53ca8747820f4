//! Reads the field `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header §2). Refuses what could be read in two
//! ways.

use forebay_http::Fields;
use forebay_http::fields::trim;

/// The field, as asked for.
pub const FIELD: &str = "idempotency-key";
/// Characters of a key: as much as the APIs take that made the field known.
const KEY_LENGTH_MAX: usize = 255;

/// What a key is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are several.
    Repeated,
    /// It is empty.
    Empty,
    /// It is longer than 255 characters.
    TooLong,
    /// It is neither a quoted string nor a plain word.
    Syntax,
}

impl KeyError {
    /// For the client.
    pub fn text(self) -> &'static str {
        match self {
            KeyError::Repeated => "the request has several Idempotency-Key fields",
            KeyError::Empty => "the Idempotency-Key is empty",
            KeyError::TooLong => "the Idempotency-Key has more than 255 characters",
            KeyError::Syntax => "the Idempotency-Key is neither a quoted string nor a plain word",
        }
    }
}

/// The key, without quotes and escapes; `None` when the field is absent.
///
/// The draft wants a string of Structured Fields (RFC 9651 §3.3.3): `"8e03978e"`. Many clients send the same without
/// quotes, so a word of visible ASCII without `"`, `\`, `,` and `;` is the same key. Parameters are refused: none is
/// defined, and a plain word with a semicolon could mean either.
pub fn read_key(fields: &impl Fields) -> Result<Option<String>, KeyError> {
    let mut found = None;
    let mut repeated = false;
    fields.each_value(FIELD, &mut |value| {
        repeated = found.is_some();
        found = Some(value);
        !repeated
    });
    match found {
        None => Ok(None),
        Some(_) if repeated => Err(KeyError::Repeated),
        Some(value) => parse(trim(value)).map(Some),
    }
}

fn parse(value: &[u8]) -> Result<String, KeyError> {
    let key = match value {
        [b'"', rest @ ..] => unquoted(rest)?,
        word if word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\,;".contains(byte)) => {
            String::from_utf8_lossy(word).into_owned()
        }
        _ => return Err(KeyError::Syntax),
    };
    match key.len() {
        0 => Err(KeyError::Empty),
        1..=KEY_LENGTH_MAX => Ok(key),
        _ => Err(KeyError::TooLong),
    }
}

/// What stands between the quotes; only quote and backslash may be escaped.
fn unquoted(mut rest: &[u8]) -> Result<String, KeyError> {
    let mut key = String::new();
    loop {
        rest = match rest {
            [b'"'] => return Ok(key),
            [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => {
                key.push(char::from(*escaped));
                rest
            }
            [plain @ b' '..=b'~', rest @ ..] if !b"\"\\".contains(plain) => {
                key.push(char::from(*plain));
                rest
            }
            _ => return Err(KeyError::Syntax),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Result<Option<&str>, KeyError>) {
        let mut fields = http::HeaderMap::new();
        for value in values {
            fields.append(FIELD, value.parse().unwrap());
        }
        assert_eq!(read_key(&fields), expected.map(|key| key.map(str::to_owned)), "{values:?}");
    }

    #[test]
    fn a_key_is_a_string_or_a_plain_word_and_both_are_the_same_key() {
        check(&[], Ok(None));
        check(&["\"8e03978e-40d5\""], Ok(Some("8e03978e-40d5")));
        check(&["8e03978e-40d5"], Ok(Some("8e03978e-40d5")));
        check(&["  \"a b\"  "], Ok(Some("a b")));
        check(&[r#""a\"b\\c""#], Ok(Some(r#"a"b\c"#)));
        check(&["order:7/retry=1"], Ok(Some("order:7/retry=1")));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        check(&["a", "a"], Err(KeyError::Repeated));
        check(&["a", "b", "c"], Err(KeyError::Repeated));
        check(&[""], Err(KeyError::Empty));
        check(&["\"\""], Err(KeyError::Empty));
        for odd in ["a, b", "a b", "a;q=1", "\"a\";q=1", "\"a", "\"a\\n\"", "a\"", "\"a\" \"b\"", "?1;", "\\"]
        {
            check(&[odd], Err(KeyError::Syntax));
        }
        let long = "x".repeat(256);
        check(&[&long], Err(KeyError::TooLong));
        check(&[&long[1..]], Ok(Some(&long[1..])));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_key_survives_its_quotes(
            bytes in prop::collection::vec(any::<u8>(), 0..24),
            key in "[ -~]{1,40}",
        ) {
            let _ = parse(&bytes);
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(parse(quoted.as_bytes()), Ok(key));
        }
    }
}
