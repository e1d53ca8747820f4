//! [`Settings`]: a struct that is one table of the file. The derive writes its declaration as a constant and
//! one line per field; everything that happens then is here.

use crate::diagnostic::{Diagnostic, Severity};
use crate::node::{Data, Entry, Node, Table};
use crate::place::{Origin, Place};
use crate::reader::{Reader, Side};
use crate::shape::{Field, Section, Shape};
use crate::value::Value;

/// A struct with `#[derive(Settings)]`.
pub trait Settings: Value {
    /// The declaration.
    const SECTION: Section;

    /// Reads field by field, all before the first failure is returned.
    fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self>;

    /// What no single field can tell; from `#[settings(check = …)]`. Called only on values whose fields are
    /// all valid.
    fn check(&self, _check: &mut Check<'_, '_>) {}
}

/// The table that is being read into a struct.
pub struct Fields<'r, 'a> {
    section: &'static Section,
    table: &'r Table,
    /// Whether the table stands for a value in its short form, whose key nobody wrote.
    short: bool,
    reader: &'r mut Reader<'a>,
}

impl Fields<'_, '_> {
    /// Reads the setting with this number, or its default.
    pub fn value<T: Value>(&mut self, index: usize) -> Option<T> {
        let section = self.section;
        let field = &section.fields[index];
        let default;
        let node = match self.table.get(field.name) {
            Some(node) => node,
            None => match field.default {
                Some(text) => {
                    default = declared(text)?;
                    &default
                }
                None => return self.absent(field, T::absent),
            },
        };
        let read = |reader: &mut Reader<'_>| {
            reader.setting(field, node, |reader| {
                let value = T::read(node, reader)?;
                within_bounds(reader, field, node, &value).then_some(value)
            })
        };
        if self.short { read(self.reader) } else { self.reader.under(field.name, read) }
    }

    /// Reads a struct whose keys stand in this same table.
    pub fn flatten<T: Settings>(&mut self) -> Option<T> {
        read_table(self.table, self.short, self.reader)
    }

    fn absent<T>(
        &mut self,
        field: &'static Field,
        absent: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        if field.is_required() {
            self.reader.missing(field);
            return None;
        }
        self.reader.under(field.name, absent)
    }
}

/// Points at the fields of a struct that was read, for what no single field can tell.
pub struct Check<'r, 'a> {
    table: &'r Table,
    reader: &'r mut Reader<'a>,
}

impl Check<'_, '_> {
    /// Where a field was written; the section's own place when it was not.
    pub fn origin(&self, key: &str) -> Origin {
        self.table.get(key).map_or(self.reader.here, Node::origin)
    }

