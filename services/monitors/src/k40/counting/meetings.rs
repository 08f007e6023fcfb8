//! Finds the hits of a frame that lie close in time, without bringing them in order.
//!
//! Each hit goes to the place of its time, a 16 us long piece of the frame. Where it finds another one
//! the two may be a pair; all other hits are alone. That looks at no two hits whose order could
//! be guessed wrongly, which is what sorting spends most of its time on.

use super::{CHANNEL_KEY_BITS, CHANNEL_KEY_MASK};

/// Most hits of a frame: with more, too many share a place by chance.
pub(super) const HITS_MAX: usize = 1024;
/// Most hits at the end of a place.
const AT_EDGE_MAX: usize = 16;

/// Bits of a key below its place.
const LOW_BITS: u32 = 19;
const LOW_MASK: u32 = (1 << LOW_BITS) - 1;
const PLACES: usize = 1 << (u32::BITS - LOW_BITS);
/// Set in a place where two hits have met, and where a third one came.
const MET: u32 = 1 << LOW_BITS;
const CROWDED: u32 = MET << 1;
/// The number of the frame stands above, from 1 on; what is left from other frames counts as empty.
const FRAME_STEP: u32 = CROWDED << 1;

/// Finds hits that meet; its places are used again.
#[derive(Debug, Clone)]
pub(super) struct Meetings {
    /// Number of the frame, whether two have met and more, and the low bits of the latest key.
    places: Box<[u32; PLACES]>,
    frame: u32,
    /// The earlier one of the two need not come first.
    pairs: Vec<[u32; 2]>,
    /// Hits in places of three and more, sorted, and a key that is no hit.
    crowd: Vec<u32>,
    /// Places with a hit that could be a pair with one in the next place.
    at_edge: Vec<u32>,
}

impl Default for Meetings {
    fn default() -> Self {
        Self {
            places: Box::new([0; PLACES]),
            frame: 0,
            pairs: Vec::new(),
            crowd: Vec::new(),
            at_edge: Vec::new(),
        }
    }
}

impl Meetings {
    /// Looks at the keys of one frame. Returns false if there are more than [`HITS_MAX`], or if they lie
    /// so that they are better sorted; else all that are close are in [`Meetings::pairs`] or
    /// [`Meetings::crowd`].
    pub(super) fn find(&mut self, keys: &[u32], tmax_ns: u32) -> bool {
        if keys.len() > HITS_MAX {
            return false;
        }
        self.begin(keys.len());
        let reach = (tmax_ns << CHANNEL_KEY_BITS) | CHANNEL_KEY_MASK;
        let (mut number, mut crowded) = (0, 0);
        for &key in keys {
            let place = &mut self.places[(key >> LOW_BITS) as usize];
            let before = *place;
            let meets = u32::from((before ^ self.frame) < FRAME_STEP);
            let more = ((before & MET) << 1) * meets;
            *place = self.frame | more | (meets << LOW_BITS) | (key & LOW_MASK);
            crowded |= more;
            // Kept when there was another hit, else overwritten by the next one.
            self.pairs[number] = [key, (key & !LOW_MASK) | (before & LOW_MASK)];
            number += meets as usize;
            if (key & LOW_MASK) + reach > LOW_MASK {
                self.at_edge.push(key >> LOW_BITS);
            }
        }
        self.pairs.truncate(number);
        if crowded != 0 {
            self.part_crowd(keys);
        }
        self.are_edges_clear()
    }

    /// Two hits that may be near enough, and no third one near them.
    pub(super) fn pairs(&self) -> &[[u32; 2]] {
        &self.pairs
    }

    /// The other hits that may be near enough to some, sorted; behind them a key that no hit has.
    pub(super) fn crowd(&self) -> &[u32] {
        &self.crowd
    }

    fn begin(&mut self, keys: usize) {
        self.frame = self.frame.wrapping_add(FRAME_STEP);
        if self.frame == 0 {
            self.places.fill(0);
            self.frame = FRAME_STEP;
        }
        self.pairs.resize(keys, [0; 2]);
        self.crowd.clear();
        self.at_edge.clear();
    }

    /// Takes the hits of crowded places out of the pairs.
    fn part_crowd(&mut self, keys: &[u32]) {
        let places = &self.places;
        let is_crowded = |key: u32| places[(key >> LOW_BITS) as usize] & CROWDED != 0;
        self.pairs.retain(|[key, _]| !is_crowded(*key));
        let crowd = keys.iter().copied().filter(|key| is_crowded(*key));
        self.crowd.extend(crowd);
        self.crowd.sort_unstable();
        self.crowd.push(u32::MAX);
    }

    /// Returns whether no hit has one in the next place that it could be a pair with.
    fn are_edges_clear(&self) -> bool {
        let is_empty = |place: &u32| {
            let next = self.places.get(*place as usize + 1);
            next.is_none_or(|next| next ^ self.frame >= FRAME_STEP)
        };
        self.at_edge.len() <= AT_EDGE_MAX && self.at_edge.iter().all(is_empty)
    }
}
