//! What may be written where: the declarations as plain constant tables. Parsing, documentation, the JSON
//! Schema, the template and `explain` all read these; the derive only fills them in.

use crate::node::{Kind, Node};
use crate::reader::Reader;
use crate::value::Value;

/// What a person may write for a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// One value.
    Scalar(Scalar),
    /// One of a few words.
    OneOf(&'static [Choice]),
    /// `[…]`, or `[[name]]` when the elements are tables.
    List(&'static Shape),
    /// One value alone, or a list of them.
    OneOrMany(&'static Shape),
    /// A table whose keys are names: of the first shape, to values of the second.
    Map(&'static Shape, &'static Shape),
    /// A table with known keys.
    Table(&'static Section),
    /// The first of these that takes the kind of value that was written.
    Either(&'static [Shape]),
    /// Whatever TOML can say.
    Any,
}

/// A value that is written as one word, number or string.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// With its article: "a duration".
    pub noun: &'static str,
    /// As in the file: `"15s"`, quotes included.
    pub example: &'static str,
    /// The kind that is written.
    pub kind: Kind,
    /// A regular expression for editors; the parser stays the judge.
    pub pattern: Option<&'static str>,
    /// What to append to a bare number to get a valid value, such as `s`: turns 15 into a help of `"15s"`.
    pub unit: Option<&'static str>,
    /// Never shown.
    pub secret: bool,
}

/// One word of an enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// As written.
    pub name: &'static str,
    /// From the variant's doc comment.
    pub doc: &'static str,
}

/// The declaration of one table: a struct with `#[derive(Settings)]`.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name of the struct, for the JSON Schema's definitions.
    pub name: &'static str,
    /// From the struct's doc comment.
    pub doc: &'static str,
    /// Its settings in the order of declaration.
    pub fields: &'static [Field],
    /// The key that a value which is no table stands for: `queue = "x"` is short for `queue = { name = "x" }`.
    pub short: Option<&'static str>,
    /// Whether any change below needs a restart.
    pub restart: bool,
}

/// The declaration of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key as written.
    pub name: &'static str,
    /// From the doc comment.
    pub doc: &'static str,
    /// What may be written.
    pub shape: Shape,
    /// Whether it may be left out without having a default.
    pub optional: bool,
    /// TOML for what stands when nothing is written.
    pub default: Option<&'static str>,
    /// TOML for the smallest value.
    pub min: Option<&'static str>,
    /// TOML for the largest value.
    pub max: Option<&'static str>,
    /// The fewest characters or elements.
    pub min_length: Option<usize>,
    /// The most characters or elements.
    pub max_length: Option<usize>,
    /// What it is, instead of the shape's noun: "a share of requests".
    pub what: Option<&'static str>,
    /// Why a wrong value matters; becomes a note.
    pub why: Option<&'static str>,
    /// What to write instead of a wrong value; becomes a help.
    pub help: Option<&'static str>,
    /// TOML for a value that shows what is meant, where the type's own example is too general.
    pub example: Option<&'static str>,
    /// The top-level table whose keys this names.
    pub refers_to: Option<&'static str>,
    /// Whether a change needs a restart.
    pub restart: bool,
    /// Whether the value is never shown.
    pub secret: bool,
    /// What to use instead; writing the key gives a warning.
    pub deprecated: Option<&'static str>,
    /// Whether its keys stand in the table around it.
    pub flatten: bool,
    /// Reads a value of the field's type, to check the declaration itself.
    pub probe: fn(&Node, &mut Reader<'_>) -> Option<Probe>,
}

/// What a value of some type can be bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Whether it has a place on a line: `min` and `max`.
    pub magnitude: bool,
    /// Whether it has a length: `min_length` and `max_length`.
    pub length: bool,
}

