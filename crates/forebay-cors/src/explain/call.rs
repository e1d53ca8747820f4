//! What a script asks of the browser, what the browser sends, and what comes back.

use std::fmt;

use super::url::Url;
use crate::names::{self, NORMALIZED_METHODS};

const ORIGIN: &str = "write scheme and host, as in https://shop.example, or null for a sandboxed frame";
const URL: &str = "write all of it, as in https://api.shop.example/orders/7";
const USER: &str = "leave the user out, or send it in an authorization header";
const METHOD: &str = "write one word, as in PUT";
const HEADER: &str = "write a name, or a name and a value, as in \"x-cart: 7\"";

/// A script's call: `fetch(url, …)` on a page of `origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The page's, as the browser writes it.
    pub origin: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// As the browser sends it: the usual ones in capitals.
    pub method: String,
    /// Those that the script sets, names in lower case, values without white space around.
    pub headers: Vec<(String, String)>,
    /// The `credentials` option.
    pub credentials: Credentials,
    /// The `mode` option.
    pub mode: Mode,
    /// Whether the call has a streamed body or listens to upload progress, which always needs a preflight.
    pub forces_preflight: bool,
}

/// Whether cookies and the like go along (Fetch, "credentials mode"). Only [`Credentials::Include`] sends them to
/// another origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `omit`
    Omit,
    /// `same-origin`, the default of `fetch`.
    SameOrigin,
    /// `include`; XMLHttpRequest's `withCredentials`.
    Include,
}

/// What a script wants of another origin (Fetch, "mode").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `cors`, the default.
    Cors,
    /// `no-cors`: send, and read nothing.
    NoCors,
    /// `same-origin`: fail elsewhere.
    SameOrigin,
}

/// Why this is no call that a script could make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    what: String,
    help: &'static str,
}

impl CallError {
    fn new(what: impl Into<String>, help: &'static str) -> CallError {
        CallError { what: what.into(), help }
    }

    /// What to write instead.
    pub fn help(&self) -> &'static str {
        self.help
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for CallError {}

impl Call {
    /// A plain `fetch(url)` from a page of `origin`.
    ///
    /// # Errors
    /// When one of them is no URL.
    pub fn new(origin: &str, url: &str) -> Result<Call, CallError> {
        let page = match origin {
            "null" => "null".to_owned(),
            _ => {
                origin_of(origin).ok_or_else(|| CallError::new(format!("`{origin}` is no origin"), ORIGIN))?
            }
        };
        let target = Url::parse(url).filter(Url::has_host);
        let target = target.ok_or_else(|| CallError::new(format!("`{url}` is no absolute URL"), URL))?;
        if target.has_user() {
            return Err(CallError::new("browsers refuse to call a URL with a user in it", USER));
        }
        Ok(Call {
            origin: page,
            url: target.to_string(),
            method: "GET".into(),
            headers: Vec::new(),
            credentials: Credentials::SameOrigin,
            mode: Mode::Cors,
            forces_preflight: false,
        })
    }

    /// With this method, spelled as browsers do (Fetch, "normalize a method").
    ///
    /// # Errors
    /// When it is no token.
    pub fn method(mut self, method: &str) -> Result<Call, CallError> {
        if !names::is_token(method.as_bytes()) {
            return Err(CallError::new(format!("`{method}` is no method"), METHOD));
        }
        let upper = method.to_ascii_uppercase();
        self.method = if NORMALIZED_METHODS.contains(&upper.as_str()) { upper } else { method.to_owned() };
        Ok(self)
    }

    /// With a header that the script sets: `name: value`, or a name alone where the value does not matter.
    ///
    /// # Errors
    /// When it is no header.
    pub fn header(mut self, line: &str) -> Result<Call, CallError> {
        let (name, value) = line.split_once(':').unwrap_or((line, "1"));
        let value = value.trim_matches([' ', '\t', '\r', '\n']);
        let bad = |c: char| matches!(c, '\0' | '\r' | '\n' | '\u{100}'..);
        if !names::is_token(name.as_bytes()) || value.contains(bad) {
            return Err(CallError::new(format!("`{line}` is no header"), HEADER));
        }
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        Ok(self)
    }
}

impl std::str::FromStr for Credentials {
    type Err = CallError;

    fn from_str(text: &str) -> Result<Credentials, CallError> {
        match text {
            "omit" => Ok(Credentials::Omit),
            "same-origin" => Ok(Credentials::SameOrigin),
            "include" => Ok(Credentials::Include),
            _ => Err(CallError::new(format!("`{text}` is neither omit, same-origin nor include"), "")),
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = CallError;

    fn from_str(text: &str) -> Result<Mode, CallError> {
        match text {
            "cors" => Ok(Mode::Cors),
            "no-cors" => Ok(Mode::NoCors),
            "same-origin" => Ok(Mode::SameOrigin),
            _ => Err(CallError::new(format!("`{text}` is neither cors, no-cors nor same-origin"), "")),
        }
    }
}

/// A request that the browser sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `OPTIONS` for a preflight.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// `origin` and those that matter here, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether it asks for permission.
    pub is_preflight: bool,
}

impl Sent {
    /// The headers as they go over the wire: a byte for each character.
    pub fn lines(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (&**name, bytes_of(value)))
    }
}

/// What comes back, without its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 100 to 599.
    pub status: u16,
    /// In order, names in any case.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// All values of a header, joined by `, ` as browsers do (Fetch, "get").
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(had, _)| had.eq_ignore_ascii_case(name));
        let values: Vec<&str> = values.map(|(_, value)| value.trim_matches([' ', '\t'])).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

/// The origin of a URL as browsers write it; nothing for what is no URL with a host.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    Url::parse(url).filter(Url::has_host).map(|url| url.origin())
}

/// The bytes of a header's value as they are sent: one for each character.
pub(crate) fn bytes_of(value: &str) -> Vec<u8> {
    value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let origin = |url| origin_of(url).unwrap_or_default();
        assert_eq!(origin("HTTPS://Shop.Example:443/a?b"), "https://shop.example");
        assert_eq!(origin("http://shop.example:443"), "http://shop.example:443");
        assert_eq!(origin("https://me:pw@shop.example/"), "https://shop.example");
        assert_eq!(origin("http://[::1]:3000/"), "http://[::1]:3000");
        assert_eq!(origin("shop.example"), "");
        assert_eq!(origin("https://"), "");
    }

    #[test]
    fn a_call_is_spelled_as_browsers_do() {
        let call = Call::new("https://Shop.example", "https://api.shop.example/#x").expect("a call");
        let call = call.method("put").expect("a method").header("X-Cart:  7 ").expect("a header");
        assert_eq!((call.method.as_str(), call.url.as_str()), ("PUT", "https://api.shop.example/"));
        assert_eq!(call.headers, [("x-cart".to_owned(), "7".to_owned())]);
        assert_eq!(call.method("patch").expect("a method").method, "patch");
        for (origin, url) in
            [("shop.example", "https://a.example"), ("https://a.example", "https://me@b.example")]
        {
            assert!(Call::new(origin, url).is_err(), "{origin} {url}");
        }
        let call = Call::new("null", "https://a.example").expect("a call");
        assert!(call.clone().header("x: é").is_ok() && call.header("x: €").is_err());
    }
}
