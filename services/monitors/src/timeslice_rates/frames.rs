//! Which frames of a stream came and which are missing, by their frame index.

use std::collections::{BTreeSet, VecDeque};

use fathom_formats::km3net::Header;
use serde::{Deserialize, Serialize};

use crate::clock::ms_of_header;
use crate::runs::Run;

/// Length of a frame (ms).
pub(super) const FRAME_MS: i64 = 100;
/// Frames that a slice may be behind the newest one before it counts as missing: the slowest data
/// filter is a few seconds late. A gap is mended when the slice comes all the same.
const LATE_FRAMES: i32 = 100;
/// A frame further ahead than this is believed only if its time agrees with its index, or if others
/// follow it.
const JUMP_FRAMES: i32 = 600;
/// Start of a run as index and time imply it may differ by so much between two frames (ms).
const RUN_START_MS: i64 = 1000;
/// So many strays in a row are believed.
const STRAYS_MAX: u32 = 5;
/// Most gaps remembered of a stream.
const GAPS_MAX: usize = 100;

/// What a slice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The first of its frame.
    New,
    /// Another one of its frame: a further part, or the same again.
    Again,
    /// Its index makes no sense.
    Stray,
}

/// Frames that did not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    pub(super) run: Run,
    /// First and last missing frame.
    pub(super) first: i32,
    pub(super) last: i32,
    /// Time of the first missing frame (ms).
    pub(super) at_ms: i64,
}

impl Gap {
    /// Returns the number of missing frames, of those that come one in so many.
    pub(super) fn frames(&self, every: i32) -> u64 {
        u64::try_from((self.last - self.first) / every + 1).unwrap_or(0)
    }
}

/// A run as it is followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Followed {
    run: Run,
    /// Start of the run as its first frame implies it (ms).
    start_ms: i64,
    /// Newest frame before which nothing is waited for any more.
    closed: Option<i32>,
    /// Frames after it; at most [`LATE_FRAMES`] apart.
    open: BTreeSet<i32>,
    newest_ms: i64,
}

impl Followed {
    /// Tells whether a frame says that the run was started again under its number: its index came
    /// before, but its time is that of a later start.
    fn is_another_start(&self, index: i32, at_ms: i64) -> bool {
        let newest = self.open.last().copied().or(self.closed);
        let start_ms = at_ms - i64::from(index) * FRAME_MS;
        newest.is_some_and(|newest| index <= newest) && start_ms - self.start_ms > RUN_START_MS
    }
}

/// The frames of one stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Frames {
    /// One frame in so many is sent.
    every: i32,
    now: Option<Followed>,
    /// The run before, whose last slices may come late.
    before: Option<Followed>,
    gaps: VecDeque<Gap>,
    /// Frames missing since the start, those of forgotten gaps included.
    pub(super) missing: u64,
    strays_in_row: u32,
}

impl Frames {
    pub(super) fn new(every: u32) -> Self {
        Self {
            every: i32::try_from(every).unwrap_or(i32::MAX).max(1),
            now: None,
            before: None,
            gaps: VecDeque::new(),
            missing: 0,
            strays_in_row: 0,
        }
    }

    /// Takes a slice by its header.
    pub(super) fn saw(&mut self, header: &Header) -> Seen {
        let (run, index, at_ms) = (Run::of(header), header.frame_index, ms_of_header(header));
        if index < 0 {
            return Seen::Stray;
        }
        let is_late = self.now.as_ref().is_some_and(|now| now.newest_ms >= at_ms)
            && self.before.as_ref().is_some_and(|b| b.run == run);
        if is_late && let Some(mut before) = self.before.take() {
            let seen = self.saw_in(&mut before, index);
            self.close(&mut before, i32::MAX);
            self.before = Some(before);
            return seen;
        }
        let Some(mut now) = self.now.take_if(|now| now.run == run) else {
            self.change_run(run, index, at_ms);
            return Seen::New;
        };
        if now.is_another_start(index, at_ms) {
            self.now = Some(now);
            if !self.is_believed() {
                return Seen::Stray;
            }
            self.change_run(run, index, at_ms);
            return Seen::New;
        }
        if self.is_stray(&now, index, at_ms) {
            self.now = Some(now);
            return Seen::Stray;
        }
        let seen = self.saw_in(&mut now, index);
        now.newest_ms = now.newest_ms.max(at_ms);
        let newest = now.open.last().copied().unwrap_or(index);
        self.close(&mut now, newest.saturating_sub(LATE_FRAMES));
        self.now = Some(now);
        seen
    }

    /// The clock of the data was set anew: what came before has no connection to what follows.
    pub(super) fn jump(&mut self) {
        self.now = None;
        self.before = None;
    }

    /// The data have ended: what did not come until now is missing, however new it is.
    pub(super) fn end(&mut self) {
        if let Some(mut now) = self.now.take() {
            self.close(&mut now, i32::MAX);
            self.now = Some(now);
        }
    }

