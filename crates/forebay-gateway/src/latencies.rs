//! How long answers of endpoints take, kept by endpoint: found again by each generation and each core, forgotten with the
//! last that holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use forebay_balance::PeakEwma;
use forebay_discovery::EndpointId;

/// The averages of one service's endpoints. Asked for when a fleet is built, not for requests.
#[derive(Debug, Default)]
pub(crate) struct PeakLatencies(Mutex<Averages>);

#[derive(Debug, Default)]
struct Averages {
    of: HashMap<EndpointId, Weak<PeakEwma>>,
    /// At this size those that nobody holds are looked for: twice what was left the last time, so that ten thousand that come
    /// are not looked through ten thousand times.
    full: usize,
}

impl PeakLatencies {
    /// The average of this endpoint; a new one when nobody holds it.
    pub(crate) fn of(&self, endpoint: EndpointId) -> Arc<PeakEwma> {
        let mut averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(average) = averages.of.get(&endpoint).and_then(Weak::upgrade) {
            return average;
        }
        if averages.of.len() >= averages.full {
            averages.of.retain(|_, average| average.strong_count() > 0);
            averages.full = 2 * averages.of.len();
        }
        let average = Arc::new(PeakEwma::default());
        averages.of.insert(endpoint, Arc::downgrade(&average));
        average
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_lives_as_long_as_somebody_holds_it() {
        let latencies = PeakLatencies::default();
        let (first, other) = (latencies.of(EndpointId(1)), latencies.of(EndpointId(2)));
        assert!(Arc::ptr_eq(&first, &latencies.of(EndpointId(1))) && !Arc::ptr_eq(&first, &other));
        drop((first, other));
        for endpoint in 3..100 {
            latencies.of(EndpointId(endpoint));
        }
        assert!(latencies.0.lock().unwrap().of.len() <= 2);
    }
}
