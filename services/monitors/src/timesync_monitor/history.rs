//! A day of minutes: how many DOMs were out of sync, and how many frames.

use fathom_hist::Ring;
use fathom_kernel::view::{Curve, Marker, Series};
use serde::{Deserialize, Serialize};

/// Length of a minute (ms).
const MINUTE_MS: i64 = 60_000;
/// A step of the clock that is no new beginning (ms): the timeline of live data follows a datum as far
/// ahead as a minute, which may end in the minute after the next.
const STEP_BACK_MS: i64 = 2 * MINUTE_MS;
/// Minutes kept.
const MINUTES: usize = 1440;

/// What happened in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Minute {
    /// Its end (ms).
    pub(super) at_ms: i64,
    /// Most DOMs out of sync at one time.
    pub(super) lost: usize,
    /// Frames of all DOMs.
    pub(super) frames: u64,
    /// Those of DOMs without synchronisation.
    pub(super) affected: u64,
}

/// The minutes, and the one under way.
#[derive(Debug)]
pub(super) struct History {
    minutes: Ring<Minute>,
    open: Option<Minute>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            minutes: Ring::new(MINUTES),
            open: None,
        }
    }
}

impl History {
    /// Adds the frames of a slice.
    pub(super) fn add(&mut self, frames: u64, affected: u64) {
        let open = self.open();
        open.frames += frames;
        open.affected += affected;
    }

    /// So many DOMs are out of sync now.
    pub(super) fn lost(&mut self, doms: usize) {
        let open = self.open();
        open.lost = open.lost.max(doms);
    }

    /// Ends the minute when the next one has begun. A clock that steps a little back, as after a slice
    /// with a time to come, waits in the minute under way; one that was set back takes away what is
    /// later.
    pub(super) fn close(&mut self, data_ms: i64) {
        let end_ms = (data_ms.div_euclid(MINUTE_MS) + 1) * MINUTE_MS;
        let open = self.open();
        if open.at_ms == 0 {
            open.at_ms = end_ms;
        }
        if (0..=STEP_BACK_MS).contains(&(open.at_ms - end_ms)) {
            return;
        }
        let done = *open;
        self.open = Some(Minute {
            at_ms: end_ms,
            ..Minute::NOTHING
        });
        self.minutes.push(done);
        self.minutes.retain(|minute| minute.at_ms < end_ms);
    }

    /// Iterates over the minutes that have ended, oldest first.
    pub(super) fn minutes(&self) -> impl ExactSizeIterator<Item = &Minute> {
        self.minutes.iter()
    }

    /// Takes back the minutes that were kept.
    pub(super) fn put_back(&mut self, minutes: Vec<Minute>) {
        for minute in minutes {
            self.minutes.push(minute);
        }
    }

    /// Returns the curves.
    pub(super) fn view(&self) -> Series {
        let curve = |name: &str, colour: &str, value: fn(&Minute) -> f64| Curve {
            name: name.to_owned(),
            colour: colour.to_owned(),
            marker: Marker::None,
            values: self.minutes.iter().map(value).collect(),
            errors: Vec::new(),
        };
        Series {
            y_label: "DOMs, affected frames [%]".into(),
            times_ms: self.minutes.iter().map(|minute| minute.at_ms).collect(),
            curves: vec![
                curve("DOMs out of sync", "#C85200", Minute::doms),
                curve("affected frames [%]", "#006BA4", Minute::percent),
            ],
            ..Series::default()
        }
    }

    fn open(&mut self) -> &mut Minute {
        self.open.get_or_insert(Minute::NOTHING)
    }
}

impl Minute {
    const NOTHING: Self = Self {
        at_ms: 0,
        lost: 0,
        frames: 0,
        affected: 0,
    };

    #[expect(clippy::cast_precision_loss, reason = "a detector has far fewer DOMs")]
    fn doms(&self) -> f64 {
        self.lost as f64
    }

    /// Returns the affected share of the frames (%), NaN without frames.
    #[expect(clippy::cast_precision_loss, reason = "frames of one minute")]
    fn percent(&self) -> f64 {
        100.0 * self.affected as f64 / self.frames as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_from_the_next_minute_does_not_erase_the_day() {
        let mut history = History::default();
        for minute in 0..100 {
            history.add(1, 0);
            history.close(minute * MINUTE_MS + 30_000);
        }
        // A slice a minute ahead, and back again after ten ticks.
        history.close(100 * MINUTE_MS + 30_000);
        for second in 40..200 {
            history.add(1, 0);
            history.close(99 * MINUTE_MS + second * 1000);
        }
        let times: Vec<_> = history.minutes().map(|minute| minute.at_ms).collect();
        let expected: Vec<_> = (1..=102).map(|minute| minute * MINUTE_MS).collect();
        assert_eq!(times, expected);
        let frames: u64 = history.minutes().map(|minute| minute.frames).sum();
        assert_eq!(
            frames,
            100 + 141,
            "of the hundred minutes and until second 180"
        );
    }

    #[test]
    fn a_replay_takes_away_only_what_is_later() {
        let mut history = History::default();
        for minute in 0..100 {
            history.close(minute * MINUTE_MS);
        }
        history.close(50 * MINUTE_MS);
        history.close(51 * MINUTE_MS);
        let times: Vec<_> = history.minutes().map(|minute| minute.at_ms).collect();
        let expected: Vec<_> = (1..=51).map(|minute| minute * MINUTE_MS).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn a_minute_ends_with_the_next_one_and_a_clock_set_back_begins_anew() {
        let mut history = History::default();
        history.add(10, 1);
        history.lost(2);
        history.lost(1);
        history.close(30_000);
        assert_eq!(history.minutes().len(), 0);
        history.close(60_000);
        let first = Minute {
            at_ms: 60_000,
            lost: 2,
            frames: 10,
            affected: 1,
        };
        assert!(history.minutes().eq(&[first]));
        assert_eq!(history.view().curves[1].values, [10.0]);
        history.close(180_000);
        history.close(1000);
        history.close(61_000);
        let times: Vec<_> = history.minutes().map(|minute| minute.at_ms).collect();
        assert_eq!(times, [60_000]);
    }
}
