//! Reads responses off a connection and refuses every one that is not whole and right: a proxy that cheats must
//! not win.

use memchr::memmem;

/// Reads one response after the other. Bytes come in any pieces.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The beginning of a head whose end has not come yet; empty most of the time.
    head: Vec<u8>,
    /// While a body is read: how much of it is there.
    body: Option<usize>,
}

/// Larger than any head we cause.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { head: Vec::new(), body: None }
    }

    /// Takes what came. True when that completes a response whose body has the expected length and, if
    /// `compare`, the expected bytes.
    pub(crate) fn take(&mut self, bytes: &[u8], expected: &[u8], compare: bool) -> Result<bool, String> {
        let bytes = match self.body {
            Some(_) => bytes,
            None if self.head.is_empty() => match memmem::find(bytes, HEAD_END) {
                Some(end) => {
                    check_head(&bytes[..end + 2], expected.len())?;
                    &bytes[end + HEAD_END.len()..]
                }
                None => return self.keep(bytes).map(|()| false),
            },
            None => {
                let before = self.head.len();
                self.keep(bytes)?;
                let Some(end) = memmem::find(&self.head, HEAD_END) else { return Ok(false) };
                check_head(&self.head[..end + 2], expected.len())?;
                self.head.clear();
                &bytes[end + HEAD_END.len() - before..]
            }
        };
        let from = self.body.unwrap_or(0);
        let to = from + bytes.len();
        if to > expected.len() {
            return Err(format!("{} bytes more than the body has", to - expected.len()));
        }
        if compare && bytes != &expected[from..to] {
            return Err(format!("a body that differs between bytes {from} and {to}"));
        }
        self.body = (to < expected.len()).then_some(to);
        Ok(to == expected.len())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.head.extend_from_slice(bytes);
        if self.head.len() > HEAD_BYTES_MAX { Err("a head that does not end".into()) } else { Ok(()) }
    }
}

/// `head` includes the end of its last line.
fn check_head(head: &[u8], expected: usize) -> Result<(), String> {
    if !head.starts_with(b"HTTP/1.1 200 ") {
        let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
        return Err(format!("status line `{}`", String::from_utf8_lossy(line)));
    }
    match content_length(head) {
        Some(length) if length == expected => Ok(()),
        Some(length) => Err(format!("content length {length} instead of {expected}")),
        None => Err("no content length, though the upstream sent one".into()),
    }
}

/// The value of that field, if it is there and a number.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: x\r\n\r\nabc";

    #[track_caller]
    fn check(response: &[u8], expected: Result<bool, &str>) {
        for cut in 1..response.len() {
            let mut reader = Reader::new();
            let outcome = reader.take(&response[..cut], b"abc", true).and_then(|done| {
                assert!(!done, "cut at {cut}");
                reader.take(&response[cut..], b"abc", true)
            });
            match expected {
                Ok(done) => assert_eq!(outcome, Ok(done), "cut at {cut}"),
                Err(words) => assert!(outcome.unwrap_err().contains(words), "cut at {cut}"),
            }
        }
    }

    #[test]
    fn a_whole_response_in_any_pieces() {
        check(GOOD, Ok(true));
    }

    #[test]
    fn an_unfinished_one_is_not_done() {
        check(&GOOD[..GOOD.len() - 1], Ok(false));
    }

    #[test]
    fn wrong_ones_are_refused() {
        check(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\n", Err("502"));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Err("instead of 3"));
        check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err("no content length"));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabd", Err("differs"));
    }

    #[test]
    fn bytes_after_the_body_are_refused() {
        let mut reader = Reader::new();
        assert!(reader.take(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd", b"abc", false).is_err());
    }
}
