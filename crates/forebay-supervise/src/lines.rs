//! Cuts what a child writes into lines. Reads nothing itself.

use std::borrow::Cow;

/// A longer line is cut here: lines are for people, and one without end must not fill the memory.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes in what was read and calls `each` with every line that it completes, without its line end.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            self.finish(&mut each);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// No more will come: what has begun is a line.
    pub(crate) fn end(&mut self, mut each: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            self.finish(&mut each);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish(&mut self, each: &mut impl FnMut(&str)) {
        let line = self.begun.strip_suffix(b"\r").unwrap_or(&self.begun);
        let text: Cow<'_, str> = String::from_utf8_lossy(line);
        each(&text);
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        pieces.iter().for_each(|piece| lines.push(piece, |line| seen.push(line.to_owned())));
        lines.end(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let whole = lines(&[b"one\ntwo\r\n\nlast"]);
        assert_eq!(whole, ["one", "two", "", "last"]);
        let bytes: Vec<&[u8]> = b"one\ntwo\r\n\nlast".chunks(1).collect();
        assert_eq!(lines(&bytes), whole);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; LINE_BYTES_MAX + 100];
        let seen = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(seen[0].len(), LINE_BYTES_MAX);
        assert_eq!(seen[1..], ["next"]);
    }

    #[test]
    fn what_is_no_text_is_still_a_line() {
        assert_eq!(lines(&[b"\xff!\n"]), ["\u{fffd}!"]);
    }
}
