//! What was counted and what was left out, and why.

use serde_json::{Value, json};

use crate::k40::Excluded;

/// Numbers of the running cycle, and of messages since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Slices of the cycle.
    pub(super) slices: u64,
    /// Frames of modules of the cycle that are counted.
    pub(super) frames: u64,
    /// Those with a channel in veto or with an almost full FIFO, whose pairs are not counted.
    pub(super) partly: u64,
    no_hits: u64,
    incomplete: u64,
    defective: u64,
    vetoed: u64,
    full: u64,
    /// Frames of a time of which a frame of the module was counted before.
    pub(super) again: u64,
    /// Frames that came between a jump of the data time and the calibration of what was before.
    pub(super) between: u64,
    /// Slices far off the clock.
    pub(super) strays: u64,
    /// Packets with singles rates.
    pub(super) packets: u64,
}

impl Tally {
    /// Counts a frame that is left out.
    pub(super) fn left_out(&mut self, why: Excluded) {
        *match why {
            Excluded::NoHits => &mut self.no_hits,
            Excluded::Incomplete => &mut self.incomplete,
            Excluded::Defective => &mut self.defective,
            Excluded::Vetoed => &mut self.vetoed,
            Excluded::Full => &mut self.full,
        } += 1;
    }

    /// Begins the next cycle; what is counted since the start stays.
    pub(super) fn of_next_cycle(self) -> Self {
        Self {
            strays: self.strays,
            packets: self.packets,
            ..Self::default()
        }
    }

    /// Returns rows for people.
    pub(super) fn rows(&self) -> Vec<Vec<Value>> {
        [
            ("slices", self.slices),
            ("frames counted", self.frames),
            (
                "of these, without some channels (veto or FIFO)",
                self.partly,
            ),
            ("frames left out: all channels in veto", self.vetoed),
            ("frames left out: packets missing", self.incomplete),
            ("frames left out: defective", self.defective),
            ("frames left out: no hits", self.no_hits),
            ("frames left out: counts of the module are full", self.full),
            ("frames left out: the same once more", self.again),
            ("frames left out: the data time has jumped", self.between),
            ("slices far off the clock", self.strays),
            ("packets with singles rates", self.packets),
        ]
        .map(|(name, number)| vec![json!(name), json!(number)])
        .to_vec()
    }
}
