//! What an endpoint shows to the balancer. Decides nothing.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use forebay_clock::Moment;

use crate::{Identity, PeakEwma};

/// An endpoint as the balancer sees it: who and where it is, constant for the life of a [`Fleet`](crate::Fleet), and
/// what changes by itself, read for each pick.
///
/// A pick reads weight, count and eligibility of two endpoints, so keep them in one cache line, and give each endpoint
/// (`#[repr(align(64))]`) lines of its own: every core writes the count.
pub trait Candidate {
    /// Who it is. Constant.
    fn identity(&self) -> Identity;

    /// Its share of requests relative to the others; only the ratio counts. Constant.
    fn weight(&self) -> NonZeroU32;

    /// Lower is preferred; higher ones are for when too few of the lower are left (RFC 2782). Constant.
    fn priority(&self) -> u16 {
        0
    }

    /// Where it runs, when that is known. Constant.
    fn zone(&self) -> Option<&str> {
        None
    }

    /// Requests that all cores together have on it, as far as this core has heard: a pick that misses the newest
    /// one is a slightly worse pick, never a wrong one.
    fn in_flight(&self) -> u32;

    /// Whether requests should go to it: no check calls it unhealthy, and it is not ejected until some later moment. May
    /// change at any time, also between two calls of one pick. What was taken out on purpose (draining, in
    /// maintenance) does not belong into the fleet: panic would send requests to it.
    fn is_eligible(&self, now: Moment) -> bool;

    /// Since when it has been there and healthy; `None` for long enough. For slow start.
    fn healthy_since(&self) -> Option<Moment> {
        None
    }

    /// How long its answers take, shared by all cores. For `peak-ewma`, which without it is `least-request`.
    fn latency(&self) -> Option<&PeakEwma> {
        None
    }
}

macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<C: Candidate + ?Sized> Candidate for $pointer {
            fn identity(&self) -> Identity {
                (**self).identity()
            }
            fn weight(&self) -> NonZeroU32 {
                (**self).weight()
            }
            fn priority(&self) -> u16 {
                (**self).priority()
            }
            fn zone(&self) -> Option<&str> {
                (**self).zone()
            }
            fn in_flight(&self) -> u32 {
                (**self).in_flight()
            }
            fn is_eligible(&self, now: Moment) -> bool {
                (**self).is_eligible(now)
            }
            fn healthy_since(&self) -> Option<Moment> {
                (**self).healthy_since()
            }
            fn latency(&self) -> Option<&PeakEwma> {
                (**self).latency()
            }
        }
    )*};
}

through_pointer!(&C, Rc<C>, Arc<C>);
