//! What is shed first when there is too much. Says nothing about how much is too much.

use forebay_config::Settings;

/// The field by which a trusted caller says how important a request is.
pub const PRIORITY_FIELD: &str = "forebay-priority";

/// How important a request is, when not all can be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Settings)]
pub enum Priority {
    /// Nobody waits for it: prefetches, reports, crawlers. Shed first.
    Low,
    /// What says nothing else.
    #[default]
    Normal,
    /// Somebody has paid, or is about to. Shed last.
    High,
}

impl Priority {
    /// From the least to the greatest.
    pub const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

    /// From the field of a caller that is believed; from anybody else it is to be left out. `None` for what is no
    /// priority: then the route's holds.
    pub fn read(field: &[u8]) -> Option<Priority> {
        match field {
            b"low" => Some(Priority::Low),
            b"normal" => Some(Priority::Normal),
            b"high" => Some(Priority::High),
            _ => None,
        }
    }

    /// As it is told the next hop.
    pub const fn text(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }

    /// How much of a limit requests of this priority may fill: the rest is kept for those above. Rounded up, so that a
    /// limit of one serves everybody.
    pub const fn share_of(self, limit: u32) -> u32 {
        let percent = match self {
            Priority::Low => 70,
            Priority::Normal => 90,
            Priority::High => 100,
        };
        (limit as u64 * percent).div_ceil(100) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_priority_reads_back_and_nothing_else_does() {
        for priority in Priority::ALL {
            assert_eq!(Priority::read(priority.text().as_bytes()), Some(priority));
        }
        for nonsense in ["", "HIGH", "high ", "9", "urgent"] {
            assert_eq!(Priority::read(nonsense.as_bytes()), None, "{nonsense:?}");
        }
    }

    proptest! {
        #[test]
        fn who_is_above_may_fill_as_much_or_more(limit in 1..=u32::MAX) {
            let [low, normal, high] = Priority::ALL.map(|one| one.share_of(limit));
            prop_assert!(1 <= low && low <= normal && normal <= high && high == limit);
        }
    }
}
