//! Visits every setting of a loaded configuration with its declaration: the ones that were written and the
//! ones whose default stands. `explain`, the dump and the comparison of two configurations are visitors.

use crate::node::{Data, Node};
use crate::path::Path;
use crate::scalar::REDACTED;
use crate::shape::{Field, Section, Shape};

/// One setting with what stands for it.
pub(crate) struct Setting<'t> {
    pub(crate) path: Path,
    pub(crate) field: &'static Field,
    pub(crate) node: Option<&'t Node>,
    pub(crate) traits: Traits,
}

/// What a setting is by itself or by a section around it.
#[derive(Clone, Copy)]
pub(crate) struct Traits {
    /// Whether a change needs a restart.
    pub(crate) restart: bool,
    /// Whether the value is never shown.
    secret: bool,
}

impl Setting<'_> {
    /// As it may be shown; nothing when it was not written and has no default.
    pub(crate) fn shown(&self) -> Option<String> {
        match (self.node, self.field.default) {
            (Some(node), _) => Some(self.show_node(node)),
            (None, Some(default)) => Some(self.show(default)),
            (None, None) => None,
        }
    }

    /// The same for a value that may have lost to this one, and be of another kind.
    pub(crate) fn show_node(&self, node: &Node) -> String {
        let is_whole = node.as_table().is_some() || node.as_list().is_some();
        let hides = is_whole && self.field.shape.holds_secret();
        if hides { REDACTED.to_owned() } else { self.show(&node.to_string()) }
    }

    pub(crate) fn show(&self, value: &str) -> String {
        if self.traits.secret { REDACTED.to_owned() } else { value.to_owned() }
    }
}

pub(crate) fn walk<'t>(section: &'static Section, root: &'t Node) -> Vec<Setting<'t>> {
    let mut walker = Walker { settings: Vec::new() };
    walker.section(section, Some(root), &Path::default(), Traits { restart: false, secret: false });
    walker.settings
}

struct Walker<'t> {
    settings: Vec<Setting<'t>>,
}

impl<'t> Walker<'t> {
    fn section(&mut self, section: &'static Section, node: Option<&'t Node>, path: &Path, traits: Traits) {
        let table = node.and_then(Node::as_table);
        let traits = Traits { restart: traits.restart || section.restart, ..traits };
        for field in section.fields {
            match field.shape {
                Shape::Table(inner) if field.flatten => self.section(inner, node, path, traits),
                _ => {
                    let restart = traits.restart || field.restart;
                    let traits = Traits { restart, secret: traits.secret || field.is_secret() };
                    let node = table.and_then(|table| table.get(field.name));
                    let setting = Setting { path: path.child(field.name), field, node, traits };
                    self.value(setting, field.shape);
                }
            }
        }
    }

    fn value(&mut self, setting: Setting<'t>, shape: Shape) {
        let Setting { field, node, traits, .. } = setting;
        let path = &setting.path;
        let absent_section = node.is_none() && !field.optional && field.default.is_none();
        match (shape_for(shape, node), node.map(Node::data)) {
            (Shape::Table(section), None) if absent_section => self.section(section, None, path, traits),
            (Shape::Table(section), Some(Data::Table(_))) => self.section(section, node, path, traits),
            (Shape::Map(_, value), Some(Data::Table(table))) => {
                for (key, _, node) in table.iter() {
                    self.value(Setting { path: path.child(key), field, node: Some(node), traits }, *value);
                }
            }
            (Shape::List(element), Some(Data::List(list))) if element.section().is_some() => {
                for (index, node) in list.iter().enumerate() {
                    self.value(
                        Setting { path: path.element(index), field, node: Some(node), traits },
                        *element,
                    );
                }
            }
            (Shape::Map(..), None) => {}
            _ => self.settings.push(setting),
        }
    }
}

/// The shape among alternatives that a value was read with.
fn shape_for(shape: Shape, node: Option<&Node>) -> Shape {
    let is_list = node.is_some_and(|node| node.as_list().is_some());
    match shape {
        Shape::OneOrMany(element) if is_list => Shape::List(element),
        Shape::OneOrMany(one) => shape_for(*one, node),
        Shape::Either(shapes) => match node.and_then(|node| shapes.iter().find(|shape| node.fits(shape))) {
            Some(shape) => shape_for(*shape, node),
            None => shape,
        },
        shape => shape,
    }
}
