//! The sections of a declaration in the order in which a person reads them: what documents are made from.

use crate::shape::{Field, Section, Shape};

/// One heading with the settings that stand directly under it.
pub(crate) struct Chapter {
    /// `[gateway]`, `[service.NAME]`, `[[route]]`; empty for the top level.
    pub(crate) heading: String,
    /// From the setting that holds the section, else from the section.
    pub(crate) doc: &'static str,
    pub(crate) settings: Vec<&'static Field>,
    /// Whether any change here needs a restart.
    pub(crate) restart: bool,
}

/// What stands for the key of a map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `NAME`: for reading.
    Placeholder,
    /// A valid one: for a file. Then alternatives to a plain value get no chapter of their own either, since a
    /// file can have only one of the two.
    Example,
}

pub(crate) fn outline(root: &'static Section, names: Names) -> Vec<Chapter> {
    let mut outline = Outline { names, chapters: Vec::new() };
    outline.chapter(root, "", "", root.doc, root.restart);
    outline.chapters
}

struct Outline {
    names: Names,
    chapters: Vec<Chapter>,
}

/// How a setting appears below its heading.
enum Below {
    Value,
    /// A heading of its own: what its path ends in, whether in double brackets, and the section.
    Heading {
        suffix: String,
        is_list: bool,
        section: &'static Section,
    },
}

impl Outline {
    fn chapter(
        &mut self,
        section: &'static Section,
        path: &str,
        heading: &str,
        doc: &'static str,
        restart: bool,
    ) {
        let place = self.chapters.len();
        let doc = if doc.is_empty() { section.doc } else { doc };
        self.chapters.push(Chapter { heading: heading.to_owned(), doc, settings: Vec::new(), restart });
        for field in section.flat() {
            let below = self.below(&field.shape);
            if matches!(below, Below::Value) || self.is_also_value(&field.shape) {
                self.chapters[place].settings.push(field);
            }
            if let Below::Heading { suffix, is_list, section } = below {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}{suffix}", field.name);
                let heading = if is_list { format!("[[{path}]]") } else { format!("[{path}]") };
                let restart = restart || field.restart || section.restart;
                self.chapter(section, &path, &heading, field.doc, restart);
            }
        }
    }

    fn below(&self, shape: &Shape) -> Below {
        let heading = |suffix, is_list, section| Below::Heading { suffix, is_list, section };
        match shape {
            shape if self.is_also_value(shape) && self.names == Names::Example => Below::Value,
            Shape::Map(key, value) => match value.section() {
                Some(section) => heading(format!(".{}", self.name(key)), false, section),
                None => Below::Value,
            },
            Shape::List(element) => match element.section() {
                Some(section) => heading(String::new(), true, section),
                None => Below::Value,
            },
            shape => shape.section().map_or(Below::Value, |section| heading(String::new(), false, section)),
        }
    }

    /// Whether a table is only one of the ways to write it.
    fn is_also_value(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Table(section) => section.short.is_some(),
            Shape::Either(_) | Shape::OneOrMany(_) => true,
            _ => false,
        }
    }

    fn name(&self, key: &Shape) -> String {
        match self.names {
            Names::Placeholder => "NAME".to_owned(),
            Names::Example => key.example().trim_matches('"').to_owned(),
        }
    }
}
