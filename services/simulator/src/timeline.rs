//! Which run and frame it is: runs start at whole seconds, frames follow every 100 ms.

use fathom_formats::km3net::{DetectorId, FRAME_NS, Header, RunNumber, TICK_NS};

/// Frames of one second.
pub(crate) const FRAMES_PER_SECOND: u64 = 10;
/// Length of a frame (s).
pub(crate) const FRAME_S: f64 = 0.1;

/// Counts frames and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    detector_id: DetectorId,
    run: i32,
    run_start_s: u64,
    /// Length of a run; `None` never ends.
    run_frames: Option<u64>,
    frame: u64,
}

impl Timeline {
    /// Starts a run at a whole second since 1970.
    pub(crate) fn new(
        detector_id: DetectorId,
        run: i32,
        start_s: u64,
        run_length_s: Option<u64>,
    ) -> Self {
        Self {
            detector_id,
            run,
            run_start_s: start_s,
            run_frames: run_length_s.map(|s| s.max(1) * FRAMES_PER_SECOND),
            frame: 0,
        }
    }

    /// Returns the header of the current frame.
    pub(crate) fn header(&self) -> Header {
        let start_ns = self.frame * FRAME_NS;
        let within = u32::try_from(start_ns % 1_000_000_000).unwrap_or(0);
        let second = self.run_start_s + start_ns / 1_000_000_000;
        Header {
            detector_id: self.detector_id,
            run: RunNumber(self.run),
            frame_index: i32::try_from(self.frame).unwrap_or(i32::MAX),
            utc_seconds: u32::try_from(second).unwrap_or(u32::MAX >> 1),
            white_rabbit: false,
            ticks: within / TICK_NS,
        }
    }

    /// Goes to the next frame; returns whether a new run starts with it.
    pub(crate) fn advance(&mut self) -> bool {
        self.frame += 1;
        let Some(frames) = self.run_frames.filter(|frames| self.frame >= *frames) else {
            return false;
        };
        self.run_start_s += frames / FRAMES_PER_SECOND;
        self.run = self.run.saturating_add(1);
        self.frame = 0;
        true
    }

    /// Returns the start of the current frame in nanoseconds since 1970.
    pub(crate) fn start_ns(&self) -> u64 {
        self.run_start_s * 1_000_000_000 + self.frame * FRAME_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_two_seconds_has_20_frames_and_the_next_starts_right_behind() {
        let mut time = Timeline::new(DetectorId(1), 7, 1000, Some(2));
        for frame in 0..20 {
            let header = time.header();
            assert_eq!((header.run, header.frame_index), (RunNumber(7), frame));
            assert_eq!(header.run_start_ns(), Some(1_000_000_000_000));
            assert_eq!(time.advance(), frame == 19);
        }
        let header = time.header();
        assert_eq!((header.run, header.frame_index), (RunNumber(8), 0));
        assert_eq!((header.utc_seconds, header.ticks), (1002, 0));
    }
}
