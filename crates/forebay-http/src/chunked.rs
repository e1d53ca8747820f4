//! The chunked coding (RFC 9112 §7.1), reading and writing. Knows no sockets: bytes in, positions out.

use crate::name::Name;
use crate::parse::{HeadLimits, Malformed, TrailerParser};
use crate::section::Section;

/// A chunk's size line with its extensions; nobody uses extensions but attackers.
const SIZE_LINE_BYTES_MAX: usize = 1024;

/// What the decoder found at the front of the buffer. `skip` bytes of framing go first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Behind the framing, `len` bytes of data; to be consumed together with it.
    Data { skip: usize, len: usize },
    /// Nothing more until further bytes arrive.
    More { skip: usize },
    /// The body is over, trailers included.
    End { skip: usize },
}

#[derive(Debug)]
enum State {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailers(TrailerParser),
    End,
}

/// Takes chunks apart.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    trailers: Option<Section>,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { state: State::Size, trailers: None }
    }

    /// The trailer fields, once the body is over and where there were any.
    pub(crate) fn take_trailers(&mut self) -> Option<Section> {
        self.trailers.take()
    }

    /// Looks at what was received; the caller consumes what the step names before the next call.
    pub(crate) fn step(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Step, Malformed> {
        let mut skip = 0;
        loop {
            let rest = &bytes[skip..];
            match &mut self.state {
                State::Size => {
                    let Some((size, length)) = size_line(rest)? else { return Ok(Step::More { skip }) };
                    skip += length;
                    self.state = if size == 0 {
                        State::Trailers(TrailerParser::new())
                    } else {
                        State::Data { left: size }
                    };
                }
                State::Data { .. } if rest.is_empty() => return Ok(Step::More { skip }),
                State::Data { left } => {
                    let len = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= len as u64;
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(Step::Data { skip, len });
                }
                State::DataEnd => {
                    match rest {
                        [b'\r', b'\n', ..] => skip += 2,
                        [] | [b'\r'] => return Ok(Step::More { skip }),
                        _ => return Err(Malformed::Chunk),
                    }
                    self.state = State::Size;
                }
                State::Trailers(parser) => {
                    let Some(length) = parser.advance(rest, limits)? else { return Ok(Step::More { skip }) };
                    if let State::Trailers(parser) = std::mem::replace(&mut self.state, State::End) {
                        // The empty line alone is the usual case.
                        self.trailers = (length > 2).then(|| stripped(parser.finish(&rest[..length])));
                    }
                    skip += length;
                }
                State::End => return Ok(Step::End { skip }),
            }
        }
    }
}

/// Trailers without what must not be there: framing, routing, connection fields (RFC 9110 §6.5.1), who calls and from
/// where.
fn stripped(mut trailers: Section) -> Section {
    trailers.remove_named_such(|name| {
        // CGI and WSGI make one variable of `-` and `_`.
        let plain: Vec<u8> = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect();
        let name = Name::of(&plain);
        name.is_hop_by_hop()
            || name.is_framing()
            || matches!(
                name,
                Name::Host
                    | Name::Expect
                    | Name::Authorization
                    | Name::Cookie
                    | Name::Forwarded
                    | Name::XForwardedFor
                    | Name::XForwardedProto
                    | Name::XForwardedHost
                    | Name::XForwardedPort
                    | Name::XRealIp
                    | Name::ForebayAttempt
                    | Name::ForebayPriority
                    | Name::ForebayTimeoutMs
                    | Name::ForebaySubject
                    | Name::ForebayConsumer
            )
    });
    trailers
}