/// Reads a value to see whether it can be read; what the derive puts into [`Field::probe`].
pub fn probe<T: Value>(node: &Node, reader: &mut Reader<'_>) -> Option<Probe> {
    let value = T::read(node, reader)?;
    Some(Probe { magnitude: value.magnitude().is_some(), length: value.length().is_some() })
}

impl Field {
    /// A field of which nothing was said: what the derive starts from.
    pub const PLAIN: Field = Field {
        name: "",
        doc: "",
        shape: Shape::Any,
        optional: false,
        default: None,
        min: None,
        max: None,
        min_length: None,
        max_length: None,
        what: None,
        why: None,
        help: None,
        example: None,
        refers_to: None,
        restart: false,
        secret: false,
        deprecated: None,
        flatten: false,
        probe: |_, _| None,
    };

    /// Whether the value must never be shown.
    pub fn is_secret(&self) -> bool {
        self.secret || self.shape.is_secret()
    }

    /// Whether leaving it out is an error.
    pub fn is_required(&self) -> bool {
        !self.optional && self.default.is_none() && self.shape.is_value()
    }

    /// TOML for a value that could stand there.
    pub(crate) fn example(&self) -> String {
        self.example.or(self.default).map_or_else(|| self.shape.example(), str::to_owned)
    }

    pub(crate) fn noun(&self) -> String {
        self.what.map_or_else(|| self.shape.noun(), str::to_owned)
    }
}

