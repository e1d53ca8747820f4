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
    writeln!(out, "\n| setting | value | default | a change applies | meaning |\n|---|---|---|---|---|")?;
    for field in &chapter.settings {
        let applies = if chapter.restart || field.restart { "after a restart" } else { "live" };
        let (value, default, meaning) = (value(field), default(field), meaning(field));
        writeln!(out, "| `{}` | {value} | {default} | {applies} | {meaning} |", field.name)?;
    }
    Ok(())
}

/// What may be written, with its bounds.
fn value(field: &Field) -> String {
    let noun = match (field.what, field.shape) {
        (None, Shape::OneOf(choices)) => format!("one of {}", words(choices)),
        _ => cell(&field.noun()),
    };
    let unit = if matches!(field.shape, Shape::List(_)) { "elements" } else { "characters" };
    let bounds = [
        field.min.map(|min| format!("at least `{min}`")),
        field.max.map(|max| format!("at most `{max}`")),
        field.min_length.map(|length| format!("{unit}: at least {length}")),
        field.max_length.map(|length| format!("{unit}: at most {length}")),
        field.refers_to.map(|target| format!("of a `[{target}.NAME]`")),
    ];
    [Some(noun)].into_iter().chain(bounds).flatten().collect::<Vec<_>>().join(", ")
}

fn meaning(field: &Field) -> String {
    let deprecated = field.deprecated.map(|instead| format!(" Deprecated: {}.", cell(instead)));
    format!("{}{}", cell(field.doc), deprecated.unwrap_or_default())
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
