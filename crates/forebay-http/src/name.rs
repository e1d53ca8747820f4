//! Field names that some stage asks for on every message: recognised once while parsing, compared as a byte after.

use http::HeaderName;

macro_rules! names {
    ($($variant:ident = $text:literal),+ $(,)?) => {
        /// A field name, where it is one of those Forebay itself looks at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $variant,)+
            /// Any other name; its text is in the head.
            Other,
        }

        impl Name {
            /// The lowercase name; empty for [`Name::Other`].
            pub const fn text(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)+
                    Name::Other => "",
                }
            }
        }

        impl Name {
            /// The name as a field line begins with it.
            pub(crate) const fn line_start(self) -> &'static str {
                match self {
                    $(Name::$variant => concat!($text, ": "),)+
                    Name::Other => "",
                }
            }
        }

        const NAMES: &[(&str, Name)] = &[$(($text, Name::$variant)),+];

        /// In the order of the names.
        static HEADER_NAMES: [HeaderName; NAMES.len()] = [$(HeaderName::from_static($text)),+];
    };
}

names! {
    Host = "host",
    Connection = "connection",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    Te = "te",
    Trailer = "trailer",
    Upgrade = "upgrade",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    Expect = "expect",
    Via = "via",
    Forwarded = "forwarded",
    XForwardedFor = "x-forwarded-for",
    XForwardedProto = "x-forwarded-proto",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XRealIp = "x-real-ip",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Date = "date",
    ContentType = "content-type",
    Origin = "origin",
    AccessControlRequestMethod = "access-control-request-method",
    AccessControlRequestHeaders = "access-control-request-headers",
    AccessControlRequestPrivateNetwork = "access-control-request-private-network",
    Authorization = "authorization",
    Cookie = "cookie",
    IdempotencyKey = "idempotency-key",
    RetryAfter = "retry-after",
    ForebayAttempt = "forebay-attempt",
    ForebayPriority = "forebay-priority",
    ForebayTimeoutMs = "forebay-timeout-ms",
    ForebaySubject = "forebay-subject",
    ForebayConsumer = "forebay-consumer",
}

/// Names are compared padded to this, as five machine words; none is longer.
const PADDED: usize = 40;

/// For every length, where its names begin in [`BY_LENGTH`].
const STARTS: [u8; PADDED + 1] = sorted().0;
/// All names in lower case, the shortest first.
static BY_LENGTH: [([u8; PADDED], Name); NAMES.len()] = sorted().1;

const fn sorted() -> ([u8; PADDED + 1], [([u8; PADDED], Name); NAMES.len()]) {
    let mut starts = [0; PADDED + 1];
    let mut sorted = [([0; PADDED], Name::Other); NAMES.len()];
    let mut filled = 0;
    let mut length = 0;
    while length < PADDED {
        starts[length] = filled as u8;
        let mut at = 0;
        while at < NAMES.len() {
            let text = NAMES[at].0.as_bytes();
            if text.len() == length {
                let mut byte = 0;
                while byte < length {
                    sorted[filled].0[byte] = text[byte];
                    byte += 1;
                }
                sorted[filled].1 = NAMES[at].1;
                filled += 1;
            }
            at += 1;
        }
        length += 1;
    }
    starts[PADDED] = filled as u8;
    assert!(filled == NAMES.len(), "a name is longer than PADDED allows");
    (starts, sorted)
}

impl Name {
    /// Recognises a name in any case.
    pub fn of(name: &[u8]) -> Name {
        let length = name.len();
        if length >= PADDED {
            return Name::Other;
        }
        let candidates = &BY_LENGTH[usize::from(STARTS[length])..usize::from(STARTS[length + 1])];
        if candidates.is_empty() {
            return Name::Other;
        }
        let mut lowercase = [0; PADDED];
        lowercase[..length].copy_from_slice(name);
        lowercase.make_ascii_lowercase();
        let found = candidates.iter().find(|(text, _)| *text == lowercase);
        found.map_or(Name::Other, |&(_, name)| name)
    }

    /// The name as an [`http::HeaderMap`] looks it up; nothing for [`Name::Other`].
    pub fn header_name(self) -> Option<&'static HeaderName> {
        HEADER_NAMES.get(self as usize)
    }

    /// Whether the field belongs to one connection only and is never forwarded as it came (RFC 9110 §7.6.1).
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Name::Connection
                | Name::TransferEncoding
                | Name::Te
                | Name::Trailer
                | Name::Upgrade
                | Name::KeepAlive
                | Name::ProxyConnection
        )
    }

    /// Whether the field decides where a message ends, so that the codec alone writes it.
    pub const fn is_framing(self) -> bool {
        matches!(self, Name::ContentLength | Name::TransferEncoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case() {
        assert_eq!(Name::of(b"HOST"), Name::Host);
        assert_eq!(Name::of(b"Content-length"), Name::ContentLength);
        assert_eq!(Name::of(b"hosts"), Name::Other);
        assert_eq!(Name::of(b"x-forwarded-for-and-a-very-long-tail"), Name::Other);
    }

    #[test]
    fn a_name_is_the_same_to_a_header_map() {
        for &(text, name) in NAMES {
            assert_eq!(name.header_name().map(HeaderName::as_str), Some(text));
        }
        assert_eq!(Name::Other.header_name(), None);
    }
}
