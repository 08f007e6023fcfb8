//! The payloads of the last events, for a second look.

use std::collections::VecDeque;

use bytes::Bytes;

use super::row::Key;

/// Events kept: as many as a large hit map shows, so that what is seen there can be looked at.
const EVENTS_MAX: usize = 5000;
/// Bytes of all of them together.
const BYTES_MAX: usize = 64 << 20;

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Store {
    events: VecDeque<(Key, Bytes)>,
    bytes: usize,
}

impl Store {
    /// Keeps an event; the oldest ones make room.
    pub(super) fn keep(&mut self, key: Key, body: Bytes) {
        self.bytes += body.len();
        self.events.push_back((key, body));
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some((_, gone)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= gone.len();
        }
    }

    /// Finds the newest event that fits.
    pub(super) fn find(&self, fits: impl Fn(&Key) -> bool) -> Option<&Bytes> {
        let mut newest_first = self.events.iter().rev();
        newest_first
            .find(|(key, _)| fits(key))
            .map(|(_, body)| body)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(counter: u64) -> Key {
        Key {
            det_id: 1,
            run_id: 1,
            frame_index: 1,
            trigger_counter: counter,
        }
    }

    #[test]
    fn the_oldest_events_make_room_by_number_and_by_size() {
        let mut store = Store::default();
        for n in 0..5100 {
            store.keep(key(n), Bytes::from_static(b"abc"));
        }
        assert_eq!((store.events.len(), store.bytes()), (EVENTS_MAX, 15_000));
        assert!(store.find(|k| k.trigger_counter == 99).is_none());
        assert!(store.find(|k| k.trigger_counter == 100).is_some());
        store.keep(key(1000), vec![0; BYTES_MAX - 3].into());
        assert_eq!((store.events.len(), store.bytes()), (2, BYTES_MAX));
        // One that is larger than everything does not stay.
        store.keep(key(1001), vec![0; BYTES_MAX + 1].into());
        assert_eq!((store.events.len(), store.bytes()), (0, 0));
    }
}
