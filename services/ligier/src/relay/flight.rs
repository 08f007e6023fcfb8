//! What a client's writer has taken out of the queue and is sending.

use std::collections::VecDeque;
use std::io::IoSlice;

use fathom_formats::controlhost::Tag;

use super::lost::Lost;
use super::slab::{Slab, walk};

/// Most slabs in one vectored write.
pub(crate) const SLICES_MAX: usize = 64;

/// Slabs being sent; of the first one, `sent` bytes are gone already.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    slabs: VecDeque<Slab>,
    sent: usize,
    bytes: usize,
}

/// What a write completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Messages of slabs that are sent completely.
    pub(crate) messages: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Memory no longer held.
    pub(crate) released: usize,
}

impl Flight {
    pub(crate) fn push(&mut self, slab: Slab) {
        self.bytes += slab.len();
        self.slabs.push_back(slab);
    }

    /// Returns the bytes still to send.
    pub(crate) fn len(&self) -> usize {
        self.bytes - self.sent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slabs.is_empty()
    }

    /// Tells whether one write could not take more slabs.
    pub(crate) fn is_full(&self) -> bool {
        self.slabs.len() >= SLICES_MAX
    }

    /// Returns the memory held.
    pub(crate) fn charge(&self) -> usize {
        self.slabs.iter().map(Slab::charge).sum()
    }

    /// Fills the slices of one vectored write and returns those in use.
    pub(crate) fn slices<'s, 'f>(
        &'f self,
        slices: &'s mut [IoSlice<'f>; SLICES_MAX],
    ) -> &'s [IoSlice<'f>] {
        let mut used = 0;
        for (slice, slab) in slices.iter_mut().zip(&self.slabs) {
            let from = if used == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(slab.bytes().get(from..).unwrap_or_default());
            used += 1;
        }
        slices.get(..used).unwrap_or_default()
    }

    /// Notes that bytes were written.
    pub(crate) fn advance(&mut self, written: usize) -> Progress {
        let mut progress = Progress {
            bytes: written as u64,
            ..Progress::default()
        };
        self.sent += written;
        while let Some(front) = self.slabs.front() {
            if self.sent < front.len() {
                break;
            }
            progress.messages += front.messages() as u64;
            progress.released += front.charge();
            self.sent -= front.len();
            self.bytes -= front.len();
            self.slabs.pop_front();
        }
        progress
    }

    /// Drops the frames that are no longer wanted, except one that is partly sent; returns the
    /// memory no longer held.
    pub(crate) fn discard(
        &mut self,
        mut wanted: impl FnMut(Tag) -> bool,
        lost: &mut Lost,
    ) -> usize {
        let before = self.charge();
        let mut slabs = std::mem::take(&mut self.slabs).into_iter();
        let mut kept = VecDeque::new();
        if self.sent > 0
            && let Some(mut front) = slabs.next()
        {
            let frames = walk(front.bytes());
            let begun = frames.take_while(|f| f.whole().start < self.sent).count();
            if begun < front.messages() {
                let tail = {
                    let head = front.split_front(begun);
                    std::mem::replace(&mut front, head)
                };
                kept.push_back(front);
                kept.extend(tail.retain(&mut wanted, lost));
            } else {
                kept.push_back(front);
            }
        }
        kept.extend(slabs.filter_map(|slab| slab.retain(&mut wanted, lost)));
        self.slabs = kept;
        self.bytes = self.slabs.iter().map(Slab::len).sum();
        before.saturating_sub(self.charge())
    }

    /// Goes back to the start of the frame that is partly sent, for a new connection.
    pub(crate) fn rewind(&mut self) {
        if self.sent > 0
            && let Some(front) = self.slabs.front_mut()
        {
            let complete = walk(front.bytes())
                .take_while(|frame| frame.whole().end <= self.sent)
                .count();
            if complete > 0 {
                let _sent = front.split_front(complete);
            }
        }
        self.sent = 0;
        self.bytes = self.slabs.iter().map(Slab::len).sum();
    }

    /// Drops everything.
    pub(crate) fn abandon(&mut self, lost: &mut Lost) {
        self.slabs.iter().for_each(|slab| slab.count_into(lost));
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use fathom_formats::controlhost::{encode_frame, tags};
    use tokio::time::Instant;

    use super::*;

    const FRAME_BYTES: usize = 20;

    fn flight(slabs: usize) -> Flight {
        let mut flight = Flight::default();
        for _ in 0..slabs {
            let mut bytes = BytesMut::new();
            for tag in [tags::MSG, tags::IO_EVT, tags::MSG] {
                encode_frame(tag, b"body", &mut bytes).unwrap();
            }
            flight.push(Slab::new(bytes.freeze(), 3, 0, Instant::now()));
        }
        flight
    }

    #[test]
    fn a_frame_that_is_partly_sent_is_not_discarded() {
        // Of each slab only its second frame is wanted, at bytes 20 to 40.
        for (sent, end) in [
            (0, 40),
            (1, 60),
            (20, 60),
            (30, 60),
            (40, 60),
            (41, 80),
            (59, 80),
        ] {
            let mut flight = flight(2);
            flight.advance(sent);
            flight.discard(|tag| tag == tags::IO_EVT, &mut Lost::default());
            assert_eq!(flight.len() + sent, end, "{sent}");
        }
    }

    #[test]
    fn a_new_connection_starts_with_the_frame_that_was_cut() {
        for (sent, left) in [(0, 6), (19, 6), (20, 5), (45, 4), (60, 3), (61, 3)] {
            let mut flight = flight(2);
            flight.advance(sent);
            flight.rewind();
            assert_eq!(flight.len(), left * FRAME_BYTES, "{sent}");
        }
    }

    #[test]
    fn sending_releases_slab_by_slab() {
        let mut flight = flight(2);
        let all = flight.charge();
        assert_eq!(flight.advance(59).released, 0);
        let progress = flight.advance(2);
        assert_eq!((progress.messages, progress.released), (3, all / 2));
        assert_eq!(flight.advance(59).messages, 3);
        assert!(flight.is_empty());
    }
}
