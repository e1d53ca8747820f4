//! A gate that one thread opens and others wait at: the order of events without sleeping.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::PATIENCE;

/// Closed at first; once open it stays open. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets everybody through.
    pub fn open(&self) {
        let (is_open, changed) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits until it is open.
    ///
    /// # Panics
    /// When nobody opens it.
    pub fn wait(&self) {
        let (is_open, changed) = &*self.0;
        let guard = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, PATIENCE, |is_open| !*is_open);
        let waited = waited.unwrap_or_else(PoisonError::into_inner).1;
        assert!(!waited.timed_out(), "nobody opened the gate");
    }
}
