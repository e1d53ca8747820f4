//! A compiled set of origins: one look-up whatever its size. Never lets a value through that is not an origin.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::origin::{self, ORIGIN_BYTES_MAX, OriginPattern, PORT_BYTES_MAX, Port, SCHEME_BYTES_MAX, Site};

/// Whom a request's `Origin` turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An origin of the list: its number.
    Listed(u32),
    /// A valid origin that a pattern covers.
    Covered,
}

/// All origins of a policy.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    any: bool,
    exact: HashMap<Box<[u8]>, u32, Hashed>,
    texts: Vec<Box<[u8]>>,
    /// `scheme://host` of entries with any port.
    any_port: HashMap<Box<[u8]>, (), Hashed>,
    /// Under a host, the ways in which its subdomains are allowed.
    below: HashMap<Box<[u8]>, Vec<Below>, Hashed>,
    /// How long the hosts of `below` are, each length once.
    lengths: Vec<u8>,
}

#[derive(Debug)]
struct Below {
    scheme: Box<[u8]>,
    port: Port,
}

impl Origins {
    pub(crate) fn new<'o>(patterns: impl Iterator<Item = &'o OriginPattern>) -> Origins {
        let mut origins = Origins::default();
        for pattern in patterns {
            match pattern {
                OriginPattern::Any => origins.any = true,
                OriginPattern::Null => origins.add_exact("null".into()),
                OriginPattern::Site(site) => origins.add(site),
            }
        }
        origins
    }

    fn add(&mut self, site: &Site) {
        if let Some(exact) = site.exact() {
            self.add_exact(exact);
        } else if site.subdomains {
            // A host is no longer than DNS has them (`HOST_BYTES_MAX`).
            let length = site.host.len() as u8;
            if !self.lengths.contains(&length) {
                self.lengths.push(length);
            }
            let below = Below { scheme: site.scheme.as_bytes().into(), port: site.port };
            self.below.entry(site.host.as_bytes().into()).or_default().push(below);
        } else {
            self.any_port.insert(format!("{}://{}", site.scheme, site.host).into_bytes().into(), ());
        }
    }

    fn add_exact(&mut self, text: String) {
        let text: Box<[u8]> = text.into_bytes().into();
        let number = self.texts.len() as u32;
        self.exact.entry(text.clone()).or_insert(number);
        self.texts.push(text);
    }

    pub(crate) fn is_any(&self) -> bool {
        self.any
    }

    /// The only origin, where there is but one and no pattern.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        let patterns = self.any || !self.any_port.is_empty() || !self.below.is_empty();
        match self.texts.as_slice() {
            [only] if !patterns => Some(only),
            _ => None,
        }
    }

    pub(crate) fn text(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).map_or(b"", |text| text)
    }

    /// Whether this value of an `Origin` field is allowed.
    pub(crate) fn find(&self, origin: &[u8]) -> Option<Found> {
        if origin.len() > ORIGIN_BYTES_MAX {
            return None;
        }
        if let Some(&number) = self.exact.get(origin) {
            return Some(Found::Listed(number));
        }
        if !self.any && self.any_port.is_empty() && self.below.is_empty() {
            return None;
        }
        let parts = Parts::of(origin)?;
        // Most strangers are told apart by their names, before every byte is looked at.
        let covered = self.any || self.has_any_port(origin, &parts) || self.is_below(&parts);
        (covered && parts.are_valid()).then_some(Found::Covered)
    }

    fn has_any_port(&self, origin: &[u8], parts: &Parts<'_>) -> bool {
        let without_port = parts.scheme.len() + 3 + parts.host.len();
        !self.any_port.is_empty() && self.any_port.contains_key(&origin[..without_port])
    }

    /// Looks at the ends of the host that are as long as some entry, and behind a dot.
    fn is_below(&self, &Parts { scheme, host, port }: &Parts<'_>) -> bool {
        self.lengths.iter().any(|&length| {
            let Some(start) = host.len().checked_sub(length.into()) else { return false };
            let (subdomain, end) = host.split_at(start);
            let covers = |below: &Vec<Below>| below.iter().any(|below| below.covers(scheme, port));
            subdomain.last() == Some(&b'.') && self.below.get(end).is_some_and(covers)
        })
    }
}

impl Below {
    fn covers(&self, scheme: &[u8], port: Option<&[u8]>) -> bool {
        *self.scheme == *scheme
            && match (self.port, port) {
                (Port::Any, _) | (Port::Default, None) => true,
                (Port::Number(number), Some(text)) => decimal(text) == Some(number),
                _ => false,
            }
    }
}

fn decimal(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A serialized origin (HTML, "ASCII serialisation of an origin"), taken apart.
struct Parts<'o> {
    scheme: &'o [u8],
    host: &'o [u8],
    port: Option<&'o [u8]>,
}

