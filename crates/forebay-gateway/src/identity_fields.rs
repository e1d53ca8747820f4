//! Fields that tell a service who calls. Only Forebay says so: what comes from outside under these names is taken off
//! every request, whichever listener and route it is for, before anything is added.

use forebay_http::body::Incoming;
use forebay_http::{Name, RequestHead, Section};

use crate::plan::AuthPolicy;

/// The names, and which lengths they have.
#[derive(Debug)]
pub(crate) struct IdentityFields {
    names: Vec<Box<[u8]>>,
    /// A bit for each length that a name has: most fields of a request are done with by looking at it.
    lengths: u64,
    /// Whether a policy copies fields, of which the codec knows nothing.
    copies: bool,
}

impl IdentityFields {
    /// Those of every policy, and those that these copy.
    pub(crate) fn new(policies: &[AuthPolicy]) -> IdentityFields {
        let own = [Name::ForebaySubject, Name::ForebayConsumer].map(Name::text);
        let copied = policies.iter().flat_map(|policy| policy.policy.copied()).map(|name| &**name);
        let copies = copied.clone().next().is_some();
        let names: Vec<Box<[u8]>> = own.into_iter().chain(copied).map(plain).collect();
        let lengths = names.iter().fold(0, |lengths, name| lengths | bit(name.len()));
        IdentityFields { names, lengths, copies }
    }

    /// Takes off what a client says of itself. Trailers come when the head is gone: the codec takes Forebay's own names off
    /// them, and where others count too, all of them go.
    pub(crate) fn strip(&self, head: &mut RequestHead, body: &mut Incoming<'_>) {
        if self.copies {
            body.drop_trailers();
        }
        let fields: &mut Section = head.fields_mut();
        fields.remove_named_such(|name| self.lengths & bit(name.len()) != 0 && self.has(name));
    }

    fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|known| {
            known.len() == name.len()
                && known.iter().zip(name).all(|(known, byte)| *known == plain_byte(*byte))
        })
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

fn plain(name: &str) -> Box<[u8]> {
    name.bytes().map(plain_byte).collect()
}

/// CGI and WSGI make one variable of `-` and `_`, so to many services `forebay_subject` is the same field.
fn plain_byte(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_http::Scheme;

    #[test]
    fn however_they_are_spelled_they_are_taken_off() {
        let mut head = RequestHead::new("GET", Scheme::Http, "a", "/");
        for name in [
            "Forebay-Subject",
            "forebay_subject",
            "FOREBAY-CONSUMER",
            "forebay-_consumer",
            "x-subject",
            "Accept",
        ] {
            head.fields_mut().append(name, b"1");
        }
        IdentityFields::new(&[]).strip(&mut head, &mut Incoming::empty());
        let left: Vec<_> =
            head.fields().iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(left, ["host", "forebay-_consumer", "x-subject", "Accept"]);
    }
}
