//! Names of services, queues, policies: `orders`, `orders-api`. They become parts of paths, metrics' labels
//! and environment variables, hence the narrow alphabet.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

/// The length of a DNS label, since service names become host names.
pub const NAME_LENGTH_MAX: usize = 63;

/// Lower-case letters, digits, `-` and `_`, beginning with a letter or digit, at most 63 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Name, Problem> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if text.is_empty() {
            return Err(Problem::new("is empty"));
        }
        if let Some(wrong) = text.chars().find(|c| !allowed(*c)) {
            let clause = format!("has the character {wrong:?}");
            return Err(Problem::new(clause).help("write lower-case letters, digits, `-` and `_` only"));
        }
        if text.starts_with(['-', '_']) {
            return Err(Problem::new("does not begin with a letter or digit"));
        }
        if text.len() > NAME_LENGTH_MAX {
            return Err(Problem::new(format!("is longer than {NAME_LENGTH_MAX} characters")));
        }
        Ok(Name(text.into()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Value for Name {
    const SHAPE: Shape =
        Shape::Scalar(Scalar::text("a name", "\"orders\"").pattern("^[a-z0-9][a-z0-9_-]{0,62}$"));

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, str::parse)
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        let parsed = text.parse::<Name>().map(|_| ()).map_err(|problem| problem.clause);
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn names_are_narrow() {
        check("orders-api_2", Ok(()));
        check("2fa", Ok(()));
        check("", Err("is empty"));
        check("Orders", Err("has the character 'O'"));
        check("a.b", Err("has the character '.'"));
        check("-a", Err("does not begin with a letter or digit"));
        check(&"a".repeat(64), Err("is longer than 63 characters"));
    }
}
