//! What a decision may ask of a message's header fields, whoever stores them.

use crate::name::Name;

/// Read access to header fields (RFC 9110 §5). Implemented for Forebay's own heads and for
/// [`http::HeaderMap`], so that a decision serves the gateway and a tower layer alike.
pub trait Fields {
    /// Calls `each` with every value of the field `name` (lowercase), in order, until it returns false.
    fn each_value<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]) -> bool);

    /// The same for a name that is recognised already, and so need not be read again.
    fn each_known<'a>(&'a self, name: Name, each: &mut dyn FnMut(&'a [u8]) -> bool) {
        self.each_value(name.text(), each);
    }

    /// The first value of the field `name` (lowercase).
    fn value<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let mut first = None;
        self.each_value(name, &mut |value| {
            first = Some(value);
            false
        });
        first
    }

    /// The first value of a field whose name is recognised already.
    fn known(&self, name: Name) -> Option<&[u8]> {
        let mut first = None;
        self.each_known(name, &mut |value| {
            first = Some(value);
            false
        });
        first
    }

    /// The value of a field that must stand alone; `None` when it is absent or repeated.
    fn only_value<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let mut found = None;
        let mut count = 0;
        self.each_value(name, &mut |value| {
            found = Some(value);
            count += 1;
            count < 2
        });
        found.filter(|_| count == 1)
    }

    /// Whether a field `name` (lowercase) is there.
    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether the comma-separated list field `name` has the element `token`, compared without case.
    fn has_token(&self, name: &str, token: &str) -> bool {
        let mut found = false;
        self.each_value(name, &mut |value| {
            found = list(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()));
            !found
        });
        found
    }
}

impl Fields for http::HeaderMap {
    fn each_value<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]) -> bool) {
        for value in self.get_all(name) {
            if !each(value.as_bytes()) {
                return;
            }
        }
    }

    fn each_known<'a>(&'a self, name: Name, each: &mut dyn FnMut(&'a [u8]) -> bool) {
        let values = name.header_name().map(|name| self.get_all(name));
        for value in values.into_iter().flatten() {
            if !each(value.as_bytes()) {
                return;
            }
        }
    }
}

/// The non-empty elements of a comma-separated list without quoted strings (RFC 9110 §5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Without optional white space (space and tab) at both ends.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_no_empty_elements() {
        let elements: Vec<_> = list(b" close , ,\tUpgrade,").collect();
        assert_eq!(elements, [&b"close"[..], b"Upgrade"]);
    }

    #[test]
    fn a_header_map_answers_like_a_head() {
        let mut map = http::HeaderMap::new();
        map.append("connection", http::HeaderValue::from_static("keep-alive, Upgrade"));
        map.append("connection", http::HeaderValue::from_static("x-private"));
        assert!(map.has_token("connection", "upgrade"));
        assert!(map.has_token("connection", "X-Private"));
        assert!(!map.has_token("connection", "up"));
        assert_eq!(map.only_value("connection"), None);
        assert_eq!(map.value("connection"), Some(&b"keep-alive, Upgrade"[..]));
        assert_eq!(map.known(Name::Connection), Some(&b"keep-alive, Upgrade"[..]));
        assert_eq!(map.known(Name::Upgrade), None);
    }
}
