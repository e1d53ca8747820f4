//! That a pick allocates nothing: an allocator that counts, for each thread by itself.
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use forebay_balance::{Balance, Policy, Request, StickyKey, Tried};
use forebay_clock::Moment;

use crate::fleet::{Bench, Endpoint};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator. The count is a constant-initialised thread-local without a
// destructor, so reaching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract that is asked of it here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for policy in Policy::ALL {
        let weights: Vec<u32> = (0..1000).map(|number| 1 + number % 3).collect();
        let balance = Balance { sticky: Some(StickyKey::new(None)), ..Balance::from(policy) };
        let mut bench = Bench::new(balance, Endpoint::with_weights(&weights), 5);
        bench.mark(&(0..1000).map(|index| index % 3 > 0).collect::<Vec<_>>());
        let session = bench.balancer.fleet().token(3);
        let mut tried = Tried::default();
        let before = ALLOCATIONS.get();
        for number in 0..2000u64 {
            // With counts, retries, keys and sessions now and then.
            if number % 5 == 0 {
                tried.insert(number as usize % 1000);
            }
            let request = Request {
                key: Some(number << 50),
                session: session.filter(|_| number % 7 == 0),
                ..Request::new(Moment::from_nanos(number * 1_000_000), &tried)
            };
            assert!(bench.balancer.pick(&request, &mut bench.rng).is_some());
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{policy}");
    }
}
