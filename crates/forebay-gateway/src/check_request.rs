//! What a check of a registered instance asks for, and what it asks next when it is redirected: as Go's client does it, by
//! which Consul asks. Pure; leaves neither http nor https, and takes no credentials to another host.

use std::net::IpAddr;

use bytes::Bytes;
use forebay_http::{Fields as _, RequestHead, ResponseHead, Scheme};
use forebay_registry::HttpCheck;

/// Requests of one probe, those that it is redirected to included: as many as Go's client makes.
const REQUESTS_MAX: usize = 10;
/// Of a URL that an answer redirects to: as long as a check's own may be.
const URL_BYTES_MAX: usize = 2048;
/// Fields that say who asks. They go to the check's own host and to hosts below it.
const CREDENTIALS: [&str; 6] =
    ["authorization", "www-authenticate", "cookie", "cookie2", "proxy-authorization", "proxy-authenticate"];
/// What frames the message is the codec's.
const FRAMING: [&str; 5] = ["host", "connection", "content-length", "transfer-encoding", "upgrade"];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    authority: String,
    /// Path and query; what follows a `#` is nobody's business but a browser's.
    target: String,
}

/// One request of a probe.
#[derive(Debug)]
pub(crate) struct CheckRequest<'c> {
    check: &'c HttpCheck,
    pub(crate) url: Url,
    method: &'c str,
    /// Counts the requests of the probe from 1.
    number: usize,
    /// As long as no answer turned it into one without.
    has_body: bool,
    /// As long as it goes where the check's own `Host` belongs.
    has_host: bool,
    has_credentials: bool,
}

impl<'c> CheckRequest<'c> {
    /// The one that the check names.
    pub(crate) fn first(check: &'c HttpCheck) -> Result<CheckRequest<'c>, String> {
        let url = Url::parse(&check.url).ok_or("the URL cannot be read")?;
        let (has_body, has_host, has_credentials) = (true, true, true);
        Ok(CheckRequest { check, url, method: &check.method, number: 1, has_body, has_host, has_credentials })
    }

    /// The one that this answer leads to; none when it is the answer to the probe.
    pub(crate) fn after(&self, answer: &ResponseHead) -> Result<Option<CheckRequest<'c>>, String> {
        // RFC 9110 §15.4: 307 and 308 alone ask for the same request elsewhere.
        let is_same = match answer.status() {
            301..=303 => false,
            307 | 308 => true,
            _ => return Ok(None),
        };
        let location = answer.fields().value("location").filter(|location| !location.is_empty());
        let Some(location) = location.filter(|_| self.check.follows_redirects) else { return Ok(None) };
        if self.number >= REQUESTS_MAX {
            return Err(format!("redirected by all of {REQUESTS_MAX} answers"));
        }
        let location = written(location).ok_or("redirected to what is no URL")?;
        let (url, stays) = self.url.join(&location)?;
        Ok(Some(CheckRequest {
            check: self.check,
            method: if is_same || self.method == "HEAD" { self.method } else { "GET" },
            number: self.number + 1,
            has_body: self.has_body && is_same,
            has_host: self.has_host && stays,
            has_credentials: self.has_credentials && self.is_home(&url),
            url,
        }))
    }

    /// Its own fields replace ours, and `Host` is one of them.
    pub(crate) fn head(&self) -> RequestHead {
        let own = &self.check.header;
        let field = |name: &str| own.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        let host = field("host").filter(|_| self.has_host).and_then(|(_, values)| values.first());
        let authority = host.map_or(&*self.url.authority, |host| host);
        let mut head = RequestHead::new(self.method, self.url.scheme, authority, &self.url.target);
        for (name, value) in [("user-agent", "forebay-registry"), ("accept", "*/*")] {
            if field(name).is_none() {
                head.fields_mut().append(name, value.as_bytes());
            }
        }
        for (name, values) in own {
            let name = name.to_ascii_lowercase();
            let is_of_body = !self.has_body && name.starts_with("content-");
            let is_kept_back = !self.has_credentials && CREDENTIALS.contains(&&*name);
            if FRAMING.contains(&&*name) || is_of_body || is_kept_back {
                continue;
            }
            for value in values {
                head.fields_mut().append(&name, value.as_bytes());
            }
        }
        head.fields_mut().append("connection", b"close");
        head
    }

    pub(crate) fn body(&self) -> Bytes {
        if self.has_body { Bytes::copy_from_slice(self.check.body.as_bytes()) } else { Bytes::new() }
    }

    /// Where the check was redirected to, if it was: without the query, which may hold secrets.
    pub(crate) fn redirected(&self) -> Option<String> {
        let Url { scheme, authority, target } = &self.url;
        let path = target.split('?').next().unwrap_or_default();
        (self.number > 1).then(|| format!("{}://{authority}{path}", scheme.text()))
    }

