//! The two layers above the files: environment variables and `--set` arguments. A variable's name cannot say
//! everything a key can, so it is resolved against the declaration and the names that the files use.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::merge::{Lists, merge, replace};
use crate::node::{Data, Entry, Node, Table};
use crate::parse::key_path;
use crate::path::{VARIABLE_PREFIX, VARIABLE_SEPARATOR, variable_part};
use crate::place::{Origin, Sources};
use crate::shape::{Field, Section, Shape, list_names};

/// What a variable that names the file of a secret ends in.
const FILE_SUFFIX: &str = "_FILE";

/// Parts of a key: no file nests deeper either, and making the tables recurses.
const DEPTH_MAX: usize = 64;

/// Where the overrides go and what went wrong.
pub(crate) struct Overrides<'a> {
    pub(crate) section: &'static Section,
    pub(crate) root: &'a mut Node,
    pub(crate) sources: &'a mut Sources,
    pub(crate) found: &'a mut Vec<Diagnostic>,
    /// Files of secrets that were read, for watching.
    pub(crate) opened: &'a mut Vec<std::path::PathBuf>,
}

/// What a variable's name means.
struct Resolved {
    path: Vec<String>,
    /// Whether the value is the name of a file that holds the secret.
    is_file: bool,
}

/// A key that may follow, with its declaration if it has one of its own.
struct Known {
    key: String,
    field: Option<&'static Field>,
    shape: Shape,
}

impl Overrides<'_> {
    /// Lays every `FOREBAY_…` variable over the tree, except those that `foreign` names.
    pub(crate) fn environment(
        &mut self,
        variables: &[(String, String)],
        foreign: &[&str],
        files: &dyn Files,
    ) {
        let mut taken: BTreeMap<Vec<String>, String> = BTreeMap::new();
        // By name, so that the order of a process environment, which means nothing, changes nothing.
        let mut variables: Vec<_> = variables.iter().collect();
        variables.sort();
        for (name, value) in variables {
            let Some(rest) = strip_prefix_ignoring_case(name, VARIABLE_PREFIX) else { continue };
            if foreign.contains(&name.as_str()) {
                continue;
            }
            let origin = Origin::new(self.sources.add_variable(name), 0..0);
            let resolved = match resolve(self.section, self.root, rest) {
                Ok(resolved) => resolved,
                Err((message, help)) => {
                    self.found.push(Diagnostic::error(origin, message).with_help(help));
                    continue;
                }
            };
            if let Some(other) = taken.insert(resolved.path.clone(), name.clone()) {
                let message = format!("{other} and {name} set the same key");
                self.found.push(Diagnostic::error(origin, message).with_help("unset one of the two"));
                continue;
            }
            let node = match resolved.is_file {
                true => self.secret_file(value, origin, files),
                false => Node::from_raw(value, origin),
            };
            self.put(&resolved.path, node, origin);
        }
    }

    /// Lays one `key=value` argument over the tree.
    pub(crate) fn argument(&mut self, argument: &str) {
        let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
        let origin = Origin::new(self.sources.add_argument(key.trim()), 0..0);
        match key_path(key.trim()).filter(|_| argument.contains('=')) {
            Some(path) => self.put(&path, Node::from_raw(value.trim(), origin), origin),
            None => self.found.push(
                Diagnostic::error(origin, "this is not `key=value`")
                    .with_help("write for example --set gateway.timeout=20s"),
            ),
        }
    }

    fn secret_file(&mut self, path: &str, origin: Origin, files: &dyn Files) -> Node {
        self.opened.push(path.into());
        let read = files.read(FilePath::new(path)).map(String::from_utf8);
        let message = match read {
            Ok(Ok(text)) => {
                // Editors and `echo` end a file with a line break that is no part of the secret.
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                return Node::new(Data::String(text.to_owned()), origin);
            }
            Ok(Err(_)) => format!("the secret in {path} is not UTF-8"),
            Err(error) => format!("cannot read the secret in {path}: {error}"),
        };
        self.found.push(Diagnostic::error(origin, message).with_help("check the path and who may read it"));
        Node::new(Data::Broken, origin)
    }

    fn put(&mut self, path: &[String], node: Node, origin: Origin) {
        if path.len() > DEPTH_MAX {
            let message = format!("this key has more than {DEPTH_MAX} parts");
            self.found.push(Diagnostic::error(origin, message).with_help("shorten it"));
            return;
        }
        if let Err(index) = put(self.root, path, node, origin) {
            let message = format!("there is no element {index}");
            self.found.push(
                Diagnostic::error(origin, message)
                    .with_help("elements count from 0, and only existing ones can be set"),
            );
        }
    }
}

