//! What a syntax error does to the other messages: those about the same line are dropped, since they follow from
//! it, and lines that may hold a secret which was not recognized as one are not shown.

use std::collections::HashSet;

use crate::diagnostic::Diagnostic;
use crate::place::{Place, Sources};
use crate::shape::{Section, Shape};

/// Settles all messages of one load; does nothing when every file could be parsed.
pub(crate) fn after_syntax_errors(found: &mut Vec<Diagnostic>, section: &'static Section, sources: &Sources) {
    let line = |diagnostic: &Diagnostic| match sources.place(diagnostic.origin?) {
        Place::File { path, line, .. } => Some((path, line)),
        _ => None,
    };
    let damaged: HashSet<_> = found.iter().filter(|diagnostic| diagnostic.syntax).filter_map(line).collect();
    if damaged.is_empty() {
        return;
    }
    found.retain(|diagnostic| {
        diagnostic.syntax || !line(diagnostic).is_some_and(|line| damaged.contains(&line))
    });

    let mut names = Names::default();
    names.collect(section, false);
    for diagnostic in found {
        let file = diagnostic.origin.and_then(|origin| Some((sources.file(origin)?, origin)));
        if let Some((file, origin)) = file {
            diagnostic.excerpt &= names.allow(file.raw_line(origin.span().start).0);
        }
    }
}

/// The names of all settings, by whether their values may be shown.
#[derive(Default)]
struct Names {
    plain: Vec<&'static str>,
    secret: Vec<&'static str>,
}

impl Names {
    fn collect(&mut self, section: &'static Section, is_secret: bool) {
        for field in section.fields {
            let is_secret = is_secret || field.is_secret();
            let names = if is_secret { &mut self.secret } else { &mut self.plain };
            names.push(field.name);
            let below = match &field.shape {
                Shape::Map(_, inner) | Shape::List(inner) | Shape::OneOrMany(inner) => inner.section(),
                shape => shape.section(),
            };
            if let Some(section) = below {
                self.collect(section, is_secret);
            }
        }
    }

    /// Whether a line can be shown: its key is known, and no secret's name stands on it.
    fn allow(&self, line: &str) -> bool {
        let key = line.split(['=', ' ', '\t']).find(|word| !word.is_empty()).unwrap_or_default();
        let is_heading = line.trim_start().starts_with('[') && !line.contains(['=', '"', '\'', ',']);
        let is_known = key.rsplit('.').next().is_some_and(|key| self.plain.contains(&key));
        (is_heading || is_known) && !self.secret.iter().any(|name| line.contains(name))
    }
}
