//! URLs as browsers read them, as far as CORS depends on it: what is one, whose it is, where a reference leads (WHATWG
//! URL, "URL parsing"). Knows no public suffixes and leaves names beyond ASCII as they are.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Schemes whose URLs have a host.
const WITH_HOST: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

/// An absolute URL without its fragment, which no server gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    scheme: String,
    has_user: bool,
    /// Host and port; empty where the scheme has none.
    authority: String,
    /// Path and query; everything behind the colon where the scheme has no host.
    target: String,
}

impl Url {
    /// Nothing for what no browser takes for a URL.
    pub(super) fn parse(text: &str) -> Option<Url> {
        Url::read(text, None)
    }

    /// Where a reference leads from here.
    pub(super) fn join(&self, reference: &str) -> Option<Url> {
        Url::read(reference, Some(self))
    }

    fn read(text: &str, base: Option<&Url>) -> Option<Url> {
        let text: String = text.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        let text = text.trim_matches(|c: char| c <= ' ');
        let text = text.split('#').next().unwrap_or(text);
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            let base = base.filter(|base| base.has_host())?;
            return base.refer(text);
        };
        let scheme = scheme.to_ascii_lowercase();
        if !WITH_HOST.contains(&&*scheme) {
            return Some(Url { scheme, has_user: false, authority: String::new(), target: rest.to_owned() });
        }
        match base.filter(|base| base.scheme == scheme && !rest.starts_with(['/', '\\'])) {
            Some(base) => base.refer(rest),
            None => with_host(scheme, rest.trim_start_matches(['/', '\\'])),
        }
    }

    /// A reference without a scheme.
    fn refer(&self, reference: &str) -> Option<Url> {
        let (path, query) = split_query(reference);
        let slashed = path.replace('\\', "/");
        if let Some(rest) = slashed.strip_prefix("//") {
            return with_host(self.scheme.clone(), &format!("{}{query}", rest.trim_start_matches('/')));
        }
        let (here, own_query) = split_query(&self.target);
        let target = match &*slashed {
            "" if query.is_empty() => format!("{here}{own_query}"),
            "" => format!("{here}{}", encoded(query)),
            path if path.starts_with('/') => tidy(path, query),
            path => {
                let folder = here.rfind('/').map_or("", |at| &here[..at]);
                tidy(&format!("{folder}/{path}"), query)
            }
        };
        Some(Url { has_user: false, target, ..self.clone() })
    }

    /// As browsers write it.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Whether the scheme is one whose URLs have a host.
    pub(super) fn has_host(&self) -> bool {
        !self.authority.is_empty()
    }

    /// Whether its scheme is `http` or `https`.
    pub(super) fn is_http(&self) -> bool {
        matches!(&*self.scheme, "http" | "https")
    }

    /// Whether browsers stop at once when a redirect leads to it.
    pub(super) fn is_unsafe(&self) -> bool {
        matches!(&*self.scheme, "about" | "data" | "file" | "filesystem")
    }

    /// Whether it carries a user's name or password.
    pub(super) fn has_user(&self) -> bool {
        self.has_user
    }
}

/// As a server is asked for it.
impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.has_host() {
            true => write!(f, "{}://{}{}", self.scheme, self.authority, self.target),
            false => write!(f, "{}:{}", self.scheme, self.target),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

fn with_host(scheme: String, rest: &str) -> Option<Url> {
    let (authority, target) = rest.split_at(rest.find(['/', '\\', '?']).unwrap_or(rest.len()));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (format!("[{address}]"), port)
        }
        None => {
            let (name, port) = place.split_at(place.find(':').unwrap_or(place.len()));
            (host(name)?, port)
        }
    };
    let authority = match port.strip_prefix(':').unwrap_or(port) {
        "" => host,
        digits if port.starts_with(':') && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = digits.parse().ok()?;
            let usual =
                matches!((&*scheme, port), ("http" | "ws", 80) | ("https" | "wss", 443) | ("ftp", 21));
            if usual { host } else { format!("{host}:{port}") }
        }
        _ => return None,
    };
    let (path, query) = split_query(target);
    let has_user = user.contains(|c| c != ':');
    Some(Url { scheme, has_user, authority, target: tidy(&path.replace('\\', "/"), query) })
}

