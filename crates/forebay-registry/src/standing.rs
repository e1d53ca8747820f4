//! How the stores behind a registry are: since when one fails, why, and how often it has. Decides nothing by it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use forebay_clock::Moment;

/// One store, written by who uses it and read by who is asked.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u64,
    trouble: Option<Trouble>,
}

/// What is wrong with a store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when nothing has gone well.
    pub since: Moment,
    /// What happened last.
    pub error: String,
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreReport {
    /// `disk` or `shared`.
    pub store: &'static str,
    /// Times that it did not do what was asked, since the process started.
    pub failures: u64,
    /// Nothing while it works.
    pub trouble: Option<Trouble>,
}

impl Standing {
    pub(crate) fn works(&self) {
        self.lock().trouble = None;
    }

    pub(crate) fn failed(&self, now: Moment, error: impl ToString) {
        let mut state = self.lock();
        state.failures += 1;
        let since = state.trouble.as_ref().map_or(now, |trouble| trouble.since);
        state.trouble = Some(Trouble { since, error: error.to_string() });
    }

    pub(crate) fn report(&self, store: &'static str) -> StoreReport {
        let State { failures, trouble } = &*self.lock();
        StoreReport { store, failures: *failures, trouble: trouble.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn trouble_is_as_old_as_its_first_failure_and_over_with_the_first_success() {
        let standing = Standing::default();
        let at = |seconds| Moment::START + Duration::from_secs(seconds);
        standing.failed(at(1), "full");
        standing.failed(at(5), "gone");
        let trouble = Some(Trouble { since: at(1), error: "gone".into() });
        assert_eq!(standing.report("disk"), StoreReport { store: "disk", failures: 2, trouble });
        standing.works();
        assert_eq!(standing.report("disk"), StoreReport { store: "disk", failures: 2, trouble: None });
        standing.failed(at(9), "full");
        assert_eq!(standing.report("disk").trouble.map(|trouble| trouble.since), Some(at(9)));
    }
}
