//! Buffers that are used again: fresh memory from the kernel costs more than the copy into it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers smaller than this are left to the allocator, which keeps them at hand itself.
const BUFFER_BYTES_MIN: usize = 16 << 10;
/// Most memory that waits to be used again.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Most buffers that wait to be used again.
const WAITING_MAX: usize = 64;

/// Lends buffers and gets them back when the last slice of them is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A buffer on loan.
struct Lent {
    buffer: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// Returns an empty buffer with at least this capacity, and at most a quarter more unless it is
    /// small.
    pub(crate) fn lend(&self, capacity: usize) -> Vec<u8> {
        if capacity < BUFFER_BYTES_MIN {
            return Vec::with_capacity(capacity);
        }
        let step = capacity.next_power_of_two() / 8;
        let most = capacity.next_multiple_of(step);
        self.find(capacity, most)
            .unwrap_or_else(|| Vec::with_capacity(most))
    }

    /// Makes a buffer readable by many; it comes back when the last of them is done.
    pub(crate) fn share(&self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < BUFFER_BYTES_MIN {
            return Bytes::from(buffer);
        }
        Bytes::from_owner(Lent {
            buffer,
            pool: self.clone(),
        })
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity < BUFFER_BYTES_MIN {
            return;
        }
        buffer.clear();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.buffers.len() < WAITING_MAX && waiting.bytes + capacity <= WAITING_BYTES_MAX {
            waiting.bytes += capacity;
            waiting.buffers.push(buffer);
        }
    }

    /// Takes the buffer that came back last among those that fit: its memory is still in the cache.
    fn find(&self, least: usize, most: usize) -> Option<Vec<u8>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| (least..=most).contains(&buffer.capacity());
        let at = waiting.buffers.iter().rposition(fits)?;
        let buffer = waiting.buffers.remove(at);
        waiting.bytes -= buffer.capacity();
        Some(buffer)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_after_its_last_slice() {
        let pool = Pool::default();
        let mut buffer = pool.lend(100_000);
        buffer.extend_from_slice(b"hello");
        let place = buffer.as_ptr();
        let shared = pool.share(buffer);
        let slice = shared.slice(1..3);
        drop(shared);
        let other = pool.lend(100_000);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(&slice[..], b"el");
        drop(slice);
        let again = pool.lend(100_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn a_buffer_is_not_much_larger_than_needed() {
        let pool = Pool::default();
        for wanted in [16_384, 20_000, 33_000, 65_536, 65_537, 1_000_000, 3_000_000] {
            let capacity = pool.lend(wanted).capacity();
            assert!(
                capacity >= wanted && capacity <= wanted / 4 * 5 + 1,
                "{wanted}: {capacity}"
            );
            pool.give_back(Vec::with_capacity(wanted * 2));
            assert!(pool.lend(wanted).capacity() <= wanted / 4 * 5 + 1);
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let pool = Pool::default();
        for _ in 0..100 {
            pool.give_back(Vec::with_capacity(1 << 20));
        }
        assert_eq!(pool.0.lock().unwrap().bytes, WAITING_BYTES_MAX);
    }
}