    /// Whether a URL is of the check's own host, or of one below it.
    fn is_home(&self, url: &Url) -> bool {
        let Some(own) = Url::parse(&self.check.url) else { return false };
        let (Some((own, _)), Some((other, _))) = (own.host_and_port(), url.host_and_port()) else {
            return false;
        };
        let (own, other) = (own.to_ascii_lowercase(), other.to_ascii_lowercase());
        let below = other.strip_suffix(&own).is_some_and(|labels| labels.ends_with('.'));
        own == other || (below && own.parse::<IpAddr>().is_err())
    }
}

impl Url {
    fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = if scheme.eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Some(Url { scheme, authority: authority.to_owned(), target })
    }

    pub(crate) fn host_and_port(&self) -> Option<(&str, u16)> {
        host_and_port(&self.authority, self.scheme)
    }

    /// What a reference means here (RFC 3986 §5.2), and whether it names no host of its own.
    fn join(&self, reference: &str) -> Result<(Url, bool), String> {
        let reference = reference.split('#').next().unwrap_or_default();
        let scheme_end = reference.find([':', '/', '?']).filter(|end| reference[*end..].starts_with(':'));
        let whole = match scheme_end.map(|end| &reference[..end]) {
            Some(scheme) if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                return Err("redirected to neither http:// nor https://".into());
            }
            Some(_) => Some(reference.to_owned()),
            None if reference.starts_with("//") => Some(format!("{}:{reference}", self.scheme.text())),
            None => None,
        };
        if let Some(whole) = whole {
            let url = Url::parse(&whole).ok_or("redirected to what is no URL")?;
            if url.authority.contains('@') {
                return Err("redirected to a URL with a password in it".into());
            }
            return Ok((Url { target: without_dots(&url.target), ..url }, false));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match reference.as_bytes() {
            [] => self.target.clone(),
            [b'/', ..] => reference.to_owned(),
            [b'?', ..] => format!("{path}{reference}"),
            _ => format!("{}{reference}", &path[..=path.rfind('/').unwrap_or(0)]),
        };
        Ok((Url { target: without_dots(&target), ..self.clone() }, true))
    }
}

/// The host without brackets, and the port or the scheme's own.
pub(crate) fn host_and_port(authority: &str, scheme: Scheme) -> Option<(&str, u16)> {
    let port_of_scheme = if scheme == Scheme::Https { 443 } else { 80 };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => Some((host, port_of_scheme)),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, port_of_scheme)),
    }
}

/// A reference as it is sent: bytes that URLs may not have become percent-encoded, as browsers have them. `None` for what
/// is far too long or has control characters.
fn written(location: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(location.len());
    for byte in location {
        match byte {
            b'!'..=b'~' => text.push(char::from(*byte)),
            b' ' | 0x80.. => text.push_str(&format!("%{byte:02X}")),
            _ => return None,
        }
    }
    (text.len() <= URL_BYTES_MAX).then_some(text)
}

