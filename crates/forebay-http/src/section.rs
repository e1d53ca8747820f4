//! Field sections: of a request, a response or a trailer, in the bytes they came in, with edits beside them.
//!
//! A section owns the buffer its head was read into and keeps positions. Added text goes to a second arena; a removed
//! field is only marked.

use std::cell::RefCell;
use std::fmt;

use crate::buffer::Buffer;
use crate::fields::Fields;
use crate::name::Name;
use crate::writer::decimal;

/// Arenas and field lists a thread keeps for the next head.
const POOLED_MAX: usize = 512;
/// An arena that grew past this is not kept.
const POOLED_BYTES_MAX: usize = 16 * 1024;

/// Of a value that a second field gets: most are the name of a host.
const SAME_BYTES_MAX: usize = 64;

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

    pub(crate) fn text(&self, span: Span) -> &[u8] {
        let len = span.len as usize;
        if span.start & ADDED == 0 {
            let start = span.start as usize;
            &self.received.filled()[start..start + len]
        } else {
            let start = (span.start & !ADDED) as usize;
            &self.arena.added[start..start + len]
        }
    }

    pub(crate) fn add_text(&mut self, text: &[u8]) -> Span {
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

    /// The value of a recognised field that must stand alone; `None` when it is absent or repeated.
    pub fn only(&self, name: Name) -> Option<&[u8]> {
        let mut values = self.get_all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a recognised list field has the element `token`, compared without case.
    pub fn lists(&self, name: Name, token: &str) -> bool {
        self.get_all(name)
            .flat_map(crate::fields::list)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Adds a field behind the others. The caller vouches for its syntax: no control bytes.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        debug_assert!(!value.iter().any(|&byte| byte < b' ' && byte != b'\t'), "control byte in {name}");
        let known = Name::of(name.as_bytes());
        let name = self.add_text(name.as_bytes());
        self.arena.added.extend_from_slice(b": ");
        let value = self.add_text(value);
        self.arena.added.extend_from_slice(b"\r\n");
        self.arena.slots.push(Slot { name, value, known, removed: false });
    }

    /// Adds a recognised field behind the others, without looking for its name.
    pub fn add(&mut self, known: Name, value: &[u8]) {
        debug_assert!(known != Name::Other);
        let name = self.add_text(known.line_start().as_bytes());
        let value = self.add_text(value);
        self.arena.added.extend_from_slice(b"\r\n");
        let name = Span { len: name.len - 2, ..name };
        self.arena.slots.push(Slot { name, value, known, removed: false });
    }

    /// Adds a recognised field with a number.
    pub fn add_number(&mut self, known: Name, number: u64) {
        let mut digits = [0; 20];
        self.add(known, decimal(number, &mut digits));
    }

    /// Adds a recognised field with the value that another has; nothing when there is none.
    pub fn add_same(&mut self, known: Name, other: Name) {
        let mut value = [0; SAME_BYTES_MAX];
        match self.get(other) {
            Some(text) if text.len() <= value.len() => {
                let length = text.len();
                value[..length].copy_from_slice(text);
                self.add(known, &value[..length]);
            }
            Some(text) => {
                let text = text.to_vec();
                self.add(known, &text);
            }
            None => {}
        }
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

    /// Removes every field whose name, as it was written, satisfies `doomed`.
    pub fn remove_named_such(&mut self, doomed: impl Fn(&[u8]) -> bool) {
        for at in 0..self.arena.slots.len() {
            let name = self.arena.slots[at].name;
            self.arena.slots[at].removed |= doomed(self.text(name));
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

    /// Appends every field as `name: value CRLF`. Lines that stand together go over as they stand.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let mut run = Span::EMPTY;
        for slot in self.arena.slots.iter().filter(|slot| !slot.removed) {
            match self.line(slot) {
                Some(line) if line.start == run.start + run.len => run.len += line.len,
                Some(line) => out.extend_from_slice(self.text(std::mem::replace(&mut run, line))),
                None => {
                    out.extend_from_slice(self.text(std::mem::replace(&mut run, Span::EMPTY)));
                    out.extend_from_slice(self.text(slot.name));
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(self.text(slot.value));
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        out.extend_from_slice(self.text(run));
    }

    /// The whole line of a field; `None` where white space trails the value, and in a compact copy.
    fn line(&self, slot: &Slot) -> Option<Span> {
        let start = slot.name.start;
        let len = slot.value.start.checked_sub(start)? + slot.value.len + 2;
        let text = if start & ADDED == 0 { self.received.filled() } else { &self.arena.added };
        let end = (start & !ADDED) as usize + len as usize;
        (text.get(end - 2..end)? == b"\r\n").then_some(Span { start, len })
    }

    /// A compact copy that holds no pooled buffer.
    pub(crate) fn compact(&self, spans: [Span; 2]) -> (Section, [Span; 2]) {
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
        if known != Name::Other {
            return self.each_known(known, each);
        }
        let is_alike =
            |slot: &&Slot| slot.known == known && slot.name.len as usize == name.len() && !slot.removed;
        for slot in self.arena.slots.iter().filter(is_alike) {
            let is_same = self.text(slot.name).eq_ignore_ascii_case(name.as_bytes());
            if is_same && !each(self.text(slot.value)) {
                return;
            }
        }
    }

    fn each_known<'a>(&'a self, name: Name, each: &mut dyn FnMut(&'a [u8]) -> bool) {
        debug_assert!(name != Name::Other);
        self.get_all(name).all(each);
    }
}

impl fmt::Debug for Section {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(_, name, _)| String::from_utf8_lossy(name))).finish()
    }
}
