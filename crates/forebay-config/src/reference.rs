//! The reference page in Markdown: a chapter for each section, a row for each setting.

use std::fmt::Write;

use crate::outline::{Chapter, Names, outline};
use crate::section::Settings;
use crate::shape::{Choice, Field, Shape};

/// The reference of every setting, as Markdown.
pub fn reference<T: Settings>() -> String {
    let mut out = String::new();
    for chapter in outline(const { &T::SECTION }, Names::Placeholder) {
        // Writing to a String cannot fail.
        let _ = write_chapter(&mut out, &chapter);
    }
    out
}

fn write_chapter(out: &mut String, chapter: &Chapter) -> std::fmt::Result {
    if !chapter.heading.is_empty() {
        writeln!(out, "\n## `{}`\n", chapter.heading)?;
    }
    writeln!(out, "{}", chapter.doc)?;
    if chapter.settings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| setting | what | default | a change applies |\n|---|---|---|---|")?;
    for field in &chapter.settings {
        let applies = if chapter.restart || field.restart { "after a restart" } else { "live" };
        writeln!(out, "| `{}` | {} | {} | {applies} |", field.name, meaning(field), default(field))?;
    }
    Ok(())
}

fn meaning(field: &Field) -> String {
    let mut sentences = vec![cell(field.doc)];
    match field.shape {
        Shape::OneOf(choices) => sentences.push(format!("One of {}.", words(choices))),
        _ => sentences.push(format!("Write {}.", cell(&field.noun()))),
    }
    let bound = |word: &str, bound: Option<String>| bound.map(|bound| format!("At {word} `{bound}`."));
    sentences.extend(bound("least", field.min.map(str::to_owned)));
    sentences.extend(bound("most", field.max.map(str::to_owned)));
    sentences.extend(field.min_length.map(|length| format!("At least {length} long.")));
    sentences.extend(field.max_length.map(|length| format!("At most {length} long.")));
    sentences.extend(field.refers_to.map(|target| format!("Names a `[{target}.NAME]`.")));
    sentences.extend(field.deprecated.map(|instead| format!("Deprecated: {}.", cell(instead))));
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

fn words(choices: &[Choice]) -> String {
    let word = |choice: &Choice| match choice.doc {
        "" => format!("`{}`", choice.name),
        doc => format!("`{}` ({})", choice.name, cell(doc).trim_end_matches('.')),
    };
    choices.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn default(field: &Field) -> String {
    match field.default {
        Some(default) => format!("`{}`", cell(default)),
        None if field.is_required() => "required".to_owned(),
        None => "not set".to_owned(),
    }
}

/// Text as a table's cell can hold it.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
