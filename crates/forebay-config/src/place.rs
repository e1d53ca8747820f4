//! Where a piece of configuration was written: a span in a file, an environment variable, a `--set`
//! argument or the declaration's own default. Never reads anything: texts come in from [`crate::load`].

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::node::{Data, Node};

/// Where one key or value came from: eight bytes of span and the number of its source. Resolved to a
/// [`Place`] by [`crate::Loaded::place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    source: u32,
    start: u32,
    end: u32,
}

impl Origin {
    /// Written nowhere: the default of the declaration.
    pub const DEFAULT: Origin = Origin { source: 0, start: 0, end: 0 };

    pub(crate) fn new(source: SourceId, span: Range<usize>) -> Origin {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Origin { source: source.0, start: clamp(span.start), end: clamp(span.end) }
    }

    /// Whether nobody wrote this and the declaration's default stands.
    pub fn is_default(self) -> bool {
        self.source == 0
    }

    pub(crate) fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn source(self) -> SourceId {
        SourceId(self.source)
    }

    pub(crate) fn with_span(self, span: Range<usize>) -> Origin {
        Origin::new(SourceId(self.source), span)
    }
}

/// The number of a source within its [`Sources`], in the order of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

/// An [`Origin`] in the words of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The declaration's default.
    Default,
    /// A file; line and column count from one, columns count characters.
    File {
        /// As it was opened, relative to the working directory.
        path: PathBuf,
        /// From one.
        line: usize,
        /// From one, in characters.
        column: usize,
    },
    /// The name of an environment variable.
    Environment(String),
    /// The key of a `--set` argument.
    Argument(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("the default"),
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Environment(name) => write!(f, "the environment: {name}"),
            Place::Argument(key) => write!(f, "the command line: --set {key}"),
        }
    }
}

#[derive(Clone)]
enum Source {
    Default,
    File(SourceFile),
    Environment(String),
    Argument(String),
}

/// One file's text, and which parts of it must never be shown.
#[derive(Clone)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
    hidden: Vec<Range<usize>>,
}

/// Everything that was read. Only files keep their text: a variable or an argument may hold a secret. Not even
/// `Debug` prints it.
#[derive(Clone)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn new() -> Sources {
        Sources(vec![Source::Default])
    }

    pub(crate) fn add_file(&mut self, path: PathBuf, text: String) -> SourceId {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.add(Source::File(SourceFile { path, text, line_starts, hidden: Vec::new() }))
    }

    pub(crate) fn add_variable(&mut self, name: &str) -> SourceId {
        self.add(Source::Environment(name.to_owned()))
    }

    pub(crate) fn add_argument(&mut self, key: &str) -> SourceId {
        self.add(Source::Argument(key.to_owned()))
    }

    fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId((self.0.len() - 1) as u32)
    }

    pub(crate) fn file(&self, origin: Origin) -> Option<&SourceFile> {
        match self.0.get(origin.source as usize) {
            Some(Source::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(crate) fn text(&self, origin: Origin) -> Option<&str> {
        self.file(origin)?.text.get(origin.span())
    }

    pub(crate) fn is_variable(&self, origin: Origin) -> bool {
        matches!(self.0.get(origin.source as usize), Some(Source::Environment(_)))
    }

    /// The folder that relative paths in this file start from; nothing for the other sources, whose paths
    /// start from the working directory.
    pub(crate) fn folder(&self, origin: Origin) -> Option<&Path> {
        self.file(origin)?.path.parent()
    }

    /// Keeps a value and all below it out of every excerpt from now on.
    pub(crate) fn hide(&mut self, node: &Node) {
        self.hide_span(node.origin());
        match node.data() {
            Data::List(list) => list.iter().for_each(|node| self.hide(node)),
            Data::Table(table) => table.iter().for_each(|(_, _, node)| self.hide(node)),
            _ => {}
        }
    }

    fn hide_span(&mut self, origin: Origin) {
        if let Some(Source::File(file)) = self.0.get_mut(origin.source as usize) {
            file.hidden.push(origin.span());
        }
    }

    pub(crate) fn place(&self, origin: Origin) -> Place {
        match self.0.get(origin.source as usize) {
            None | Some(Source::Default) => Place::Default,
            Some(Source::Environment(name)) => Place::Environment(name.clone()),
            Some(Source::Argument(key)) => Place::Argument(key.clone()),
            Some(Source::File(file)) => {
                let (line, column) = file.line_column(origin.start as usize);
                Place::File { path: file.path.clone(), line, column }
            }
        }
    }
}

impl SourceFile {
    fn line_index(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// Line and column of a byte, both from one; the column counts characters.
    fn line_column(&self, at: usize) -> (usize, usize) {
        let line = self.line_index(at);
        let start = self.line_starts[line];
        let column = self.text[start..].char_indices().take_while(|(offset, _)| start + offset < at).count();
        (line + 1, column + 1)
    }

    /// The whole line around a byte, without its end, and where it starts. Not for showing.
    pub(crate) fn raw_line(&self, at: usize) -> (&str, usize) {
        let index = self.line_index(at);
        let start = self.line_starts[index];
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        (self.text[start..end].trim_end_matches('\r'), start)
    }

    /// The same with hidden spans starred out.
    pub(crate) fn line(&self, at: usize) -> (String, usize) {
        let (line, start) = self.raw_line(at);
        let masked = line.char_indices().map(|(offset, shown)| {
            let at = start + offset;
            if self.hidden.iter().any(|span| span.contains(&at)) { '*' } else { shown }
        });
        (masked.collect(), start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, at: usize, expected: (usize, usize)) {
        let mut sources = Sources::new();
        let id = sources.add_file("f.toml".into(), text.to_owned());
        let (line, column) = expected;
        let expected = Place::File { path: "f.toml".into(), line, column };
        assert_eq!(sources.place(Origin::new(id, at..at)), expected);
    }

    #[test]
    fn columns_count_characters_from_one() {
        check("a = 1", 0, (1, 1));
        check("a = 1", 4, (1, 5));
        check("a\nb = 2\n", 6, (2, 5));
        check("ä = \"日本\"", 5, (1, 5));
        check("a\n", 2, (2, 1));
        check("", 0, (1, 1));
        check("a", 99, (1, 2));
    }

    #[test]
    fn hidden_spans_are_starred_out() {
        let mut sources = Sources::new();
        let id = sources.add_file("f.toml".into(), "x = 1\npassword = \"hush\"\r\n".to_owned());
        let origin = Origin::new(id, 17..23);
        sources.hide_span(origin);
        let (line, start) = sources.file(origin).expect("a file").line(17);
        assert_eq!((line.as_str(), start), ("password = ******", 6));
    }
}
