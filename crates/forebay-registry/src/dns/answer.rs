//! From a query's octets to those of its reply. No I/O.

use domain::base::Rtype;
use domain::base::iana::{Class, OptRcode, Rcode};

use super::lookup::Lookup;
use super::query::Query;
use super::reply::{Reply, compose};
use super::zone::Zone;
use crate::registry::Registry;

/// What every DNS implementation takes over UDP (RFC 1035 section 4.2.1).
const DATAGRAM_MIN: usize = 512;
/// What the length in front of a message over TCP can say.
const STREAM_MAX: usize = 65_535;
/// The smallest record there is: an address whose owner is a pointer.
const RECORD_OCTETS_MIN: usize = 16;

/// How the query came, and so how large a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram. The reply has 512 octets, or as many as the query allows, up to this many.
    Udp {
        /// At least 512.
        datagram_max: usize,
    },
    /// Over a connection, which carries 65,535 octets.
    Tcp,
}

impl Transport {
    fn octets_max(self, query: &Query<'_>) -> usize {
        match self {
            Transport::Tcp => STREAM_MAX,
            Transport::Udp { datagram_max } => {
                let payload = query.edns.map_or(DATAGRAM_MIN, |edns| edns.payload);
                payload.min(datagram_max).max(DATAGRAM_MIN)
            }
        }
    }
}

/// The reply to `query`; `None` when it gets none, because it is not a query.
///
/// What does not fit is left out at random and the reply says that it is truncated. Its records are worth having all
/// the same: who can repeats over TCP and gets everything; musl before 1.2.4 and HAProxy's SRV records make do with what
/// there is. Consul says nothing when it leaves records out, so that a cache takes some instances for all of them.
pub fn answer(
    query: &[u8],
    registry: &Registry,
    zone: &Zone,
    transport: Transport,
    rng: &mut fastrand::Rng,
) -> Option<Vec<u8>> {
    respond(query, registry, zone, transport, rng).map(|response| response.octets)
}

/// The reply, and what is counted of it.
pub(super) struct Response {
    pub(super) octets: Vec<u8>,
    /// Of the question, if there was one.
    pub(super) kind: Option<Rtype>,
    pub(super) code: OptRcode,
}

/// As [`answer`].
pub(super) fn respond(
    query: &[u8],
    registry: &Registry,
    zone: &Zone,
    transport: Transport,
    rng: &mut fastrand::Rng,
) -> Option<Response> {
    let (query, code) = Query::read(query)?;
    let octets_max = transport.octets_max(&query);
    let records_max = octets_max / RECORD_OCTETS_MIN;
    let reply = match &query.question {
        Some(question) if code == OptRcode::NOERROR => match zone.asked(question.qname()) {
            Some(asked) => {
                let known = Lookup { registry, zone, rng, records_max }.find(&asked, question.qtype());
                let nothing = known.answer.is_empty() || known.leads_nowhere;
                let denial = nothing.then(|| zone.soa(registry));
                Reply {
                    code: if known.exists { Rcode::NOERROR } else { Rcode::NXDOMAIN }.into(),
                    // RFC 1035 section 6.2: nobody is an authority on all classes.
                    authoritative: question.qclass() == Class::IN,
                    known,
                    denial,
                }
            }
            None => Reply::error(Rcode::REFUSED.into()),
        },
        _ => Reply::error(code),
    };
    Some(Response {
        octets: compose(&query, &reply, zone, octets_max),
        kind: query.question.as_ref().map(|question| question.qtype()),
        code: reply.code,
    })
}