    /// Whether somebody wrote the field, as opposed to its default standing.
    pub fn is_written(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// What was written for a setting below this section, through tables by their keys; `None` when nothing was.
    pub fn node(&self, path: &[&str]) -> Option<&Node> {
        let (key, tables) = path.split_last()?;
        let table = tables.iter().try_fold(self.table, |table, key| table.get(key)?.as_table())?;
        table.get(key)
    }

    /// Where that is, in the words of a person: for messages that name two places.
    pub fn place(&self, origin: Origin) -> Place {
        self.reader.sources.place(origin)
    }

    /// Reports an error at a field; add why and what to do to what comes back.
    pub fn error(&mut self, key: &str, message: impl Into<String>) -> &mut Diagnostic {
        let origin = self.origin(key);
        self.reader.error(origin, message)
    }

    /// Reports something that works but should be changed.
    pub fn warning(&mut self, key: &str, message: impl Into<String>) -> &mut Diagnostic {
        let origin = self.origin(key);
        self.warning_at(origin, message)
    }

    /// Reports that of something written further down.
    pub fn warning_at(&mut self, origin: Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.reader.push(Diagnostic::new(Severity::Warning, Some(origin), message))
    }

    /// Reports an error at the place of a [`crate::Spanned`] value.
    pub fn error_at(&mut self, origin: Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.reader.error(origin, message)
    }
}

/// Reads a struct from its table or its short form; what the derive calls.
pub fn read_section<T: Settings>(node: &Node, reader: &mut Reader<'_>) -> Option<T> {
    let section: &'static Section = const { &T::SECTION };
    let outer = std::mem::replace(&mut reader.here, node.origin());
    let value = if let Some(table) = node.as_table() {
        reader.unknown_keys(section, node);
        read_table(table, false, reader)
    } else if let Some(name) = section.short.filter(|_| node.fits(&T::SHAPE)) {
        let entry = Entry { key: node.origin(), node: node.clone() };
        let table = Table([(name.to_owned(), entry)].into());
        read_table(&table, true, reader)
    } else {
        reader.wrong_kind(node, &T::SHAPE)
    };
    reader.here = outer;
    value
}

/// Reads a struct of which nothing was written; what the derive calls.
pub fn read_nothing<T: Settings>(reader: &mut Reader<'_>) -> Option<T> {
    read_table(&Table::default(), false, reader)
}

/// Reads one word of an enumeration; returns its index. What the derive calls.
pub fn read_choice(node: &Node, reader: &mut Reader<'_>, shape: &Shape) -> Option<usize> {
    match shape {
        Shape::OneOf(choices) => reader.choice(node, shape, choices),
        _ => None,
    }
}

fn read_table<T: Settings>(table: &Table, short: bool, reader: &mut Reader<'_>) -> Option<T> {
    let value = T::read_fields(&mut Fields { section: const { &T::SECTION }, table, short, reader })?;
    value.check(&mut Check { table, reader });
    Some(value)
}

impl Node {
    /// Whether the value is of a kind that `shape` accepts. Characters of a variable or an argument may be
    /// text whatever they look like.
    pub fn fits(&self, shape: &Shape) -> bool {
        self.kind().is_some_and(|kind| shape.accepts(kind))
            || (self.raw.is_some() && shape.accepts(crate::node::Kind::String))
    }
}

/// The node of a default or bound. Declarations are checked by [`crate::check_declarations`] in tests; a wrong
/// one in production reads as absent.
pub(crate) fn declared(toml: &str) -> Option<Node> {
    crate::parse::value(toml, Origin::DEFAULT)
}

fn within_bounds<T: Value>(reader: &mut Reader<'_>, field: &'static Field, node: &Node, value: &T) -> bool {
    let mut bound = |text: &str| {
        let node = declared(text)?;
        reader.quietly(|reader| T::read(&node, reader))?.magnitude()
    };
    let magnitude = value.magnitude();
    let too_small = field.min.filter(|text| magnitude.is_some() && magnitude < bound(text));
    let too_large =
        field.max.filter(|text| magnitude.is_some() && bound(text).is_some_and(|max| magnitude > Some(max)));
    match (too_small, too_large) {
        (Some(min), _) => reader.out_of_bounds::<()>(node, Side::Least, min).is_some(),
        (_, Some(max)) => reader.out_of_bounds::<()>(node, Side::Most, max).is_some(),
        (None, None) => within_lengths(reader, field, node, value.length()),
    }
}

fn within_lengths(
    reader: &mut Reader<'_>,
    field: &'static Field,
    node: &Node,
    length: Option<usize>,
) -> bool {
    let Some(length) = length else { return true };
    let unit = if matches!(node.data(), Data::List(_)) { "element" } else { "character" };
    let say = |n: usize| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    let bound = match (field.min_length, field.max_length) {
        (Some(min), _) if length < min => format!("at least {}", say(min)),
        (_, Some(max)) if length > max => format!("at most {}", say(max)),
        _ => return true,
    };
    let message = format!("{} has {bound}, and this has {length}", reader.label());
    let diagnostic = reader.error(node.origin(), message);
    diagnostic.notes.extend(field.why.map(str::to_owned));
    diagnostic.help(field.help.map_or_else(|| format!("write {bound}"), str::to_owned));
    false
}
