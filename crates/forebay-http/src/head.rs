//! Heads: the start line and fields of one message, in the bytes they came in, with edits beside them.
//!
//! A head has no lifetime. It owns the buffer it was read into and keeps positions, so a stage may hold it
//! across waits, edit it, and write it out again for every attempt. Added text goes to a second arena; a
//! removed field is only marked. Nothing here knows sockets or framing.

use std::cell::RefCell;
use std::fmt;

use crate::buffer::Buffer;
use crate::fields::Fields;
use crate::name::Name;

/// Arenas and field lists a thread keeps for the next head.
const POOLED_MAX: usize = 512;
/// An arena that grew past this is not kept.
const POOLED_BYTES_MAX: usize = 16 * 1024;

/// Set in a start position that points into the added text.
const ADDED: u32 = 1 << 31;

/// A piece of a head's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub(crate) const EMPTY: Span = Span { start: 0, len: 0 };

    /// A piece of the text as received. Heads are bounded far below 2 GiB, so positions fit.
    pub(crate) fn received(start: usize, end: usize) -> Span {
        Span { start: start as u32, len: (end - start) as u32 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Span,
    value: Span,
    known: Name,
    removed: bool,
}

#[derive(Debug, Default)]
struct Arena {
    added: Vec<u8>,
    slots: Vec<Slot>,
}

thread_local! {
    static ARENAS: RefCell<Vec<Arena>> = const { RefCell::new(Vec::new()) };
}

/// One field section: of a request, a response, or a trailer.
pub struct Section {
    received: Buffer,
    arena: Arena,
}

impl Section {
    /// A section without fields, to be filled by [`Section::append`].
    pub fn new() -> Section {
        Section { received: Buffer::none(), arena: take_arena() }
    }

    pub(crate) fn adopt(&mut self, received: Buffer) {
        self.received = received;
    }

    pub(crate) fn push_received(&mut self, name: Span, value: Span, known: Name) {
        self.arena.slots.push(Slot { name, value, known, removed: false });
    }

    fn text(&self, span: Span) -> &[u8] {
        let len = span.len as usize;
        if span.start & ADDED == 0 {
            let start = span.start as usize;
            &self.received.filled()[start..start + len]
        } else {
            let start = (span.start & !ADDED) as usize;
            &self.arena.added[start..start + len]
        }
    }

    fn add_text(&mut self, text: &[u8]) -> Span {
        let start = self.arena.added.len();
        self.arena.added.extend_from_slice(text);
        Span { start: start as u32 | ADDED, len: text.len() as u32 }
    }

    /// All fields in order: name as received, value without surrounding white space.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        let present = self.arena.slots.iter().filter(|slot| !slot.removed);
        present.map(|slot| (slot.known, self.text(slot.name), self.text(slot.value)))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.arena.slots.iter().filter(|slot| !slot.removed).count()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value of a field that the codec recognises; a comparison of bytes per field.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// All values of a field that the codec recognises.
    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let matching = self.arena.slots.iter().filter(move |slot| slot.known == name && !slot.removed);
        matching.map(|slot| self.text(slot.value))
    }

    /// Adds a field behind the others. The caller vouches for its syntax: no control bytes.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        debug_assert!(!value.iter().any(|&byte| byte < b' ' && byte != b'\t'), "control byte in {name}");
        let known = Name::of(name.as_bytes());
        let name = self.add_text(name.as_bytes());
        let value = self.add_text(value);
        self.arena.slots.push(Slot { name, value, known, removed: false });
    }

    /// Replaces all fields of this name by one.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove_named(name);
        self.append(name, value);
    }

    /// Removes all fields of this name and says how many there were.
    pub fn remove(&mut self, name: Name) -> usize {
        debug_assert!(name != Name::Other);
        let mut count = 0;
        for slot in &mut self.arena.slots {
            if slot.known == name && !slot.removed {
                slot.removed = true;
                count += 1;
            }
        }
        count
    }

    /// Removes all fields of this name, compared without case, and says how many there were.
    pub fn remove_named(&mut self, name: &str) -> usize {
        let known = Name::of(name.as_bytes());
        if known != Name::Other {
            return self.remove(known);
        }
        let mut count = 0;
        for at in 0..self.arena.slots.len() {
            let slot = self.arena.slots[at];
            if !slot.removed && self.text(slot.name).eq_ignore_ascii_case(name.as_bytes()) {
                self.arena.slots[at].removed = true;
                count += 1;
            }
        }
        count
    }

    /// Removes every field whose recognised name satisfies `doomed`.
    pub(crate) fn remove_where(&mut self, doomed: impl Fn(Name) -> bool) {
        for slot in &mut self.arena.slots {
            slot.removed |= doomed(slot.known);
        }
    }

    /// Removes the fields that say where the body ends: only the codec writes them.
    pub fn remove_framing(&mut self) {
        self.remove_where(Name::is_framing);
    }

    /// Removes what belongs to one connection only: the hop-by-hop fields and those that `Connection`
    /// names (RFC 9110 §7.6.1).
    pub fn remove_hop_by_hop(&mut self) {
        if !self.arena.slots.iter().any(|slot| slot.known.is_hop_by_hop()) {
            return;
        }
        let nominated: Vec<String> = self
            .get_all(Name::Connection)
            .flat_map(crate::fields::list)
            .filter(|token| !is_usual_connection_option(token))
            .map(|token| String::from_utf8_lossy(token).into_owned())
            .collect();
        for name in nominated {
            // Naming one of these in `Connection` is an attack on what this proxy adds or reads.
            if !matches!(Name::of(name.as_bytes()), Name::Host | Name::ContentLength) {
                self.remove_named(&name);
            }
        }
        self.remove_where(Name::is_hop_by_hop);
    }

    /// Appends every field as `name: value CRLF`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let received = self.received.filled();
        let added = self.arena.added.as_slice();
        let text = |span: Span| {
            let (arena, start) =
                if span.start & ADDED == 0 { (received, span.start) } else { (added, span.start & !ADDED) };
            &arena[start as usize..start as usize + span.len as usize]
        };
        for slot in self.arena.slots.iter().filter(|slot| !slot.removed) {
            out.extend_from_slice(text(slot.name));
            out.extend_from_slice(b": ");
            out.extend_from_slice(text(slot.value));
            out.extend_from_slice(b"\r\n");
        }
    }

    /// A compact copy that holds no pooled buffer.
    fn compact(&self, spans: [Span; 2]) -> (Section, [Span; 2]) {
        let mut copy = Section { received: Buffer::none(), arena: Arena::default() };
        let spans = spans.map(|span| copy.add_text(self.text(span)));
        for slot in self.arena.slots.iter().filter(|slot| !slot.removed) {
            let name = copy.add_text(self.text(slot.name));
            let value = copy.add_text(self.text(slot.value));
            copy.arena.slots.push(Slot { name, value, ..*slot });
        }
        copy.arena.added.shrink_to_fit();
        copy.arena.slots.shrink_to_fit();
        (copy, spans)
    }
}

