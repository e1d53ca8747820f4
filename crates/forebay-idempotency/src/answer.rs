//! An answer as it is kept. Decides which fields may be repeated; `Set-Cookie` never.

use bytes::{Buf, BufMut, Bytes};
use forebay_http::ResponseHead;
use forebay_http::fields::list;
use forebay_store::StoreError;

/// Fields that belong to one connection (RFC 9110 §7.6.1), to one exchange, or to one client for once. A repeated
/// `Set-Cookie` would bring back a session that has ended, and in a shared scope hand it to somebody else.
const NEVER_KEPT: &[&str] = &[
    "connection",
    "content-length",
    "idempotent-replayed",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "server-timing",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The field that marks a repeated answer; its value is `true`.
pub const REPLAYED_FIELD: &str = "idempotent-replayed";
/// The form below. A record of another is not understood.
const FORM: u8 = 1;

/// A final answer to a keyed request: what is kept of it. The body's framing is decided when it is sent; trailers and
/// interim answers are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields in order, names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its body, whole, as the service encoded it.
    pub body: Bytes,
}

impl Answer {
    /// Keeps what may be repeated of an answer, as it came from the service.
    pub fn keep<'a>(
        status: u16,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        body: Bytes,
    ) -> Answer {
        let is = |name: &[u8], other: &[u8]| name.eq_ignore_ascii_case(other);
        let named: Vec<&[u8]> = fields
            .clone()
            .filter(|(name, _)| is(name, b"connection"))
            .flat_map(|(_, value)| list(value))
            .collect();
        let kept = fields.filter(|(name, _)| {
            !NEVER_KEPT.iter().any(|never| is(name, never.as_bytes()))
                && !named.iter().any(|other| is(name, other))
        });
        let fields = kept
            .map(|(name, value)| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
            .collect();
        Answer { status, fields, body }
    }

    /// [`Answer::keep`] for a head of ours.
    pub fn of(head: &ResponseHead, body: Bytes) -> Answer {
        let fields: Vec<(&[u8], &[u8])> =
            head.fields().iter().map(|(_, name, value)| (name, value)).collect();
        Answer::keep(head.status(), fields.into_iter(), body)
    }

    /// The head to answer a repeated request with, marked as such. Framing is not its business.
    pub fn head(&self) -> ResponseHead {
        let mut head = ResponseHead::new(self.status);
        for (name, value) in &self.fields {
            head.fields_mut().append(name, value);
        }
        head.fields_mut().append(REPLAYED_FIELD, b"true");
        head
    }

    /// Bytes it takes in a store, near enough for a limit.
    pub fn bytes(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>()
            + self.body.len()
            + 7
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes());
        out.put_u8(FORM);
        out.put_u16(self.status);
        out.put_u32(self.fields.len() as u32);
        for (name, value) in &self.fields {
            put_text(&mut out, name.as_bytes());
            put_text(&mut out, value);
        }
        out.extend_from_slice(&self.body);
        out
    }

    /// Checks every length: what is stored may have been damaged, or written by a later Forebay.
    pub(crate) fn decode(stored: Vec<u8>) -> Result<Answer, StoreError> {
        let mut rest = Bytes::from(stored);
        take_answer(&mut rest).ok_or(StoreError::Corrupt("kept answer"))
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // A field is far below 4 GiB: heads are bounded where they are read.
    out.put_u32(text.len() as u32);
    out.extend_from_slice(text);
}

fn take_answer(rest: &mut Bytes) -> Option<Answer> {
    if rest.try_get_u8().ok()? != FORM {
        return None;
    }
    let status = rest.try_get_u16().ok().filter(|status| (200..600).contains(status))?;
    let count = rest.try_get_u32().ok()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(take_text(rest)?).ok()?;
        fields.push((name, take_text(rest)?));
    }
    Some(Answer { status, fields, body: std::mem::take(rest) })
}

fn take_text(rest: &mut Bytes) -> Option<Vec<u8>> {
    let length = rest.try_get_u32().ok()? as usize;
    (length <= rest.len()).then(|| rest.split_to(length).to_vec())
}

#[cfg(test)]
mod tests {
    use forebay_http::Fields;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_belongs_to_one_connection_or_one_client_is_not_kept() {
        let fields: &[(&str, &str)] = &[
            ("Content-Type", "text/plain"),
            ("Set-Cookie", "session=1"),
            ("set-cookie", "b=2"),
            ("Connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "2"),
            ("Location", "/orders/7"),
        ];
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let answer = Answer::keep(201, fields, Bytes::from_static(b"ok"));
        let names: Vec<&str> = answer.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "location"]);
    }

    #[test]
    fn a_repeated_answer_says_that_it_is_one_and_is_kept_like_the_first() {
        let mut head = ResponseHead::new(201);
        head.fields_mut().append("location", b"/orders/7");
        let answer = Answer::of(&head, Bytes::from_static(b"7"));
        let again = answer.head();
        assert_eq!((again.status(), again.fields().len()), (201, 2));
        assert_eq!(again.fields().value(REPLAYED_FIELD), Some(&b"true"[..]));
        assert_eq!(Answer::of(&again, answer.body.clone()), answer);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_answer_reads_back_as_it_was(
            status in 200u16..600,
            fields in prop::collection::vec(("[a-z-]{1,12}", prop::collection::vec(any::<u8>(), 0..20)), 0..6),
            body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let answer = Answer { status, fields, body: body.into() };
            prop_assert!(answer.encode().len() <= answer.bytes());
            prop_assert_eq!(Answer::decode(answer.encode()).unwrap(), answer);
        }

        #[test]
        fn no_stored_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0usize..64) {
            let _ = Answer::decode(bytes.clone());
            let field = ("location".to_owned(), bytes);
            let mut stored = Answer { status: 200, fields: vec![field], body: Bytes::new() }.encode();
            stored.truncate(cut);
            let _ = Answer::decode(stored);
        }
    }
}
