//! What a script asks of the browser, what the browser sends, and what comes back.

use std::fmt;

use crate::names::{self, NORMALIZED_METHODS};

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
pub struct CallError(String);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
            _ => origin_of(origin).ok_or_else(|| CallError(format!("`{origin}` is no origin")))?,
        };
        if origin_of(url).is_none() {
            return Err(CallError(format!("`{url}` is no absolute URL")));
        }
        Ok(Call {
            origin: page,
            url: url.split('#').next().unwrap_or(url).to_owned(),
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
            return Err(CallError(format!("`{method}` is no method")));
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
        let bad = |byte: u8| matches!(byte, 0 | b'\r' | b'\n');
        if !names::is_token(name.as_bytes()) || value.bytes().any(bad) {
            return Err(CallError(format!("`{line}` is no header")));
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
            _ => Err(CallError(format!("`{text}` is neither omit, same-origin nor include"))),
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
            _ => Err(CallError(format!("`{text}` is neither cors, no-cors nor same-origin"))),
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
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(valid) || host.is_empty()
    {
        return None;
    }
    let default = match &*scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(default).filter(|_| !default.is_empty()).unwrap_or(&host);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>^|%\"`{}".contains(c);
    (!host.is_empty() && !host.contains(odd)).then(|| format!("{scheme}://{host}"))
}

/// Where a `Location` leads from `url`.
pub(crate) fn resolve(url: &str, location: &str) -> String {
    if location.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return location.to_owned();
    }
    let scheme_end = url.find("://").map_or(0, |at| at + 3);
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{}{rest}", &url[..scheme_end]);
    }
    let path = url[scheme_end..].find(['/', '?', '#']).map_or(url.len(), |at| scheme_end + at);
    if location.starts_with('/') {
        return format!("{}{location}", &url[..path]);
    }
    let before_query = url[path..].find(['?', '#']).map_or(url.len(), |at| path + at);
    let folder = url[path..before_query].rfind('/').map_or(path, |at| path + at);
    format!("{}/{location}", &url[..folder])
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
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
    fn a_location_is_relative_to_its_url() {
        let from = "https://a.example/b/c?d";
        assert_eq!(resolve(from, "/x"), "https://a.example/x");
        assert_eq!(resolve(from, "x"), "https://a.example/b/x");
        assert_eq!(resolve(from, "//b.example/x"), "https://b.example/x");
        assert_eq!(resolve(from, "http://b.example/"), "http://b.example/");
        assert_eq!(resolve("https://a.example", "x"), "https://a.example/x");
    }

    #[test]
    fn a_call_is_spelled_as_browsers_do() {
        let call = Call::new("https://Shop.example", "https://api.shop.example/#x").expect("a call");
        let call = call.method("put").expect("a method").header("X-Cart:  7 ").expect("a header");
        assert_eq!((call.method.as_str(), call.url.as_str()), ("PUT", "https://api.shop.example/"));
        assert_eq!(call.headers, [("x-cart".to_owned(), "7".to_owned())]);
        assert_eq!(call.method("patch").expect("a method").method, "patch");
        assert!(Call::new("shop.example", "https://a.example").is_err());
    }
}
