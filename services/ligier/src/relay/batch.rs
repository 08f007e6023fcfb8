//! The frames of one read, grouped so that each subscriber gets its wanted ones as few slices.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use fathom_formats::controlhost::{FrameRange, Mode, Tag};
use jiff::Timestamp;
use tokio::time::Instant;

use super::lost::TagCount;
use super::pool::Pool;
use super::slab::Slab;

/// Most different tags in one batch: one bit each in a mask.
pub(crate) const TAGS_MAX: usize = 64;

/// Runs that are shorter on average than this are copied together: a copy of that size costs less
/// than one more slice in the vectored writes of several clients.
const RUN_BYTES_MIN: usize = 2048;

/// Frames that lie one after the other in a piece of memory.
#[derive(Debug)]
pub(crate) struct Batch {
    chunk: Bytes,
    /// Memory that is kept as long as any part of the chunk is.
    held: usize,
    frames: Vec<Placed>,
    tags: Vec<TagCount>,
    empty: Vec<TagCount>,
    queued: Instant,
    received: Timestamp,
}

#[derive(Debug)]
struct Placed {
    tag: usize,
    range: FrameRange,
}

/// When a batch came, for queues and for the bus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) queued: Instant,
    pub(crate) received: Timestamp,
}

/// Which tags of a batch a client wants, one bit per tag, by mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) any: u64,
    pub(crate) all: u64,
}

/// Adjacent frames for the same mode.
struct Run {
    mode: Mode,
    range: Range<usize>,
    messages: usize,
}

impl Wanted {
    pub(crate) fn add(&mut self, tag: usize, mode: Mode) {
        match mode {
            Mode::Any => self.any |= 1 << tag,
            Mode::All => self.all |= 1 << tag,
        }
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn mode_of(self, tag: usize) -> Option<Mode> {
        if self.all >> tag & 1 == 1 {
            Some(Mode::All)
        } else if self.any >> tag & 1 == 1 {
            Some(Mode::Any)
        } else {
            None
        }
    }

    fn one_mode(self) -> Option<Mode> {
        match (self.any, self.all) {
            (_, 0) => Some(Mode::Any),
            (0, _) => Some(Mode::All),
            _ => None,
        }
    }
}

impl Batch {
    /// Takes frames off the front of a list until it ends or they have too many different tags.
    /// Frames without a body are counted but not forwarded unless `forward_empty`.
    pub(crate) fn of(
        (chunk, held): (&Bytes, usize),
        frames: &mut &[FrameRange],
        forward_empty: bool,
        stamp: Stamp,
    ) -> Self {
        let mut batch = Self {
            chunk: chunk.clone(),
            held,
            frames: Vec::with_capacity(frames.len()),
            tags: Vec::new(),
            empty: Vec::new(),
            queued: stamp.queued,
            received: stamp.received,
        };
        while let Some((frame, rest)) = frames.split_first() {
            if frame.body_len() == 0 && !forward_empty {
                count(&mut batch.empty, frame);
            } else if !batch.add(*frame) {
                break;
            }
            *frames = rest;
        }
        batch
    }

    fn add(&mut self, range: FrameRange) -> bool {
        let known = self.tags.iter().position(|count| count.tag == range.tag);
        if known.is_none() && self.tags.len() == TAGS_MAX {
            return false;
        }
        let tag = count(&mut self.tags, &range);
        self.frames.push(Placed { tag, range });
        true
    }

    /// Returns the tags with their messages and bytes, in the order of their bits.
    pub(crate) fn tags(&self) -> &[TagCount] {
        &self.tags
    }

    /// Returns the frames without body that are not forwarded, by tag.
    pub(crate) fn empty(&self) -> &[TagCount] {
        &self.empty
    }

    pub(crate) fn received(&self) -> Timestamp {
        self.received
    }

    /// Returns the wanted frames in order, adjacent ones as one slab.
    pub(crate) fn slabs(&self, wanted: Wanted, pool: &Pool) -> Vec<(Mode, Slab)> {
        let all = self.total(|_| true);
        let total = self.total(|tag| wanted.mode_of(tag).is_some());
        if total.bytes == all.bytes
            && total.bytes == self.chunk.len()
            && let Some(mode) = wanted.one_mode()
        {
            let slab = Slab::new(self.chunk.clone(), total.messages, self.held, self.queued);
            return vec![(mode, slab)];
        }
        let runs = self.runs(wanted);
        // Slices that hold more than twice their own memory would make a stalled client expensive.
        if total.bytes * 2 >= self.held && runs.len() * RUN_BYTES_MIN <= total.bytes {
            let held = |run: &Run| self.held.saturating_mul(run.range.len()) / total.bytes.max(1);
            let slab = |run: &Run| {
                let bytes = self.chunk.slice(run.range.clone());
                Slab::new(bytes, run.messages, held(run), self.queued)
            };
            return runs.iter().map(|run| (run.mode, slab(run))).collect();
        }
        self.gather(&runs, total.bytes, pool)
    }

