//! The `Date` field's text (RFC 9110 §5.6.7), made once a second.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use forebay_clock::{Clock, Moment};

/// Remembers the present second's text. One per core.
#[derive(Debug)]
pub struct DateCache {
    clock: Clock,
    /// When the text is out of date.
    until: Cell<Moment>,
    text: RefCell<String>,
}

impl DateCache {
    /// An empty cache.
    pub fn new(clock: Clock) -> DateCache {
        DateCache { clock, until: Cell::new(Moment::START), text: RefCell::default() }
    }

    /// The present date as an IMF-fixdate.
    pub fn now(&self) -> std::cell::Ref<'_, str> {
        let now = self.clock.now();
        if now >= self.until.get() {
            let wall = SystemTime::now();
            let into_second =
                wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
            self.until.set(now + Duration::from_nanos(1_000_000_000 - u64::from(into_second)));
            *self.text.borrow_mut() = httpdate::fmt_http_date(wall);
        }
        std::cell::Ref::map(self.text.borrow(), String::as_str)
    }
}
