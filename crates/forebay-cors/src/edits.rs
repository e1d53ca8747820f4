//! What a decision does to a response: which fields go, which come, and what `Vary` gains. The same plan serves a head
//! of ours and an `http::HeaderMap`.

use forebay_http::{Fields, ResponseHead, Section};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Whatever begins like this is ours to say.
const OWNED_PREFIX: &[u8] = b"access-control-";
/// The most fields that a response gets: four of the grant, three of a preflight, two helpers, one for debugging.
const LINES_MAX: usize = 10;

/// The plan for one response.
#[derive(Clone, Debug, Default)]
pub struct Edits<'a> {
    lines: [(&'static str, &'a [u8]); LINES_MAX],
    count: usize,
    vary: &'static [&'static str],
    /// Whether the response's own fields make way.
    strips: bool,
}

/// A place for response fields.
pub trait ResponseFields: Fields {
    /// The name of a field that begins with `access-control-`, if there is one.
    fn owned_by_cors(&self) -> Option<String>;
    /// Removes all fields of this name (lower case) and says how many there were.
    fn remove_all(&mut self, name: &str) -> usize;
    /// Adds a field behind the others.
    fn add_field(&mut self, name: &'static str, value: &[u8]);
}

impl<'a> Edits<'a> {
    pub(crate) fn owning(vary: &'static [&'static str]) -> Edits<'a> {
        Edits { vary, strips: true, ..Edits::default() }
    }

    /// None.
    pub(crate) fn nothing() -> Edits<'a> {
        Edits::default()
    }

    pub(crate) fn add(&mut self, name: &'static str, value: &'a [u8]) {
        debug_assert!(self.count < LINES_MAX);
        if let Some(line) = self.lines.get_mut(self.count) {
            *line = (name, value);
            self.count += 1;
        }
    }

    /// The fields that the response gets, names in lower case, `Vary` apart.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        self.lines.iter().take(self.count).copied()
    }

    /// What `Vary` has to list.
    pub fn vary(&self) -> &'static [&'static str] {
        self.vary
    }

    /// Carries the plan out. Says how many fields of the response's own it removed: an upstream that does CORS too.
    pub fn apply(&self, fields: &mut (impl ResponseFields + ?Sized)) -> usize {
        let mut removed = 0;
        while self.strips
            && let Some(name) = fields.owned_by_cors()
        {
            removed += fields.remove_all(&name);
        }
        for (name, value) in self.fields() {
            // Helpers replace what the upstream says; the CORS fields are gone already.
            if !name.as_bytes().starts_with(OWNED_PREFIX) {
                fields.remove_all(name);
            }
            fields.add_field(name, value);
        }
        merge_vary(fields, self.vary);
        removed
    }

    /// The same on a head of ours.
    pub fn apply_to_head(&self, head: &mut ResponseHead) -> usize {
        self.apply(head.fields_mut())
    }
}

/// Adds what is missing to `Vary`, in one field: some caches read only the first.
fn merge_vary(fields: &mut (impl ResponseFields + ?Sized), tokens: &[&str]) {
    let missing = |fields: &_, token: &str| !Fields::has_token(fields, "vary", token);
    if !missing(fields, "*") || !tokens.iter().any(|token| missing(fields, token)) {
        return;
    }
    let mut merged: Vec<u8> = Vec::with_capacity(128);
    fields.each_value("vary", &mut |value| {
        join(&mut merged, value);
        true
    });
    for token in tokens.iter().filter(|token| missing(fields, token)) {
        join(&mut merged, token.as_bytes());
    }
    fields.remove_all("vary");
    fields.add_field("vary", &merged);
}

fn join(list: &mut Vec<u8>, element: &[u8]) {
    if !list.is_empty() && !element.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element);
}

impl ResponseFields for Section {
    fn owned_by_cors(&self) -> Option<String> {
        let owned = |name: &[u8]| {
            name.get(..OWNED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWNED_PREFIX))
        };
        let found = self.iter().find(|(_, name, _)| owned(name));
        found.map(|(_, name, _)| String::from_utf8_lossy(name).to_ascii_lowercase())
    }

    fn remove_all(&mut self, name: &str) -> usize {
        self.remove_named(name)
    }

    fn add_field(&mut self, name: &'static str, value: &[u8]) {
        self.append(name, value);
    }
}

impl ResponseFields for HeaderMap {
    fn owned_by_cors(&self) -> Option<String> {
        let found = self.keys().find(|name| name.as_str().as_bytes().starts_with(OWNED_PREFIX));
        found.map(|name| name.as_str().to_owned())
    }

    fn remove_all(&mut self, name: &str) -> usize {
        let count = self.get_all(name).iter().count();
        self.remove(name);
        count
    }

    fn add_field(&mut self, name: &'static str, value: &[u8]) {
        // Values are configured names, validated origins or what a request carried: always valid.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Edits<'static> {
        let mut edits = Edits::owning(&["Origin"]);
        edits.add("access-control-allow-origin", b"https://shop.example");
        edits.add("cross-origin-resource-policy", b"same-site");
        edits
    }

    #[track_caller]
    fn check_vary(before: &[&str], after: &[&str]) {
        let mut map = HeaderMap::new();
        let mut head = ResponseHead::new(200);
        for value in before {
            map.append("vary", HeaderValue::from_str(value).expect("a value"));
            head.fields_mut().append("Vary", value.as_bytes());
        }
        plan().apply(&mut map);
        plan().apply_to_head(&mut head);
        let seen: Vec<_> = map.get_all("vary").iter().map(|value| value.to_str().expect("text")).collect();
        assert_eq!(seen, after);
        let mut seen = Vec::new();
        head.fields().each_value("vary", &mut |value| {
            seen.push(String::from_utf8_lossy(value).into_owned());
            true
        });
        assert_eq!(seen, after);
    }

    #[test]
    fn vary_is_merged_once() {
        check_vary(&[], &["Origin"]);
        check_vary(&["Accept-Encoding"], &["Accept-Encoding, Origin"]);
        check_vary(&["Accept-Encoding", "Cookie"], &["Accept-Encoding, Cookie, Origin"]);
        check_vary(&["accept, origin"], &["accept, origin"]);
        check_vary(&["*"], &["*"]);
        check_vary(&[""], &["Origin"]);
    }

    #[test]
    fn what_the_upstream_said_of_cors_is_removed_and_counted() {
        let mut head = ResponseHead::new(200);
        head.fields_mut().append("Access-Control-Allow-Origin", b"*");
        head.fields_mut().append("access-control-allow-origin", b"https://evil.example");
        head.fields_mut().append("ACCESS-CONTROL-SOMETHING-NEW", b"1");
        head.fields_mut().append("Cross-Origin-Resource-Policy", b"cross-origin");
        head.fields_mut().append("ETag", b"\"1\"");
        assert_eq!(plan().apply_to_head(&mut head), 3);
        let fields: Vec<_> = head.fields().iter().map(|(_, name, _)| String::from_utf8_lossy(name)).collect();
        let expected = ["ETag", "access-control-allow-origin", "cross-origin-resource-policy", "vary"];
        assert_eq!(fields, expected);
        assert_eq!(head.fields().value("cross-origin-resource-policy"), Some(&b"same-site"[..]));
    }
}
