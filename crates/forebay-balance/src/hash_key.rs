//! What of a request ties it to an endpoint, and its hash. A key that is not there, or is empty, is no key: a hash of
//! nothing would send all such requests to one endpoint.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::str::FromStr;

use siphasher::sip::SipHasher24;

use crate::hash::{hasher, write_address};
use crate::{Error, cookie};

/// `hash = "…"`: where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// `header:NAME`: a header field's first value; the name in lower case.
    Header(Box<str>),
    /// `cookie:NAME`.
    Cookie(Box<str>),
    /// `query:NAME`: the first query parameter of that name, decoded.
    Query(Box<str>),
    /// `path:NAME`: a parameter of the route's path pattern.
    Path(Box<str>),
    /// `address`: the client's address, without its port.
    Address,
}

/// What a key is found in.
pub trait Facts {
    /// Calls `each` with every value of the header field `name` (lower case), in order, until it returns false.
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool);

    /// The query as it was sent, without its question mark.
    fn query(&self) -> Option<&str>;

    /// What the route's pattern found for the parameter `name` in the path.
    fn path_parameter(&self, name: &str) -> Option<&str>;

    /// The client, as trusted proxies name it.
    fn address(&self) -> IpAddr;
}

impl HashKey {
    /// The hash of the request's key; `None` when it has none. Allocates nothing.
    pub fn of(&self, request: &impl Facts) -> Option<u64> {
        let mut hasher = hasher();
        let found = match self {
            HashKey::Header(name) => {
                let mut found = false;
                request.each_value(name, &mut |value| {
                    found = write(&mut hasher, value);
                    false
                });
                found
            }
            HashKey::Cookie(name) => {
                let mut found = false;
                request.each_value("cookie", &mut |field| {
                    found = cookie::value(field, name).is_some_and(|value| write(&mut hasher, value));
                    !found
                });
                found
            }
            HashKey::Query(name) => {
                request.query().is_some_and(|query| write_parameter(&mut hasher, query, name))
            }
            HashKey::Path(name) => {
                request.path_parameter(name).is_some_and(|value| write(&mut hasher, value.as_bytes()))
            }
            HashKey::Address => {
                write_address(&mut hasher, request.address());
                true
            }
        };
        found.then(|| hasher.finish())
    }
}

fn write(hasher: &mut SipHasher24, value: &[u8]) -> bool {
    hasher.write(value);
    !value.is_empty()
}

/// The first parameter called `name`, decoded as forms are (WHATWG URL, application/x-www-form-urlencoded): the same
/// value is the same key however it is written.
fn write_parameter(hasher: &mut SipHasher24, query: &str, name: &str) -> bool {
    let mut parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = parameters.find_map(|(key, value)| decoded(key).eq(name.bytes()).then_some(value));
    let value = value.unwrap_or_default();
    decoded(value).for_each(|byte| hasher.write(&[byte]));
    !value.is_empty()
}

fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let digit = |at: usize| rest.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        let (byte, length) = match *rest.first()? {
            b'+' => (b' ', 1),
            b'%' => digit(1).zip(digit(2)).map_or((b'%', 1), |(high, low)| ((high * 16 + low) as u8, 3)),
            byte => (byte, 1),
        };
        rest = &rest[length..];
        Some(byte)
    })
}

impl FromStr for HashKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<HashKey, Error> {
        if text == "address" {
            return Ok(HashKey::Address);
        }
        let unknown = || Error::UnknownKey { key: text.to_owned() };
        let (place, name) = text.split_once(':').ok_or_else(unknown)?;
        let token = forebay_config::is_token(name);
        let named = |is_name: bool| -> Result<Box<str>, Error> {
            if is_name { Ok(name.into()) } else { Err(Error::BadName { name: name.to_owned() }) }
        };
        match place {
            "header" => Ok(HashKey::Header(named(token)?.to_ascii_lowercase().into())),
            "cookie" => Ok(HashKey::Cookie(named(token)?)),
            "query" => Ok(HashKey::Query(named(!name.is_empty())?)),
            "path" => Ok(HashKey::Path(named(!name.is_empty())?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashKey::Header(name) => write!(f, "header:{name}"),
            HashKey::Cookie(name) => write!(f, "cookie:{name}"),
            HashKey::Query(name) => write!(f, "query:{name}"),
            HashKey::Path(name) => write!(f, "path:{name}"),
            HashKey::Address => f.write_str("address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    struct Sent;

    impl Facts for Sent {
        fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) {
            let fields: [(&str, &[u8]); 5] = [
                ("x-user", b"ada"),
                ("x-user", b"eve"),
                ("cookie", b"theme=dark; sid=\"s1\""),
                ("cookie", b"late=yes"),
                ("x-empty", b""),
            ];
            let _ = fields
                .iter()
                .filter(|field| field.0 == name)
                .try_for_each(|field| each(field.1).then_some(()));
        }
        fn query(&self) -> Option<&str> {
            Some("a=1&q=caf%C3%a9+noir&q=2&empty=&odd=100%")
        }
        fn path_parameter(&self, name: &str) -> Option<&str> {
            (name == "id").then_some("7")
        }
        fn address(&self) -> IpAddr {
            [10, 0, 0, 1].into()
        }
    }

    #[test]
    fn a_key_is_found_where_it_is_declared() {
        let check = |key: &str, value: Option<&[u8]>| {
            let key: HashKey = key.parse().unwrap();
            assert_eq!(key.of(&Sent), value.map(hash), "{key}");
            assert_eq!(key.to_string().parse(), Ok(key));
        };
        check("header:X-User", Some(b"ada"));
        check("header:x-empty", None);
        check("header:x-other", None);
        check("cookie:sid", Some(b"s1"));
        check("cookie:late", Some(b"yes"));
        check("cookie:SID", None);
        check("query:q", Some("café noir".as_bytes()));
        check("query:odd", Some(b"100%"));
        check("query:empty", None);
        check("query:b", None);
        check("path:id", Some(b"7"));
        check("path:name", None);
        check("address", Some(&[10, 0, 0, 1]));
    }

    #[test]
    fn what_is_no_key_is_named() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<HashKey>().unwrap_err().to_string(), expected);
        };
        check("x-user", "unknown hash key `x-user`");
        check("ip:x", "unknown hash key `ip:x`");
        check("header:", "`` is no name for a hash key");
        check("cookie:a b", "`a b` is no name for a hash key");
    }
}
