//! Syntax errors in our words: the parser knows what the grammar expected, a person wants to know what to
//! write. One mistake often makes the parser stumble several times; only the first stumble is told.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::key_path;
use crate::place::{Origin, SourceId};

/// Our own complaint about a number that TOML allows and 64 bits do not.
const TOO_LARGE: &str = "too large";

// The parser's words for what swallows the lines that follow. "unclosed array table" is another thing.
const UNCLOSED_LIST: &str = "unclosed array";
const UNCLOSED_TABLE: &str = "unclosed inline table";

/// One complaint of the parser.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    pub(crate) span: Range<usize>,
    message: String,
}

/// A value that the parser could not make sense of.
pub(crate) struct Broken {
    pub(crate) span: Range<usize>,
    pub(crate) is_scalar: bool,
}

impl Error {
    pub(crate) fn from_toml(error: &toml::de::Error) -> Error {
        Error { span: error.span().unwrap_or(0..0), message: error.message().to_owned() }
    }

    pub(crate) fn too_large(span: Range<usize>) -> Error {
        Error { span, message: TOO_LARGE.to_owned() }
    }

    /// What is wrong, without what the parser expected.
    fn said(&self) -> &str {
        self.message.split(", expected").next().unwrap_or_default()
    }

    pub(crate) fn swallows_the_rest(&self) -> bool {
        [UNCLOSED_LIST, UNCLOSED_TABLE].contains(&self.said())
    }

    /// The message for people, without the parser's expectations.
    pub(crate) fn explain(&self, root: &Node, text: &str, source: SourceId) -> Diagnostic {
        let span = self.span.clone();
        let written = text.get(span.clone()).unwrap_or_default();
        let error = |message: &str| {
            let origin = Origin::new(source, span.clone());
            Diagnostic { syntax: true, ..Diagnostic::error(origin, message) }
        };
        if let Some(key) = key_without_value(line_before(text, span.start)).filter(|_| written.is_empty()) {
            return error(&format!("`{key}` has no value")).with_help("write a value after the `=`");
        }
        // The value itself stays out of the messages: it may be a secret without its quotes.
        match self.said() {
            "duplicate key" => twice(error(&format!("`{written}` is set twice")), root, text, &span),
            "string values must be quoted" | "invalid float" | "invalid boolean" | "invalid datetime" => {
                error("this is not a value").with_help(value_help(written))
            }
            said => {
                let (message, help) = in_our_words(said);
                error(message).with_help(help)
            }
        }
    }
}

/// The parser's complaint as a message and what to do about it.
fn in_our_words(said: &str) -> (&str, &'static str) {
    match said {
        TOO_LARGE => ("this number is too large", "write at most 9223372036854775807"),
        "extra `=`" => ("one `=` too many", "write `key = value`"),
        "key with no value" | "missing value for key" => ("this key has no value", "write `key = value`"),
        "unexpected key or value" => {
            ("something stands after the value", "begin a new line for the next key")
        }
        "invalid basic string" => ("this string has no closing `\"`", "add a `\"`"),
        "invalid literal string" => ("this string has no closing `'`", "add a `'`"),
        UNCLOSED_LIST | "missing comma between array elements" | "unexpected `=` in array" => {
            ("this list is not closed, or misses a comma", "write `[\"a\", \"b\"]`")
        }
        UNCLOSED_TABLE | "missing comma between key-value pairs" => {
            ("this table is not closed, or misses a comma", "write `{ a = 1, b = 2 }`")
        }
        "unclosed table" | "unclosed array table" => ("this heading is not closed", "write `[section]`"),
        "invalid unquoted key" => ("this key has characters that need quotes", "write `\"key\" = value`"),
        "recursion limit" => ("this nests too deeply", "flatten it"),
        said => (said, "TOML wants `key = value`, one to a line, under `[section]` headings"),
    }
}

/// The key of a line that stops after its `=`. Nothing where a value stands before it, which may be secret.
fn key_without_value(line: &str) -> Option<&str> {
    if line.contains(['"', '\'']) || line.matches('=').count() != 1 {
        return None;
    }
    line.trim_end().strip_suffix('=')?.trim_end().rsplit([' ', '\t', '{', ',']).next()
}