    /// Returns run and index of the newest frame.
    pub(super) fn newest(&self) -> Option<(Run, i32)> {
        let now = self.now.as_ref()?;
        Some((now.run, now.open.last().copied().or(now.closed)?))
    }

    /// Iterates over the gaps, newest last.
    pub(super) fn gaps(&self) -> impl DoubleEndedIterator<Item = (&Gap, u64)> {
        self.gaps.iter().map(|gap| (gap, gap.frames(self.every)))
    }

    /// Tells whether an index far ahead is to be left aside.
    fn is_stray(&mut self, now: &Followed, index: i32, at_ms: i64) -> bool {
        let newest = now.open.last().copied().or(now.closed).unwrap_or(index);
        let start_ms = at_ms - i64::from(index) * FRAME_MS;
        let is_near = index.saturating_sub(newest) <= JUMP_FRAMES;
        if is_near || start_ms.abs_diff(now.start_ms) <= RUN_START_MS.unsigned_abs() {
            self.strays_in_row = 0;
            return false;
        }
        !self.is_believed()
    }

    /// Counts a stray; tells whether so many came in a row that they are right.
    fn is_believed(&mut self) -> bool {
        self.strays_in_row += 1;
        let is_believed = self.strays_in_row >= STRAYS_MAX;
        if is_believed {
            self.strays_in_row = 0;
        }
        is_believed
    }

    fn change_run(&mut self, run: Run, index: i32, at_ms: i64) {
        if let Some(mut old) = self.now.take() {
            self.close(&mut old, i32::MAX);
            // What comes late of a run that was started again under its number cannot be told apart.
            self.before = Some(old).filter(|old| old.run != run);
        }
        // A run that begins while we listen begins with its first frame; one that is joined later
        // does not. At a very start the first of several filters may be ahead of the others.
        let begins = self.before.is_some() && index <= LATE_FRAMES;
        self.now = Some(Followed {
            run,
            start_ms: at_ms - i64::from(index) * FRAME_MS,
            closed: begins.then_some(-self.every),
            open: BTreeSet::from([index]),
            newest_ms: at_ms,
        });
    }

    /// Takes an index of a run that is followed.
    fn saw_in(&mut self, followed: &mut Followed, index: i32) -> Seen {
        if followed.closed.is_none_or(|closed| index > closed) {
            return match followed.open.insert(index) {
                true => Seen::New,
                false => Seen::Again,
            };
        }
        match self.mend(followed.run, index) {
            true => Seen::New,
            false => Seen::Again,
        }
    }

    /// Closes the frames up to an index; what is missing between them becomes gaps.
    fn close(&mut self, followed: &mut Followed, until: i32) {
        while let Some(index) = followed.open.first().copied().filter(|i| *i <= until) {
            followed.open.pop_first();
            if let Some(closed) = followed.closed {
                let first = closed.saturating_add(self.every);
                let gap = Gap {
                    run: followed.run,
                    first,
                    last: index - self.every,
                    at_ms: followed.start_ms + i64::from(first) * FRAME_MS,
                };
                // One in so many may begin with any frame.
                if gap.first <= gap.last {
                    self.lose(gap);
                }
            }
            followed.closed = Some(index);
        }
    }

