//! The words of every message. Each `golden/NAME.toml` is loaded and what is printed must be `golden/NAME.txt`;
//! `UPDATE_GOLDEN=1 cargo test -p forebay-config` writes the latter anew.

use std::path::{Path, PathBuf};

use forebay_config::Place;

use crate::shop::load_text;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Compares with a golden file, or writes it.
#[track_caller]
pub(crate) fn check_golden(name: &str, actual: &str) {
    let path = Path::new(FOLDER).join(name);
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("golden folder is writable");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "{name} differs\n--- expected\n{expected}\n--- actual\n{actual}");
}

fn inputs() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).expect("golden folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

#[test]
fn messages_are_worded_as_agreed() {
    for path in inputs() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let printed = match load_text(&text) {
            Ok(loaded) if loaded.warnings.is_empty() => "valid\n".to_owned(),
            Ok(loaded) => format!("{}\n{}\n", loaded.warnings, loaded.warnings.summary()),
            Err(diagnostics) => format!("{diagnostics}\n{}\n", diagnostics.summary()),
        };
        let name = path.with_extension("txt");
        check_golden(name.file_name().and_then(|name| name.to_str()).expect("a name"), &printed);
    }
}

#[test]
fn messages_are_also_json() {
    let diagnostics = load_text("gateway.timeout = 15").expect_err("a mistake");
    let expected = serde_json::json!([{
        "severity": "error",
        "message": "`timeout` is a duration, and 15 is an integer",
        "notes": [],
        "help": ["write \"15s\""],
        "file": "forebay.toml",
        "line": 1,
        "column": 19,
    }]);
    assert_eq!(diagnostics.to_json(), expected);
}

#[test]
fn eight_mistakes_are_eight_messages_each_at_its_place() {
    let text = std::fs::read_to_string(format!("{FOLDER}/eight_mistakes.toml")).expect("readable");
    let diagnostics = load_text(&text).expect_err("eight mistakes");
    let places: Vec<_> = diagnostics
        .iter()
        .map(|one| match diagnostics.place(one) {
            Some(Place::File { line, column, .. }) => (line, column),
            other => panic!("not in the file: {other:?}"),
        })
        .collect();
    let expected = [
        (3, 11),  // bad duration
        (4, 1),   // unknown key
        (7, 1),   // missing required key
        (8, 11),  // unknown word
        (9, 22),  // out of bounds
        (9, 35),  // wrong type
        (16, 11), // dangling reference
        (17, 1),  // set twice
    ];
    assert_eq!(places, expected, "{diagnostics}");
}
