//! Reads field lines from bytes that arrive in pieces, and says what is wrong with one (RFC 9112 §5). The start line is
//! left to the parser of requests or responses.

use crate::fields::trim;
use crate::name::Name;
use crate::parse::{HeadLimits, Malformed};
use crate::section::{Section, Span};

/// Splits fields out of arriving bytes; the start line, where there is one, is left to its caller.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Start of the line under way.
    line: usize,
    /// Everything before this was searched for a line feed.
    searched: usize,
}

impl Lines {
    /// The next whole line without its CR LF, or `None` until more bytes arrive.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
        let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) else {
            let unfinished = &bytes[self.searched..];
            let unfinished = unfinished.strip_suffix(b"\r").unwrap_or(unfinished);
            // Said at once rather than when the head times out: nothing that follows can mend it.
            if has_control(unfinished) {
                return Err(Malformed::ControlByte);
            }
            self.searched += unfinished.len();
            return Ok(None);
        };
        let line_feed = self.searched + found;
        if line_feed == self.line || bytes[line_feed - 1] != b'\r' {
            return Err(Malformed::BareLineFeed);
        }
        let line = (self.line, line_feed - 1);
        self.line = line_feed + 1;
        self.searched = self.line;
        Ok(Some(line))
    }

    /// Reads the empty line that ends a section, if it comes next.
    fn is_empty_line(&mut self, bytes: &[u8]) -> bool {
        let is_empty = self.searched == self.line && bytes[self.line..].starts_with(b"\r\n");
        if is_empty {
            self.line += 2;
            self.searched = self.line;
        }
        is_empty
    }

    /// The next line, when it is whole and as nearly all are: a name, a colon, one space, and a value with no white
    /// space around it. Looks at each byte once. Everything else, errors included, is left to [`Lines::next`].
    fn usual(&mut self, bytes: &[u8]) -> Option<Usual> {
        if self.searched > self.line {
            return None;
        }
        let line = &bytes[self.line..];
        let name_len = token_len(line);
        let (b": ", value) = line[name_len..].split_first_chunk()? else { return None };
        let value_len = printable_len(value);
        let (text, (b"\r\n", _)) = (&value[..value_len], value[value_len..].split_first_chunk()?) else {
            return None;
        };
        let is_trimmed = text.first() > Some(&b' ') && text.last() > Some(&b' ');
        if name_len == 0 || !is_trimmed {
            return None;
        }
        let value_start = self.line + name_len + 2;
        let name = Span::received(self.line, self.line + name_len);
        let value = Span::received(value_start, value_start + value_len);
        self.line = value_start + value_len + 2;
        self.searched = self.line;
        Some(Usual { name, value, known: Name::of(&line[..name_len]) })
    }
}

/// A field line as nearly all are.
struct Usual {
    name: Span,
    value: Span,
    known: Name,
}

/// Reads field lines up to the empty line.
#[derive(Debug)]
pub(crate) struct FieldReader {
    pub(crate) lines: Lines,
    pub(crate) section: Section,
    count: usize,
}

impl FieldReader {
    pub(crate) fn new() -> FieldReader {
        FieldReader { lines: Lines::default(), section: Section::new(), count: 0 }
    }