    fn lose(&mut self, gap: Gap) {
        self.missing += gap.frames(self.every);
        if self.gaps.len() >= GAPS_MAX {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    /// Takes a frame out of the gap it was missing in; `false` when it was not missing.
    fn mend(&mut self, run: Run, index: i32) -> bool {
        let holds = |gap: &Gap| gap.run == run && (gap.first..=gap.last).contains(&index);
        let Some(at) = self.gaps.iter().rposition(holds) else {
            return false;
        };
        let Some(gap) = self.gaps.remove(at) else {
            return false;
        };
        self.missing = self.missing.saturating_sub(gap.frames(self.every));
        let after = index.saturating_add(self.every);
        let parts = [
            (
                after,
                gap.last,
                gap.at_ms + i64::from(after - gap.first) * FRAME_MS,
            ),
            (gap.first, index - self.every, gap.at_ms),
        ];
        for (first, last, at_ms) in parts.into_iter().filter(|(first, last, _)| first <= last) {
            let part = Gap {
                run,
                first,
                last,
                at_ms,
            };
            self.missing += part.frames(self.every);
            self.gaps.insert(at, part);
        }
        self.gaps.truncate(GAPS_MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::km3net::{DetectorId, RunNumber};

    use super::*;

    /// A frame of a run that starts at second 1000 times its number.
    fn header(run: i32, index: i32) -> Header {
        let ms = i64::from(run) * 1_000_000 + i64::from(index) * FRAME_MS;
        Header {
            detector_id: DetectorId(1),
            run: RunNumber(run),
            frame_index: index,
            utc_seconds: u32::try_from(ms / 1000).unwrap(),
            white_rabbit: false,
            ticks: u32::try_from(ms % 1000).unwrap() * 62_500,
        }
    }

    fn see(frames: &mut Frames, run: i32, indices: impl IntoIterator<Item = i32>) {
        for index in indices {
            frames.saw(&header(run, index));
        }
    }

    fn gaps(frames: &Frames) -> Vec<(i32, i32)> {
        frames
            .gaps()
            .map(|(gap, _)| (gap.first, gap.last))
            .collect()
    }

    #[test]
    fn frames_out_of_order_are_no_gap_and_missing_ones_are() {
        let mut frames = Frames::new(1);
        let mixed = [0, 2, 1, 3, 5, 4, 9, 10];
        for index in mixed.into_iter().chain(11..200) {
            assert_eq!(frames.saw(&header(1, index)), Seen::New, "{index}");
        }
        assert_eq!(gaps(&frames), [(6, 8)]);
        assert_eq!(frames.missing, 3);
        let (gap, count) = frames.gaps().next().unwrap();
        assert_eq!((gap.at_ms, count), (1_000_600, 3));
        assert_eq!(frames.saw(&header(1, 199)), Seen::Again);
        // One of the three comes very late: the gap is mended by it.
        assert_eq!(frames.saw(&header(1, 7)), Seen::New);
        assert_eq!(gaps(&frames), [(6, 6), (8, 8)]);
        assert_eq!(
            (frames.missing, frames.saw(&header(1, 7))),
            (2, Seen::Again)
        );
    }

    #[test]
    fn a_run_joined_late_has_no_gap_before_and_the_next_one_begins_with_frame_0() {
        let mut frames = Frames::new(1);
        see(&mut frames, 7, 5000..5200);
        assert_eq!(frames.missing, 0);
        // Run 8 begins with frame 2; the last frame of run 7 comes after it.
        see(&mut frames, 8, 2..150);
        assert_eq!(frames.saw(&header(7, 5201)), Seen::New);
        assert_eq!(gaps(&frames), [(0, 1), (5200, 5200)]);
        // Runs may go down.
        frames.saw(&header(9, 0));
        frames.saw(&header(9, 1));
        assert_eq!(frames.newest().map(|(run, i)| (run.run, i)), Some((9, 1)));
    }

    #[test]
    fn a_run_started_again_under_its_number_is_followed_from_its_new_start() {
        let mut frames = Frames::new(1);
        see(&mut frames, 1, 0..5000);
        let again = |index| Header {
            run: RunNumber(1),
            ..header(2, index)
        };
        let seen: Vec<_> = (0..300).map(|index| frames.saw(&again(index))).collect();
        // The first ones might have broken indices.
        assert_eq!(seen[..4], [Seen::Stray; 4]);
        assert!(seen[4..].iter().all(|seen| *seen == Seen::New));
        // One that is a little late belongs to the new start as well.
        assert_eq!(frames.saw(&again(298)), Seen::Again);
        assert_eq!(frames.newest().map(|(_, index)| index), Some(299));
        assert_eq!(frames.missing, 0);
    }

    #[test]
    fn one_broken_index_is_no_gap_of_millions() {
        let mut frames = Frames::new(1);
        see(&mut frames, 1, 0..50);
        let broken = Header {
            frame_index: 0x0100_0000,
            ..header(1, 50)
        };
        assert_eq!(frames.saw(&broken), Seen::Stray);
        let negative = Header {
            frame_index: -1,
            ..header(1, 50)
        };
        assert_eq!(frames.saw(&negative), Seen::Stray);
        see(&mut frames, 1, 51..300);
        assert_eq!(gaps(&frames), [(50, 50)]);
        // An hour without any is a gap, since the time says the same.
        see(&mut frames, 1, 36_300..36_500);
        assert_eq!(gaps(&frames), [(50, 50), (300, 36_299)]);
    }

    #[test]
    fn one_frame_in_ten_is_complete_when_only_those_are_sent() {
        let mut frames = Frames::new(10);
        let sent = (3..2000).step_by(10).filter(|i| *i != 503);
        see(&mut frames, 1, sent);
        assert_eq!(gaps(&frames), [(503, 503)]);
        assert_eq!(frames.missing, 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut frames = Frames::new(1);
        see(&mut frames, 1, (0..100_000).step_by(3));
        assert_eq!(frames.gaps.len(), GAPS_MAX);
        assert!(frames.now.unwrap().open.len() <= LATE_FRAMES as usize);
        assert!(frames.missing > 66_000);
    }

    #[test]
    fn frames_missing_in_the_last_seconds_of_a_recording_were_not_told() {
        let mut frames = Frames::new(1);
        see(&mut frames, 1, (0..50).filter(|n| !(20..24).contains(n)));
        assert_eq!(frames.missing, 0, "they may still come");
        frames.end();
        assert_eq!(frames.missing, 4);
        let (gap, _) = frames.gaps().next().unwrap();
        assert_eq!((gap.first, gap.last), (20, 23));
        assert_eq!(frames.newest().unwrap().1, 49);
    }
}
