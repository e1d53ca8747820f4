//! The repository's own text files: what a person wrote and others will read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::stop::Stop;

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Rust that is compiled into a crate, and not only into its tests.
    pub(crate) fn is_module(&self) -> bool {
        self.is_rust() && (self.path.starts_with("src/") || self.path.contains("/src/"))
    }
}

/// Kinds of file that are read as text.
const TEXT: &[&str] =
    &["css", "html", "js", "json", "md", "py", "rs", "sh", "sql", "svg", "toml", "ts", "txt", "yaml", "yml"];
/// Written by programs (builds, fuzzers), not by us.
const NOT_OURS: &[&str] = &["target", "corpus", "artifacts", "node_modules"];
/// `.ci/run` and its like: ours, though hidden.
const HIDDEN_BUT_OURS: &[&str] = &[".ci", ".cargo"];

/// All of them, sorted by path.
pub(crate) fn files(root: &Path) -> Result<Vec<File>, Stop> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let cannot = |error| Stop::failed(format!("cannot read {}: {error}", directory.display()));
        for entry in fs::read_dir(&directory).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().map_err(cannot)?;
            if kind.is_dir() && is_ours(&name) {
                directories.push(path);
            } else if kind.is_file() && is_text(&path) {
                files.push(read(root, &path)?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_ours(directory: &str) -> bool {
    HIDDEN_BUT_OURS.contains(&directory) || !(directory.starts_with('.') || NOT_OURS.contains(&directory))
}

fn is_text(path: &Path) -> bool {
    match path.extension() {
        Some(extension) => TEXT.iter().any(|text| extension == *text),
        None => path.parent().and_then(Path::file_name).is_some_and(|name| name == ".ci"),
    }
}

fn read(root: &Path, path: &PathBuf) -> Result<File, Stop> {
    let bytes =
        fs::read(path).map_err(|error| Stop::failed(format!("cannot read {}: {error}", path.display())))?;
    // A test's data may be anything; what we look for is ASCII.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    Ok(File { path, text })
}
