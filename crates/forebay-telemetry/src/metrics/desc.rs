//! What a metric family is called and what its labels are. Checked when compiled, where it is a constant.

/// The label of the one series that takes what a full family refuses.
pub(super) const OVERFLOW_LABEL: &str = "other";

/// Suffixes that the exposition formats give a meaning; a family's own name must not end in them.
const RESERVED_SUFFIXES: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_info", "_created"];

/// The unit of a family's values. It is the last word of the family's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, `_seconds`.
    Seconds,
    /// Bytes, `_bytes`.
    Bytes,
    /// A share from 0 to 1, `_ratio`.
    Ratio,
}

impl Unit {
    /// As it is spelled in names and in `# UNIT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
        }
    }
}

/// Name, help and label names of a family with `N` labels. Declare it as a constant in a crate's
/// `telemetry.rs`, so that a bad name does not compile:
///
/// ```
/// use forebay_telemetry::metrics::{Desc, Unit};
///
/// const ATTEMPTS: Desc<2> =
///     Desc::new("upstream_attempts", "Requests sent to endpoints.", ["service", "endpoint"]);
/// const SENT: Desc<1> =
///     Desc::new("sent_bytes", "Bytes sent to clients.", ["route"]).unit(Unit::Bytes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Desc<const N: usize> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) labels: [&'static str; N],
}

impl<const N: usize> Desc<N> {
    /// A family. A counter's name is given without `_total`: the exposition adds it.
    ///
    /// # Panics
    /// When a name is not one the exposition formats allow, is reserved by them, or a label is given twice.
    /// In a constant this is a compile error.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Desc<N> {
        assert!(is_name(name), "a metric name is letters, digits and underscores, not starting with a digit");
        let mut at = 0;
        while at < RESERVED_SUFFIXES.len() {
            assert!(!ends_with(name, RESERVED_SUFFIXES[at]), "the exposition adds this suffix by itself");
            at += 1;
        }
        let mut at = 0;
        while at < N {
            assert!(is_name(labels[at]), "a label name is letters, digits and underscores");
            assert!(!starts_with(labels[at], "__"), "label names starting with __ belong to the scraper");
            assert!(
                !equal(labels[at], "le") && !equal(labels[at], OVERFLOW_LABEL),
                "this label name is reserved"
            );
            let mut before = 0;
            while before < at {
                assert!(!equal(labels[before], labels[at]), "a label is given twice");
                before += 1;
            }
            at += 1;
        }
        Desc { name, help, unit: None, labels }
    }

    /// The same family with a unit.
    ///
    /// # Panics
    /// When the name does not end in the unit. In a constant this is a compile error.
    pub const fn unit(self, unit: Unit) -> Desc<N> {
        assert!(ends_with(self.name, unit.as_str()), "the unit is the last word of the name");
        Desc { unit: Some(unit), ..self }
    }
}

const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && !bytes[0].is_ascii_digit()
}

const fn equal(one: &str, other: &str) -> bool {
    one.len() == other.len() && starts_with(one, other)
}

const fn starts_with(text: &str, prefix: &str) -> bool {
    holds_at(text, prefix, 0)
}

const fn ends_with(text: &str, suffix: &str) -> bool {
    text.len() >= suffix.len() && holds_at(text, suffix, text.len() - suffix.len())
}

const fn holds_at(text: &str, part: &str, from: usize) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    if text.len() < from + part.len() {
        return false;
    }
    let mut at = 0;
    while at < part.len() {
        if text[from + at] != part[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused<T>(declare: impl FnOnce() -> T + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(declare).is_err()
    }

    #[test]
    fn names_that_the_formats_forbid_are_refused() {
        for name in ["", "1st", "a-b", "a b", "é", "requests_total", "duration_sum", "x_bucket"] {
            assert!(is_refused(|| Desc::new(name, "", [])), "{name}");
        }
        for label in ["", "le", "other", "__name__", "a.b"] {
            assert!(is_refused(|| Desc::new("ok", "", [label])), "{label}");
        }
        assert!(is_refused(|| Desc::new("ok", "", ["route", "route"])));
    }

    #[test]
    fn a_unit_is_part_of_the_name() {
        assert!(is_refused(|| Desc::new("duration", "", []).unit(Unit::Seconds)));
        assert_eq!(Desc::new("duration_seconds", "", []).unit(Unit::Seconds).unit, Some(Unit::Seconds));
    }
}
