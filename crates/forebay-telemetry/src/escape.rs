//! Untrusted bytes as JSON strings and as text for a terminal. A log line stays one line, whatever is in it.

use std::io::Write;

/// Appends `bytes` as a JSON string (RFC 8259 §7), quotes included. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn json_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escape(out, chunk.valid(), |out, character| match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            // All characters that deceive are in the basic plane, so four digits do.
            deceiving => put(out, format_args!("\\u{:04x}", u32::from(deceiving))),
        });
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Appends `bytes` for people: as they are when that is plain, in quotes when they are empty or hold a space,
/// a quote or `=`. What a terminal would act on, and what is not UTF-8, is written as an escape.
pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let quoted = bytes.is_empty() || bytes.iter().any(|byte| matches!(byte, b' ' | b'"' | b'='));
    if quoted {
        out.push(b'"');
    }
    message(out, bytes);
    if quoted {
        out.push(b'"');
    }
}

/// Appends a sentence for people: as [`text`], but never quoted.
pub(crate) fn message(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escape(out, chunk.valid(), |out, character| match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            deceiving => put(out, format_args!("\\u{{{:x}}}", u32::from(deceiving))),
        });
        for byte in chunk.invalid() {
            put(out, format_args!("\\x{byte:02x}"));
        }
    }
}

/// Appends what is plain and hands every other character to `special`.
fn escape(out: &mut Vec<u8>, text: &str, special: impl Fn(&mut Vec<u8>, char)) {
    let mut rest = text;
    while let Some(at) = rest.find(|character| matches!(character, '"' | '\\') || deceives(character)) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut characters = rest[at..].chars();
        if let Some(character) = characters.next() {
            special(out, character);
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Characters that make a terminal or a viewer show something else than what is there: controls (C0, DEL,
/// C1), line and paragraph separators, and the marks that reverse the direction of writing (Unicode UTS #55).
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends formatted text; unlike `write!`, with nothing to handle, because memory cannot fail.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        let check = |bytes: &[u8], expected| assert_eq!(written(text, bytes), expected);
        check(b"/orders/7", "/orders/7");
        check("/bücher".as_bytes(), "/bücher");
        check(b"", r#""""#);
        check(b"a b", r#""a b""#);
        check(b"k=v", r#""k=v""#);
        check(b"say \"hi\" \\", r#""say \"hi\" \\""#);
        check(b"\x1b[2J\r\n\x7f", r"\u{1b}[2J\u{d}\n\u{7f}");
        check("\u{9b}31m\u{202e}\u{2028}".as_bytes(), r"\u{9b}31m\u{202e}\u{2028}");
        check(b"\xff/\xc3", r"\xff/\xc3");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_json_string_that_reads_back(bytes: Vec<u8>) {
            let json = written(json_string, &bytes);
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
            prop_assert!(!json.chars().any(deceives));
        }

        #[test]
        fn any_characters_are_a_json_string_that_reads_back(characters in ".*") {
            let read: String = serde_json::from_str(&written(json_string, characters.as_bytes())).unwrap();
            prop_assert_eq!(read, characters);
        }

        #[test]
        fn no_control_character_reaches_a_terminal(bytes: Vec<u8>) {
            prop_assert!(!written(text, &bytes).chars().any(deceives));
            prop_assert!(!written(message, &bytes).chars().any(deceives));
        }
    }
}
