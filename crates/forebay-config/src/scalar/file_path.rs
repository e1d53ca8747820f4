//! Paths of files and folders, relative to the file that names them, so that a configuration can be moved
//! together with what it names. Nothing is opened here.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;

/// A path, resolved against the folder of the file it was written in. From a variable, an argument or a
/// default it is relative to the working directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// A path from elsewhere, taken as it is.
    pub fn new(path: impl Into<PathBuf>) -> FilePath {
        FilePath(path.into())
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Value for FilePath {
    const SHAPE: Shape = Shape::text("a path", "\"folder/file\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let folder = reader.folder(node).to_owned();
        reader.text(node, &Self::SHAPE, |text| match text {
            "" => Err(Problem::new("is empty")),
            text if text.contains('\0') => Err(Problem::new("has a NUL character in it")),
            text => Ok(FilePath(folder.join(text))),
        })
    }
}
