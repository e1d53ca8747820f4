//! Says of a setting which layer won and which lost, each with its place. Secrets stay hidden.

use std::fmt;

use crate::node::Node;
use crate::place::{Place, Sources};
use crate::shape::{Field, Section, Shape};
use crate::suggest;
use crate::walk::{Setting, walk};

/// A value as one layer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// As TOML, or `[redacted]`.
    pub value: String,
    /// Who wrote it.
    pub place: Place,
}

/// Why a setting is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The dotted key.
    pub key: String,
    /// What stands; nothing for an optional setting that nobody wrote.
    pub winner: Option<Told>,
    /// What it replaced, the strongest first; the default last.
    pub losers: Vec<Told>,
}

/// A key that names no setting and no section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// As asked.
    pub key: String,
    /// The nearest one that exists.
    pub suggestion: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key `{}`", self.key)?;
        match &self.suggestion {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownKey {}

/// The setting with this key, or all settings of the section with this key.
pub(crate) fn explain(
    section: &'static Section,
    root: &Node,
    sources: &Sources,
    key: &str,
) -> Result<Vec<Explanation>, UnknownKey> {
    let settings = walk(section, root);
    let below = format!("{key}.");
    let within = |path: &str| path == key || path.starts_with(&below);
    let explained: Vec<_> = settings
        .iter()
        .filter(|setting| within(&setting.path.to_string()))
        .map(|setting| one(setting, sources))
        .collect();
    if explained.is_empty() {
        if let Some(field) = declared_at(section, &key.split('.').collect::<Vec<_>>()) {
            let default = field.default.map(|text| Told { value: text.to_owned(), place: Place::Default });
            return Ok(vec![Explanation { key: key.to_owned(), winner: default, losers: Vec::new() }]);
        }
        let keys: Vec<_> = settings.iter().map(|setting| setting.path.to_string()).collect();
        let suggestion = suggest::nearest(key, keys.iter().map(String::as_str)).map(str::to_owned);
        return Err(UnknownKey { key: key.to_owned(), suggestion });
    }
    Ok(explained)
}

/// The declaration of a setting in a section that nobody wrote.
fn declared_at(section: &'static Section, path: &[&str]) -> Option<&'static Field> {
    let (first, mut rest) = path.split_first()?;
    let field = section.field(first)?;
    let mut shape = &field.shape;
    while let Shape::Map(_, inner) | Shape::List(inner) | Shape::OneOrMany(inner) = shape
        && !rest.is_empty()
    {
        shape = inner;
        rest = &rest[1..];
    }
    if rest.is_empty() { Some(field) } else { declared_at(shape.section()?, rest) }
}

fn one(setting: &Setting<'_>, sources: &Sources) -> Explanation {
    let told = |node: &Node| Told { value: setting.show_node(node), place: sources.place(node.origin()) };
    let default = setting.field.default.map(|text| Told { value: setting.show(text), place: Place::Default });
    let key = setting.path.to_string();
    match setting.node {
        Some(node) => {
            let losers = node.over.iter().map(told).chain(default).collect();
            Explanation { key, winner: Some(told(node)), losers }
        }
        None => Explanation { key, winner: default, losers: Vec::new() },
    }
}

/// The winner's line and one indented line for each loser; no line break at the end.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.winner {
            Some(Told { value, place }) => write!(f, "{value}   from {place}")?,
            None => f.write_str("not set, and it has no default")?,
        }
        for Told { value, place } in &self.losers {
            write!(f, "\n    over {value}   {place}")?;
        }
        Ok(())
    }
}