impl Parts<'_> {
    /// Nothing for what cannot be one, `null` included.
    fn of(origin: &[u8]) -> Option<Parts<'_>> {
        let (scheme, rest) = match origin.strip_prefix(b"https://") {
            Some(rest) => (&origin[..5], rest),
            None => {
                let colon = origin.iter().take(SCHEME_BYTES_MAX + 1).position(|&byte| byte == b':')?;
                (&origin[..colon], origin[colon..].strip_prefix(b"://")?)
            }
        };
        // A port is digits at the very end. Whatever else has a colon is no host, which `are_valid` finds.
        let digits = rest.iter().rev().take(PORT_BYTES_MAX).take_while(|byte| byte.is_ascii_digit()).count();
        let (host, port) = match rest[..rest.len() - digits].split_last() {
            Some((b':', host)) => (host, Some(&rest[rest.len() - digits..])),
            _ => (rest, None),
        };
        Some(Parts { scheme, host, port })
    }

    fn are_valid(&self) -> bool {
        let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(byte);
        let scheme = matches!(self.scheme, b"https" | b"http")
            || self.scheme.first().is_some_and(u8::is_ascii_lowercase) && self.scheme.iter().all(letter);
        let port = self.port.is_none_or(|port| origin::is_port(self.scheme, port));
        let host = if self.host.first() == Some(&b'[') {
            is_bracketed(self.host)
        } else {
            origin::is_name(self.host)
        };
        scheme && port && host
    }
}

fn is_bracketed(host: &[u8]) -> bool {
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    let digit = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b':');
    inner.is_some_and(|inner| (2..=39).contains(&inner.len()) && inner.iter().all(digit))
}

type Hashed = BuildHasherDefault<WordHasher>;

/// A multiplication per eight bytes. The set is the configuration's, so nobody can fill it with collisions; who asks
/// can at worst walk the longest chain that the configuration made.
#[derive(Debug, Default)]
struct WordHasher(u64);

/// The odd number nearest 2^64 divided by the golden ratio (Knuth, volume 3, §6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl WordHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(GOLDEN);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        match bytes.last_chunk::<8>() {
            // Some of them twice, which does no harm and saves putting the rest together.
            Some(last) => self.mix(u64::from_le_bytes(*last)),
            None => self.mix(rest.iter().fold(0, |last, &byte| last << 8 | u64::from(byte))),
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Origins {
        let patterns: Vec<_> =
            texts.iter().map(|text| OriginPattern::parse(text).expect("an origin")).collect();
        Origins::new(patterns.iter())
    }

    #[track_caller]
    fn check(texts: &[&str], origin: &str, allowed: bool) {
        assert_eq!(origins(texts).find(origin.as_bytes()).is_some(), allowed, "{origin} in {texts:?}");
    }

    #[test]
    fn an_exact_origin_is_only_itself() {
        let listed = &["https://shop.example", "http://localhost:3000"];
        check(listed, "https://shop.example", true);
        check(listed, "http://localhost:3000", true);
        check(listed, "http://shop.example", false);
        check(listed, "https://shop.example:8443", false);
        check(listed, "https://shop.example.evil.example", false);
        check(listed, "https://evilshop.example", false);
        check(listed, "https://shop.example/", false);
        check(listed, "HTTPS://shop.example", false);
        check(listed, "null", false);
        check(listed, "", false);
    }

    #[test]
    fn a_star_stands_for_subdomains_of_any_depth_and_not_for_the_host() {
        let listed = &["https://*.shop.example", "https://*.preview.cafe.example:8443", "https://*.org"];
        check(listed, "https://a.shop.example", true);
        check(listed, "https://a.b.shop.example", true);
        check(listed, "https://shop.example", false);
        check(listed, "http://a.shop.example", false);
        check(listed, "https://a.shop.example:8443", false);
        check(listed, "https://evilshop.example", false);
        check(listed, "https://a.shop.example.evil.example", false);
        check(listed, "https://a.preview.cafe.example:8443", true);
        check(listed, "https://a.preview.cafe.example", false);
        check(listed, "https://any.org", true);
        check(listed, "https://.shop.example", false);
        check(listed, "https://a..shop.example", false);
        check(listed, "https://a\".shop.example", false);
        check(listed, "https://a/.shop.example", false);
        check(listed, "https://u@a.shop.example", false);
    }

    #[test]
    fn any_port_is_a_port() {
        let listed = &["http://localhost:*", "http://[::1]:*", "https://*.shop.example:*"];
        check(listed, "http://localhost", true);
        check(listed, "http://localhost:3000", true);
        check(listed, "http://[::1]:3000", true);
        check(listed, "https://a.shop.example:1", true);
        check(listed, "http://localhost:80", false);
        check(listed, "http://localhost:03000", false);
        check(listed, "http://localhost:99999", false);
        check(listed, "http://localhost:", false);
        check(listed, "http://localhost:3000:1", false);
        check(listed, "http://localhost.evil.example:3000", false);
    }

    #[test]
    fn very_deep_names_are_matched_too() {
        let deep = format!("https://*.{}x", "a.".repeat(120));
        let origin = format!("https://b.{}x", "a.".repeat(120));
        check(&[&deep], &origin, true);
        check(&[&deep], "https://b.a.x", false);
    }

    #[test]
    fn overlong_origins_are_refused_unread() {
        check(&["*"], &format!("https://{}", "a".repeat(64 * 1024)), false);
        check(&["*"], &format!("https://{}example", "a.".repeat(120)), true);
    }
}