fn is_usual_connection_option(token: &[u8]) -> bool {
    [&b"close"[..], b"keep-alive", b"upgrade", b"te"].iter().any(|usual| token.eq_ignore_ascii_case(usual))
}

fn take_arena() -> Arena {
    ARENAS.with(|arenas| arenas.borrow_mut().pop()).unwrap_or_default()
}

impl Default for Section {
    fn default() -> Section {
        Section::new()
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        let mut arena = std::mem::take(&mut self.arena);
        if arena.slots.capacity() == 0 || arena.added.capacity() > POOLED_BYTES_MAX {
            return;
        }
        arena.added.clear();
        arena.slots.clear();
        let _ = ARENAS.try_with(|arenas| {
            let mut arenas = arenas.borrow_mut();
            if arenas.len() < POOLED_MAX {
                arenas.push(arena);
            }
        });
    }
}

impl Fields for Section {
    fn each_value<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]) -> bool) {
        let known = Name::of(name.as_bytes());
        for slot in self.arena.slots.iter().filter(|slot| slot.known == known && !slot.removed) {
            let same = known != Name::Other || self.text(slot.name).eq_ignore_ascii_case(name.as_bytes());
            if same && !each(self.text(slot.value)) {
                return;
            }
        }
    }
}

impl fmt::Debug for Section {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(_, name, _)| String::from_utf8_lossy(name))).finish()
    }
}

