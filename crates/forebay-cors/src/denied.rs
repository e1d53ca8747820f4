//! Remembers who was denied, so that a policy can be suggested. Bounded, whatever strangers send: the most frequent
//! callers stay (the space-saving sketch: Metwally, Agrawal and El Abbadi, 2005).

use forebay_http::Fields;

use crate::names::{self, NAME_BYTES_MAX};
use crate::origin::{ORIGIN_BYTES_MAX, OriginPattern};
use crate::policy::Ask;

/// Callers that are told apart. A team has a handful of origins, with a few methods each.
pub const DENIED_MAX: usize = 128;
/// The longest list of headers that is remembered.
const HEADERS_BYTES_MAX: usize = 512;

/// One kind of call that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedCall {
    /// The page's.
    pub origin: String,
    /// What it used or asked for.
    pub method: String,
    /// What it asked for, in lower case, sorted.
    pub headers: Vec<String>,
    /// How often, at most.
    pub count: u64,
}

/// What one policy denied. One per core; [`DeniedCalls::merge`] joins them.
#[derive(Clone, Debug, Default)]
pub struct DeniedCalls {
    calls: Vec<DeniedCall>,
}

impl DeniedCalls {
    /// Remembers a call that was denied. What no browser sends is not remembered.
    pub fn record(&mut self, ask: &Ask<'_>, fields: &(impl Fields + ?Sized)) {
        if let Some(call) = DeniedCall::of(ask, fields) {
            self.add(call);
        }
    }

    /// Adds what another core remembers.
    pub fn merge(&mut self, other: &DeniedCalls) {
        other.calls.iter().cloned().for_each(|call| self.add(call));
    }

    /// What is remembered, the most frequent first.
    pub fn most_frequent(&self) -> Vec<&DeniedCall> {
        let mut calls: Vec<&DeniedCall> = self.calls.iter().collect();
        calls.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.origin.cmp(&b.origin)));
        calls
    }

    fn add(&mut self, call: DeniedCall) {
        if let Some(had) = self.calls.iter_mut().find(|had| had.is_like(&call)) {
            had.count = had.count.saturating_add(call.count);
        } else if self.calls.len() < DENIED_MAX {
            self.calls.push(call);
        } else if let Some(least) = self.calls.iter_mut().min_by_key(|had| had.count) {
            // Whoever comes anew may have come before and been forgotten.
            let count = least.count.saturating_add(call.count);
            *least = DeniedCall { count, ..call };
        }
    }
}

impl FromIterator<DeniedCall> for DeniedCalls {
    fn from_iter<I: IntoIterator<Item = DeniedCall>>(calls: I) -> DeniedCalls {
        let mut denied = DeniedCalls::default();
        calls.into_iter().for_each(|call| denied.add(call));
        denied
    }
}

impl DeniedCall {
    fn of(ask: &Ask<'_>, fields: &(impl Fields + ?Sized)) -> Option<DeniedCall> {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).ok();
        let origin =
            fields.only_value("origin").filter(|origin| origin.len() <= ORIGIN_BYTES_MAX).and_then(text)?;
        OriginPattern::parse(&origin).ok().filter(|pattern| pattern.is_origin())?;
        let asked = fields.only_value("access-control-request-method").filter(|_| ask.method == "OPTIONS");
        let method = asked.unwrap_or(ask.method.as_bytes());
        let is_name = |name: &[u8]| name.len() <= NAME_BYTES_MAX && names::is_token(name);
        let headers = fields.only_value("access-control-request-headers").filter(|_| asked.is_some());
        let headers = headers.filter(|list| list.len() <= HEADERS_BYTES_MAX).unwrap_or_default();
        let headers = forebay_http::fields::list(headers).filter(|name| is_name(name)).filter_map(text);
        let mut headers: Vec<String> = headers.map(|name| name.to_ascii_lowercase()).collect();
        headers.sort();
        headers.dedup();
        let method = Some(method).filter(|method| is_name(method)).and_then(text)?;
        Some(DeniedCall { origin, method, headers, count: 1 })
    }

    fn is_like(&self, other: &DeniedCall) -> bool {
        self.origin == other.origin && self.method == other.method && self.headers == other.headers
    }
}

#[cfg(test)]
mod tests {
    use forebay_http::Section;

    use super::*;

    fn record(denied: &mut DeniedCalls, origin: &str) {
        let mut fields = Section::new();
        fields.append("origin", origin.as_bytes());
        fields.append("access-control-request-method", b"PUT");
        fields.append("access-control-request-headers", b"x-b, x-a");
        let ask = Ask { method: "OPTIONS", scheme: "https", authority: "api.example" };
        denied.record(&ask, &fields);
    }

    #[test]
    fn a_flood_of_strangers_does_not_displace_the_frequent() {
        let mut denied = DeniedCalls::default();
        (0..5000).for_each(|_| record(&mut denied, "https://shop.example"));
        (0..5000).for_each(|n| record(&mut denied, &format!("https://stranger-{n}.example")));
        let most = denied.most_frequent();
        assert_eq!(most.len(), DENIED_MAX);
        assert_eq!((most[0].origin.as_str(), most[0].count), ("https://shop.example", 5000));
        assert_eq!(
            (most[0].method.as_str(), most[0].headers.as_slice()),
            ("PUT", &["x-a".to_owned(), "x-b".to_owned()][..])
        );
    }

    #[test]
    fn what_no_browser_sends_is_not_remembered() {
        let mut denied = DeniedCalls::default();
        for origin in ["", "*", "https://*.a.example", "https://a.example/", "shop", "https://a.example:*"] {
            record(&mut denied, origin);
        }
        assert!(denied.most_frequent().is_empty());
    }

    #[test]
    fn cores_add_up() {
        let (mut one, mut other) = (DeniedCalls::default(), DeniedCalls::default());
        record(&mut one, "https://a.example");
        record(&mut other, "https://a.example");
        record(&mut other, "https://b.example");
        one.merge(&other);
        let counts: Vec<u64> = one.most_frequent().iter().map(|call| call.count).collect();
        assert_eq!(counts, [2, 1]);
    }
}
