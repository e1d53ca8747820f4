//! Paths and queries of requests, decoded. Refuses what does not decode to text; knows no path and no parameter.

use thiserror::Error;

/// Why a path or a query is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// A `%` without two hexadecimal digits.
    #[error("a `%` is not followed by two hexadecimal digits")]
    Encoding,
    /// Encoded bytes that are no text.
    #[error("encoded bytes are not UTF-8")]
    NotText,
}

/// The parameters of a query, in order. The head that they came in bounds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// As forms write it: `name=value&name=value`, with `+` for a space.
    pub(crate) fn parse(text: &str) -> Result<Query, Undecodable> {
        let parameters = text.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        });
        parameters.collect::<Result<_, _>>().map(Query)
    }

    /// The parameter's first value; empty when it was written without one.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of the parameter.
    pub(crate) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The name of every parameter, as often as it is there.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the parameter is there, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

/// A piece of a path with every `%XX` decoded, `%2F` too: what is decoded is a name, not a path any more.
pub(crate) fn decode(text: &str) -> Result<String, Undecodable> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(Undecodable::Encoding) };
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| Undecodable::NotText)
}

fn digit(byte: u8) -> Result<u8, Undecodable> {
    let value = char::from(byte).to_digit(16).ok_or(Undecodable::Encoding)?;
    u8::try_from(value).map_err(|_| Undecodable::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_what_was_encoded_in_it() {
        assert_eq!(decode("web%2F1%20a").as_deref(), Ok("web/1 a"));
        assert_eq!(decode("caf%C3%A9+x").as_deref(), Ok("café+x"));
        for broken in ["%", "a%2", "%zz", "%é"] {
            assert_eq!(decode(broken), Err(Undecodable::Encoding), "{broken}");
        }
        assert_eq!(decode("%ff"), Err(Undecodable::NotText));
    }

    #[test]
    fn parameters_may_repeat_and_lack_a_value() {
        let query = Query::parse("passing&tag=v1&tag=eu+west%26&&x=").unwrap();
        assert!(query.has("passing") && query.has("x") && !query.has("pass"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["v1", "eu west&"]);
        assert_eq!(query.first("passing"), Some(""));
        assert_eq!(Query::parse("a=%2"), Err(Undecodable::Encoding));
    }
}
