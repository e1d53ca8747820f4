//! The configuration before it has types: a tree in which every key and every value knows where it was
//! written and what it replaced.

use std::collections::BTreeMap;
use std::fmt;

use crate::place::Origin;

/// One value of the tree. Its `Debug` tells the kind alone: it may be a secret.
#[derive(Clone)]
pub struct Node {
    pub(crate) data: Data,
    pub(crate) origin: Origin,
    /// The characters of a variable or an argument, which carry no type of their own: `5` is a number to an
    /// integer setting and text to a string setting.
    pub(crate) raw: Option<Box<str>>,
    /// Whether a `${VAR}` stood in it: then messages repeat what was written, not what the variable holds.
    pub(crate) is_interpolated: bool,
    /// The values that this one replaced, the strongest first.
    pub(crate) over: Vec<Node>,
}

/// What a value is.
#[derive(Clone)]
pub enum Data {
    /// Text, decoded.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, or an infinity.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both, as it was written.
    Datetime(String),
    /// `[…]` or the elements under one `[[name]]`.
    List(Vec<Node>),
    /// `{…}`, `[name]` or dotted keys.
    Table(Table),
    /// Something with a syntax error that has been reported already: nobody complains again.
    Broken,
}

/// The kinds of value that a TOML file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A date, a time or both.
    Datetime,
    /// `[…]` or `[[name]]`.
    List,
    /// `{…}` or `[name]`.
    Table,
}

/// The keys and values of one table, in the order of their names.
#[derive(Clone, Default)]
pub struct Table(pub(crate) BTreeMap<String, Entry>);

/// A key with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Origin,
    pub(crate) node: Node,
}

impl Table {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    /// Keys, the places of the keys, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Origin, &Node)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry.key, &entry.node))
    }
}

impl Node {
    pub(crate) fn new(data: Data, origin: Origin) -> Node {
        Node { data, origin, raw: None, is_interpolated: false, over: Vec::new() }
    }

    /// Characters from outside a file: TOML if they are TOML, else text.
    pub(crate) fn from_raw(text: &str, origin: Origin) -> Node {
        let mut node = crate::parse::value(text, origin)
            .unwrap_or_else(|| Node::new(Data::String(text.to_owned()), origin));
        node.raw = Some(text.into());
        node
    }

    /// Where the value was written.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The value itself.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The kind of the value; nothing when it had a syntax error.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.data {
            Data::String(_) => Kind::String,
            Data::Integer(_) => Kind::Integer,
            Data::Float(_) => Kind::Float,
            Data::Boolean(_) => Kind::Boolean,
            Data::Datetime(_) => Kind::Datetime,
            Data::List(_) => Kind::List,
            Data::Table(_) => Kind::Table,
            Data::Broken => return None,
        })
    }

    /// The text of a string; also of a variable or an argument that happens to look like a number.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            Data::Broken => None,
            _ => self.raw.as_deref(),
        }
    }

    /// A whole number.
    pub fn as_integer(&self) -> Option<i64> {
        match self.data {
            Data::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// A table.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.data {
            Data::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.data {
            Data::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.data, Data::Broken)
    }
}

impl Kind {
    /// With its article, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::String => "a string",
            Kind::Integer => "an integer",
            Kind::Float => "a number with a fraction",
            Kind::Boolean => "a boolean",
            Kind::Datetime => "a date",
            Kind::List => "a list",
            Kind::Table => "a table",
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.kind())
    }
}

/// As TOML on one line; a number from a variable or an argument with the characters it came with.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = !matches!(self.data, Data::String(_) | Data::List(_) | Data::Table(_));
        if let Some(raw) = self.raw.as_deref().filter(|_| is_plain) {
            return f.write_str(raw);
        }
        match &self.data {
            Data::String(text) => write_string(f, text),
            Data::Integer(number) => write!(f, "{number}"),
            Data::Float(number) => write!(f, "{number:?}"),
            Data::Boolean(truth) => write!(f, "{truth}"),
            Data::Datetime(text) => f.write_str(text),
            Data::List(list) => {
                f.write_str("[")?;
                for (index, node) in list.iter().enumerate() {
                    write!(f, "{}{node}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Data::Table(table) if table.0.is_empty() => f.write_str("{}"),
            Data::Table(table) => {
                for (index, (name, _, node)) in table.iter().enumerate() {
                    write!(f, "{} {} = {node}", if index == 0 { "{" } else { "," }, Key(name))?;
                }
                f.write_str(" }")
            }
            Data::Broken => f.write_str("?"),
        }
    }
}

/// A key as TOML wants it: bare where it may be, else quoted.
pub(crate) struct Key<'a>(pub(crate) &'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !self.0.is_empty() && self.0.chars().all(bare) {
            f.write_str(self.0)
        } else {
            write_string(f, self.0)
        }
    }
}

/// A TOML basic string.
pub(crate) fn write_string(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c.is_control() => write!(f, "\\u{:04X}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_prints_as_the_toml_it_was() {
        let toml = r#"{ a = [1, 2.5, true], "b c" = "x\"y\n" }"#;
        let node = crate::parse::value(toml, Origin::DEFAULT).expect("valid");
        assert_eq!(node.to_string(), toml);
    }

    #[test]
    fn a_raw_number_is_also_text() {
        let node = Node::from_raw("1.10", Origin::DEFAULT);
        assert_eq!((node.as_str(), node.to_string().as_str()), (Some("1.10"), "1.10"));
        let node = Node::from_raw("0123", Origin::DEFAULT);
        assert_eq!(node.as_str(), Some("0123"));
        let node = Node::from_raw("123", Origin::DEFAULT);
        assert_eq!((node.as_str(), node.as_integer()), (Some("123"), Some(123)));
    }
}