fn value_help(written: &str) -> &'static str {
    match written.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => "write `true`",
        "no" | "off" | "false" => "write `false`",
        "null" | "nil" | "none" => "TOML has no null; leave the key out",
        _ => "put text in quotes: \"...\"",
    }
}

/// Keeps one complaint of each broken value and of each line.
pub(crate) fn worth_saying(mut errors: Vec<Error>, broken: &[Broken], text: &str) -> Vec<Error> {
    errors.sort_by_key(|error| error.span.start);
    let value_of = |error: &Error| broken.iter().position(|value| value.contains(error.span.start));
    let mut kept: Vec<(Error, Option<usize>)> = Vec::new();
    for error in errors {
        let value = value_of(&error);
        let again = match kept.last_mut() {
            Some((before, its)) if value.is_some() && value == *its => {
                // What follows an unclosed bracket was read as part of it: the bracket is the mistake.
                if error.swallows_the_rest() {
                    before.message.clone_from(&error.message);
                }
                true
            }
            Some((before, _)) => !text[before.span.start..error.span.start].contains('\n'),
            None => false,
        };
        if !again {
            kept.push((error, value));
        }
    }
    let whole = |(error, value): (Error, Option<usize>)| match value {
        Some(index) => broken[index].widen(error),
        None => error,
    };
    kept.into_iter().map(whole).collect()
}

impl Broken {
    fn contains(&self, at: usize) -> bool {
        self.span.start <= at && at <= self.span.end
    }

    /// Points at what a person must mend: all of a scalar, the opening of a list that never closes.
    fn widen(&self, mut error: Error) -> Error {
        if error.swallows_the_rest() {
            error.span = self.span.start..self.span.start + 1;
        } else if self.is_scalar {
            error.span = self.span.start..self.span.end.max(error.span.end);
        }
        error
    }
}

/// Adds where the key was set first.
fn twice(error: Diagnostic, root: &Node, text: &str, span: &Range<usize>) -> Diagnostic {
    let error = error.without_excerpt();
    let help = "keep one of the two";
    match first_line(root, text, span) {
        Some(line) => error.with_note(format!("it was first set in line {line}")).with_help(help),
        None => error.with_help(help),
    }
}

fn first_line(root: &Node, text: &str, span: &Range<usize>) -> Option<usize> {
    let line = line_before(text, span.start);
    if line.trim_start().starts_with('[') {
        // The tree keeps the last of two equal headings, so the text has to tell.
        let this = heading(text[span.start - line.len()..].lines().next()?)?;
        let same = |line: &str| heading(line).is_some_and(|path| path == this);
        return text[..span.start - line.len()].lines().position(same).map(|index| index + 1);
    }
    let first = first_key(root, &path_of(text, span)?, span.start)?;
    Some(1 + text[..first.span().start].matches('\n').count())
}

/// The full path of the key at `span`: the heading above it and what stands before it on its line.
fn path_of(text: &str, span: &Range<usize>) -> Option<Vec<String>> {
    let line = line_before(text, span.start);
    let key = text.get(span.clone())?;
    let above = &text[..span.start - line.len()];
    let mut path = above.lines().rev().find_map(heading).unwrap_or_default();
    path.extend(key_path(&format!("{line}{key}"))?);
    Some(path)
}

/// The path of a `[heading]`.
fn heading(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('[')?.split(']').next()?;
    key_path(inner.trim_start_matches('['))
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    &before[before.rfind('\n').map_or(0, |at| at + 1)..]
}

fn first_key(root: &Node, path: &[String], before: usize) -> Option<Origin> {
    let (last, sections) = path.split_last()?;
    let mut node = root;
    for section in sections {
        node = node.as_table()?.get(section)?;
        while let Some(list) = node.as_list() {
            node = list.iter().rev().find(|element| element.origin.span().start < before)?;
        }
    }
    let key = node.as_table()?.0.get(last)?.key;
    (key.span().start < before).then_some(key)
}
