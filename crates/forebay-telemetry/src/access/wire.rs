//! Records as bytes in a ring: fixed numbers first, then texts with their lengths. Read by the same process
//! that wrote them, never stored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, UNIX_EPOCH};

use super::record::{AccessRecord, Extra, Failure, Side};

/// Longer texts are cut. A path of this length is already an attack or a mistake, and one record must not
/// push thousands of others out of the ring.
pub(super) const TEXT_BYTES_MAX: usize = 4096;

/// Says in the log that a text was cut.
const CUT_MARK: &str = "…";

/// A frame is its own length and a record.
const FRAME_HEAD_BYTES: usize = size_of::<u32>();

/// "None" for a duration in nanoseconds: 584 years.
const NO_DURATION: u64 = u64::MAX;

/// Replaces `out` by the frame of `record`.
pub(super) fn encode(record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    let begun = record.begun.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    out.extend_from_slice(&nanos(begun).to_ne_bytes());
    out.extend_from_slice(&nanos(record.duration).to_ne_bytes());
    out.extend_from_slice(&record.upstream.map_or(NO_DURATION, nanos).to_ne_bytes());
    out.extend_from_slice(&record.bytes_in.to_ne_bytes());
    out.extend_from_slice(&record.bytes_out.to_ne_bytes());
    out.extend_from_slice(&record.trace_id.to_ne_bytes());
    out.extend_from_slice(&record.attempts.to_ne_bytes());
    out.extend_from_slice(&record.status.unwrap_or(0).to_ne_bytes());
    let (family, octets) = address(record.client);
    out.push(family);
    out.extend_from_slice(&octets);
    let (side, reason) = match record.failure {
        None => (0, ""),
        Some(Failure { side, reason }) => (side as u8 + 1, reason),
    };
    out.push(side);
    out.push(record.extra.as_slice().len() as u8);
    for bytes in [record.method, record.host, record.path] {
        put_text(out, bytes, bytes.len().min(TEXT_BYTES_MAX));
    }
    for text in [record.protocol, record.route, record.service, record.endpoint, reason] {
        put_str(out, text);
    }
    for (name, value) in record.extra.as_slice() {
        put_str(out, name);
        put_str(out, value);
    }
    let len = (out.len() - FRAME_HEAD_BYTES) as u32;
    out[..FRAME_HEAD_BYTES].copy_from_slice(&len.to_ne_bytes());
}

/// Takes the next record off the front of `frames`; none at their end, or when they are not what [`encode`]
/// wrote.
pub(super) fn decode<'a>(frames: &mut &'a [u8]) -> Option<AccessRecord<'a>> {
    let mut whole = Reader(frames);
    let len = u32::from_ne_bytes(whole.array()?);
    let mut frame = Reader(whole.take(len as usize)?);
    *frames = whole.0;
    read(&mut frame)
}