    /// Copies runs together, one slab for neighbours of the same mode.
    fn gather(&self, runs: &[Run], bytes: usize, pool: &Pool) -> Vec<(Mode, Slab)> {
        let mut copy = pool.lend(bytes);
        for run in runs {
            copy.extend_from_slice(self.chunk.get(run.range.clone()).unwrap_or_default());
        }
        let held = copy.capacity();
        let mut copy = pool.share(copy);
        let mut slabs = Vec::new();
        for runs in runs.chunk_by(|a, b| a.mode == b.mode) {
            let (length, messages) = runs.iter().fold((0, 0), |(length, messages), run| {
                (length + run.range.len(), messages + run.messages)
            });
            let part = copy.split_to(length);
            let held = held.saturating_mul(length) / bytes.max(1);
            let mode = runs.first().map_or(Mode::Any, |run| run.mode);
            slabs.push((mode, Slab::new(part, messages, held, self.queued)));
        }
        slabs
    }

    fn runs(&self, wanted: Wanted) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for placed in &self.frames {
            let Some(mode) = wanted.mode_of(placed.tag) else {
                continue;
            };
            let range = placed.range.whole();
            match runs.last_mut() {
                Some(run) if run.mode == mode && run.range.end == range.start => {
                    run.range.end = range.end;
                    run.messages += 1;
                }
                _ => runs.push(Run {
                    mode,
                    range,
                    messages: 1,
                }),
            }
        }
        runs
    }

    fn total(&self, wanted: impl Fn(usize) -> bool) -> Total {
        let counts = self.tags.iter().enumerate().filter(|(tag, _)| wanted(*tag));
        counts.fold(Total::default(), |total, (_, count)| Total {
            messages: total.messages + to_usize(count.messages),
            bytes: total.bytes + to_usize(count.bytes),
        })
    }

    /// Returns tag and body of the frames whose tags have a bit in `mask`, in order.
    ///
    /// A body is a part of the chunk when its tag fills most of it, else of a copy of all bodies of
    /// that tag, so that who keeps messages of one tag keeps little more memory than they need.
    pub(crate) fn bodies(&self, mask: u64) -> impl Iterator<Item = (Tag, Bytes)> {
        let mut copies: Vec<Option<Bytes>> = (0..self.tags.len())
            .map(|tag| self.copy_of_bodies(mask, tag))
            .collect();
        self.frames.iter().filter_map(move |placed| {
            if mask >> placed.tag & 1 == 0 {
                return None;
            }
            let body = match copies.get_mut(placed.tag)? {
                Some(copy) => copy.split_to(placed.range.body_len()),
                None => self.chunk.slice(placed.range.body()),
            };
            Some((placed.range.tag, body))
        })
    }

    fn copy_of_bodies(&self, mask: u64, tag: usize) -> Option<Bytes> {
        let bytes = to_usize(self.tags.get(tag)?.bytes);
        if mask >> tag & 1 == 0 || bytes * 2 >= self.held {
            return None;
        }
        let mut copy = BytesMut::with_capacity(bytes);
        for placed in self.frames.iter().filter(|placed| placed.tag == tag) {
            let body = self.chunk.get(placed.range.body());
            copy.extend_from_slice(body.unwrap_or_default());
        }
        Some(copy.freeze())
    }
}

#[derive(Default)]
struct Total {
    messages: usize,
    bytes: usize,
}

/// Counts a frame under its tag and returns the place of the tag.
fn count(counts: &mut Vec<TagCount>, frame: &FrameRange) -> usize {
    let at = counts
        .iter()
        .position(|count| count.tag == frame.tag)
        .unwrap_or(counts.len());
    let bytes = frame.whole().len() as u64;
    match counts.get_mut(at) {
        Some(count) => {
            count.messages += 1;
            count.bytes += bytes;
        }
        None => counts.push(TagCount {
            tag: frame.tag,
            messages: 1,
            bytes,
        }),
    }
    at
}

