//! Buffers as direct I/O wants them, and a fixed number of them to share.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, PoisonError};

/// Direct I/O wants memory that begins at a multiple of the device's blocks (open(2), `O_DIRECT`); no device asks for more.
pub const ALIGNMENT_BYTES: usize = 4096;

/// Bytes that begin at a multiple of [`ALIGNMENT_BYTES`] in memory.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// So many zeros.
    pub fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + ALIGNMENT_BYTES];
        let address = memory.as_ptr().addr();
        let start = address.next_multiple_of(ALIGNMENT_BYTES) - address;
        Self { memory, start, len }
    }

    /// A copy of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }
}

/// A fixed number of buffers; whoever finds none waits until one is given back.
#[derive(Debug)]
pub struct Pool {
    shelf: Mutex<Shelf>,
    returned: Condvar,
    buffer_bytes: usize,
}

#[derive(Debug)]
struct Shelf {
    free: Vec<Buffer>,
    /// Buffers that may still be made.
    unmade: usize,
}

impl Pool {
    /// At most `count` buffers of `buffer_bytes` each, made when they are first needed.
    pub const fn new(count: usize, buffer_bytes: usize) -> Self {
        Self {
            shelf: Mutex::new(Shelf {
                free: Vec::new(),
                unmade: count,
            }),
            returned: Condvar::new(),
            buffer_bytes,
        }
    }

    /// The first `len` bytes of a buffer, with whatever they hold; at most a buffer's size.
    pub fn take(&self, len: usize) -> Lent<'_> {
        assert!(len <= self.buffer_bytes, "{len} bytes are more than a buffer has");
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = loop {
            if let Some(buffer) = shelf.free.pop() {
                break buffer;
            }
            if shelf.unmade > 0 {
                shelf.unmade -= 1;
                break Buffer::zeroed(self.buffer_bytes);
            }
            shelf = self.returned.wait(shelf).unwrap_or_else(PoisonError::into_inner);
        };
        drop(shelf);
        Lent {
            pool: self,
            buffer: Some(buffer),
            len,
        }
    }
}

/// A buffer of a [`Pool`], given back when it is dropped.
#[derive(Debug)]
pub struct Lent<'p> {
    pool: &'p Pool,
    /// There until it is dropped.
    buffer: Option<Buffer>,
    len: usize,
}

impl Deref for Lent<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let buffer = self.buffer.as_ref().expect("it is taken by `drop` alone");
        &buffer[..self.len]
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let buffer = self.buffer.as_mut().expect("it is taken by `drop` alone");
        &mut buffer[..self.len]
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut shelf = self.pool.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.free.extend(self.buffer.take());
        drop(shelf);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_given_back() {
        let pool = Pool::new(2, 10_000);
        let first = pool.take(10_000);
        let address = first.as_ptr().addr();
        assert!(address.is_multiple_of(ALIGNMENT_BYTES));
        let second = pool.take(1);
        assert_eq!(second.len(), 1);
        drop(first);
        assert_eq!(pool.take(512).as_ptr().addr(), address);
    }

    #[test]
    fn whoever_finds_no_buffer_gets_the_next_one_that_is_free() {
        let pool = Pool::new(1, 16);
        let mut lent = pool.take(16);
        lent.fill(7);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.take(16)[0]);
            drop(lent);
            assert_eq!(waiter.join().unwrap(), 7);
        });
    }
}
