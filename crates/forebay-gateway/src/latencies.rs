//! How long answers of endpoints take, kept by endpoint: found again by each generation and each core, forgotten with the
//! last that holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use forebay_balance::PeakEwma;
use forebay_discovery::EndpointId;

/// The averages of one service's endpoints. Asked for when a fleet is built, not for requests.
#[derive(Debug, Default)]
pub(crate) struct PeakLatencies(Mutex<HashMap<EndpointId, Weak<PeakEwma>>>);

impl PeakLatencies {
    /// The average of this endpoint; a new one when nobody holds it.
    pub(crate) fn of(&self, endpoint: EndpointId) -> Arc<PeakEwma> {
        let mut averages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(average) = averages.get(&endpoint).and_then(Weak::upgrade) {
            return average;
        }
        averages.retain(|_, average| average.strong_count() > 0);
        let average = Arc::new(PeakEwma::default());
        averages.insert(endpoint, Arc::downgrade(&average));
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
        latencies.of(EndpointId(3));
        assert_eq!(latencies.0.lock().unwrap().len(), 1);
    }
}
