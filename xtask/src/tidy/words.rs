//! Checks that need no more than reading a file: first lines, unsafe code, unfinished work.

use super::source::code_only;
use super::tree::File;
use crate::finding::Finding;

/// Where `unsafe` may stand, and what for. STYLE: socket handover, process control, the faulty file system and
/// the counting allocator of tests, and the codec where a benchmark proves the need.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[(
    "crates/forebay-balance/tests/it/allocation.rs",
    "the counting allocator that shows picks allocate nothing",
)];
/// How far above `unsafe` its reason may stand.
const SAFETY_LINES_MAX: usize = 5;
/// Words for work that is left undone. In two halves, so that this file does not hold them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = unfinished(file);
    if file.is_module() && !file.text.starts_with("//! ") {
        findings.push(Finding {
            place: format!("{}:1", file.path),
            what: "the file does not open with a `//!` line".into(),
            why: "a reader wants to know first what a file decides and what it refuses",
            help: "say it in one or two lines at the top",
        });
    }
    if file.is_rust() {
        findings.extend(unsafe_code(file, UNSAFE_ALLOWED));
    }
    findings
}

fn unfinished(file: &File) -> Vec<Finding> {
    let marked = |line: &str| UNFINISHED.iter().any(|word| has_word(line, word));
    let lines = file.text.lines().enumerate().filter(|(_, line)| marked(line));
    lines
        .map(|(index, _)| Finding {
            place: format!("{}:{}", file.path, index + 1),
            what: "a mark for work that is left undone".into(),
            why: "marks in the code are forgotten; the list of issues is not",
            help: "do it, or open an issue and take the mark out",
        })
        .collect()
}

fn unsafe_code(file: &File, allowed: &[(&str, &str)]) -> Vec<Finding> {
    let code = code_only(&file.text);
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (index, _) in code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
        let place = format!("{}:{}", file.path, index + 1);
        let above = &lines[index.saturating_sub(SAFETY_LINES_MAX)..=index];
        if !allowed.iter().any(|(path, _)| *path == file.path) {
            findings.push(Finding {
                place,
                what: "`unsafe` in a file that may have none".into(),
                why: "what the compiler does not check is kept to a few small files that people do check",
                help: "write it without, or argue for the file in UNSAFE_ALLOWED of xtask/src/tidy/words.rs",
            });
        } else if !above.iter().any(|line| line.contains("SAFETY:")) {
            findings.push(Finding {
                place,
                what: "`unsafe` without a reason".into(),
                why: "a reader must be able to check what makes it sound",
                help: "write `// SAFETY: …` right above",
            });
        }
    }
    findings
}

/// Whether the word stands in the line by itself, not as a part of another.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |char: Option<char>| char.is_some_and(|char| char == '_' || char.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[track_caller]
    fn check_unsafe(text: &str, allowed: &[(&str, &str)], expected: &[&str]) {
        let findings = unsafe_code(&file("a.rs", text), allowed);
        let found: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn unsafe_needs_an_allowed_file_and_a_reason() {
        let allowed = &[("a.rs", "a test")];
        check_unsafe("unsafe { f() }", &[], &["`unsafe` in a file that may have none"]);
        check_unsafe("unsafe { f() }", allowed, &["`unsafe` without a reason"]);
        check_unsafe("// SAFETY: f has no rules.\nunsafe { f() }", allowed, &[]);
        check_unsafe("// unsafe\n#![forbid(unsafe_code)]\nlet a = \"unsafe\";", &[], &[]);
    }

    #[test]
    fn marks_count_as_whole_words_only() {
        let mark = UNFINISHED[0];
        assert_eq!(unfinished(&file("a.md", &format!("{mark}: later"))).len(), 1);
        assert_eq!(unfinished(&file("a.md", &format!("MY{mark}S {mark}_LIST"))), []);
    }

    #[test]
    fn modules_open_with_what_they_decide() {
        assert_eq!(check(&file("crates/a/src/lib.rs", "//! Decides.\n")), []);
        assert_eq!(check(&file("crates/a/src/lib.rs", "use b;\n")).len(), 1);
        assert_eq!(check(&file("crates/a/tests/it.rs", "use b;\n")), []);
    }
}