impl Section {
    /// The fields with those of flattened sections in place of the latter.
    pub fn flat(&'static self) -> impl Iterator<Item = &'static Field> {
        let mut pending: Vec<&'static Field> = self.fields.iter().rev().collect();
        std::iter::from_fn(move || {
            loop {
                let field = pending.pop()?;
                match field.shape {
                    Shape::Table(inner) if field.flatten => pending.extend(inner.fields.iter().rev()),
                    _ => return Some(field),
                }
            }
        })
    }

    /// The short form if there is one, else what must be written, else one thing that may be.
    fn example(&'static self) -> String {
        if let Some(field) = self.short.and_then(|name| self.field(name)) {
            return field.example();
        }
        let pair = |field: &Field| format!("{} = {}", field.name, field.example());
        let required: Vec<_> = self.flat().filter(|field| field.is_required()).map(pair).collect();
        match required.is_empty() {
            true => format!("{{ {} }}", self.flat().next().map(pair).unwrap_or_default()),
            false => format!("{{ {} }}", required.join(", ")),
        }
    }

    /// The field with this key, flattened ones included.
    pub fn field(&'static self, name: &str) -> Option<&'static Field> {
        self.flat().find(|field| field.name == name)
    }
}

impl Scalar {
    /// A string of some form. `example` includes the quotes.
    pub const fn text(noun: &'static str, example: &'static str) -> Scalar {
        Scalar { noun, example, kind: Kind::String, pattern: None, unit: None, secret: false }
    }

    /// With a regular expression for editors.
    pub const fn pattern(mut self, pattern: &'static str) -> Scalar {
        self.pattern = Some(pattern);
        self
    }

    /// With the unit that a bare number probably meant.
    pub const fn unit(mut self, unit: &'static str) -> Scalar {
        self.unit = Some(unit);
        self
    }
}

impl Shape {
    /// A string of some form; see [`Scalar::text`].
    pub const fn text(noun: &'static str, example: &'static str) -> Shape {
        Shape::Scalar(Scalar::text(noun, example))
    }

    /// Whether this is a value that somebody must write, not a section that may be empty.
    pub const fn is_value(&self) -> bool {
        match self {
            Shape::Table(_) | Shape::Map(..) => false,
            Shape::List(element) => !matches!(element, Shape::Table(_)),
            _ => true,
        }
    }

    /// Whether a value of this kind can be meant.
    pub fn accepts(&self, kind: Kind) -> bool {
        match self {
            Shape::Scalar(scalar) => {
                scalar.kind == kind || (scalar.kind, kind) == (Kind::Float, Kind::Integer)
            }
            Shape::OneOf(_) => kind == Kind::String,
            Shape::List(_) => kind == Kind::List,
            Shape::OneOrMany(one) => kind == Kind::List || one.accepts(kind),
            Shape::Map(..) => kind == Kind::Table,
            Shape::Table(section) => {
                let short = section.short.and_then(|name| section.field(name));
                kind == Kind::Table || short.is_some_and(|field| field.shape.accepts(kind))
            }
            Shape::Either(shapes) => shapes.iter().any(|shape| shape.accepts(kind)),
            Shape::Any => true,
        }
    }

    /// With its article: "a duration", "one of `a`, `b`", "a list, each element an IP network".
    pub fn noun(&self) -> String {
        match self {
            Shape::Scalar(scalar) => scalar.noun.to_owned(),
            Shape::OneOf(choices) => format!("one of {}", list_names(choices.iter().map(|one| one.name))),
            Shape::List(Shape::Table(_)) => "a list of tables".to_owned(),
            Shape::List(element) => format!("a list, each element {}", element.noun()),
            Shape::OneOrMany(one) => format!("{} or a list of such", one.noun()),
            Shape::Map(..) | Shape::Table(Section { short: None, .. }) => "a table".to_owned(),
            Shape::Table(section) => match section.short.and_then(|name| section.field(name)) {
                Some(field) => format!("{} or a table", field.noun()),
                None => "a table".to_owned(),
            },
            Shape::Either(shapes) => shapes.iter().map(Shape::noun).collect::<Vec<_>>().join(" or "),
            Shape::Any => "a value".to_owned(),
        }
    }

    /// A value as it could stand in the file.
    pub fn example(&self) -> String {
        match self {
            Shape::Scalar(scalar) => scalar.example.to_owned(),
            Shape::OneOf(choices) => {
                choices.first().map_or_else(String::new, |one| format!("{:?}", one.name))
            }
            Shape::List(element) => format!("[{}]", element.example()),
            Shape::OneOrMany(one) => one.example(),
            Shape::Table(section) => section.example(),
            Shape::Map(..) => "{}".to_owned(),
            Shape::Either(shapes) => shapes.first().map_or_else(String::new, Shape::example),
            Shape::Any => "\"...\"".to_owned(),
        }
    }

    /// Whether any part must never be shown. Tables answer for their fields one by one.
    pub fn is_secret(&self) -> bool {
        match self {
            Shape::Scalar(scalar) => scalar.secret,
            Shape::List(inner) | Shape::OneOrMany(inner) | Shape::Map(_, inner) => inner.is_secret(),
            Shape::Either(shapes) => shapes.iter().any(Shape::is_secret),
            Shape::Table(section) => {
                section.short.and_then(|name| section.field(name)).is_some_and(Field::is_secret)
            }
            Shape::OneOf(_) | Shape::Any => false,
        }
    }

    /// Whether any part at any depth must never be shown: then a whole table of it is not shown either.
    pub(crate) fn holds_secret(&self) -> bool {
        match self {
            Shape::Table(section) => {
                section.fields.iter().any(|field| field.secret || field.shape.holds_secret())
            }
            Shape::List(inner) | Shape::OneOrMany(inner) | Shape::Map(_, inner) => inner.holds_secret(),
            Shape::Either(shapes) => shapes.iter().any(Shape::holds_secret),
            Shape::Scalar(scalar) => scalar.secret,
            Shape::OneOf(_) | Shape::Any => false,
        }
    }

    /// The section below, when a table may be written here.
    pub fn section(&self) -> Option<&'static Section> {
        match self {
            Shape::Table(section) => Some(section),
            Shape::Either(shapes) => shapes.iter().find_map(Shape::section),
            Shape::OneOrMany(one) => one.section(),
            _ => None,
        }
    }
}

/// `a`, `b` and `c`.
pub(crate) fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
