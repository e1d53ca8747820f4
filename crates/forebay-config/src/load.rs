//! From inputs to a checked value, or to everything that is wrong with them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aftermath::after_syntax_errors;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::effective::{self, Change, Effective};
use crate::explain::{self, Explanation, UnknownKey};
use crate::files::{Files, NoFiles};
use crate::gather::{Gatherer, empty};
use crate::interpolate::interpolate;
use crate::node::Node;
use crate::overrides::Overrides;
use crate::place::{Origin, Place, Sources};
use crate::reader::{Reader, Reference};
use crate::section::{Settings, read_section};
use crate::shape::{Section, list_names};
use crate::suggest;

/// What a configuration is made of. Nothing else is read: no process environment, and files only through
/// `files`.
#[derive(Clone)]
pub struct Inputs<'a> {
    /// The main file; none loads from defaults, environment and arguments.
    pub file: Option<PathBuf>,
    /// `production` lays `forebay.production.toml` over `forebay.toml`. It must exist: a typing error here
    /// would otherwise start a laptop's configuration in production.
    pub overlay: Option<String>,
    /// The whole process environment, for settings and for `${VAR}`.
    pub environment: Vec<(String, String)>,
    /// The `key=value` arguments of `--set`, the last the strongest.
    pub set: Vec<String>,
    /// Variables that begin with `FOREBAY_` and are no settings.
    pub foreign: &'a [&'a str],
    /// Reads files.
    pub files: &'a dyn Files,
}

impl Default for Inputs<'_> {
    /// Defaults only.
    fn default() -> Self {
        Inputs {
            file: None,
            overlay: None,
            environment: Vec::new(),
            set: Vec::new(),
            foreign: &[],
            files: &NoFiles,
        }
    }
}

/// A valid configuration with the memory of where everything came from.
#[derive(Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// What works but should be changed.
    pub warnings: Diagnostics,
    settled: Settled,
}

/// What remains of the inputs once merged.
#[derive(Clone)]
struct Settled {
    section: &'static Section,
    root: Node,
    sources: Arc<Sources>,
    files: Vec<PathBuf>,
}

/// Loads a configuration: files, overlay, environment and arguments, each over the former.
///
/// # Errors
/// Everything that is wrong, in all files at once.
pub fn load<T: Settings>(inputs: Inputs<'_>) -> Result<Loaded<T>, Diagnostics> {
    let section: &'static Section = const { &T::SECTION };
    let mut sources = Sources::new();
    let mut merged = merge_layers(section, &inputs, &mut sources);
    let mut reader = Reader::new(&mut sources, section, merged.incomplete);
    let value = read_section::<T>(&merged.root, &mut reader);
    check_references(&mut reader, &merged.root);
    merged.found.append(&mut reader.found);

    after_syntax_errors(&mut merged.found, section, &sources);
    let failed = merged.found.iter().any(|one| one.severity == Severity::Error);
    let sources = Arc::new(sources);
    match value.filter(|_| !failed) {
        Some(value) => Ok(Loaded {
            value,
            warnings: Diagnostics::new(merged.found, sources.clone(), merged.files.clone()),
            settled: Settled { section, root: merged.root, sources, files: merged.files },
        }),
        None => {
            if !failed {
                let message = "a setting was refused without a reason; this is a bug of its type";
                merged.found.push(Diagnostic::new(Severity::Error, None, message));
            }
            Err(Diagnostics::new(merged.found, sources, merged.files))
        }
    }
}

/// The value alone: the memory holds the texts of the files, secrets included.
impl<T: fmt::Debug> fmt::Debug for Loaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("value", &self.value).finish_non_exhaustive()
    }
}

impl<T> Loaded<T> {
    /// Which layer won and which lost: for one setting, or for each of a section.
    ///
    /// # Errors
    /// When the key names neither.
    pub fn explain(&self, key: &str) -> Result<Vec<Explanation>, UnknownKey> {
        explain::explain(self.settled.section, &self.settled.root, &self.settled.sources, key)
    }

    /// Every setting as it stands, with its place, secrets hidden.
    pub fn effective_redacted(&self) -> Effective {
        effective::effective(self.settled.section, &self.settled.root, &self.settled.sources)
    }

    /// What differs in a later configuration, and whether it needs a restart.
    pub fn changes(&self, later: &Loaded<T>) -> Vec<Change> {
        effective::changes(self.settled.section, &self.settled.root, &later.settled.root)
    }

    /// The keys whose change in a later configuration takes effect only after a restart.
    pub fn restart_needed(&self, later: &Loaded<T>) -> Vec<String> {
        self.changes(later).into_iter().filter(|change| change.restart).map(|change| change.key).collect()
    }

    /// Every file that was read, files of secrets included, for watching.
    pub fn files(&self) -> &[PathBuf] {
        &self.settled.files
    }

    /// What a later stage finds wrong, told like what was found here: where, what, and what to do.
    pub fn found_later(
        &self,
        found: impl IntoIterator<Item = (Option<Origin>, String, String)>,
    ) -> Diagnostics {
        let diagnostic = |(origin, what, help): (Option<Origin>, String, String)| {
            Diagnostic::new(Severity::Error, origin, what).with_help(help)
        };
        let found = found.into_iter().map(diagnostic).collect();
        Diagnostics::new(found, self.settled.sources.clone(), self.settled.files.clone())
    }

    /// Where a [`crate::Spanned`] value was written, for messages of later stages.
    pub fn place(&self, origin: Origin) -> Place {
        self.settled.sources.place(origin)
    }
}

struct Merged {
    root: Node,
    found: Vec<Diagnostic>,
    incomplete: bool,
    files: Vec<PathBuf>,
}

fn merge_layers(section: &'static Section, inputs: &Inputs<'_>, sources: &mut Sources) -> Merged {
    let mut gatherer =
        Gatherer { files: inputs.files, sources, found: Vec::new(), incomplete: false, opened: Vec::new() };
    let mut root = inputs.file.as_deref().map_or_else(empty, |path| gatherer.main(path));
    if let Some(overlay) = &inputs.overlay {
        let main = inputs.file.as_deref().unwrap_or(Path::new("forebay.toml"));
        gatherer.overlay(main, overlay, &mut root);
    }
    let Gatherer { mut found, incomplete, opened: mut files, .. } = gatherer;

    let mut overrides =
        Overrides { section, root: &mut root, sources, found: &mut found, opened: &mut files };
    overrides.environment(&inputs.environment, inputs.foreign, inputs.files);
    for argument in &inputs.set {
        overrides.argument(argument);
    }
    found.extend(interpolate(&mut root, &inputs.environment, sources));
    Merged { root, found, incomplete, files }
}

/// Every name must exist in the table it refers to.
fn check_references(reader: &mut Reader<'_>, root: &Node) {
    for Reference { key, why, target, name, origin } in std::mem::take(&mut reader.references) {
        let table = root.as_table().and_then(|root| root.get(target)).and_then(Node::as_table);
        let known: Vec<&str> =
            table.map(|table| table.iter().map(|(key, ..)| key).collect()).unwrap_or_default();
        if known.contains(&name.as_str()) || reader.incomplete {
            continue;
        }
        let help = match suggest::nearest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("add a section [{target}.{name}]"),
            None => format!("add a section [{target}.{name}], or use {}", list_names(known)),
        };
        let message = format!("`{key}` names \"{name}\", and there is no [{target}.{name}]");
        let why = why.unwrap_or("names are checked at the start so that no request has to find out");
        reader.error(origin, message).note(why).help(help);
    }
}
