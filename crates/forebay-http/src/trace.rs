//! W3C Trace Context: continues a caller's trace or starts one (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

use crate::head::RequestHead;
use crate::name::Name;

/// Which trace a request belongs to, and which span of it this hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace; never zero.
    pub trace_id: u128,
    /// This hop; never zero.
    pub span_id: u64,
    /// Bit 0: somebody records this trace.
    pub flags: u8,
}

/// Continues the trace that the head names, or starts one, and writes this hop into the head for the upstream.
pub fn continue_or_start(head: &mut RequestHead, rng: &mut fastrand::Rng) -> TraceContext {
    let parent = head.fields().only(Name::Traceparent).and_then(parse);
    let span_id = rng.u64(1..);
    let context = match parent {
        Some(parent) => TraceContext { span_id, ..parent },
        None => {
            // The state belongs to the parent: without a valid one it means nothing (§3.3).
            head.fields_mut().remove(Name::Tracestate);
            TraceContext { trace_id: rng.u128(1..), span_id, flags: 0 }
        }
    };
    head.fields_mut().remove(Name::Traceparent);
    head.fields_mut().add(Name::Traceparent, &context.text());
    context
}

impl TraceContext {
    /// The `traceparent` field's value.
    pub fn text(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_be_bytes());
        write_hex(&mut text[53..55], &[self.flags]);
        text
    }
}

impl fmt::Display for TraceContext {
    /// The trace's id alone, as logs show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

/// The two digits of each byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

fn write_hex(out: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in out.as_chunks_mut().0.iter_mut().zip(bytes) {
        *digits = HEX[usize::from(*byte)];
    }
}

/// Reads a `traceparent` (§3.2). Later versions may add fields behind the four known ones.
fn parse(text: &[u8]) -> Option<TraceContext> {
    let (known, rest) = text.split_at_checked(55)?;
    let version = hex(&known[0..2])?;
    let separated = [known[2], known[35], known[52]] == *b"---";
    let ends_well = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
    if version == 0xff || !separated || !ends_well {
        return None;
    }
    let (trace_id, span_id) = (hex(&known[3..35])?, hex(&known[36..52])?);
    let flags = hex(&known[53..55])?;
    // Of the flags only "sampled" and "random" are defined; the others must not be sent on.
    (trace_id != 0 && span_id != 0).then_some(TraceContext {
        trace_id,
        span_id: span_id as u64,
        flags: flags as u8 & 3,
    })
}

fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::head::Scheme;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn check(traceparent: &str) -> (TraceContext, RequestHead) {
        let mut head = RequestHead::new("GET", Scheme::Http, "a", "/");
        head.fields_mut().append("TraceParent", traceparent.as_bytes());
        head.fields_mut().append("tracestate", b"vendor=1");
        (continue_or_start(&mut head, &mut fastrand::Rng::with_seed(1)), head)
    }

    #[test]
    fn a_valid_trace_goes_on_with_a_new_span() {
        for text in [PARENT.to_owned(), format!("cc{}-more", &PARENT[2..])] {
            let (context, head) = check(&text);
            assert_eq!(context.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_ne!(context.span_id, 0x00f0_67aa_0ba9_02b7);
            assert_eq!(head.fields().only_value("traceparent"), Some(&context.text()[..]));
            assert!(head.fields().has("tracestate"));
        }
    }

    #[test]
    fn an_invalid_trace_is_replaced_together_with_its_state() {
        for text in [
            "",
            "00-0-0-00",
            &format!("ff{}", &PARENT[2..]),
            &format!("{PARENT}-more"),
            &PARENT.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            let (context, head) = check(text);
            assert_ne!(context.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736", "{text}");
            assert!(!head.fields().has("tracestate"), "{text}");
        }
    }
}
