//! How long a file is before its tests, and how long each of its functions is.

use super::source::{before_tests, code_only};

/// Past this a file is usually two ideas in one room.
const FILE_LINES_MAX: usize = 400;
/// Past this a function is usually two.
const FUNCTION_LINES_MAX: usize = 60;

/// A thing that is longer than it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Long {
    /// The function's name; none for the file itself.
    pub(crate) function: Option<String>,
    /// Where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// What is too long in this file.
pub(crate) fn long_ones(source: &str) -> Vec<Long> {
    let code = before_tests(source);
    let lines = code.lines().count();
    let file = (lines > FILE_LINES_MAX).then_some(Long { function: None, line: 1, lines });
    let functions = functions(code).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    file.into_iter().chain(functions).collect()
}

/// How long that file or function is in another version of the file.
pub(crate) fn length(source: &str, function: Option<&str>) -> Option<usize> {
    let code = before_tests(source);
    match function {
        None => Some(code.lines().count()),
        Some(name) => functions(code)
            .into_iter()
            .find(|found| found.function.as_deref() == Some(name))
            .map(|found| found.lines),
    }
}

/// Every function. Formatted code ends it, by a brace or a semicolon, at the indentation that it began with.
fn functions(source: &str) -> Vec<Long> {
    let code = code_only(source);
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = line.len() - line.trim_start().len();
        let is_end = |line: &&str| {
            let (before, rest) = line.split_at_checked(indentation).unwrap_or((line, ""));
            let ends = rest.starts_with('}') || rest.trim_end().ends_with(';');
            before.trim().is_empty() && !rest.starts_with(' ') && ends
        };
        let rest = if line.trim_end().ends_with([';', '}']) { &[] } else { &lines[start + 1..] };
        let length = rest.iter().position(is_end).map_or(1, |end| end + 2);
        found.push(Long { function: Some(name.to_owned()), line: start + 1, lines: length });
    }
    found
}

/// The name, if the line begins a function item.
fn function_name(line: &str) -> Option<&str> {
    let at = line.find("fn ")?;
    let is_item = line[..at].split_whitespace().all(|word| {
        word.starts_with("pub") || ["async", "const", "unsafe", "extern", "in", "default"].contains(&word)
    });
    let name = line[at + 3..].split(|char: char| char != '_' && !char.is_alphanumeric()).next()?;
    (is_item && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[(&str, usize)]) {
        let found = functions(source);
        let found: Vec<(&str, usize)> =
            found.iter().filter_map(|long| Some((long.function.as_deref()?, long.lines))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_function_ends_where_its_indentation_closes() {
        check("fn a() {\n    b();\n}\n\nfn c() {}\n", &[("a", 3), ("c", 1)]);
        check("impl X {\n    pub(crate) async fn a(&self) {\n        {\n        }\n    }\n}\n", &[("a", 4)]);
        check("trait X {\n    fn a(\n        b: u8,\n    );\n    fn c();\n}\n", &[("a", 3), ("c", 1)]);
    }

    #[test]
    fn words_in_comments_and_types_begin_no_function() {
        check("// fn a() {\ntype F = fn (u8);\n", &[]);
    }

    #[test]
    fn tests_do_not_count() {
        let code = "fn a() {}\n".repeat(FILE_LINES_MAX);
        let tests = "#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(long_ones(&format!("{code}{tests}")), []);
        assert_eq!(long_ones(&format!("{code}fn b() {{}}\n{tests}")).len(), 1);
    }
}