/// Size and length of the whole line; `None` until it is whole.
fn size_line(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let Some(line_feed) = memchr::memchr(b'\n', bytes) else {
        let plausible =
            digits == bytes.len() || (digits > 0 && matches!(bytes[digits], b'\r' | b';' | b' ' | b'\t'));
        let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        return if plausible && line.len() <= SIZE_LINE_BYTES_MAX { Ok(None) } else { Err(Malformed::Chunk) };
    };
    let line = bytes[..line_feed].strip_suffix(b"\r").ok_or(Malformed::Chunk)?;
    if digits == 0 || digits > 16 || line.len() > SIZE_LINE_BYTES_MAX {
        return Err(Malformed::Chunk);
    }
    let extension = crate::fields::trim(&line[digits..]);
    let extension_is_valid = match extension {
        // White space may stand before an extension, but not alone.
        [] => line.len() == digits,
        [b';', rest @ ..] => !rest.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f),
        _ => false,
    };
    if !extension_is_valid {
        return Err(Malformed::Chunk);
    }
    let size = line[..digits]
        .iter()
        .fold(0, |size, &digit| size << 4 | u64::from(char::from(digit).to_digit(16).unwrap_or(0)));
    Ok(Some((size, line_feed + 1)))
}

/// Appends one chunk. Data is not empty: an empty chunk would end the body.
pub(crate) fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    debug_assert!(!data.is_empty());
    let mut hex = [0; 16];
    let mut at = hex.len();
    let mut size = data.len();
    while size > 0 {
        at -= 1;
        hex[at] = b"0123456789abcdef"[size & 15];
        size >>= 4;
    }
    out.extend_from_slice(&hex[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the trailer section.
pub(crate) fn write_end(out: &mut Vec<u8>, trailers: Option<&Section>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write_to(out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;

    /// Feeds `text` in pieces of `piece` bytes and collects the data.
    fn decode(text: &[u8], piece: usize) -> Result<Option<(Vec<u8>, Decoder, usize)>, Malformed> {
        let mut decoder = Decoder::new();
        let (mut buffer, mut body, mut used) = (Vec::new(), Vec::new(), 0);
        for part in text.chunks(piece) {
            buffer.extend_from_slice(part);
            loop {
                let step = decoder.step(&buffer, &HeadLimits::default())?;
                let (skip, len) = match step {
                    Step::Data { skip, len } => (skip, len),
                    Step::More { skip } | Step::End { skip } => (skip, 0),
                };
                body.extend_from_slice(&buffer[skip..skip + len]);
                buffer.drain(..skip + len);
                used += skip + len;
                match step {
                    Step::Data { .. } => {}
                    Step::More { .. } => break,
                    Step::End { .. } => return Ok(Some((body, decoder, used))),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn chunks_arrive_in_any_pieces() {
        let text = b"5\r\nhello\r\n1;name=\"value\"\r\n \r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for piece in 1..text.len() {
            let (body, mut decoder, used) = decode(text, piece).unwrap().unwrap();
            assert_eq!(body, b"hello 0123456789");
            assert_eq!(used, text.len() - 3, "the next request is left alone");
            assert_eq!(decoder.take_trailers().unwrap().value("x-sum"), Some(&b"1"[..]));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        write_chunk(&mut out, &[b'a'; 300]);
        write_end(&mut out, None);
        let (body, mut decoder, _) = decode(&out, 7).unwrap().unwrap();
        assert_eq!(body.len(), 300);
        assert!(decoder.take_trailers().is_none());
    }

    #[test]
    fn the_longest_size_line_may_arrive_byte_by_byte() {
        for (length, fits) in [(SIZE_LINE_BYTES_MAX, true), (SIZE_LINE_BYTES_MAX + 1, false)] {
            let text = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length - 2));
            for piece in [1, text.len()] {
                assert_eq!(decode(text.as_bytes(), piece).is_ok(), fits, "{length} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x1\r\na\r\n",
            "1\na\r\n",
            "1 \r\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1;a\0b\r\na\r\n",
            "1;a\nb\r\na\r\n",
            "11111111111111111\r\n",
            "0\r\nX : 1\r\n\r\n",
            "0\r\n\n",
        ] {
            for piece in [1, text.len()] {
                assert!(decode(text.as_bytes(), piece).is_err(), "{text:?} in pieces of {piece}");
            }
        }
        assert!(decode(&[b'1'; 2000], 100).is_err());
    }
}
