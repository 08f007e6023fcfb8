//! What is known of one DOM, and when it loses and regains its synchronisation.

use crate::clock::text_of_ms;

/// Frames, losses and recoveries of a DOM.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dom {
    /// Frames, and affected ones, since the last look.
    recent: (u32, u32),
    /// The same since the last map.
    pub(super) interval: (u32, u32),
    /// The same since the monitor was first started.
    pub(super) frames: u64,
    pub(super) affected: u64,
    /// When it lost its synchronisation, while it has none (ms).
    pub(super) lost_ms: Option<i64>,
    /// Its newest affected frame (ms).
    pub(super) affected_ms: Option<i64>,
    /// Its newest frame (ms).
    pub(super) newest_ms: Option<i64>,
    /// Whether the alarm was said since the start.
    said: bool,
}

/// What is to be said of a DOM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) is_lost: bool,
    /// Frames, and affected ones, since the last look.
    recent: (u32, u32),
    since_ms: i64,
}

impl Dom {
    pub(super) fn add(&mut self, in_sync: bool, data_ms: i64) {
        let affected = u32::from(!in_sync);
        for (frames, bad) in [&mut self.recent, &mut self.interval] {
            *frames += 1;
            *bad += affected;
        }
        self.frames += 1;
        self.affected += u64::from(affected);
        // The newest in order of arrival: a clock set back by a replay must not hold DOMs back.
        self.newest_ms = Some(data_ms);
        if !in_sync {
            self.affected_ms = Some(data_ms);
        }
    }

    /// Judges what came since the last look; tells what is to be said, if anything.
    pub(super) fn judge(&mut self, recovery_ms: i64) -> Option<Change> {
        let recent = std::mem::take(&mut self.recent);
        let (frames, affected) = recent;
        let was_lost = self.lost_ms.is_some();
        if affected > 0 && !was_lost {
            self.lost_ms = self.affected_ms;
        } else if frames > 0 && self.has_recovered(recovery_ms) {
            self.lost_ms = None;
        }
        let is_lost = self.lost_ms.is_some();
        if is_lost == was_lost && (self.said || !is_lost) {
            return None;
        }
        self.said = is_lost;
        Some(Change {
            is_lost,
            recent,
            since_ms: self.lost_ms.unwrap_or_default(),
        })
    }

    fn has_recovered(&self, recovery_ms: i64) -> bool {
        match (self.newest_ms, self.affected_ms) {
            // Good frames from before the affected one: the clock was set back.
            (Some(newest), Some(affected)) => !(0..recovery_ms).contains(&(newest - affected)),
            _ => true,
        }
    }
}

impl Change {
    /// Says it of a DOM and its place.
    pub(super) fn text(&self, dom_id: u32, place: &str) -> String {
        let (frames, affected) = self.recent;
        match (self.is_lost, frames) {
            // After a restart, before it has sent anything.
            (true, 0) => format!(
                "DOM {dom_id} ({place}) is out of time sync since {} UTC",
                text_of_ms(self.since_ms)
            ),
            (true, _) => {
                format!("DOM {dom_id} ({place}) is out of time sync: {affected} of {frames} frames")
            }
            (false, _) => format!("DOM {dom_id} ({place}) is in time sync again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_begins_with_the_frame_that_told_of_it_and_not_with_the_newest() {
        let mut dom = Dom::default();
        dom.add(true, 1000);
        dom.add(false, 1100);
        dom.add(true, 1200);
        let change = dom.judge(10_000).unwrap();
        assert_eq!((change.is_lost, change.since_ms), (true, 1100));
    }
}
