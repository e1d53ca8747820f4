//! Checks the declarations themselves, for a test of the binary: a default that does not parse or two
//! settings with one name are mistakes of ours, not of the people who write the file.

use crate::gather::INCLUDE;
use crate::path::variable_part;
use crate::place::Sources;
use crate::reader::Reader;
use crate::section::{Settings, declared};
use crate::shape::{Field, Probe, Section, Shape};

/// What is wrong with the declarations below a root: defaults, bounds and examples that do not parse, bounds
/// on types that have no order or length, names that collide in the file or as environment variables, and
/// references to tables that do not exist. Empty when all is well.
pub fn check_declarations<T: Settings>() -> Vec<String> {
    let root: &'static Section = const { &T::SECTION };
    let mut check = Declarations { root, wrong: Vec::new() };
    if root.field(INCLUDE).is_some() {
        check.wrong.push(format!("`{INCLUDE}` at the top level is taken"));
    }
    check.section(root, "");
    check.wrong
}

struct Declarations {
    root: &'static Section,
    wrong: Vec<String>,
}

impl Declarations {
    fn section(&mut self, section: &'static Section, path: &str) {
        let fields: Vec<&Field> = section.flat().collect();
        for (index, field) in fields.iter().enumerate() {
            let same = |other: &&Field| variable_part(other.name) == variable_part(field.name);
            if fields[..index].iter().any(same) {
                self.wrong.push(format!("`{}` stands twice in [{path}]", field.name));
            }
            let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            self.field(field, &path);
            self.below(&field.shape, &path);
        }
    }

    fn below(&mut self, shape: &'static Shape, path: &str) {
        match shape {
            Shape::Table(section) => self.section(section, path),
            Shape::Map(_, inner) | Shape::List(inner) | Shape::OneOrMany(inner) => self.below(inner, path),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| self.below(shape, path)),
            Shape::Scalar(_) | Shape::OneOf(_) | Shape::Any => {}
        }
    }

    fn field(&mut self, field: &'static Field, path: &str) {
        let declared =
            [("default", field.default), ("min", field.min), ("max", field.max), ("example", field.example)];
        // A type that nobody gave a value of is taken at its word.
        let (mut has_magnitude, mut has_length) = (true, true);
        for (what, text) in declared.into_iter().filter_map(|(what, text)| Some((what, text?))) {
            match self.probe(field, text) {
                Ok(probe) => (has_magnitude, has_length) = (probe.magnitude, probe.length),
                Err(why) => self.wrong.push(format!("{what} of {path}: {why}")),
            }
        }
        if !has_magnitude && (field.min.is_some() || field.max.is_some()) {
            self.wrong.push(format!("{path} has bounds and its type no order"));
        }
        if !has_length && (field.min_length.is_some() || field.max_length.is_some()) {
            self.wrong.push(format!("{path} has bounds on its length and its type has none"));
        }
        if let Some(target) = field.refers_to
            && !self.root.field(target).is_some_and(|field| matches!(field.shape, Shape::Map(..)))
        {
            self.wrong.push(format!("{path} refers to [{target}.NAME], and there is no such table"));
        }
    }

    fn probe(&self, field: &'static Field, text: &str) -> Result<Probe, String> {
        let node = declared(text).ok_or("not TOML")?;
        let mut sources = Sources::new();
        let mut reader = Reader::new(&mut sources, self.root, false);
        let probe = reader.under(field.name, |reader| (field.probe)(&node, reader));
        probe.ok_or_else(|| reader.found.first().map_or("unreadable", |found| found.message()).to_owned())
    }
}
