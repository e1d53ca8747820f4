//! Brings the files together: the main file, what it includes, the overlay. An including file wins over what
//! it includes; arrays of tables of both count. The overlay replaces.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Severity};
use crate::files::Files;
use crate::merge::{Lists, merge};
use crate::node::{Data, Node, Table};
use crate::parse;
use crate::place::{Origin, Sources};

/// The key by which a file includes others; known to every root section without being declared.
pub(crate) const INCLUDE: &str = "include";

/// Includes within includes: more is a maze, and a chain that never ends must end.
const DEPTH_MAX: usize = 8;

/// Files of one configuration, so that a folder included by mistake does not stall the start.
const FILES_MAX: usize = 256;

pub(crate) struct Gatherer<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) sources: &'a mut Sources,
    pub(crate) found: Vec<Diagnostic>,
    pub(crate) incomplete: bool,
    /// Everything that was opened or should have been.
    pub(crate) opened: Vec<PathBuf>,
}

impl Gatherer<'_> {
    /// The main file with everything it includes; an empty tree when it cannot be read.
    pub(crate) fn main(&mut self, path: &Path) -> Node {
        self.file(path, None, 0).unwrap_or_else(empty)
    }

    /// Lays `forebay.NAME.toml` over what `forebay.toml` said.
    pub(crate) fn overlay(&mut self, main: &Path, name: &str, base: &mut Node) {
        if let Err(problem) = name.parse::<crate::scalar::Name>() {
            let message = format!("the overlay {name:?} {}", problem.clause);
            self.found.push(
                Diagnostic::new(Severity::Error, None, message).with_help("write for example production"),
            );
            return;
        }
        if let Some(node) = self.file(&overlay_path(main, name), None, 0) {
            merge(base, node, Lists::Replace);
        }
    }

    fn file(&mut self, path: &Path, asked_by: Option<Origin>, depth: usize) -> Option<Node> {
        if self.opened.iter().any(|opened| opened == path) {
            return self.refuse(
                asked_by,
                format!("{} is included already", path.display()),
                "include it once",
            );
        }
        if depth > DEPTH_MAX || self.opened.len() >= FILES_MAX {
            let message = format!("{} is one include too many", path.display());
            let help = format!("include at most {FILES_MAX} files, at most {DEPTH_MAX} deep");
            return self.refuse(asked_by, message, &help);
        }
        self.opened.push(path.to_owned());
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let help = match (error.kind(), asked_by) {
                    (ErrorKind::PermissionDenied, _) => "let the user that Forebay runs as read it",
                    (_, Some(_)) => "paths start from the including file's folder",
                    (ErrorKind::NotFound, None) => "check the path; `forebay init` writes a first one",
                    (_, None) => "check the path",
                };
                return self.refuse(asked_by, format!("cannot read {}: {error}", path.display()), help);
            }
        };
        let mut node = self.parse(path, bytes)?;
        let Some(included) = node.as_table_mut().and_then(|table| table.0.remove(INCLUDE)) else {
            return Some(node);
        };
        let mut base = Node::new(Data::Table(Table::default()), node.origin());
        for (relative, origin) in self.include_list(&included.node) {
            let path = path.parent().unwrap_or(Path::new("")).join(relative);
            if let Some(node) = self.file(&path, Some(origin), depth + 1) {
                merge(&mut base, node, Lists::Append);
            }
        }
        merge(&mut base, node, Lists::Append);
        Some(base)
    }

    fn parse(&mut self, path: &Path, bytes: Vec<u8>) -> Option<Node> {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = self.sources.add_file(path.to_owned(), text);
                let origin = Origin::new(source, at..at);
                self.incomplete = true;
                self.found.push(
                    Diagnostic::error(origin, "this is not UTF-8")
                        .without_excerpt()
                        .with_help("save the file as UTF-8"),
                );
                return None;
            }
        };
        // Some editors begin a file with a byte order mark, which is no part of the first line.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let source = self.sources.add_file(path.to_owned(), text.clone());
        let parsed = parse::document(&text, source);
        self.incomplete |= parsed.incomplete;
        self.found.extend(parsed.errors);
        Some(parsed.root)
    }

    fn include_list(&mut self, node: &Node) -> Vec<(String, Origin)> {
        let elements = node.as_list().unwrap_or(std::slice::from_ref(node));
        let mut paths = Vec::new();
        for element in elements {
            match (element.as_str(), element.kind()) {
                (Some(path), _) => paths.push((path.to_owned(), element.origin())),
                (None, Some(kind)) => {
                    let message = format!("`{INCLUDE}` is a list of paths, and this is {}", kind.noun());
                    self.found.push(
                        Diagnostic::error(element.origin(), message)
                            .with_help("write `include = [\"routes.toml\"]`"),
                    );
                }
                (None, None) => {}
            }
        }
        paths
    }

    fn refuse(&mut self, asked_by: Option<Origin>, message: String, help: &str) -> Option<Node> {
        // What the file would have said is unknown, so nothing is missing for certain.
        self.incomplete = true;
        self.found.push(Diagnostic::new(Severity::Error, asked_by, message).with_help(help));
        None
    }
}

pub(crate) fn empty() -> Node {
    Node::new(Data::Table(Table::default()), Origin::DEFAULT)
}

/// `forebay.toml` and `production` make `forebay.production.toml`.
fn overlay_path(main: &Path, name: &str) -> PathBuf {
    let stem = main.file_stem().unwrap_or_default().to_string_lossy();
    main.with_file_name(format!("{stem}.{name}.toml"))
}
