//! Field names that some stage asks for on every message: recognised once while parsing, compared as a byte after.

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

            fn of_lowercase(name: &[u8]) -> Name {
                $(
                    // A byte-string constant per name lets the compiler switch on length and words.
                    if name == $text.as_bytes() {
                        return Name::$variant;
                    }
                )+
                Name::Other
            }
        }

        const LENGTH_MAX: usize = {
            let lengths = [$($text.len()),+];
            let mut max = 0;
            let mut at = 0;
            while at < lengths.len() {
                if lengths[at] > max {
                    max = lengths[at];
                }
                at += 1;
            }
            max
        };
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
    Authorization = "authorization",
    Cookie = "cookie",
    IdempotencyKey = "idempotency-key",
}

impl Name {
    /// Recognises a name in any case.
    pub fn of(name: &[u8]) -> Name {
        let mut lowercase = [0; LENGTH_MAX];
        let Some(lowercase) = lowercase.get_mut(..name.len()) else { return Name::Other };
        lowercase.copy_from_slice(name);
        lowercase.make_ascii_lowercase();
        Name::of_lowercase(lowercase)
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
}
