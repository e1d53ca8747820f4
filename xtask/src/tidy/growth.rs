//! Prints files and functions that are long, and by how much they grew since the branch began.

use std::process::Command;

use super::measure::{self, Long};
use super::tree::File;
use crate::process;
use crate::workspace::Workspace;

/// Prints the list; its length is for the summary. Long things are a reason to think, not a failure.
pub(crate) fn print(workspace: &Workspace, files: &[File]) -> usize {
    let base = base(workspace);
    let mut number = 0;
    for file in files.iter().filter(|file| file.is_rust()) {
        for long in measure::long_ones(&file.text) {
            let name = long.function.as_deref().map_or(String::new(), |name| format!(" fn {name}"));
            let grown = growth(workspace, base.as_deref(), file, &long).unwrap_or_default();
            println!("long: {}:{}{name}: {} lines{grown}", file.path, long.line, long.lines);
            number += 1;
        }
    }
    number
}

/// Where the branch left the main line; on the main line itself, the commit before.
fn base(workspace: &Workspace) -> Option<String> {
    let head = git(workspace, &["rev-parse", "HEAD"])?;
    ["origin/main", "main"]
        .iter()
        .find_map(|main| git(workspace, &["merge-base", "HEAD", main]))
        .filter(|base| *base != head)
        .or_else(|| git(workspace, &["rev-parse", "HEAD~"]))
}

fn growth(workspace: &Workspace, base: Option<&str>, file: &File, long: &Long) -> Option<String> {
    let base = base?;
    let short = base.get(..8).unwrap_or(base);
    let Some(before) = git(workspace, &["show", &format!("{base}:{}", file.path)]) else {
        return Some(format!(", new since {short}"));
    };
    Some(match measure::length(&before, long.function.as_deref()) {
        None => format!(", new since {short}"),
        Some(before) if before == long.lines => String::new(),
        Some(before) => format!(", {before} at {short}"),
    })
}

/// Nothing when git is missing or this is not a repository: then there is nothing to compare with.
fn git(workspace: &Workspace, arguments: &[&str]) -> Option<String> {
    let output = process::ask(Command::new("git").current_dir(&workspace.root).args(arguments))?;
    Some(output.trim_end().to_owned())
}
