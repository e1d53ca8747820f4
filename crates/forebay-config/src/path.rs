//! The way from the root of the file to one setting, and the ways to write it: `service.orders.timeout`,
//! `[service.orders]`, `FOREBAY_SERVICE__ORDERS__TIMEOUT`.

use std::fmt;

use crate::node::Key;
use crate::shape::{Section, Shape};

/// What every environment variable of ours starts with.
pub const VARIABLE_PREFIX: &str = "FOREBAY_";

/// What separates the parts of a path in an environment variable.
pub(crate) const VARIABLE_SEPARATOR: &str = "__";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    pub(crate) fn child(&self, key: &str) -> Path {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }

    pub(crate) fn element(&self, index: usize) -> Path {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    pub(crate) fn last_key(&self) -> &str {
        let keys = self.0.iter().rev().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        keys.take(1).next().unwrap_or_default()
    }

    pub(crate) fn has_index(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Index(_)))
    }

    /// As a heading: `[service.orders]`, `[[route]]`.
    pub(crate) fn section(&self) -> String {
        let keys = self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(Key(key).to_string()),
            Step::Index(_) => None,
        });
        let name = keys.collect::<Vec<_>>().join(".");
        match self.0.last() {
            Some(Step::Index(_)) => format!("[[{name}]]"),
            _ => format!("[{name}]"),
        }
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        let parts = self.0.iter().map(|step| match step {
            Step::Key(key) => variable_part(key),
            Step::Index(index) => index.to_string(),
        });
        format!("{VARIABLE_PREFIX}{}", parts.collect::<Vec<_>>().join(VARIABLE_SEPARATOR))
    }
}

/// Dotted, with elements of lists by their number from zero: `route.0.match`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            match step {
                Step::Key(key) => write!(f, "{dot}{}", Key(key))?,
                Step::Index(index) => write!(f, "{dot}{index}")?,
            }
        }
        Ok(())
    }
}

/// A key as it is written in a variable's name: case does not count, and `-` cannot be written.
pub(crate) fn variable_part(key: &str) -> String {
    key.to_ascii_uppercase().replace('-', "_")
}

/// The heading of the first section that knows `key`, for "belongs in".
pub(crate) fn home_of(root: &'static Section, key: &str) -> Option<String> {
    fn search(section: &'static Section, heading: &str, key: &str) -> Option<String> {
        if section.field(key).is_some() {
            return Some(match heading {
                "" => "the top level, above the first [section]".to_owned(),
                heading => format!("[{heading}]"),
            });
        }
        section.flat().find_map(|field| {
            let below =
                if heading.is_empty() { field.name.to_owned() } else { format!("{heading}.{}", field.name) };
            match &field.shape {
                Shape::Map(_, value) => search(value.section()?, &format!("{below}.NAME"), key),
                Shape::List(Shape::Table(element)) if heading.is_empty() => {
                    search(element, &format!("[{below}]"), key)
                }
                shape => search(shape.section()?, &below, key),
            }
        })
    }
    search(root, "", key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_many_spellings() {
        let path = Path::default().child("service").child("orders-api").child("retry");
        assert_eq!(path.to_string(), "service.orders-api.retry");
        assert_eq!(path.section(), "[service.orders-api.retry]");
        assert_eq!(path.variable(), "FOREBAY_SERVICE__ORDERS_API__RETRY");
        let path = Path::default().child("route").element(2);
        assert_eq!(path.section(), "[[route]]");
        assert_eq!(path.child("match").to_string(), "route.2.match");
    }
}
