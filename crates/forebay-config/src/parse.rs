//! Turns TOML text into a tree of [`Node`]s, recovering after syntax errors so that one typing error does not
//! hide the next. A value with an error in it becomes [`Data::Broken`], about which nobody complains twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::node::{Data, Entry, Node, Table};
use crate::place::{Origin, SourceId};
use crate::syntax;

/// Syntax errors that are looked at in one file: a file with more is of another format.
const ERRORS_MAX: usize = 1000;

/// What came out of one file.
pub(crate) struct Parsed {
    pub(crate) root: Node,
    pub(crate) errors: Vec<Diagnostic>,
    /// Whether an unclosed bracket swallowed what follows it: then absent keys prove nothing.
    pub(crate) incomplete: bool,
}

/// Parses a whole file.
pub(crate) fn document(text: &str, source: SourceId) -> Parsed {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<syntax::Error> = errors.iter().map(syntax::Error::from_toml).collect();
    errors.sort_by_key(|error| error.span.start);
    errors.truncate(ERRORS_MAX);

    let spans = errors.iter().map(|error| error.span.clone()).collect();
    let mut builder = Builder { text, source, spans, broken: Vec::new(), too_large: Vec::new() };
    let root = Node::new(Data::Table(builder.table(table.get_ref())), Origin::new(source, 0..0));

    errors.extend(builder.too_large.into_iter().map(syntax::Error::too_large));
    let incomplete = errors.iter().any(|error| error.swallows_the_rest());
    let errors = syntax::worth_saying(errors, &builder.broken, text)
        .into_iter()
        .map(|error| error.explain(&root, text, source))
        .collect();
    Parsed { root, errors, incomplete }
}

/// Parses a single value without places of its own, such as a default or an argument; all of it points at
/// `origin`. Nothing if it is not TOML.
pub(crate) fn value(text: &str, origin: Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut builder = Builder {
        text,
        source: origin.source(),
        spans: Vec::new(),
        broken: Vec::new(),
        too_large: Vec::new(),
    };
    let mut node = builder.value(value.get_ref(), 0..text.len());
    point_at(&mut node, origin);
    (!node.is_broken()).then_some(node)
}

/// Splits a dotted TOML key such as `service."a b".timeout`. Nothing if it is not one.
pub(crate) fn key_path(key: &str) -> Option<Vec<String>> {
    let text = format!("{key} = 0");
    let table = DeTable::parse(&text).ok()?;
    let mut path = Vec::new();
    let mut level = table.get_ref();
    loop {
        let (name, value) = level.iter().next().filter(|_| level.len() == 1)?;
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(below) => level = below,
            DeValue::Integer(_) => return Some(path),
            _ => return None,
        }
    }
}

fn point_at(node: &mut Node, origin: Origin) {
    node.origin = origin;
    match &mut node.data {
        Data::List(list) => list.iter_mut().for_each(|node| point_at(node, origin)),
        Data::Table(table) => {
            for entry in table.0.values_mut() {
                entry.key = origin;
                point_at(&mut entry.node, origin);
            }
        }
        _ => {}
    }
}

/// Depth is bounded by the parser's own recursion limit (80).
struct Builder<'a> {
    text: &'a str,
    source: SourceId,
    /// Where the syntax errors are, in order.
    spans: Vec<Range<usize>>,
    /// The outermost values with an error inside.
    broken: Vec<syntax::Broken>,
    too_large: Vec<Range<usize>>,
}

