//! Draws diagnostics for a terminal. Decides only the drawing: order and wording come in.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::place::{Origin, Place};

/// More messages than this only bury the first ones; the rest is counted.
const SHOWN_MAX: usize = 50;

/// Columns of a line that are shown around the carets: a generated file may have lines of any length.
const EXCERPT_WIDTH_MAX: usize = 120;

/// Columns kept before the carets when a long line is cut.
const EXCERPT_LEAD: usize = 40;

/// Two digits' worth of gutter at least, so that messages of one small file line up.
const GUTTER_MIN: usize = 2;

/// How messages are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// ANSI colours; decide by terminal and `NO_COLOR`.
    pub color: bool,
    /// Messages shown before the rest is only counted.
    pub shown_max: usize,
}

impl Default for Style {
    /// No colour, 50 messages.
    fn default() -> Style {
        Style { color: false, shown_max: SHOWN_MAX }
    }
}

#[derive(Clone, Copy)]
enum Paint {
    Severity(Severity),
    Strong,
    Frame,
}

impl Style {
    fn paint(self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Severity(Severity::Error) => "1;31",
            Paint::Severity(Severity::Warning) => "1;33",
            Paint::Strong => "1",
            Paint::Frame => "34",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

pub(crate) fn render(diagnostics: &Diagnostics, style: Style) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(style.shown_max) {
        // Writing to a String cannot fail.
        let _ = one(&mut out, diagnostics, diagnostic, style);
    }
    let rest = diagnostics.len().saturating_sub(style.shown_max);
    if rest > 0 {
        let _ = writeln!(out, "... and {rest} more");
    }
    out
}

fn one(out: &mut String, all: &Diagnostics, diagnostic: &Diagnostic, style: Style) -> std::fmt::Result {
    let severity = diagnostic.severity;
    let head = style.paint(Paint::Severity(severity), severity.word());
    writeln!(out, "{head}{}", style.paint(Paint::Strong, &format!(": {}", diagnostic.message)))?;

    let place = all.place(diagnostic);
    let line_number = match &place {
        Some(Place::File { line, .. }) => line.to_string(),
        _ => String::new(),
    };
    let gutter = line_number.len().max(GUTTER_MIN);
    let frame = |text: &str| style.paint(Paint::Frame, text);
    if let Some(place) = &place {
        writeln!(out, "{:gutter$}{} {place}", "", frame("-->"))?;
    }
    let excerpt = diagnostic.origin.filter(|_| diagnostic.excerpt).and_then(|origin| excerpt(all, origin));
    if let Some(Excerpt { line, indent, carets }) = excerpt {
        writeln!(out, "{:gutter$} {}", "", frame("|"))?;
        writeln!(out, "{} {line}", frame(&format!("{line_number:gutter$} |")))?;
        let carets = style.paint(Paint::Severity(severity), &"^".repeat(carets));
        writeln!(out, "{:gutter$} {} {indent}{carets}", "", frame("|"))?;
    }
    let notes = diagnostic.notes.iter().map(|text| ("note", text));
    for (word, text) in notes.chain(diagnostic.helps.iter().map(|text| ("help", text))) {
        writeln!(out, "{:gutter$} {} {text}", "", frame(&format!("= {word}:")))?;
    }
    Ok(())
}

struct Excerpt {
    line: String,
    /// White space as wide as what stands before the carets; tabs stay tabs, so any tab width fits.
    indent: String,
    carets: usize,
}

fn excerpt(all: &Diagnostics, origin: Origin) -> Option<Excerpt> {
    let span = origin.span();
    let (line, start) = all.sources.file(origin)?.line(span.start);
    let (line, from, to) = cut(line, span.start - start, span.end.saturating_sub(start));
    let before = line.get(..from)?;
    let marked = line.get(from..to)?;
    let blank = |c: char| if c == '\t' { "\t".to_owned() } else { " ".repeat(c.width().unwrap_or(0)) };
    let carets = marked.chars().map(|c| c.width().unwrap_or(1)).sum::<usize>().max(1);
    // Control characters could move the cursor; a terminal must not obey a configuration file.
    let shown = line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
    Some(Excerpt { indent: before.chars().map(blank).collect(), line: shown, carets })
}

/// Cuts a long line down to what stands around the marked bytes; returns the marks in the new line.
fn cut(line: String, from: usize, to: usize) -> (String, usize, usize) {
    let (from, to) = (floor(&line, from), floor(&line, to).max(floor(&line, from)));
    if line.chars().count() <= EXCERPT_WIDTH_MAX {
        return (line, from, to);
    }
    let first = line[..from].char_indices().rev().nth(EXCERPT_LEAD).map_or(0, |(at, _)| at);
    let last = line[first..].char_indices().nth(EXCERPT_WIDTH_MAX).map_or(line.len(), |(at, _)| first + at);
    let lead = if first > 0 { "..." } else { "" };
    let tail = if last < line.len() { "..." } else { "" };
    let shift = |at: usize| at.min(last) - first + lead.len();
    (format!("{lead}{}{tail}", &line[first..last]), shift(from), shift(to))
}

/// The nearest character boundary at or before a byte, which may lie past the end of the line. A masked line
/// is shorter in bytes than its file's line where the secret is not ASCII.
fn floor(line: &str, at: usize) -> usize {
    line.floor_char_boundary(at.min(line.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::place::Sources;

    fn draw(text: &str, span: std::ops::Range<usize>, style: Style) -> String {
        let mut sources = Sources::new();
        let id = sources.add_file("forebay.toml".into(), text.to_owned());
        let diagnostic = Diagnostic::error(Origin::new(id, span), "no").with_note("why").with_help("what");
        Diagnostics::new(vec![diagnostic], Arc::new(sources), Vec::new()).render(style)
    }

    #[track_caller]
    fn check(text: &str, span: std::ops::Range<usize>, expected: &[&str]) {
        let drawn = draw(text, span, Style::default());
        let lines: Vec<_> = drawn.lines().skip(3).take(2).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn carets_stand_under_what_they_mark() {
        check("a = 12", 4..6, &["1  | a = 12", "   |     ^^"]);
        check("a = 1", 5..5, &["1  | a = 1", "   |      ^"]);
        check("\ta = 1", 5..6, &["1  | \ta = 1", "   | \t    ^"]);
        check("\"日本\" = \"語\"", 11..16, &["1  | \"日本\" = \"語\"", "   |          ^^^^"]);
        check("a = '''x\ny'''", 4..13, &["1  | a = '''x", "   |     ^^^^"]);
    }

    #[test]
    fn a_long_line_is_cut_around_the_carets() {
        let text = format!("a = \"{}\", b = 7 # {}", "x".repeat(500), "y".repeat(500));
        let at = text.find('7').expect("there");
        let drawn = draw(&text, at..at + 1, Style::default());
        let lines: Vec<_> = drawn.lines().skip(3).take(2).collect();
        assert!(lines[0].len() < 140, "{}", lines[0]);
        assert_eq!(lines[0].as_bytes()[lines[1].len() - 1], b'7');
    }

    #[test]
    fn colour_only_when_asked() {
        assert!(!draw("a = 1", 4..5, Style::default()).contains('\x1b'));
        assert!(draw("a = 1", 4..5, Style { color: true, ..Style::default() }).contains("\x1b[1;31merror"));
    }

    #[test]
    fn the_rest_is_counted() {
        let list = (0..5).map(|n| Diagnostic::new(Severity::Error, None, format!("e{n}"))).collect();
        let all = Diagnostics::new(list, Arc::new(Sources::new()), Vec::new());
        let drawn = all.render(Style { shown_max: 2, ..Style::default() });
        assert_eq!(drawn, "error: e0\nerror: e1\n... and 3 more\n");
        assert_eq!(all.summary(), "5 errors");
    }
}
