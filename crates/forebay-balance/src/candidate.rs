//! What an endpoint shows to the balancer. Decides nothing.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use forebay_clock::Moment;

/// An endpoint as the balancer sees it: two live facts and a weight.
///
/// A pick reads all three of two endpoints, so keep them in one cache line, and give each endpoint
/// (`#[repr(align(128))]`) lines of its own: every core writes the count.
pub trait Candidate {
    /// Its share of requests relative to the others; only the ratio counts. Constant for the life of a
    /// [`Fleet`](crate::Fleet), which computes with it ahead.
    fn weight(&self) -> NonZeroU32;

    /// Requests that all cores together have on it, as far as this core has heard: a pick that misses the newest
    /// one is a slightly worse pick, never a wrong one.
    fn in_flight(&self) -> u32;

    /// Whether requests should go to it: healthy, not draining, not ejected until some later moment. May
    /// change at any time, also between two calls of one pick.
    fn is_eligible(&self, now: Moment) -> bool;
}

macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<C: Candidate + ?Sized> Candidate for $pointer {
            fn weight(&self) -> NonZeroU32 {
                (**self).weight()
            }
            fn in_flight(&self) -> u32 {
                (**self).in_flight()
            }
            fn is_eligible(&self, now: Moment) -> bool {
                (**self).is_eligible(now)
            }
        }
    )*};
}

through_pointer!(&C, Rc<C>, Arc<C>);