impl Builder<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let node = self.entry(key, value);
            let key_origin = Origin::new(self.source, key.span());
            entries.insert(key.get_ref().to_string(), Entry { key: key_origin, node });
        }
        Table(entries)
    }

    fn entry(&mut self, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let is_container = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        // The parser stands in an empty value where it found none.
        if !is_container && span.start < key.span().end {
            return Node::new(Data::Broken, Origin::new(self.source, key.span()));
        }
        self.value(value.get_ref(), span)
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>) -> Node {
        let origin = Origin::new(self.source, span.clone());
        if !self.is_section(value, &span) && self.has_error(&span) {
            let is_scalar = !matches!(value, DeValue::Table(_) | DeValue::Array(_));
            self.broken.push(syntax::Broken { span, is_scalar });
            return Node::new(Data::Broken, origin);
        }
        let data = match value {
            DeValue::String(text) => Data::String(text.to_string()),
            DeValue::Integer(number) => self.integer(number, &span),
            DeValue::Float(number) => number.as_str().parse().map_or(Data::Broken, Data::Float),
            DeValue::Boolean(truth) => Data::Boolean(*truth),
            DeValue::Datetime(date) => Data::Datetime(date.to_string()),
            DeValue::Array(array) => Data::List(
                array.iter().map(|element| self.value(element.get_ref(), element.span())).collect(),
            ),
            DeValue::Table(table) => Data::Table(self.table(table)),
        };
        Node::new(data, origin)
    }

    fn integer(&mut self, number: &DeInteger<'_>, span: &Range<usize>) -> Data {
        i64::from_str_radix(number.as_str(), number.radix()).map(Data::Integer).unwrap_or_else(|_| {
            self.too_large.push(span.clone());
            Data::Broken
        })
    }

    /// `[name]`, `[[name]]` and dotted keys, whose spans cover the heading only; not `[…]` and `{…}`.
    fn is_section(&self, value: &DeValue<'_>, span: &Range<usize>) -> bool {
        match value {
            DeValue::Table(_) => !self.text[span.clone()].starts_with('{'),
            DeValue::Array(array) => array.first().is_some_and(|first| first.span().start <= span.start),
            _ => false,
        }
    }

    fn has_error(&self, span: &Range<usize>) -> bool {
        let first = self.spans.partition_point(|error| error.start < span.start);
        self.spans.get(first).is_some_and(|error| error.start <= span.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Sources;

    fn parse(text: &str) -> Parsed {
        let source = Sources::new().add_file("f.toml".into(), text.to_owned());
        document(text, source)
    }

    #[track_caller]
    fn check(text: &str, tree: &str, errors: &[(usize, &str)]) {
        let parsed = parse(text);
        let found: Vec<_> = parsed
            .errors
            .iter()
            .map(|error| (error.origin.expect("a place").span().start, error.message()))
            .collect();
        assert_eq!((parsed.root.to_string().as_str(), found.as_slice()), (tree, errors));
    }

    #[test]
    fn one_mistake_is_one_message_and_the_rest_is_read() {
        check("a = 1\n[t]\nb = 2", "{ a = 1, t = { b = 2 } }", &[]);
        check("a = = 3\nb = 2", "{ a = ?, b = 2 }", &[(4, "one `=` too many")]);
        check("a = \"x\nb = 2", "{ a = ?, b = 2 }", &[(4, "this string has no closing `\"`")]);
        check("a = yes\nb = 2", "{ a = ?, b = 2 }", &[(4, "this is not a value")]);
        check("a = [1, two, three]\nb = 2", "{ a = ?, b = 2 }", &[(8, "this is not a value")]);
        check("a = 1\na = 2", "{ a = 1 }", &[(6, "`a` is set twice")]);
        check("a = 99999999999999999999", "{ a = ? }", &[(4, "this number is too large")]);
        check("a =\nb = 2", "{ a = ?, b = 2 }", &[(3, "`a` has no value")]);
    }

    #[test]
    fn an_unclosed_list_swallows_what_follows_and_says_so_once() {
        let parsed = parse("a = [1, 2\nb = 3\n[t]\nc = 4\n");
        assert_eq!(parsed.errors.len(), 1);
        assert!(parsed.incomplete);
    }

    #[test]
    fn keys_split_at_dots() {
        assert_eq!(key_path("a.\"b.c\".d"), Some(vec!["a".into(), "b.c".into(), "d".into()]));
        assert_eq!(key_path("a b"), None);
        assert_eq!(key_path("a = 1\nb"), None);
        assert_eq!(key_path(""), None);
    }
}