/// A name or an IPv4 address in one of its many spellings.
fn host(text: &str) -> Option<String> {
    let decoded = decoded(text)?.to_lowercase();
    let forbidden = |c: char| c.is_ascii_control() || " #/:<>?@[\\]^|%".contains(c);
    if decoded.is_empty() || decoded.contains(forbidden) {
        return None;
    }
    let labels: Vec<&str> = decoded.strip_suffix('.').unwrap_or(&decoded).split('.').collect();
    let last = labels.last()?;
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || last.starts_with("0x") && number(last).is_some() {
        return address(&labels).map(|address| address.to_string());
    }
    Some(decoded)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return if hex.is_empty() { Some(0) } else { u64::from_str_radix(hex, 16).ok() };
    }
    match text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => u64::from_str_radix(octal, 8).ok(),
        None => text.parse().ok(),
    }
}

/// The last number fills what is left of the address.
fn address(labels: &[&str]) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = labels.iter().map(|label| number(label)).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|number| *number > 255) {
        return None;
    }
    let left = 32 - 8 * first.len() as u32;
    let bits = first.iter().fold(0, |bits, number| bits << 8 | number);
    (*last < 1 << left)
        .then_some(bits << left | last)
        .and_then(|bits| u32::try_from(bits).ok())
        .map(Ipv4Addr::from)
}

/// A path without `.` and `..`, and its query.
fn tidy(path: &str, query: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        match &*segment.to_ascii_lowercase().replace("%2e", ".") {
            "." | ".." => {
                if segment.len() > 1 && *segment != "%2e" {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    encoded(&format!("/{}{query}", kept.join("/")))
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | 0x7f.. | ..0x20 => out += &format!("%{byte:02X}"),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Url::parse(text).map(|url| url.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_url_is_what_browsers_take_for_one() {
        check("HTTPS://Shop.Example:443/a b?c#d", Some("https://shop.example/a%20b?c"));
        check("http://shop.example:443", Some("http://shop.example:443/"));
        check("https:shop.example\\x", Some("https://shop.example/x"));
        check("https://me:pw@shop.example/", Some("https://shop.example/"));
        check("https://exa%6dple.com", Some("https://example.com/"));
        check("http://[::1]:3000/..", Some("http://[::1]:3000/"));
        check("http://0x7f.1/", Some("http://127.0.0.1/"));
        check("mailto:a@b.example", Some("mailto:a@b.example"));
        for odd in [
            "shop.example",
            "https://",
            "https:",
            "http://[::1",
            "http://a:99999",
            "http://a:x",
            "http://a|b",
        ] {
            check(odd, None);
        }
        for odd in
            ["https://1.2.3.4.5", "https://1.2.3.256", "https://a:*", "//shop.example", "*", "https://@"]
        {
            check(odd, None);
        }
    }

    #[test]
    fn a_reference_leads_from_where_it_stands() {
        let from = Url::parse("https://a.example/b/c?d").expect("a URL");
        let leads = |reference: &str| from.join(reference).map(|url| url.to_string()).unwrap_or_default();
        assert_eq!(leads("/x"), "https://a.example/x");
        assert_eq!(leads("x"), "https://a.example/b/x");
        assert_eq!(leads("../x?y"), "https://a.example/x?y");
        assert_eq!(leads("./.."), "https://a.example/");
        assert_eq!(leads("?x"), "https://a.example/b/c?x");
        assert_eq!(leads("#x"), "https://a.example/b/c?d");
        assert_eq!(leads("//b.example/x"), "https://b.example/x");
        assert_eq!(leads("https:x"), "https://a.example/b/x");
        assert_eq!(leads("HTTP://b.example"), "http://b.example/");
        assert_eq!(leads("http://b.example:99999/"), "");
    }

    #[test]
    fn a_user_is_one_with_a_name_or_a_password() {
        let has_user = |text| Url::parse(text).is_some_and(|url| url.has_user());
        assert!(has_user("https://me@a.example") && has_user("https://:pw@a.example"));
        assert!(
            !has_user("https://@a.example")
                && !has_user("https://:@a.example")
                && !has_user("https://a.example/@")
        );
    }
}