/// A path with `.` and `..` resolved (RFC 3986 §5.2.4), and its query as it was.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A POST with a body, a host of its own, a credential and another field.
    fn check(url: &str) -> HttpCheck {
        let fields = [("Host", "orders"), ("Authorization", "hush"), ("X-Own", "1"), ("Content-Type", "a/b")];
        let header = fields.map(|(name, value)| (name.into(), vec![value.into()]));
        let (method, body) = ("POST".into(), "ping".into());
        HttpCheck { method, header: header.into(), body, ..HttpCheck::get(url, SECOND, SECOND) }
    }

    fn answer(status: u16, location: &str) -> ResponseHead {
        let mut head = ResponseHead::new(status);
        head.fields_mut().append("location", location.as_bytes());
        head
    }

    /// The request that is left when each of these has answered; what is left out of its fields is ours in any case.
    fn sent(check: &HttpCheck, answers: &[(u16, &str)]) -> String {
        let mut request = CheckRequest::first(check).unwrap();
        for (status, location) in answers {
            request = match request.after(&answer(*status, location)) {
                Ok(Some(next)) => next,
                Ok(None) => return format!("{status} is the answer"),
                Err(why) => return why,
            };
        }
        let head = request.head();
        let ours = ["host", "user-agent", "accept", "connection"];
        let names = head.fields().iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned());
        let names: Vec<_> = names.filter(|name| !ours.contains(&name.as_str())).collect();
        let body = String::from_utf8_lossy(&request.body()).into_owned();
        let (scheme, target) = (head.scheme().text(), head.target());
        let line = format!(
            "{} {scheme}://{}{target} {} {body}",
            head.method_text(),
            head.authority(),
            names.join(",")
        );
        line.trim_end().to_owned()
    }

    #[test]
    fn a_url_comes_apart_as_it_was_meant() {
        #[track_caller]
        fn check(url: &str, host: &str, port: u16, target: &str) {
            let found = Url::parse(url).unwrap();
            assert_eq!((found.host_and_port(), &*found.target), (Some((host, port)), target), "{url}");
        }
        check("http://127.0.0.1:9001/healthz?deep=1#top", "127.0.0.1", 9001, "/healthz?deep=1");
        check("HTTPS://orders.internal", "orders.internal", 443, "/");
        check("http://[::1]:80?x", "::1", 80, "/?x");
        check("http://[::1]/", "::1", 80, "/");
    }

    #[test]
    fn a_location_is_read_where_it_was_written() {
        let check = HttpCheck::get("http://a.example:81/one/two?three", SECOND, SECOND);
        for (location, expected) in [
            ("https://b.example/x?y#z", "https://b.example/x?y"),
            ("HTTP://b.example", "http://b.example/"),
            ("//b.example:82", "http://b.example:82/"),
            ("/x", "http://a.example:81/x"),
            ("x?q=a/../b", "http://a.example:81/one/x?q=a/../b"),
            ("./x/", "http://a.example:81/one/x/"),
            ("../../../x/..", "http://a.example:81/"),
            ("?four", "http://a.example:81/one/two?four"),
            ("#top", "http://a.example:81/one/two?three"),
            ("/a:b", "http://a.example:81/a:b"),
            ("/grün und", "http://a.example:81/gr%C3%BCn%20und"),
        ] {
            assert_eq!(sent(&check, &[(302, location)]), format!("GET {expected}"), "{location}");
        }
        for (location, why) in [
            ("ftp://b.example/", "redirected to neither http:// nor https://"),
            ("file:///etc/passwd", "redirected to neither http:// nor https://"),
            ("https:b", "redirected to what is no URL"),
            ("http://u:hush@b.example/", "redirected to a URL with a password in it"),
            ("/a\tb", "redirected to what is no URL"),
            (&"x".repeat(3000), "redirected to what is no URL"),
        ] {
            assert_eq!(sent(&check, &[(302, location)]), why, "{location}");
        }
    }

    #[test]
    fn what_becomes_of_method_body_and_fields_is_what_go_does() {
        let post = check("http://a.example/");
        let same = "authorization,content-type,x-own ping";
        for (answers, expected) in [
            (&[][..], format!("POST http://orders/ {same}")),
            (&[(307, "/x")][..], format!("POST http://orders/x {same}")),
            (&[(308, "http://a.example:81/x")], format!("POST http://a.example:81/x {same}")),
            (&[(308, "https://in.a.example/x")], format!("POST https://in.a.example/x {same}")),
            (&[(307, "http://ba.example/x")], "POST http://ba.example/x content-type,x-own ping".into()),
            // Who has been elsewhere has no credentials any more, and no body once it was dropped.
            (
                &[(307, "//b.example/"), (307, "//a.example/")],
                "POST http://a.example/ content-type,x-own ping".into(),
            ),
            (&[(301, "/x")], "GET http://orders/x authorization,x-own".into()),
            (&[(302, "/x"), (307, "/y")], "GET http://orders/y authorization,x-own".into()),
            (&[(303, "//b.example/")], "GET http://b.example/ x-own".into()),
            (&[(304, "/x")], "304 is the answer".into()),
            (&[(300, "/x")], "300 is the answer".into()),
            (&[(302, "")], "302 is the answer".into()),
        ] {
            assert_eq!(sent(&post, answers), expected, "{answers:?}");
        }
        let head = HttpCheck { method: "HEAD".into(), ..HttpCheck::get("http://a/", SECOND, SECOND) };
        assert_eq!(sent(&head, &[(302, "/x")]), "HEAD http://a/x");
        let still = HttpCheck { follows_redirects: false, ..post };
        assert_eq!(sent(&still, &[(307, "/x")]), "307 is the answer");
    }

    #[test]
    fn ten_requests_are_made_and_no_eleventh() {
        let check = HttpCheck::get("http://a/", SECOND, SECOND);
        assert_eq!(sent(&check, &[(302, "/x"); 9]), "GET http://a/x");
        assert_eq!(sent(&check, &[(302, "/x"); 10]), "redirected by all of 10 answers");
    }

    #[test]
    fn an_address_has_no_hosts_below_it() {
        let at = check("http://10.0.0.1/");
        assert!(sent(&at, &[(307, "http://10.0.0.1:81/")]).contains("authorization"));
        assert!(!sent(&at, &[(307, "http://x.10.0.0.1/")]).contains("authorization"));
    }
}
