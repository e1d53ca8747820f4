//! Strings that nobody may see: never printed, by no formatter.

use std::fmt;

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};
use crate::value::Value;

/// What stands wherever a secret would.
pub(crate) const REDACTED: &str = "[redacted]";

/// A secret string. Only [`Secret::reveal`] shows it, so every use can be found.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret that came from elsewhere.
    pub fn new(text: impl Into<Box<str>>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Compares every byte whatever the first difference, so that time tells nothing but the length.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Value for Secret {
    const SHAPE: Shape =
        Shape::Scalar(Scalar { secret: true, ..Scalar::text("a secret string", "\"${VARIABLE}\"") });

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, |text| match text {
            // What comes of a variable that is set to nothing, or of a file that nobody has filled.
            "" => Err(Problem::new("is empty, which everybody knows")
                .help("give it a value that nobody can guess, or leave the setting out")),
            text => Ok(Secret::new(text)),
        })
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_formatter_shows_a_secret() {
        let secret = Secret::new("hush");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[redacted] [redacted] Some([redacted])"
        );
        assert_eq!(secret.reveal(), "hush");
    }

    #[test]
    fn secrets_compare_by_content() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }
}
