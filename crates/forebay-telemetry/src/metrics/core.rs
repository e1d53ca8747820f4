//! Which core is writing. Decides that a shard has one writer; knows nothing of what is written.

use std::marker::PhantomData;

/// The right to write one core's shard of every metric of one [`Registry`](crate::metrics::Registry).
///
/// A `Core` is copied freely on the thread that claimed it and cannot leave that thread. This is what makes
/// "load, add, store" sound as an increment: no second writer can exist.
///
/// ```compile_fail,E0277
/// # let registry = forebay_telemetry::metrics::Registry::new(1);
/// let core = registry.claim_core().unwrap();
/// std::thread::spawn(move || drop(core));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Core {
    shard: usize,
    // A raw pointer is neither `Send` nor `Sync`, and so neither is the `Core`.
    stays_on_its_thread: PhantomData<*const ()>,
}

impl Core {
    pub(crate) fn of_shard(shard: usize) -> Core {
        Core { shard, stays_on_its_thread: PhantomData }
    }

    pub(crate) fn shard(self) -> usize {
        self.shard
    }
}
