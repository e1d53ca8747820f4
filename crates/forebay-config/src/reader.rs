//! [`Reader`]: what every [`crate::Value`] is given to read with. Knows which setting is being read, words
//! the errors, and collects them: reading goes on after each one.

use crate::diagnostic::{Diagnostic, Severity};
use crate::node::{Data, Node};
use crate::path::{Path, Step, home_of};
use crate::place::{Origin, Sources};
use crate::problem::Problem;
use crate::shape::{Choice, Field, Section, Shape, list_names};
use crate::suggest;
use crate::value::Value;

/// Characters of a wrong value that a message repeats.
const FOUND_MAX: usize = 60;

/// Collects errors while the tree is read into types.
pub struct Reader<'a> {
    pub(crate) sources: &'a mut Sources,
    pub(crate) found: Vec<Diagnostic>,
    /// The declaration of the whole file, for suggestions from other sections.
    pub(crate) root: &'static Section,
    /// Whether a syntax error hid a part of the file: then nothing is missing for certain.
    pub(crate) incomplete: bool,
    pub(crate) references: Vec<Reference>,
    pub(crate) path: Path,
    /// Where the section being read was written.
    pub(crate) here: Origin,
    /// The setting being read, and how deep in the tree it stands.
    field: Option<(&'static Field, usize)>,
    /// Whether it, or a section around it, is secret.
    secret: bool,
}

/// Which bound a value broke.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Least,
    Most,
}

