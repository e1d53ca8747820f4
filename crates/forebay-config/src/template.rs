//! The commented template that `forebay init` writes: every setting with its meaning and its default. Loads
//! as it is, since all of it is commented out: `#key` is a setting, `# text` is a comment.

use std::fmt::Write;

use crate::outline::{Names, outline};
use crate::section::Settings;

/// A file in which every setting can be found, understood and uncommented.
pub fn template<T: Settings>() -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, const { &T::SECTION });
    out
}

fn write(out: &mut String, section: &'static crate::Section) -> std::fmt::Result {
    for chapter in outline(section, Names::Example) {
        if !out.is_empty() {
            writeln!(out)?;
        }
        comment(out, chapter.doc)?;
        if !chapter.heading.is_empty() {
            writeln!(out, "#{}", chapter.heading)?;
        }
        for field in chapter.settings.into_iter().filter(|field| field.deprecated.is_none()) {
            writeln!(out)?;
            comment(out, field.doc)?;
            let required = if field.is_required() { "  # required" } else { "" };
            writeln!(out, "#{} = {}{required}", field.name, field.example())?;
        }
    }
    Ok(())
}

fn comment(out: &mut String, doc: &str) -> std::fmt::Result {
    doc.lines().try_for_each(|line| writeln!(out, "{}", format!("# {line}").trim_end()))
}
