//! What is wrong, where, why, and what to do next: collected while reading, rendered at the end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::place::{Origin, Place, Sources};
use crate::render::{self, Style};

/// Whether a finding stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works, for now.
    Warning,
}

impl Severity {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One message. Says what is wrong; add why with [`note`](Diagnostic::note) and what to do with
/// [`help`](Diagnostic::help).
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) origin: Option<Origin>,
    /// Whether the line itself helps; off where the message quotes it already or it may hold a secret.
    pub(crate) excerpt: bool,
    /// Whether it is about the grammar, so that nothing on the line is certain.
    pub(crate) syntax: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) helps: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, origin: Option<Origin>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            message: message.into(),
            origin: origin.filter(|origin| !origin.is_default()),
            excerpt: true,
            syntax: false,
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    pub(crate) fn error(origin: Origin, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, Some(origin), message)
    }

    pub(crate) fn without_excerpt(mut self) -> Diagnostic {
        self.excerpt = false;
        self
    }

    /// Why it matters: one clause, lower case, no full stop.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// What to do next: an order, lower case, no full stop.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Diagnostic {
        self.helps.push(text.into());
        self
    }

    pub(crate) fn with_note(mut self, text: impl Into<String>) -> Diagnostic {
        self.note(text);
        self
    }

    pub(crate) fn with_help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help(text);
        self
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it stops the start.
    pub fn severity(&self) -> Severity {
        self.severity
    }
}

/// All findings about one configuration, sorted by place, with the texts they point into. `Debug` prints what
/// `Display` does: the texts may hold secrets.
#[derive(Clone)]
pub struct Diagnostics {
    pub(crate) list: Vec<Diagnostic>,
    pub(crate) sources: Arc<Sources>,
    files: Vec<PathBuf>,
}

impl Diagnostics {
    pub(crate) fn new(mut list: Vec<Diagnostic>, sources: Arc<Sources>, files: Vec<PathBuf>) -> Diagnostics {
        list.sort_by_key(|diagnostic| diagnostic.origin);
        Diagnostics { list, sources, files }
    }

    /// The findings in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Every file that was read or should have been, so that a refused configuration can be watched too.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where a finding points, if anywhere.
    pub fn place(&self, diagnostic: &Diagnostic) -> Option<Place> {
        diagnostic.origin.map(|origin| self.sources.place(origin))
    }

    /// "3 errors", "1 error and 2 warnings".
    pub fn summary(&self) -> String {
        let count = |severity| self.list.iter().filter(|one| one.severity == severity).count();
        let say = |n: usize, word| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match (count(Severity::Error), count(Severity::Warning)) {
            (errors, 0) => say(errors, "error"),
            (0, warnings) => say(warnings, "warning"),
            (errors, warnings) => format!("{} and {}", say(errors, "error"), say(warnings, "warning")),
        }
    }

    /// The text for a terminal: every message with its place, its line and carets, its notes and helps.
    /// Ends in a line break; the [`summary`](Diagnostics::summary) is the caller's to print.
    pub fn render(&self, style: Style) -> String {
        render::render(self, style)
    }

    /// A JSON list, for editors and scripts: `severity`, `message`, `notes`, `help`, and either `file`,
    /// `line`, `column` or `environment` or `argument`.
    pub fn to_json(&self) -> serde_json::Value {
        self.list.iter().map(|one| self.one_to_json(one)).collect()
    }

    fn one_to_json(&self, diagnostic: &Diagnostic) -> serde_json::Value {
        let mut object = json!({
            "severity": diagnostic.severity.word(),
            "message": diagnostic.message,
            "notes": diagnostic.notes,
            "help": diagnostic.helps,
        });
        match self.place(diagnostic) {
            Some(Place::File { path, line, column }) => {
                object["file"] = json!(path.to_string_lossy());
                object["line"] = json!(line);
                object["column"] = json!(column);
            }
            Some(Place::Environment(name)) => object["environment"] = json!(name),
            Some(Place::Argument(key)) => object["argument"] = json!(key),
            Some(Place::Default) | None => {}
        }
        object
    }
}

/// Without colour, and no more messages than [`Style::default`] shows.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::default()).trim_end())
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Diagnostics {}
