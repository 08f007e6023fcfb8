//! When a step is due: absolute deadlines, so that small delays do not add up.

use std::time::Duration;

use tokio::time::Instant;

use crate::generator::{STEP_S, STEPS_PER_FRAME};

/// Shortest time between two wake-ups; quick simulations make several steps at once.
const WAKE_MIN: Duration = Duration::from_millis(10);
/// Delay above which a step counts as late.
const LATE: Duration = Duration::from_millis(200);
/// Delay above which frames are left out.
const HOPELESS: Duration = Duration::from_secs(2);

/// Turns the clock into steps.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    step: Duration,
    steps: u64,
    /// Steps made later than they should have been.
    pub(crate) late: u64,
    /// Frames left out because the machine is too slow.
    pub(crate) skipped_frames: u64,
}

impl Pace {
    /// Starts at an instant; `speed` simulated seconds pass per second.
    pub(crate) fn new(start: Instant, speed: f64) -> Self {
        Self {
            start,
            step: Duration::from_secs_f64(STEP_S / speed),
            steps: 0,
            late: 0,
            skipped_frames: 0,
        }
    }

    /// Returns when to wake up for the next step.
    pub(crate) fn next_wake(&self, now: Instant) -> Instant {
        self.deadline().max(now + WAKE_MIN)
    }

    /// Returns whether a step is due, and counts it when it is.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now < self.deadline() {
            return false;
        }
        self.late += u64::from(now - self.deadline() > LATE);
        self.steps += 1;
        true
    }

    /// Returns how many whole frames to leave out now, at the start of a frame.
    pub(crate) fn frames_to_skip(&mut self, now: Instant) -> u64 {
        let behind = now.saturating_duration_since(self.deadline());
        if behind <= HOPELESS {
            return 0;
        }
        let frame_s = self.step.as_secs_f64() * STEPS_PER_FRAME as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of frames"
        )]
        let frames = (behind.as_secs_f64() / frame_s) as u64;
        self.steps += frames * STEPS_PER_FRAME as u64;
        self.skipped_frames += frames;
        frames
    }

    /// The data of a step are there when its time is over.
    fn deadline(&self) -> Instant {
        self.start + Duration::from_secs_f64((self.steps + 1) as f64 * self.step.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_due(pace: &mut Pace, now: Instant) -> u32 {
        let mut steps = 0;
        while pace.take(now) {
            steps += 1;
        }
        steps
    }

    #[test]
    fn fifty_steps_are_due_in_a_second_and_five_hundred_at_ten_times_the_speed() {
        let start = Instant::now();
        let second = start + Duration::from_millis(1001);
        assert_eq!(steps_due(&mut Pace::new(start, 1.0), second), 50);
        assert_eq!(steps_due(&mut Pace::new(start, 10.0), second), 500);
    }

    #[test]
    fn a_source_that_is_far_behind_leaves_frames_out_and_says_so() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 1.0);
        assert_eq!(pace.frames_to_skip(start + Duration::from_secs(1)), 0);
        let late = start + Duration::from_secs(10);
        assert_eq!(pace.frames_to_skip(late), 99);
        assert_eq!(pace.skipped_frames, 99);
        // What is left of the ten seconds: 0.1 s.
        assert_eq!(steps_due(&mut pace, late), 5);
        assert_eq!(pace.late, 0);
    }
}