fn read<'a>(frame: &mut Reader<'a>) -> Option<AccessRecord<'a>> {
    let begun = UNIX_EPOCH + Duration::from_nanos(frame.u64()?);
    let duration = Duration::from_nanos(frame.u64()?);
    let upstream = Some(frame.u64()?).filter(|&nanos| nanos != NO_DURATION).map(Duration::from_nanos);
    let (bytes_in, bytes_out) = (frame.u64()?, frame.u64()?);
    let trace_id = u128::from_ne_bytes(frame.array()?);
    let attempts = u32::from_ne_bytes(frame.array()?);
    let status = Some(u16::from_ne_bytes(frame.array()?)).filter(|&status| status != 0);
    let client = match (frame.u8()?, frame.array::<16>()?) {
        (4, [a, b, c, d, ..]) => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        (6, octets) => Some(IpAddr::V6(Ipv6Addr::from(octets))),
        _ => None,
    };
    let side = match frame.u8()? {
        1 => Some(Side::Client),
        2 => Some(Side::Upstream),
        3 => Some(Side::Forebay),
        _ => None,
    };
    let extras = frame.u8()?;
    let (method, host, path) = (frame.text()?, frame.text()?, frame.text()?);
    let (protocol, route, service) = (frame.str()?, frame.str()?, frame.str()?);
    let (endpoint, reason) = (frame.str()?, frame.str()?);
    let failure = side.map(|side| Failure { side, reason });
    let mut extra = Extra::new();
    for _ in 0..extras {
        extra.push(frame.str()?, frame.str()?);
    }
    Some(AccessRecord {
        begun,
        duration,
        client,
        method,
        host,
        path,
        protocol,
        status,
        bytes_in,
        bytes_out,
        route,
        service,
        endpoint,
        attempts,
        upstream,
        trace_id,
        failure,
        extra,
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn address(client: Option<IpAddr>) -> (u8, [u8; 16]) {
    match client {
        None => (0, [0; 16]),
        Some(IpAddr::V4(v4)) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            (4, octets)
        }
        Some(IpAddr::V6(v6)) => (6, v6.octets()),
    }
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    put_text(out, text.as_bytes(), text.floor_char_boundary(TEXT_BYTES_MAX));
}

/// Appends the first `keep` bytes, and the mark when there are more.
fn put_text(out: &mut Vec<u8>, bytes: &[u8], keep: usize) {
    if keep < bytes.len() {
        out.extend_from_slice(&((keep + CUT_MARK.len()) as u16).to_ne_bytes());
        out.extend_from_slice(&bytes[..keep]);
        out.extend_from_slice(CUT_MARK.as_bytes());
    } else {
        out.extend_from_slice(&(bytes.len() as u16).to_ne_bytes());
        out.extend_from_slice(bytes);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = u16::from_ne_bytes(self.array()?);
        self.take(len.into())
    }

    fn str(&mut self) -> Option<&'a str> {
        str::from_utf8(self.text()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;

    const SIDES: [Side; 3] = [Side::Client, Side::Upstream, Side::Forebay];

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            (begun, duration, upstream) in (any::<u64>(), any::<u64>(), option::of(0..NO_DURATION)),
            (bytes_in, bytes_out, attempts, trace_id) in any::<(u64, u64, u32, u128)>(),
            client in option::of(any::<IpAddr>()),
            status in option::of(100u16..),
            (method, host, path) in any::<(Vec<u8>, Vec<u8>, Vec<u8>)>(),
            texts in prop::array::uniform4(".*"),
            failure in option::of((prop::sample::select(&SIDES[..]), ".*")),
            extras in prop::collection::vec((".*", ".*"), 0..=crate::access::EXTRA_MAX),
        ) {
            let mut extra = Extra::new();
            prop_assert!(extras.iter().all(|(name, value)| extra.push(name, value)));
            let record = AccessRecord {
                begun: UNIX_EPOCH + Duration::from_nanos(begun),
                duration: Duration::from_nanos(duration),
                client,
                method: &method,
                host: &host,
                path: &path,
                protocol: &texts[0],
                status,
                bytes_in,
                bytes_out,
                route: &texts[1],
                service: &texts[2],
                endpoint: &texts[3],
                attempts,
                upstream: upstream.map(Duration::from_nanos),
                trace_id,
                failure: failure.as_ref().map(|(side, reason)| Failure { side: *side, reason }),
                extra,
            };
            let mut frame = Vec::new();
            encode(&record, &mut frame);
            let mut rest = &frame[..];
            prop_assert_eq!(decode(&mut rest), Some(record));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn bytes_that_nobody_wrote_are_no_record(bytes: Vec<u8>) {
            // What matters is that it returns.
            let _ = decode(&mut &bytes[..]);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_says_so() {
        let (long, wide) = (vec![b'a'; 100_000], "ü".repeat(100_000));
        let record = AccessRecord { path: &long, route: &wide, ..AccessRecord::begun(UNIX_EPOCH) };
        let mut frame = Vec::new();
        encode(&record, &mut frame);
        let read = decode(&mut &frame[..]).unwrap();
        assert_eq!(read.path.len(), TEXT_BYTES_MAX + CUT_MARK.len());
        assert!(read.path.ends_with(CUT_MARK.as_bytes()) && read.route.ends_with("ü…"));
    }
}
