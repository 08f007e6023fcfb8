//! Finds the hits of a frame that lie close in time, without bringing them in order.
//!
//! Each hit goes to the place of its time, a 32 us long piece of the frame. Where it finds another one
//! the two may be a pair; all other hits are alone. That looks at no two hits whose order could
//! be guessed wrongly, which is what sorting spends most of its time on.

use super::{CHANNEL_KEY_BITS, CHANNEL_KEY_MASK};

/// Most hits of a frame: with more, too many share a place by chance.
pub(super) const HITS_MAX: usize = 256;
/// Most places with three and more hits, and most hits at the end of a place.
const ODD_MAX: usize = 8;

/// Bits of a key below its place.
const LOW_BITS: u32 = 20;
const LOW_MASK: u32 = (1 << LOW_BITS) - 1;
const PLACES: usize = 1 << (u32::BITS - LOW_BITS);
/// Set in a place where two hits have met.
const MET: u32 = 1 << LOW_BITS;
/// The number of the frame stands above, from 1 on; what is left from other frames counts as empty.
const FRAME_STEP: u32 = MET << 1;

/// Finds hits that meet; its places are used again.
#[derive(Debug, Clone)]
pub(super) struct Meetings {
    /// Number of the frame, whether two have met, and the low bits of the latest key.
    places: Box<[u32; PLACES]>,
    frame: u32,
    /// The earlier one of the two need not come first.
    pairs: Vec<[u32; 2]>,
    /// Places of three and more hits.
    crowded: Vec<u32>,
    /// Hits that could be a pair with one in the next place.
    at_edge: Vec<u32>,
}

impl Default for Meetings {
    fn default() -> Self {
        Self {
            places: Box::new([0; PLACES]),
            frame: 0,
            pairs: Vec::new(),
            crowded: Vec::new(),
            at_edge: Vec::new(),
        }
    }
}

impl Meetings {
    /// Looks at the keys of one frame, at most [`HITS_MAX`]. Returns false if they lie so that they
    /// are better sorted; else all that are close are in [`Meetings::pairs`] or [`Meetings::crowds`].
    pub(super) fn find(&mut self, keys: &[u32], tmax_ns: u32) -> bool {
        if keys.len() > HITS_MAX {
            return false;
        }
        self.begin(keys.len());
        let reach = (tmax_ns << CHANNEL_KEY_BITS) | CHANNEL_KEY_MASK;
        let mut number = 0;
        for &key in keys {
            let place = &mut self.places[(key >> LOW_BITS) as usize];
            let before = *place;
            let meets = (before ^ self.frame) < FRAME_STEP;
            *place = self.frame | (u32::from(meets) << LOW_BITS) | (key & LOW_MASK);
            // Kept when there was another hit, else overwritten by the next one.
            self.pairs[number] = [key, (key & !LOW_MASK) | (before & LOW_MASK)];
            number += usize::from(meets);
            if meets && before & MET != 0 {
                self.crowded.push(key >> LOW_BITS);
            }
            if (key & LOW_MASK) + reach > LOW_MASK {
                self.at_edge.push(key >> LOW_BITS);
            }
        }
        self.pairs.truncate(number);
        self.settle()
    }

    /// Two hits that may be near enough, and no third one near them.
    pub(super) fn pairs(&self) -> &[[u32; 2]] {
        &self.pairs
    }

    /// Returns for each place with three and more hits the keys that are in it.
    pub(super) fn crowds(&self, keys: &[u32]) -> impl Iterator<Item = impl Iterator<Item = u32>> {
        let of = |place: u32| {
            let keys = keys.iter().copied();
            keys.filter(move |key| key >> LOW_BITS == place)
        };
        self.crowded.iter().map(move |place| of(*place))
    }

    fn begin(&mut self, keys: usize) {
        self.frame = self.frame.wrapping_add(FRAME_STEP);
        if self.frame == 0 {
            self.places.fill(0);
            self.frame = FRAME_STEP;
        }
        self.pairs.resize(keys, [0; 2]);
        self.crowded.clear();
        self.at_edge.clear();
    }

    /// Takes the hits of crowded places out of the pairs; false if that or the next places are too much.
    fn settle(&mut self) -> bool {
        if self.crowded.len() > ODD_MAX || self.at_edge.len() > ODD_MAX {
            return false;
        }
        let is_empty = |place: u32| {
            let next = self.places.get(place as usize + 1);
            next.is_none_or(|next| next ^ self.frame >= FRAME_STEP)
        };
        if !self.at_edge.iter().all(|place| is_empty(*place)) {
            return false;
        }
        if !self.crowded.is_empty() {
            self.crowded.sort_unstable();
            self.crowded.dedup();
            let crowded = &self.crowded;
            self.pairs
                .retain(|[key, _]| !crowded.contains(&(key >> LOW_BITS)));
        }
        true
    }
}