fn strip_prefix_ignoring_case<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Finds the key that a variable's name means; on a collision the message and the help.
fn resolve(section: &'static Section, root: &Node, name: &str) -> Result<Resolved, (String, String)> {
    let parts: Vec<&str> = name.split(VARIABLE_SEPARATOR).collect();
    if parts.iter().any(|part| part.is_empty()) {
        let help = format!("write for example {VARIABLE_PREFIX}GATEWAY{VARIABLE_SEPARATOR}LISTEN");
        return Err(("this variable names no setting".to_owned(), help));
    }
    let mut resolved = Resolved { path: Vec::new(), is_file: false };
    let mut shape = Some(Shape::Table(section));
    let mut node = Some(root);
    for (place, part) in parts.iter().enumerate() {
        let known = known_keys(shape, node);
        let mut meant = spelled(&known, part);
        if let Some(stem) = strip_file_suffix(part).filter(|_| meant.is_empty() && place + 1 == parts.len()) {
            meant = spelled(&known, stem);
            meant.retain(|known| known.field.is_some_and(Field::is_secret));
            resolved.is_file = !meant.is_empty();
        }
        let key = match meant.as_slice() {
            [] => {
                shape = below_unknown(shape);
                part.to_ascii_lowercase()
            }
            [one] => {
                shape = Some(one.shape);
                one.key.clone()
            }
            several => {
                let names = list_names(several.iter().map(|known| known.key.as_str()));
                return Err((
                    format!("this variable could mean {names}"),
                    "rename one, or use --set".to_owned(),
                ));
            }
        };
        node = node.and_then(|node| child(node, &key));
        resolved.path.push(key);
    }
    Ok(resolved)
}

/// The keys that a part of a variable's name can stand for.
fn spelled<'k>(known: &'k [Known], part: &str) -> Vec<&'k Known> {
    known.iter().filter(|known| variable_part(&known.key).eq_ignore_ascii_case(part)).collect()
}

fn strip_file_suffix(part: &str) -> Option<&str> {
    let (stem, suffix) = part.split_at_checked(part.len().checked_sub(FILE_SUFFIX.len())?)?;
    suffix.eq_ignore_ascii_case(FILE_SUFFIX).then_some(stem)
}

/// The keys that may follow.
fn known_keys(shape: Option<Shape>, node: Option<&Node>) -> Vec<Known> {
    let Some(shape) = shape else { return Vec::new() };
    if let Some(section) = shape.section() {
        let known = |field: &'static Field| Known {
            key: field.name.to_owned(),
            field: Some(field),
            shape: field.shape,
        };
        return section.flat().map(known).collect();
    }
    let known = |key: String, shape: &Shape| Known { key, field: None, shape: *shape };
    match (shape, node.map(Node::data)) {
        (Shape::Map(_, value), Some(Data::Table(table))) => {
            table.iter().map(|(key, ..)| known(key.to_owned(), value)).collect()
        }
        (Shape::List(element) | Shape::OneOrMany(element), Some(Data::List(list))) => {
            (0..list.len()).map(|index| known(index.to_string(), element)).collect()
        }
        _ => Vec::new(),
    }
}

/// A name that no file uses yet may still be a new entry of a map.
fn below_unknown(shape: Option<Shape>) -> Option<Shape> {
    match shape {
        Some(Shape::Map(_, value)) => Some(*value),
        _ => None,
    }
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match node.data() {
        Data::Table(table) => table.get(key),
        Data::List(list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Puts a value at a path, making tables on the way. Fails on an element that a list does not have.
fn put(root: &mut Node, path: &[String], node: Node, origin: Origin) -> Result<(), String> {
    let Some((key, rest)) = path.split_first() else {
        merge(root, node, Lists::Replace);
        return Ok(());
    };
    if let Data::List(list) = &mut root.data {
        let element = key.parse().ok().and_then(|index: usize| list.get_mut(index));
        return put(element.ok_or_else(|| key.clone())?, rest, node, origin);
    }
    if root.as_table().is_none() {
        replace(root, Node::new(Data::Table(Table::default()), origin));
    }
    let Some(table) = root.as_table_mut() else { return Ok(()) };
    if let Some(entry) = table.0.get_mut(key) {
        return put(&mut entry.node, rest, node, origin);
    }
    let mut fresh = Node::new(Data::Table(Table::default()), origin);
    if rest.is_empty() {
        fresh = node;
    } else {
        put(&mut fresh, rest, node, origin)?;
    }
    table.0.insert(key.clone(), Entry { key: origin, node: fresh });
    Ok(())
}
