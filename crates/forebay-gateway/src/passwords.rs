//! Who may have a password checked now, and which were right a moment ago. A check takes a core for a tenth of a second, so
//! few run at a time, few wait, and what one core had checked no other has checked again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_auth::{Digest, Identity, Remembered};
use forebay_clock::Moment;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Checks at a time in the whole process: they share the machine with everybody's requests.
const CHECKS_MAX: usize = 2;
/// Requests that wait for a check. At a tenth of a second each, the last has waited for two.
const WAITING_MAX: usize = 32;

/// Hands out turns; cloning shares them.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Taken for a look when a core itself does not know: once a minute for each user and core.
    right: Arc<Mutex<Remembered<Identity>>>,
}

/// A place in the line. Given up when dropped.
pub(crate) struct Turn {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords {
            turns: Arc::new(Semaphore::new(CHECKS_MAX)),
            waiting: Arc::default(),
            right: Arc::default(),
        }
    }
}

impl Passwords {
    /// A place in the line, if it is not too long.
    pub(crate) fn line_up(&self) -> Option<Turn> {
        let turn = Turn { turns: self.turns.clone(), waiting: self.waiting.clone() };
        // Counted before it is looked at, so that nobody slips in between; the turn takes it back.
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        (ahead < WAITING_MAX).then_some(turn)
    }

    /// Whose password this is, if any core had it checked and it was right; and until when that counts.
    pub(crate) fn find(&self, question: &Digest, now: Moment) -> Option<(Identity, Moment)> {
        self.right().find(question, now)
    }

    /// Tells all cores that a password was right.
    pub(crate) fn keep(&self, question: Digest, identity: Identity, until: Moment, now: Moment) {
        self.right().keep(question, identity, until, now);
    }

    fn right(&self) -> MutexGuard<'_, Remembered<Identity>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until it is this one's turn.
    pub(crate) async fn wait(self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_end_and_moves_on() {
        let passwords = Passwords::default();
        let turns: Vec<Turn> = (0..WAITING_MAX).filter_map(|_| passwords.line_up()).collect();
        assert_eq!(turns.len(), WAITING_MAX);
        assert!(passwords.line_up().is_none() && passwords.line_up().is_none());
        drop(turns);
        assert!(passwords.line_up().is_some());
    }
}
