//! A host name that DNS can hold. Lower case, so that equal names are equal.

use std::fmt;
use std::sync::Arc;

use crate::error::HostFlaw;

/// RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters of text.
const NAME_LEN_MAX: usize = 253;
/// RFC 1035 section 2.3.4.
const LABEL_LEN_MAX: usize = 63;

/// A valid host name, lower case. A final dot is kept: it says that search domains do not apply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Checks a name: letters, digits, hyphens inside labels, and underscores, which DNS itself does not mind
    /// and which containers and service records have.
    pub fn parse(text: &str) -> Result<HostName, HostFlaw> {
        let relative = text.strip_suffix('.').unwrap_or(text);
        if relative.is_empty() {
            return Err(HostFlaw::Empty);
        }
        if relative.len() > NAME_LEN_MAX {
            return Err(HostFlaw::TooLong);
        }
        relative.split('.').try_for_each(check_label)?;
        Ok(HostName(text.to_ascii_lowercase().into()))
    }

    /// As configured, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the root's dot: what TLS and `Host` want.
    pub fn without_root(&self) -> &str {
        self.0.strip_suffix('.').unwrap_or(&self.0)
    }

    /// Written with the root's dot, so that search domains do not apply.
    pub fn is_absolute(&self) -> bool {
        self.0.ends_with('.')
    }

    /// Number of dots, the root's not counted; resolv.conf's `ndots` is compared with it.
    pub fn dots(&self) -> usize {
        self.without_root().bytes().filter(|&b| b == b'.').count()
    }
}

fn check_label(label: &str) -> Result<(), HostFlaw> {
    if label.is_empty() {
        return Err(HostFlaw::LabelEmpty);
    }
    if let Some(c) = label.chars().find(|&c| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
        return Err(HostFlaw::Character(c));
    }
    if label.len() > LABEL_LEN_MAX {
        return Err(HostFlaw::LabelTooLong);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HostFlaw::Hyphen);
    }
    Ok(())
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_or_say_what_is_wrong() {
        fn check(text: &str, expected: Result<&str, HostFlaw>) {
            assert_eq!(
                HostName::parse(text).as_ref().map(HostName::as_str).map_err(|&f| f),
                expected,
                "{text:?}"
            );
        }
        check("Orders.Internal", Ok("orders.internal"));
        check("orders.internal.", Ok("orders.internal."));
        check("_http._tcp.orders", Ok("_http._tcp.orders"));
        check("my_service", Ok("my_service"));
        check("", Err(HostFlaw::Empty));
        check(".", Err(HostFlaw::Empty));
        check("a..b", Err(HostFlaw::LabelEmpty));
        check(".a", Err(HostFlaw::LabelEmpty));
        check("-a", Err(HostFlaw::Hyphen));
        check("a-.b", Err(HostFlaw::Hyphen));
        check("a b", Err(HostFlaw::Character(' ')));
        check("köln", Err(HostFlaw::Character('ö')));
        check(&"a".repeat(64), Err(HostFlaw::LabelTooLong));
        check(&"a.".repeat(130), Err(HostFlaw::TooLong));
    }
}