    /// True once the empty line was read.
    fn advance(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<bool, Malformed> {
        loop {
            if self.lines.is_empty_line(bytes) {
                return Ok(true);
            }
            if let Some(usual) = self.lines.usual(bytes) {
                self.count(limits)?;
                self.section.push_received(usual.name, usual.value, usual.known);
                continue;
            }
            let Some((start, end)) = self.lines.next(bytes)? else { return Ok(false) };
            if start == end {
                return Ok(true);
            }
            self.count(limits)?;
            self.field(bytes, start, end)?;
        }
    }

    fn count(&mut self, limits: &HeadLimits) -> Result<(), Malformed> {
        self.count += 1;
        if self.count > limits.fields_max { Err(Malformed::HeadTooLarge) } else { Ok(()) }
    }

    /// The length of the whole section, start line included, once the empty line was read.
    pub(crate) fn advance_within(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<usize>, Malformed> {
        let whole = self.advance(bytes, limits)?;
        let length = if whole { self.lines.line } else { bytes.len() };
        if length > limits.bytes_max {
            return Err(Malformed::HeadTooLarge);
        }
        Ok(whole.then_some(length))
    }

    fn field(&mut self, bytes: &[u8], start: usize, end: usize) -> Result<(), Malformed> {
        let line = &bytes[start..end];
        let name_len = token_len(line);
        if name_len == 0 || line.get(name_len) != Some(&b':') {
            return Err(why_no_name(line, name_len));
        }
        let rest = &line[name_len + 1..];
        let leading = leading_space(rest);
        let value = trim_end(&rest[leading..]);
        if has_control(value) {
            return Err(Malformed::ControlByte);
        }
        let value_start = start + name_len + 1 + leading;
        let name = Span::received(start, start + name_len);
        let value = Span::received(value_start, value_start + value.len());
        self.section.push_received(name, value, Name::of(&line[..name_len]));
        Ok(())
    }
}

/// Says what is wrong with a line that does not begin with a name and a colon.
fn why_no_name(line: &[u8], name_len: usize) -> Malformed {
    match line.get(name_len) {
        None => Malformed::FieldName,
        Some(b' ' | b'\t') if name_len == 0 => Malformed::Folded,
        Some(b' ' | b'\t') if trim(&line[name_len..]).starts_with(b":") => Malformed::SpaceBeforeColon,
        Some(&byte) if is_control(byte) => Malformed::ControlByte,
        Some(_) => Malformed::FieldName,
    }
}

/// Length of the token that the bytes begin with.
fn token_len(bytes: &[u8]) -> usize {
    let mut length = 0;
    while length < bytes.len() && is_token(bytes[length]) {
        length += 1;
    }
    length
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn leading_space(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte != b' ' && byte != b'\t').unwrap_or(bytes.len())
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Without an early exit, so that the compiler looks at many bytes at a time.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    let mut found = 0;
    for &byte in bytes {
        found |= u8::from((byte < b' ') & (byte != b'\t')) | u8::from(byte == 0x7f);
    }
    found != 0
}

/// Number of bytes before the first control byte, tabs included; eight at a time.
fn printable_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let controls = control_bits(u64::from_le_bytes(*word));
        if controls != 0 {
            return at * 8 + controls.trailing_zeros() as usize / 8;
        }
    }
    let is_printable = |&byte: &u8| byte >= b' ' && byte != 0x7f;
    words.len() * 8 + rest.iter().position(|byte| !is_printable(byte)).unwrap_or(rest.len())
}

/// Has the high bit set in the lowest byte that is below 0x20 or is 0x7f; bits above that one may be wrong, because
/// subtraction borrows upwards.
const fn control_bits(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xff;
    let below_space = word.wrapping_sub(EACH * 0x20) & !word;
    let del = word ^ (EACH * 0x7f);
    let is_del = del.wrapping_sub(EACH) & !del;
    (below_space | is_del) & (EACH * 0x80)
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let symbol = matches!(
            byte as u8,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        table[byte] = symbol || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;

    #[test]
    fn control_bytes_are_found_wherever_they_stand() {
        for control in (0..b' ').chain([0x7f]) {
            for at in 0..20 {
                let mut text = *b"some \x80\xfftext ~ of 21 !";
                text[at] = control;
                // Another one behind it must not hide the first.
                text[text.len() - 1] = 0;
                assert_eq!(printable_len(&text), at, "{control}");
            }
        }
        assert_eq!(printable_len(b" ~\x80\xff12345678"), 12);
    }

    #[test]
    fn usual_lines_are_read_like_all_others() {
        let limits = HeadLimits::default();
        for line in
            ["Host: a", "x: 1 2", "x: \u{e9}", "content-type: text/html", "x: y\tz", "x:y", "x:  y", "x: y "]
        {
            let text = format!("{line}\r\n\r\n");
            let (mut whole, mut bytewise) = (FieldReader::new(), FieldReader::new());
            assert_eq!(whole.advance(text.as_bytes(), &limits), Ok(true), "{line}");
            for end in 0..text.len() {
                assert_eq!(bytewise.advance(&text.as_bytes()[..end], &limits), Ok(false), "{line}");
            }
            assert_eq!(bytewise.advance(text.as_bytes(), &limits), Ok(true), "{line}");
            let read = |mut reader: FieldReader| {
                let mut buffer = Buffer::take();
                buffer.push(text.as_bytes());
                reader.section.adopt(buffer);
                format!("{:?}", reader.section.iter().collect::<Vec<_>>())
            };
            assert_eq!(read(whole), read(bytewise), "{line}");
        }
    }
}
