//! Reads a query: whether it is one, what it asks, and how much of an answer fits. Answers nothing.

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::name::ParsedName;
use domain::base::opt::{Opt, OptRecord};
use domain::base::wire::ParseError;
use domain::base::{Header, Message, Question, Rtype};

/// The question, as it was spelled.
pub(super) type Asking<'q> = Question<ParsedName<&'q [u8]>>;

/// What of a query the reply repeats, whatever it says.
#[derive(Debug)]
pub(super) struct Query<'q> {
    pub(super) header: Header,
    /// The one question, when there is exactly one and it can be read.
    pub(super) question: Option<Asking<'q>>,
    pub(super) edns: Option<Edns>,
}

/// What the OPT record says (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edns {
    /// The largest datagram that the other side takes.
    pub(super) payload: usize,
    pub(super) version: u8,
    /// Asks for signatures, of which we have none; repeated all the same (RFC 3225).
    pub(super) dnssec_ok: bool,
}

impl<'q> Query<'q> {
    /// `None` for what must not be answered: less than a header, or a reply, which could be one to us. Otherwise the
    /// code says why the query cannot be answered, if it cannot.
    pub(super) fn read(octets: &'q [u8]) -> Option<(Query<'q>, OptRcode)> {
        let message = Message::from_slice(octets).ok()?;
        let header = message.header();
        if header.qr() {
            return None;
        }
        let edns = edns(message);
        let sound = edns.is_ok();
        let query = Query { header, question: message.sole_question().ok(), edns: edns.ok().flatten() };
        let code = query.code(sound);
        Some((query, code))
    }

    fn code(&self, sound: bool) -> OptRcode {
        if self.header.opcode() != Opcode::QUERY {
            return Rcode::NOTIMP.into();
        }
        if self.edns.is_some_and(|edns| edns.version > 0) {
            return OptRcode::BADVERS;
        }
        let Some(question) = self.question.as_ref().filter(|_| sound) else { return Rcode::FORMERR.into() };
        // Whole zones go to secondaries, of which there are none.
        let transfer = [Rtype::AXFR, Rtype::IXFR].contains(&question.qtype());
        if transfer || ![Class::IN, Class::ANY].contains(&question.qclass()) {
            return Rcode::REFUSED.into();
        }
        Rcode::NOERROR.into()
    }
}

/// The OPT record, of which there may be one, at the root (RFC 6891 section 6.1.1). Options are ignored: none of those
/// that exist asks for anything we have.
fn edns(message: &Message<[u8]>) -> Result<Option<Edns>, ParseError> {
    let mut found = None;
    for record in message.additional()? {
        let Some(record) = record?.into_record::<Opt<_>>()? else { continue };
        if found.is_some() || !record.owner().is_root() {
            return Err(ParseError::form_error("an OPT record that must not be there"));
        }
        let opt = OptRecord::from_record(record);
        found = Some(Edns {
            payload: usize::from(opt.udp_payload_size()),
            version: opt.version(),
            dnssec_ok: opt.dnssec_ok(),
        });
    }
    Ok(found)
}
