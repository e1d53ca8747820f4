//! Byte buffers that a thread takes when bytes arrive and gives back when they are gone.
//!
//! An idle connection owns no buffer. There are two sizes, so giving back and taking is a push and a pop.

use std::cell::RefCell;

/// Capacity of the usual buffer: one head, or a small body.
pub const BUFFER_BYTES: usize = 16 * 1024;
/// Capacity of a buffer for a body that is known to be larger: what the kernel hands over at once on loopback.
pub const LARGE_BYTES: usize = 64 * 1024;

/// Usual buffers a thread keeps for the next taker; 8 MiB. More than that is returned to the allocator.
const POOLED_MAX: usize = 512;
/// Large ones; 8 MiB.
const POOLED_LARGE_MAX: usize = 128;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static LARGE_POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A filled part between a read part and a free part: `[consumed | filled | free]`.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer from this thread's pool.
    pub fn take() -> Buffer {
        let pooled = POOL.with(|pool| pool.borrow_mut().pop());
        let bytes = pooled.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, start: 0, end: 0 }
    }

    /// An empty large buffer from this thread's pool.
    pub fn take_large() -> Buffer {
        let pooled = LARGE_POOL.with(|pool| pool.borrow_mut().pop());
        let bytes = pooled.unwrap_or_else(|| vec![0; LARGE_BYTES].into_boxed_slice());
        Buffer { bytes, start: 0, end: 0 }
    }

    /// A buffer without room, for a message that was not received.
    pub fn none() -> Buffer {
        Buffer { bytes: Box::default(), start: 0, end: 0 }
    }

    /// What was filled in and not consumed yet.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Number of filled bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is filled.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room behind the filled part.
    pub fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Counts the first `count` bytes of [`Buffer::free`] as filled.
    pub fn fill(&mut self, count: usize) {
        debug_assert!(count <= self.bytes.len() - self.end);
        self.end += count;
    }

    /// Drops the first `count` filled bytes.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends as much of `bytes` as fits and says how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.bytes.len() - self.end);
        self.bytes[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }

    /// Keeps the first `at` filled bytes and moves the rest, if there is any, to another buffer.
    pub fn split_off(&mut self, at: usize) -> Option<Buffer> {
        let tail = &self.filled()[at..];
        if tail.is_empty() {
            return None;
        }
        let mut rest = Buffer::take();
        while rest.bytes.len() < tail.len() {
            rest.grow();
        }
        rest.push(tail);
        self.end = self.start + at;
        Some(rest)
    }

    /// Moves the filled part to the front, so that all room is behind it.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Doubles the capacity; for a head that outgrows one buffer. Such a buffer is not pooled again.
    pub fn grow(&mut self) {
        self.compact();
        let mut larger = vec![0; self.bytes.len() * 2];
        larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
        self.bytes = larger.into_boxed_slice();
    }

    /// Whether there is no room behind the filled part.
    pub fn is_full(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// Whether the filled part starts behind consumed bytes, so that [`Buffer::compact`] would make room.
    pub fn has_consumed(&self) -> bool {
        self.start > 0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let (pool, pooled_max) = match self.bytes.len() {
            BUFFER_BYTES => (&POOL, POOLED_MAX),
            LARGE_BYTES => (&LARGE_POOL, POOLED_LARGE_MAX),
            _ => return,
        };
        let bytes = std::mem::take(&mut self.bytes);
        // While the thread ends its pool may be gone already; then the allocator takes the bytes.
        let _ = pool.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < pooled_max {
                pool.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_taken_again() {
        let first = Buffer::take();
        let address = first.bytes.as_ptr();
        drop(first);
        assert_eq!(Buffer::take().bytes.as_ptr(), address);
    }

    #[test]
    fn growing_keeps_what_was_filled() {
        let mut buffer = Buffer::take();
        buffer.push(b"consumed");
        buffer.push(b"kept");
        buffer.consume(8);
        buffer.grow();
        assert_eq!(buffer.filled(), b"kept");
        assert_eq!(buffer.free().len(), 2 * BUFFER_BYTES - 4);
    }
}