/// A request method (RFC 9110 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `CONNECT`
    Connect,
    /// Any other token; [`RequestHead::method_text`] has it.
    Other,
}

impl Method {
    /// Recognises a method; they are case-sensitive.
    pub fn of(text: &[u8]) -> Method {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// The method as written; empty for [`Method::Other`], whose text is in the head.
    pub const fn text(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Other => "",
        }
    }

    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Patch | Method::Connect | Method::Other)
    }
}

/// The HTTP version of a message as its sender wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As in the start line.
    pub const fn text(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        }
    }
}

/// Whether the client spoke TLS to whoever first received the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn text(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    pub(crate) method: Method,
    pub(crate) method_span: Span,
    pub(crate) version: Version,
    pub(crate) scheme: Scheme,
    /// From the target in absolute form; without it the `Host` field is the authority.
    pub(crate) target_authority: Option<Span>,
    /// Path and query, or `*`.
    pub(crate) target: Span,
    pub(crate) fields: Section,
}

impl RequestHead {
    /// A request of our own making. `target` is a path with its query; the caller vouches for its syntax.
    pub fn new(method: &str, scheme: Scheme, authority: &str, target: &str) -> RequestHead {
        let mut fields = Section::new();
        let method_span = fields.add_text(method.as_bytes());
        let target = fields.add_text(target.as_bytes());
        fields.append("host", authority.as_bytes());
        RequestHead {
            method: Method::of(method.as_bytes()),
            method_span,
            version: Version::Http11,
            scheme,
            target_authority: None,
            target,
            fields,
        }
    }

    /// The method, as one of the usual ones.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as written.
    pub fn method_text(&self) -> &str {
        match self.method {
            Method::Other => text_of(self.fields.text(self.method_span)),
            known => known.text(),
        }
    }

    /// The version its sender speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The scheme under which it reached Forebay.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// States what the socket knows.
    pub fn set_scheme(&mut self, scheme: Scheme) {
        self.scheme = scheme;
    }

    /// Host and port the request is for (RFC 9112 §3.3); the parser has checked that there is exactly one.
    pub fn authority(&self) -> &str {
        let authority = match self.target_authority {
            Some(span) => self.fields.text(span),
            None => self.fields.get(Name::Host).unwrap_or_default(),
        };
        text_of(authority)
    }

    /// The authority that the target in absolute form names, which overrules the `Host` field.
    pub fn target_authority(&self) -> Option<&str> {
        self.target_authority.map(|span| text_of(self.fields.text(span)))
    }

