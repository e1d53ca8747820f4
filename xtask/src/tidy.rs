//! `cargo xtask tidy`: prints what has grown, checks what must hold of the code without running it.

mod architecture;
mod arrows;
mod growth;
mod measure;
mod source;
mod tree;
mod words;

use crate::finding::{self, Finding};
use crate::stop::{Stop, no_more};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: lexopt::Parser) -> Result<(), Stop> {
    no_more(arguments)?;
    let summary = check(workspace)?;
    println!("{summary}");
    Ok(())
}

/// Prints the long ones, then fails if a check does; otherwise one line that says what was looked at.
pub(crate) fn check(workspace: &Workspace) -> Result<String, Stop> {
    let files = tree::files(&workspace.root)?;
    let long = growth::print(workspace, &files);
    let findings: Vec<Finding> = [
        arrows::check(&workspace.packages),
        architecture::check(workspace)?,
        files.iter().flat_map(words::check).collect(),
    ]
    .into_iter()
    .flatten()
    .collect();
    finding::conclude("tidy", &findings)?;
    Ok(format!("{} files, {} crates, {long} long ones", files.len(), workspace.packages.len()))
}
