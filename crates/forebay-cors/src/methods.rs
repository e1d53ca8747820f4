//! The methods that a policy allows. Refuses, whatever is allowed, those that no script may use.

use crate::names;

#[derive(Debug)]
pub(crate) struct Methods {
    pub(crate) any: bool,
    pub(crate) listed: Vec<Box<str>>,
    /// Whether GET or HEAD is listed: what may be got may be looked at, and caches answer the one with the other.
    get: bool,
}

impl Methods {
    pub(crate) fn new(any: bool, listed: Vec<Box<str>>) -> Methods {
        let get = listed.iter().any(|method| matches!(&**method, "GET" | "HEAD"));
        Methods { any, listed, get }
    }

    pub(crate) fn allows(&self, method: &[u8]) -> bool {
        if self.any {
            let text = std::str::from_utf8(method).unwrap_or_default();
            return names::is_token(method) && !names::is_forbidden_method(text);
        }
        match method {
            b"GET" | b"HEAD" => self.get,
            _ => self.listed.iter().any(|listed| listed.as_bytes() == method),
        }
    }
}