/// Converts a count of things in memory.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use fathom_formats::controlhost::{Splitter, encode_frame, tags};
    use proptest::prelude::*;

    use super::*;

    const TAGS: [Tag; 3] = [tags::IO_EVT, tags::MSG, tags::IO_SUM];

    fn chunk(frames: &[(usize, usize)]) -> (Bytes, Vec<FrameRange>) {
        let mut bytes = BytesMut::new();
        for (at, (tag, length)) in frames.iter().enumerate() {
            encode_frame(
                TAGS[*tag],
                &vec![u8::try_from(at).unwrap(); *length],
                &mut bytes,
            )
            .unwrap();
        }
        let bytes = bytes.freeze();
        let mut splitter = Splitter::new(usize::MAX);
        let frames = splitter.frames(&bytes).map(Result::unwrap).collect();
        (bytes, frames)
    }

    fn batch(bytes: &Bytes, frames: &[FrameRange]) -> Batch {
        let stamp = Stamp {
            queued: Instant::now(),
            received: Timestamp::UNIX_EPOCH,
        };
        let mut frames = frames;
        let batch = Batch::of((bytes, bytes.len()), &mut frames, false, stamp);
        assert!(frames.is_empty());
        batch
    }

    #[test]
    fn who_wants_everything_gets_the_chunk_itself() {
        let (bytes, frames) = chunk(&[(0, 10), (1, 20)]);
        let slabs = batch(&bytes, &frames).slabs(Wanted { any: 3, all: 0 }, &Pool::default());
        assert_eq!(slabs.len(), 1);
        assert_eq!(slabs[0].1.bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn large_neighbours_are_one_slice_and_small_frames_one_copy() {
        let (bytes, frames) = chunk(&[(0, 5000), (0, 5000), (1, 5000), (0, 5000)]);
        let slabs = batch(&bytes, &frames).slabs(Wanted { any: 1, all: 0 }, &Pool::default());
        let messages: Vec<usize> = slabs.iter().map(|(_, slab)| slab.messages()).collect();
        assert_eq!(messages, [2, 1]);
        assert_eq!(slabs[0].1.bytes().as_ptr(), bytes.as_ptr());
        let (bytes, frames) = chunk(&[(0, 50), (1, 50), (0, 50)]);
        let slabs = batch(&bytes, &frames).slabs(Wanted { any: 1, all: 0 }, &Pool::default());
        assert_eq!((slabs.len(), slabs[0].1.messages()), (1, 2));
    }

    #[test]
    fn more_tags_than_bits_make_two_batches() {
        let mut bytes = BytesMut::new();
        for n in 0..=TAGS_MAX {
            encode_frame(format!("T{n}").parse().unwrap(), b"x", &mut bytes).unwrap();
        }
        let bytes = bytes.freeze();
        let mut splitter = Splitter::new(100);
        let all: Vec<FrameRange> = splitter.frames(&bytes).map(Result::unwrap).collect();
        let stamp = Stamp {
            queued: Instant::now(),
            received: Timestamp::UNIX_EPOCH,
        };
        let mut frames = &all[..];
        let first = Batch::of((&bytes, bytes.len()), &mut frames, false, stamp);
        assert_eq!((first.tags().len(), frames.len()), (TAGS_MAX, 1));
    }

    proptest! {
        #[test]
        fn slabs_are_the_wanted_frames_in_order(
            frames in prop::collection::vec((0..3_usize, prop_oneof![0..300_usize, 2000..4000_usize]), 1..40),
            any in 0..8_u64,
            all in 0..8_u64,
        ) {
            let (bytes, ranges) = chunk(&frames);
            let batch = batch(&bytes, &ranges);
            let wanted = Wanted { any, all };
            let place = |tag: Tag| batch.tags().iter().position(|count| count.tag == tag);
            let expected: Vec<u8> = ranges
                .iter()
                .filter(|f| f.body_len() > 0 && wanted.mode_of(place(f.tag).unwrap()).is_some())
                .flat_map(|f| bytes[f.whole()].to_vec())
                .collect();
            let slabs = batch.slabs(wanted, &Pool::default());
            let got: Vec<u8> = slabs.iter().flat_map(|(_, slab)| slab.bytes().to_vec()).collect();
            prop_assert_eq!(got, expected);
            for (mode, slab) in &slabs {
                let mut splitter = Splitter::new(usize::MAX);
                let inside: Vec<_> = splitter.frames(slab.bytes()).map(Result::unwrap).collect();
                prop_assert_eq!(inside.len(), slab.messages());
                prop_assert!(inside.iter().all(|f| wanted.mode_of(place(f.tag).unwrap()) == Some(*mode)));
            }
            let bodies: Vec<_> = batch.bodies(any).map(|(tag, body)| (tag, body.len())).collect();
            let expected: Vec<_> = ranges
                .iter()
                .filter(|f| f.body_len() > 0 && any >> place(f.tag).unwrap() & 1 == 1)
                .map(|f| (f.tag, f.body_len()))
                .collect();
            prop_assert_eq!(bodies, expected);
        }
    }
}