/// A value that names a key of a top-level table.
pub(crate) struct Reference {
    pub(crate) key: String,
    pub(crate) why: Option<&'static str>,
    pub(crate) target: &'static str,
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(sources: &'a mut Sources, root: &'static Section, incomplete: bool) -> Reader<'a> {
        Reader {
            sources,
            found: Vec::new(),
            root,
            incomplete,
            references: Vec::new(),
            path: Path::default(),
            here: Origin::DEFAULT,
            field: None,
            secret: false,
        }
    }

    /// Reports an error at a place; add why and what to do to what comes back.
    pub fn error(&mut self, origin: Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(origin, message))
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.found.push(diagnostic);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// The folder of the file that a value was written in, to which paths in it are relative; empty for one from
    /// elsewhere, which means the working directory.
    pub fn folder(&self, node: &Node) -> &std::path::Path {
        self.sources.folder(node.origin()).unwrap_or(std::path::Path::new(""))
    }

    /// Reads a string with `parse`, whose [`Problem`] ends the sentence about the setting.
    pub fn text<T>(
        &mut self,
        node: &Node,
        shape: &Shape,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let Some(text) = node.as_str() else {
            return self.wrong_kind(node, shape);
        };
        parse(text).map_err(|problem| self.reject(node, shape, problem)).ok()
    }

    /// Reads a whole number between two bounds.
    pub fn integer(&mut self, node: &Node, shape: &Shape, min: i128, max: i128) -> Option<i128> {
        let Some(number) = node.as_integer().map(i128::from) else {
            return self.wrong_kind(node, shape);
        };
        if number < min || number > max {
            let (side, bound) = if number < min { (Side::Least, min) } else { (Side::Most, max) };
            return self.out_of_bounds(node, side, &bound.to_string());
        }
        Some(number)
    }

    /// Reads one of a few words; returns its index.
    pub(crate) fn choice(&mut self, node: &Node, shape: &Shape, choices: &[Choice]) -> Option<usize> {
        let Some(written) = node.as_str() else {
            return self.wrong_kind(node, shape);
        };
        let names = || choices.iter().map(|choice| choice.name);
        if let Some(index) = names().position(|name| name == written) {
            return Some(index);
        }
        let mut problem = Problem::new("is none of them");
        if let Some(near) = suggest::nearest(written, names()) {
            problem = problem.help(format!("did you mean \"{near}\"?"));
        }
        self.reject(node, shape, problem);
        None
    }

    /// Reads every element of a list, all errors at once.
    pub fn elements<T: Value>(&mut self, list: &[Node]) -> Option<Vec<T>> {
        let mut read = Vec::with_capacity(list.len());
        for (index, node) in list.iter().enumerate() {
            read.extend(self.within(Step::Index(index), |reader| T::read(node, reader)));
        }
        (read.len() == list.len()).then_some(read)
    }

    /// Reads something under a key, which messages then name.
    pub fn under<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.within(Step::Key(key.to_owned()), read)
    }

    fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.0.push(step);
        let value = read(self);
        self.path.0.pop();
        value
    }

    /// Reads the value of a declared setting. Its name is on the path already.
    pub(crate) fn setting<T>(
        &mut self,
        field: &'static Field,
        node: &Node,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if field.is_secret() {
            self.sources.hide(node);
        }
        if let Some(target) = field.refers_to {
            self.refer(field, target, node);
        }
        let outer = (self.field.replace((field, self.path.0.len())), self.secret);
        self.secret |= field.is_secret();
        let value = read(self);
        (self.field, self.secret) = outer;
        value
    }

    fn refer(&mut self, field: &'static Field, target: &'static str, node: &Node) {
        if let Some(list) = node.as_list() {
            return list.iter().for_each(|node| self.refer(field, target, node));
        }
        if let Some(name) = node.as_str().filter(|_| !node.origin().is_default()) {
            let (key, origin) = (self.path.last_key().to_owned(), node.origin());
            self.references.push(Reference { key, why: field.why, target, name: name.to_owned(), origin });
        }
    }

    /// Runs `read` without keeping what it reports: for bounds, which belong to the declaration.
    pub(crate) fn quietly<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let kept = self.found.len();
        let value = read(self);
        self.found.truncate(kept);
        value
    }

    /// Reports a value of the wrong kind: what the setting is, what was found, what to write.
    pub fn wrong_kind<T>(&mut self, node: &Node, shape: &Shape) -> Option<T> {
        let kind = node.kind()?;
        let clause = format!("{} is {}", self.found(node), kind.noun());
        let example = self.own_field().and_then(|field| field.example);
        let example = example.map_or_else(|| shape.example(), str::to_owned);
        let help = with_unit(node, shape).unwrap_or_else(|| format!("write {example}"));
        self.complain(node, shape, &clause, None, Some(help));
        None
    }

    /// Reports a string that is not of its setting's form.
    pub fn reject(&mut self, node: &Node, shape: &Shape, problem: Problem) {
        if problem.hidden {
            self.sources.hide(node);
        }
        let found = if problem.hidden { "this".to_owned() } else { self.found(node) };
        let help = problem.help.or_else(|| match shape {
            Shape::Scalar(scalar) => Some(format!("write for example {}", scalar.example)),
            _ => None,
        });
        self.complain(node, shape, &format!("{found} {}", problem.clause), problem.note, help);
    }

    fn complain(
        &mut self,
        node: &Node,
        shape: &Shape,
        clause: &str,
        note: Option<String>,
        help: Option<String>,
    ) {
        let what = self.own_field().and_then(|field| field.what);
        let noun = what.map_or_else(|| shape.noun(), str::to_owned);
        let message = format!("{} is {noun}, and {clause}", self.label());
        let declared = self.field.map(|(field, _)| (field.why, field.help));
        let (why, advice) = declared.unwrap_or_default();
        let diagnostic = self.error(node.origin(), message);
        diagnostic.notes.extend(why.map(str::to_owned).or(note));
        diagnostic.helps.extend(advice.map(str::to_owned).or(help));
    }

    /// The declaration of the value being read, if it is the setting itself and not an element of it.
    fn own_field(&self) -> Option<&'static Field> {
        self.field.filter(|(_, depth)| *depth == self.path.0.len()).map(|(field, _)| field)
    }

    pub(crate) fn out_of_bounds<T>(&mut self, node: &Node, side: Side, bound: &str) -> Option<T> {
        let (word, relation) = match side {
            Side::Least => ("least", "less"),
            Side::Most => ("most", "more"),
        };
        let message =
            format!("{} is at {word} {bound}, and {} is {relation}", self.label(), self.found(node));
        let (why, advice) = self.field.map(|(field, _)| (field.why, field.help)).unwrap_or_default();
        let diagnostic = self.error(node.origin(), message);
        diagnostic.notes.extend(why.map(str::to_owned));
        diagnostic.help(advice.map_or_else(|| format!("write a value of at {word} {bound}"), str::to_owned));
        None
    }

    /// "`timeout`", or "each element of `origins`".
    pub(crate) fn label(&self) -> String {
        let key = self.path.last_key();
        match self.path.0.last() {
            Some(Step::Index(_)) => format!("each element of `{key}`"),
            _ => format!("`{key}`"),
        }
    }

    /// "in [gateway]", or "at the top level".
    fn place(&self) -> String {
        if self.path.0.is_empty() {
            "at the top level".to_owned()
        } else {
            format!("in {}", self.path.section())
        }
    }

    /// The value as a message may repeat it: "this" for a secret, a list or a table.
    fn found(&self, node: &Node) -> String {
        if self.secret || matches!(node.data(), Data::List(_) | Data::Table(_)) {
            return "this".to_owned();
        }
        let text = match self.sources.text(node.origin()) {
            Some(written) if node.is_interpolated => written.to_owned(),
            _ => node.to_string(),
        };
        match text.char_indices().nth(FOUND_MAX) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }

    /// Reports keys that nobody declared.
    pub(crate) fn unknown_keys(&mut self, section: &'static Section, node: &Node) {
        let Some(table) = node.as_table() else { return };
        for (key, origin, value) in table.iter() {
            match section.field(key) {
                None => self.unknown_key(section, key, origin, value),
                Some(Field { deprecated: Some(instead), .. }) => {
                    let message = format!("`{key}` {} is deprecated", self.place());
                    self.push(Diagnostic::new(Severity::Warning, Some(origin), message)).help(*instead);
                }
                Some(_) => {}
            }
        }
    }

    fn unknown_key(&mut self, section: &'static Section, key: &str, origin: Origin, value: &Node) {
        // Nobody knows whether it was meant to be a secret.
        self.sources.hide(value);
        let near = suggest::nearest(key, section.flat().map(|field| field.name));
        let help = match near {
            Some(near) if self.sources.is_variable(origin) => {
                format!("did you mean {}?", self.path.child(near).variable())
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => match home_of(self.root, key) {
                Some(home) => format!("`{key}` belongs in {home}"),
                None => format!("known here: {}", list_names(section.flat().map(|field| field.name))),
            },
        };
        let message = format!("unknown key `{key}` {}", self.place());
        let note = "settings are checked so that a typing error never becomes a silent default";
        self.push(Diagnostic::error(origin, message).without_excerpt().with_note(note).with_help(help));
    }

    /// Reports a setting that must be written and is not.
    pub(crate) fn missing(&mut self, field: &'static Field) {
        if self.incomplete {
            return;
        }
        let line = format!("{} = {}", field.name, field.example());
        let variable = self.path.child(field.name).variable();
        let note = field.why.unwrap_or("it has no default");
        let help = match field.help {
            Some(help) => help.to_owned(),
            None if self.path.has_index() => format!("write `{line}`"),
            None => format!("write `{line}`, or set {variable}"),
        };
        let message = format!("`{}` is missing {}", field.name, self.place());
        let here = self.here;
        self.push(Diagnostic::error(here, message).without_excerpt().with_note(note).with_help(help));
    }
}

/// A bare number where a unit was wanted: most people meant the usual one.
fn with_unit(node: &Node, shape: &Shape) -> Option<String> {
    let Shape::Scalar(scalar) = shape else { return None };
    let number = node.as_integer().filter(|number| *number >= 0)?;
    scalar.unit.map(|unit| format!("write \"{number}{unit}\""))
}
