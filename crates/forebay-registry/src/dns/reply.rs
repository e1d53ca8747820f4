//! Writes a reply into as many octets as it may have. Decides what is left out, not what it says.

use domain::base::iana::{Class, OptRcode};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, PushError, RecordSectionBuilder};
use domain::base::{Header, MessageBuilder, StaticCompressor};

use super::lookup::{Entry, Known};
use super::query::Query;
use super::zone::{Data, Zone};

/// An OPT record without options.
const OPT_OCTETS: usize = 11;
/// Room for most replies, so that the buffer does not grow.
const OCTETS_USUAL: usize = 512;
/// What we say that we take ourselves. Queries are smaller.
const DATAGRAM_ANNOUNCED: u16 = 1232;

type Target = StaticCompressor<Vec<u8>>;

/// What a reply says.
pub(super) struct Reply {
    pub(super) code: OptRcode,
    pub(super) authoritative: bool,
    pub(super) known: Known,
    /// The SOA record that says for how long nothing is there (RFC 2308).
    pub(super) denial: Option<Data>,
}

impl Reply {
    pub(super) fn error(code: OptRcode) -> Reply {
        Reply { code, authoritative: false, known: Known::default(), denial: None }
    }
}

/// The reply in at most `octets_max` octets, which are at least 512.
pub(super) fn compose(query: &Query<'_>, reply: &Reply, zone: &Zone, octets_max: usize) -> Vec<u8> {
    let target = StaticCompressor::new(Vec::with_capacity(OCTETS_USUAL));
    let mut message = MessageBuilder::from_target(target).expect("a vector takes a header");
    // The builder's limit is the first length that is too much.
    let reserved = if query.edns.is_some() { OPT_OCTETS } else { 0 };
    message.set_push_limit(octets_max - reserved + 1);
    set_header(message.header_mut(), query, reply);
    let mut message = message.question();
    let truncated = query.question.as_ref().is_some_and(|question| message.push(question).is_err());
    let mut message = sections(message.answer(), query, reply, zone, truncated);
    message.clear_push_limit();
    if let Some(edns) = query.edns {
        let written = message.opt(|opt| {
            opt.set_udp_payload_size(DATAGRAM_ANNOUNCED);
            opt.set_dnssec_ok(edns.dnssec_ok);
            opt.set_rcode(reply.code);
            Ok(())
        });
        written.expect("a vector takes eleven octets");
    }
    message.finish().into_target()
}

fn set_header(header: &mut Header, query: &Query<'_>, reply: &Reply) {
    header.set_id(query.header.id());
    header.set_qr(true);
    header.set_opcode(query.header.opcode());
    header.set_rd(query.header.rd());
    header.set_aa(reply.authoritative);
    header.set_rcode(reply.code.rcode());
}

fn sections(
    mut answer: AnswerBuilder<Target>,
    query: &Query<'_>,
    reply: &Reply,
    zone: &Zone,
    mut truncated: bool,
) -> AdditionalBuilder<Target> {
    for entry in &reply.known.answer {
        truncated = truncated || push(&mut answer, entry, query, zone).is_err();
    }
    let mut authority = answer.authority();
    if let Some(soa) = &reply.denial {
        let record = (zone.domain(), Class::IN, zone.ttl(), soa);
        truncated = truncated || authority.push(record).is_err();
    }
    let mut additional = authority.additional();
    for entry in &reply.known.additional {
        // Who misses one of these asks for it, so leaving them out truncates nothing (RFC 2181 section 9).
        if truncated || push(&mut additional, entry, query, zone).is_err() {
            break;
        }
    }
    additional.header_mut().set_tc(truncated);
    additional
}

fn push(
    section: &mut impl RecordSectionBuilder<Target>,
    entry: &Entry,
    query: &Query<'_>,
    zone: &Zone,
) -> Result<(), PushError> {
    match (&entry.owner, &query.question) {
        (Some(owner), _) => section.push((owner, Class::IN, zone.ttl(), &entry.data)),
        (None, Some(question)) => section.push((question.qname(), Class::IN, zone.ttl(), &entry.data)),
        // Without a question there are no records.
        (None, None) => Ok(()),
    }
}
