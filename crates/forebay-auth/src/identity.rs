//! Who calls, in a form that logs, headers and keys of stores can carry.

/// Of a subject or consumer, as claimed (OpenID Connect Core §2 has 255 for `sub`).
pub const SUBJECT_BYTES_MAX: usize = 255;

/// A caller that is known. Texts are visible ASCII: anything else in them is percent-encoded, the percent sign included,
/// so that two callers never become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who: a person, a machine, an account.
    pub subject: Option<Box<str>>,
    /// By means of which application.
    pub consumer: Option<Box<str>>,
    /// Further fields for the service, by name.
    pub copied: Vec<(Box<str>, Box<[u8]>)>,
}

impl Identity {
    /// From texts as they were claimed; `None` when one of them is empty or too long to be a name.
    pub fn new(subject: Option<&str>, consumer: Option<&str>) -> Option<Identity> {
        let read = |text: Option<&str>| match text {
            Some(text) if text.is_empty() || text.len() > SUBJECT_BYTES_MAX => None,
            Some(text) => Some(Some(encoded(text))),
            None => Some(None),
        };
        Some(Identity { subject: read(subject)?, consumer: read(consumer)?, copied: Vec::new() })
    }
}

fn encoded(text: &str) -> Box<str> {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_no_header_can_hold_is_encoded() {
        let subject = |text| Identity::new(Some(text), None).and_then(|identity| identity.subject);
        assert_eq!(subject("auth0|5f7c").as_deref(), Some("auth0|5f7c"));
        assert_eq!(subject("ada\r\nx: 1").as_deref(), Some("ada%0D%0Ax:%201"));
        assert_eq!(subject("100%").as_deref(), Some("100%25"));
        assert_eq!(subject(""), None);
        assert_eq!(subject(&"a".repeat(256)), None);
    }

    proptest! {
        #[test]
        fn two_callers_never_become_one(a in ".{1,20}", b in ".{1,20}") {
            let subject = |text| Identity::new(Some(text), None).and_then(|identity| identity.subject);
            prop_assert_eq!(subject(&a) == subject(&b), a == b);
            let encoded = subject(&a).unwrap();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
