//! What the targets of `fuzz/` claim about the codec, for any bytes. Compiled for them and for the tests alone.
//!
//! Two claims hold for every input. However the bytes are cut into pieces, the same is read. And whatever is read and
//! passed on is read again as the same, one message for one: nothing can be smuggled past a reader as strict as ours.
//!
//! The first byte of an input chooses how the others are cut.

mod memory;

use std::task::{Context, Poll, Waker};

use crate::body::{Incoming, Outgoing, RelayError, poll_relay};
use crate::framing::{self, Framing};
use crate::head::{Method, RequestHead, ResponseHead, Version};
use crate::io::Io;
use crate::name::Name;
use crate::parse::HeadLimits;
use crate::reader::{ReadError, Reader};
use crate::section::Section;
use crate::writer::{Delimit, Writer, delimit_response};

pub use memory::Memory;

/// Small, so that an input can reach them. What is passed on may be a little larger, and has a reader with others.
const LIMITS: HeadLimits = HeadLimits { bytes_max: 300, fields_max: 10, target_bytes_max: 100 };
/// What the responses answer: the one kind may have a body, the other never has.
const METHODS: [Method; 2] = [Method::Get, Method::Head];

/// Requests, one after the other, as a server reads them.
pub fn request(data: &[u8]) {
    check(data, read_requests);
}

/// Responses, one after the other, as a client reads them.
pub fn response(data: &[u8]) {
    let method = METHODS[usize::from(data.first().is_some_and(|first| first % 2 == 1))];
    check(data, |pieces, limits| read_responses(pieces, limits, method));
}

/// One chunked body with its trailers.
pub fn chunked(data: &[u8]) {
    check(data, read_chunks);
}

/// What was read from one connection.
#[derive(Debug, PartialEq, Eq)]
struct Transcript {
    messages: Vec<Seen>,
    ending: Ending,
}

/// One whole message, without what belongs to its connection.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    start: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// Between two messages.
    Closed,
    /// Inside a message.
    Incomplete,
    /// What came is not HTTP. Why may depend on how much of it had come.
    Refused,
    /// The connection has switched to another protocol.
    Switched,
}

/// What was read, and for every message begun, how it went out again: the last one may have been broken off.
type Read = (Transcript, Vec<Vec<u8>>);

fn check(data: &[u8], read: impl Fn(Vec<Vec<u8>>, HeadLimits) -> Read) {
    let Some((&cut, wire)) = data.split_first() else { return };
    let (whole, passed_on) = read(vec![wire.to_vec()], LIMITS);
    let (in_pieces, _) = read(pieces(cut, wire), LIMITS);
    assert_eq!(whole, in_pieces, "cut another way, other things are read");
    let mut passed_on = passed_on.into_iter();
    for message in whole.messages {
        let again = read(vec![passed_on.next().expect("every message goes out")], HeadLimits::default()).0;
        let expected = Transcript { messages: vec![message], ending: Ending::Closed };
        assert_eq!(again, expected, "what is passed on is read as something else");
    }
    for broken_off in passed_on {
        let again = read(vec![broken_off], HeadLimits::default()).0;
        assert!(again.messages.is_empty(), "a message that was broken off looks whole: {again:?}");
    }
}

/// Cuts as the first byte says, the same way every time.
fn pieces(cut: u8, mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(cut.into());
    let longest = 1 + usize::from(cut) / 16;
    let mut pieces = Vec::new();
    while !wire.is_empty() {
        let (piece, rest) = wire.split_at(rng.usize(1..=longest).min(wire.len()));
        pieces.push(piece.to_vec());
        wire = rest;
    }
    pieces
}

fn read_requests(pieces: Vec<Vec<u8>>, limits: HeadLimits) -> Read {
    let io = Io::memory(Memory::new(pieces));
    let mut reader = Reader::new(limits);
    let (mut messages, mut passed_on) = (Vec::new(), Vec::new());
    let ending = loop {
        let mut head = match now(|cx| reader.poll_request_head(cx, &io, &mut None)) {
            Ok(Some(head)) => head,
            Ok(None) => break Ending::Closed,
            Err(error) => break ending(&error),
        };
        let Ok(framing) = framing::of_request(&head) else { break Ending::Refused };
        leave_hop(&mut head);
        let start = format!("{} {}", head.method_text(), head.target());
        let delimit = match framing {
            Framing::None => Delimit::None,
            Framing::Length(length) => Delimit::Length(length),
            Framing::Chunked | Framing::UntilClose => Delimit::Chunked,
        };
        reader.begin_body(framing);
        let mut writer = Writer::new();
        writer.start_request(&head, delimit, None);
        let (out, body) = relay(&io, &mut reader, writer);
        passed_on.push(out);
        match body {
            Ok(body) => messages.push(Seen::new(start, head.fields(), body, &reader)),
            Err(error) => break ending(&error),
        }
    };
    (Transcript { messages, ending }, passed_on)
}

/// As the gateway does before it passes a request on.
fn leave_hop(head: &mut RequestHead) {
    let authority = head.target_authority().map(str::to_owned);
    head.fields_mut().remove_hop_by_hop();
    head.fields_mut().remove_framing();
    if let Some(authority) = authority {
        head.fields_mut().set("host", authority.as_bytes());
    } else if head.fields().get(Name::Host).is_none() {
        head.fields_mut().append("host", b"localhost");
    }
}

