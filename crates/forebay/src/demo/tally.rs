//! Counts what the load's requests came to: in all, in the present second, and in the last few.

use std::collections::VecDeque;
use std::time::Duration;

use super::INSTANCES;
use super::latencies::Latencies;

/// Seconds that the view looks back over: long enough for a steady p99, short enough to see a change at once.
pub(crate) const WINDOW_S: usize = 5;

/// What one request came to.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) took: Duration,
    /// Which instance answered, if one did; or why the request failed.
    pub(crate) result: Result<Option<usize>, String>,
}

/// Requests of some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) by_instance: [u64; INSTANCES],
    pub(crate) latencies: Latencies,
}

impl Tally {
    fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        match sample.result {
            Ok(Some(instance)) => self.by_instance[instance] += 1,
            Ok(None) => {}
            Err(_) => self.failed += 1,
        }
        self.latencies.add(sample.took);
    }

    fn merge(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.failed += other.failed;
        for (count, more) in self.by_instance.iter_mut().zip(other.by_instance) {
            *count += more;
        }
        self.latencies.merge(&other.latencies);
    }

    /// Of the requests that instances answered, the part of this one, in percent.
    pub(crate) fn share(&self, instance: usize) -> u64 {
        let answered: u64 = self.by_instance.iter().sum();
        (self.by_instance[instance] * 100 + answered / 2).checked_div(answered).unwrap_or(0)
    }
}

/// The numbers of a demo.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) total: Tally,
    /// Whole seconds, the latest last; at most [`WINDOW_S`].
    seconds: VecDeque<Tally>,
    present: Tally,
}

impl Numbers {
    pub(crate) fn add(&mut self, sample: &Sample) {
        self.total.add(sample);
        self.present.add(sample);
    }

    /// A second is over.
    pub(crate) fn turn_second(&mut self) {
        if self.seconds.len() == WINDOW_S {
            self.seconds.pop_front();
        }
        self.seconds.push_back(std::mem::take(&mut self.present));
    }

    /// The last whole second.
    pub(crate) fn last_second(&self) -> Option<&Tally> {
        self.seconds.back()
    }

    /// The last few seconds together.
    pub(crate) fn window(&self) -> Tally {
        let mut window = Tally::default();
        self.seconds.iter().for_each(|second| window.merge(second));
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(result: Result<Option<usize>, String>) -> Sample {
        Sample { took: Duration::from_millis(8), result }
    }

    #[test]
    fn the_window_forgets_and_the_total_does_not() {
        let mut numbers = Numbers::default();
        numbers.add(&sample(Err("503".to_owned())));
        numbers.turn_second();
        for _ in 0..WINDOW_S {
            numbers.add(&sample(Ok(Some(1))));
            numbers.turn_second();
        }
        let window = numbers.window();
        assert_eq!((window.requests, window.failed), (WINDOW_S as u64, 0));
        assert_eq!((numbers.total.requests, numbers.total.failed), (WINDOW_S as u64 + 1, 1));
        assert_eq!(numbers.last_second().map(|second| second.requests), Some(1));
    }

    #[test]
    fn shares_are_of_what_was_answered() {
        let mut tally = Tally::default();
        assert_eq!(tally.share(0), 0);
        [Ok(Some(0)), Ok(Some(1)), Ok(Some(1)), Ok(None), Err(String::new())]
            .map(sample)
            .iter()
            .for_each(|sample| tally.add(sample));
        assert_eq!([0, 1, 2].map(|instance| tally.share(instance)), [33, 67, 0]);
    }
}
