//! Rust source without its comments and literals, so that a word found in it is a word of the language.
//! Not a parser: it relies on the code being formatted by rustfmt, which the format check makes sure of.

/// The source with comments, strings and characters blanked; lines and columns of the rest stay in place.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match literal(rest, ends_in_word(&code)) {
            Some(length) => {
                code.extend(rest[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
                length
            }
            None => {
                code.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    code
}

/// The code up to its unit tests, which by our order of things end the file.
pub(crate) fn before_tests(source: &str) -> &str {
    source.find("\n#[cfg(test)]\nmod tests").map_or(source, |end| &source[..end + 1])
}

/// Whether an `r` that comes next belongs to a word, rather than beginning a raw string: `r""`, `br""`, `cr""`.
fn ends_in_word(code: &str) -> bool {
    let word = code.rsplit(|char: char| char != '_' && !char.is_alphanumeric()).next().unwrap_or(code);
    !["", "b", "c"].contains(&word)
}

/// The length of the comment or literal that the text begins with.
fn literal(text: &str, in_word: bool) -> Option<usize> {
    let until =
        |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    match text.as_bytes() {
        [b'/', b'/', ..] => Some(text.find('\n').unwrap_or(text.len())),
        [b'/', b'*', ..] => Some(block_comment(text)),
        [b'"', ..] => Some(quoted(text, b'"')),
        [b'r', b'"', ..] if !in_word => Some(until("\"", 2)),
        [b'r', b'#', ..] if !in_word => {
            let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
            // Otherwise a raw identifier such as `r#type`.
            text[1 + hashes..]
                .starts_with('"')
                .then(|| until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes))
        }
        [b'\'', b'\\', ..] => Some(quoted(text, b'\'')),
        [b'\'', ..] => {
            // A character is closed right after it; a lifetime is not.
            let character = text[1..].chars().next()?;
            text[1 + character.len_utf8()..].starts_with('\'').then(|| character.len_utf8() + 2)
        }
        _ => None,
    }
}

fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < text.len() {
        match &text.as_bytes()[at..] {
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(code_only(source), expected);
    }

    #[test]
    fn comments_and_literals_become_blanks() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x \" y", b)"#, "f(        , b)");
        check("f(r#\"x \" y\"#)", "f(          )");
        check(r#"f(br"\", "a", r"\")"#, r#"f(b    ,    ,     )"#);
        check("('\\'', 'é', b'x')", "(    ,    , b   )");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        check("fn f<'a>(r#type: &'a str)", "fn f<'a>(r#type: &'a str)");
    }

    #[test]
    fn unfinished_literals_end_with_the_file() {
        check("a \"b", "a   ");
        check("a /* b", "a     ");
        check("a \"\\", "a   ");
    }
}