fn read_responses(pieces: Vec<Vec<u8>>, limits: HeadLimits, method: Method) -> Read {
    let io = Io::memory(Memory::new(pieces));
    let mut reader = Reader::new(limits);
    let (mut messages, mut passed_on) = (Vec::new(), Vec::new());
    let ending = loop {
        let mut head: ResponseHead = match now(|cx| reader.poll_response_head(cx, &io, &mut None)) {
            Ok(head) => head,
            Err(ReadError::Incomplete) if !reader.has_bytes() => break Ending::Closed,
            Err(error) => break ending(&error),
        };
        let Ok(framing) = framing::of_response(&head, method) else { break Ending::Refused };
        if head.status() == 101 {
            break Ending::Switched;
        }
        let length = match framing {
            Framing::None => framing::declared_length(&head),
            framing => framing.length(),
        };
        head.fields_mut().remove_hop_by_hop();
        head.fields_mut().remove_framing();
        let start = format!("{} {}", head.status(), String::from_utf8_lossy(head.reason()));
        let no_body = method == Method::Head || framing::has_no_body(head.status());
        let delimit = match length {
            None if no_body => Delimit::None,
            length => delimit_response(Version::Http11, length),
        };
        reader.begin_body(framing);
        let mut writer = Writer::new();
        writer.start_response(&head, delimit, None, None);
        if no_body {
            writer.omit_body();
        }
        let (out, body) = relay(&io, &mut reader, writer);
        passed_on.push(out);
        match body {
            Ok(body) => messages.push(Seen::new(start, head.fields(), body, &reader)),
            Err(error) => break ending(&error),
        }
    };
    (Transcript { messages, ending }, passed_on)
}

fn read_chunks(pieces: Vec<Vec<u8>>, limits: HeadLimits) -> Read {
    let io = Io::memory(Memory::new(pieces));
    let mut reader = Reader::new(limits);
    reader.begin_body(Framing::Chunked);
    let mut writer = Writer::new();
    // The head that announces the body is not what is looked at.
    writer.start_response(&ResponseHead::new(200), Delimit::Chunked, None, None);
    let (out, body) = relay(&io, &mut reader, writer);
    let head_length = out.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let passed_on = vec![out[head_length..].to_vec()];
    let (messages, ending) = match body {
        Ok(body) => (vec![Seen::new(String::new(), &Section::new(), body, &reader)], Ending::Closed),
        Err(error) => (Vec::new(), ending(&error)),
    };
    (Transcript { messages, ending }, passed_on)
}

/// Passes a body on as the gateway does; gives everything that went out, and the body.
fn relay(io: &Io, reader: &mut Reader, mut writer: Writer) -> (Vec<u8>, Result<Vec<u8>, ReadError>) {
    let sink = Io::memory(Memory::default());
    let mut body = Vec::new();
    let relayed = now(|cx| {
        let mut from = Incoming::Http1 { io, reader };
        let mut to = Outgoing::Http1 { io: &sink, writer: &mut writer };
        poll_relay(cx, &mut from, &mut to, |piece| body.extend_from_slice(piece))
    });
    let relayed = relayed.map_err(|error| match error {
        RelayError::Source(error) => error,
        RelayError::Sink(error) => panic!("{error}: both sides count the same bytes"),
    });
    now(|cx| writer.poll_flush(cx, &sink)).expect("memory takes everything");
    drop(writer);
    (sink.into_written(), relayed.map(|()| body))
}

impl Seen {
    fn new(start: String, fields: &Section, body: Vec<u8>, reader: &Reader) -> Seen {
        let owned = |section: &Section| -> Vec<_> {
            section.iter().map(|(_, name, value)| (name.to_vec(), value.to_vec())).collect()
        };
        Seen {
            start,
            fields: owned(fields),
            body,
            trailers: reader.trailers().map(owned).unwrap_or_default(),
        }
    }
}

fn ending(error: &ReadError) -> Ending {
    match error {
        ReadError::Incomplete => Ending::Incomplete,
        ReadError::Malformed(_) => Ending::Refused,
        ReadError::Broken(_) | ReadError::TooLarge => panic!("{error}: memory does not fail"),
    }
}

/// What is ready at once, as everything in memory is.
fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory never waits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Runs a target on everything in its corpus.
    fn replay(name: &str, target: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 10, "the corpus of {name} has only {count} inputs");
    }

    #[test]
    fn the_corpus_holds() {
        replay("request", request);
        replay("response", response);
        replay("chunked", chunked);
    }

    #[test]
    fn a_pipeline_is_read_to_its_end() {
        let wire =
            b"\x30POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.0\r\n\r\nGET";
        request(wire);
        let (transcript, passed_on) = read_requests(pieces(0, &wire[1..]), LIMITS);
        assert_eq!(transcript.messages.len(), 2);
        assert_eq!(transcript.messages[0].body, b"ab");
        assert_eq!(transcript.ending, Ending::Incomplete);
        assert_eq!(passed_on[1], b"GET /b HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
}