    /// The authority without its port, brackets of an IPv6 address kept.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        let port_from = if authority.starts_with('[') { authority.find(']').unwrap_or(0) } else { 0 };
        match authority[port_from..].find(':') {
            Some(colon) => &authority[..port_from + colon],
            None => authority,
        }
    }

    /// Path and query as received, or `*`.
    pub fn target(&self) -> &str {
        text_of(self.fields.text(self.target))
    }

    /// The same as bytes, for the codec.
    pub(crate) fn target_bytes(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// The path as received, without the query.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// Sends it elsewhere: path and query; the caller vouches for the syntax.
    pub fn set_target(&mut self, target: &str) {
        self.target = self.fields.add_text(target.as_bytes());
    }

    /// The fields.
    pub fn fields(&self) -> &Section {
        &self.fields
    }

    /// The fields, to be edited.
    pub fn fields_mut(&mut self) -> &mut Section {
        &mut self.fields
    }

    /// A compact copy for those who keep it: it holds no pooled buffer and may go to another thread.
    pub fn freeze(&self) -> RequestHead {
        let (mut fields, [method_span, target]) = self.fields.compact([self.method_span, self.target]);
        let target_authority = self.target_authority.map(|span| fields.add_text(self.fields.text(span)));
        RequestHead { method_span, target, target_authority, fields, ..*self }
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct ResponseHead {
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) fields: Section,
}

impl ResponseHead {
    /// A response of our own making, with the registered reason phrase.
    pub fn new(status: u16) -> ResponseHead {
        let mut fields = Section::new();
        let reason = fields.add_text(reason_phrase(status).as_bytes());
        ResponseHead { version: Version::Http11, status, reason, fields }
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The version its sender speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The reason phrase; may hold any visible byte.
    pub fn reason(&self) -> &[u8] {
        self.fields.text(self.reason)
    }

    /// The fields.
    pub fn fields(&self) -> &Section {
        &self.fields
    }

    /// The fields, to be edited.
    pub fn fields_mut(&mut self) -> &mut Section {
        &mut self.fields
    }

    /// A compact copy for those who keep it: it holds no pooled buffer and may go to another thread.
    pub fn freeze(&self) -> ResponseHead {
        let (fields, [reason, _]) = self.fields.compact([self.reason, Span::EMPTY]);
        ResponseHead { reason, fields, ..*self }
    }
}

/// The registered reason phrase of a status code; empty when it has none.
pub fn reason_phrase(status: u16) -> &'static str {
    if status == 413 {
        // As RFC 9110 has it; the library keeps the older name.
        return "Content Too Large";
    }
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// The parser lets only ASCII through in these places.
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestHead {
        let mut head = RequestHead::new("GET", Scheme::Http, "shop.example:8080", "/a/b?c=d?e");
        head.fields_mut().append("Connection", b"keep-alive, X-Private");
        head.fields_mut().append("X-Private", b"1");
        head.fields_mut().append("X-Public", b"2");
        head
    }

    fn names(section: &Section) -> Vec<String> {
        section.iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn target_authority_and_host_come_apart() {
        let head = request();
        assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d?e")));
        assert_eq!((head.authority(), head.host()), ("shop.example:8080", "shop.example"));
        assert_eq!(RequestHead::new("GET", Scheme::Http, "[::1]:80", "/").host(), "[::1]");
        assert_eq!(RequestHead::new("GET", Scheme::Http, "[::1]", "/").host(), "[::1]");
    }

    #[test]
    fn fields_named_by_connection_are_removed_with_it() {
        let mut head = request();
        head.fields_mut().remove_hop_by_hop();
        assert_eq!(names(head.fields()), ["host", "X-Public"]);
    }

    #[test]
    fn connection_cannot_name_away_the_host() {
        let mut head = request();
        head.fields_mut().set("connection", b"host");
        head.fields_mut().remove_hop_by_hop();
        assert_eq!(head.authority(), "shop.example:8080");
    }

    #[test]
    fn a_frozen_head_reads_the_same_without_what_was_removed() {
        let mut head = request();
        head.fields_mut().remove_named("x-private");
        let frozen = head.freeze();
        assert_eq!(frozen.target(), head.target());
        assert_eq!(names(frozen.fields()), ["host", "Connection", "X-Public"]);
        assert_eq!(frozen.fields().value("x-public"), Some(&b"2"[..]));
    }

    #[test]
    fn debug_shows_no_values() {
        assert!(!format!("{:?}", request()).contains("keep-alive"));
    }
}
