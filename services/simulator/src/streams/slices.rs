//! Which frames of a slice stream are sent, in how many parts, and when.

use std::collections::VecDeque;
use std::ops::Range;

use crate::batch::Chunk;
use crate::options::SliceOptions;

/// Frames by which the slowest data filter is behind the fastest.
const LATE_FRAMES_MAX: u64 = 3;

/// Holds finished slices back as long as their data filter needs.
#[derive(Debug)]
pub(crate) struct Filters {
    options: SliceOptions,
    waiting: VecDeque<(u64, Chunk)>,
}

impl Filters {
    pub(crate) fn new(options: &SliceOptions) -> Self {
        Self {
            options: options.clone(),
            waiting: VecDeque::new(),
        }
    }

    /// Returns whether a frame is sent at all.
    pub(crate) fn wants(&self, frame: u64) -> bool {
        self.options.enabled && frame.is_multiple_of(u64::from(self.options.every.max(1)))
    }

    /// Returns the modules of each part.
    pub(crate) fn parts(&self, doms: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let parts = (self.options.parts as usize).clamp(1, doms.max(1));
        (0..parts).map(move |n| n * doms / parts..(n + 1) * doms / parts)
    }

    /// Takes the finished slice of a frame and gives those whose time has come.
    pub(crate) fn pass(&mut self, frame: u64, slice: Option<Chunk>, out: &mut Vec<Chunk>) {
        if let Some(slice) = slice {
            self.waiting.push_back((frame + self.delay(frame), slice));
        }
        let mut at = 0;
        while at < self.waiting.len() {
            if self.waiting[at].0 <= frame {
                out.extend(self.waiting.remove(at).map(|(_, slice)| slice));
            } else {
                at += 1;
            }
        }
    }

    /// Frames turn from filter to filter; each has its own delay, so that they overtake each other.
    fn delay(&self, frame: u64) -> u64 {
        let filters = u64::from(self.options.filters.max(1));
        let turn = frame / u64::from(self.options.every.max(1)) % filters;
        (turn * 2 + 1) % filters % (LATE_FRAMES_MAX + 1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use fathom_formats::controlhost::tags;

    use super::*;

    fn order(filters: u32) -> Vec<u8> {
        let mut stream = Filters::new(&SliceOptions {
            filters,
            ..SliceOptions::default()
        });
        let mut out = Vec::new();
        for frame in 0..20_u8 {
            let mut chunk = Chunk::default();
            chunk.push(tags::IO_SUM, |body| body.put_u8(frame));
            stream.pass(u64::from(frame), Some(chunk), &mut out);
        }
        out.into_iter()
            .map(|chunk| chunk.seal().messages().next().unwrap().1[0])
            .collect()
    }

    #[test]
    fn one_filter_keeps_the_order_and_four_mix_it() {
        assert_eq!(order(1), (0..20).collect::<Vec<u8>>());
        let mixed = order(4);
        assert!(!mixed.is_sorted());
        let mut sorted = mixed.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), mixed.len());
        assert!(mixed.len() >= 17);
    }

    #[test]
    fn parts_cover_all_modules_once() {
        let stream = Filters::new(&SliceOptions {
            parts: 4,
            ..SliceOptions::default()
        });
        let parts: Vec<_> = stream.parts(10).collect();
        assert_eq!(parts, [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(stream.parts(2).count(), 2);
        assert_eq!(stream.parts(0).count(), 1);
    }
}
