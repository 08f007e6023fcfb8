//! Counts pairs of hits within some nanoseconds, in integers.
//!
//! A table has one count per pair of PMTs and nanosecond between them: 465 x (2 tmax + 1) numbers of 16
//! bits, 19.5 kB per module at 10 ns (81 MB for 4,140 modules). Half of what 32 bits take is half of the
//! memory that the counting jumps about in, and of each checkpoint. The highest bin of the nearest
//! PMTs gets about two counts per second, so it lasts for eight hours; a module with a full bin is
//! not counted further until its table is taken, neither hits nor time, so that nothing is biased.

use fathom_formats::km3net::{CHANNEL_BITS, CHANNELS, HIT_TIME_MAX_NS, SuperFrame};

use super::pairs::{PAIRS, ROWS};
use meetings::Meetings;

/// Largest distance of two hits that can be asked for (ns).
pub const TMAX_MAX_NS: u32 = 20;
/// Largest shift of a channel (ns): with it, the latest hit time stays below 2^27.
const SHIFT_MAX_NS: u32 = 1 << 24;
/// Bits of a key that hold the channel; above them is the time.
const CHANNEL_KEY_BITS: u32 = 5;
const CHANNEL_KEY_MASK: u32 = (1 << CHANNEL_KEY_BITS) - 1;
/// Sorting by insertion is given up after so many moves per hit.
const MOVES_PER_HIT: usize = 2;
/// Most places that hits are spread over by their time, as a power of two.
const SPREAD_BITS_MAX: u32 = 15;

const _: () =
    assert!((HIT_TIME_MAX_NS + SHIFT_MAX_NS + TMAX_MAX_NS) >> (32 - CHANNEL_KEY_BITS) == 0);

/// Which channels of a module count, and what is added to their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Bit n set: channel n counts.
    channels: u32,
    /// Added to the times of each channel, at least 0 (ns). One longer than there are channels, so that
    /// five bits cannot lead outside.
    shift_ns: [u32; CHANNELS + 1],
}

impl Live {
    /// Takes whole nanoseconds to be added to the time of each channel; only their differences
    /// matter. A channel that would be shifted by more than 16 ms does not count.
    pub fn new(channels: u32, add_ns: &[i64; CHANNELS]) -> Self {
        let counts = |channel: usize| channels >> channel & 1 == 1;
        let of_counting = add_ns.iter().enumerate().filter(|(c, _)| counts(*c));
        let least = of_counting.map(|(_, ns)| *ns).min().unwrap_or(0);
        let mut live = Self {
            channels: 0,
            shift_ns: [0; CHANNELS + 1],
        };
        for (channel, ns) in add_ns.iter().enumerate().filter(|(c, _)| counts(*c)) {
            let shift = u32::try_from(ns.saturating_sub(least)).ok();
            if let Some(shift) = shift.filter(|shift| *shift <= SHIFT_MAX_NS) {
                live.channels |= 1 << channel;
                live.shift_ns[channel] = shift;
            }
        }
        live
    }

    /// Returns what is added to the times of each channel (ns).
    pub fn shifts_ns(&self) -> &[u32] {
        &self.shift_ns[..CHANNELS]
    }

    /// Returns the channels that count, one bit each.
    pub fn channels(&self) -> u32 {
        self.channels
    }
}

/// The counts of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// One row of bins per pair.
    counts: Box<[u16]>,
    /// Frames that count.
    frames: u32,
    /// Of those, the ones in which a pair does not count, because a channel was in veto.
    missed: Option<Box<[u32; PAIRS]>>,
    full: bool,
}

/// Why a frame is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excluded {
    /// No hit, so perhaps switched off.
    NoHits,
    /// UDP packets are missing.
    Incomplete,
    /// A channel or a time that no intact frame has.
    Defective,
    /// Less than two channels without high-rate veto and with room in their FIFO.
    Vetoed,
    /// A bin of the module's table is full.
    Full,
}

/// Counts frames into tables; its buffers are used again.
#[derive(Debug, Clone)]
pub struct Counter {
    tmax_ns: u32,
    keys: Vec<u32>,
    meetings: Meetings,
    /// The hits of a place where more than two meet.
    crowd: Vec<u32>,
    /// Which counts go up by one.
    found: Vec<u32>,
    spread: Spread,
}

/// Brings keys nearly in order: each goes to the place that its time has among those of the frame.
#[derive(Debug, Clone, Default)]
struct Spread {
    /// Where the next key of each place goes.
    next: Vec<u32>,
    keys: Vec<u32>,
}

impl Table {
    /// Makes an empty table.
    pub fn new(tmax_ns: u32) -> Self {
        Self {
            counts: vec![0; PAIRS * bins(tmax_ns)].into(),
            frames: 0,
            missed: None,
            full: false,
        }
    }

    /// Makes a table from its parts; `None` when their sizes do not fit.
    pub fn from_parts(
        tmax_ns: u32,
        counts: Box<[u16]>,
        frames: u32,
        missed: Option<Box<[u32; PAIRS]>>,
    ) -> Option<Self> {
        (counts.len() == PAIRS * bins(tmax_ns)).then(|| Self {
            full: counts.contains(&u16::MAX),
            counts,
            frames,
            missed,
        })
    }

    /// Returns all counts, pair after pair.
    pub fn counts(&self) -> &[u16] {
        &self.counts
    }

    /// Returns the counts of a pair, from -tmax to tmax.
    pub fn pair(&self, pair: usize) -> &[u16] {
        let bins = self.counts.len() / PAIRS;
        &self.counts[pair * bins..][..bins]
    }

    /// Returns the number of frames that count.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Returns the frames in which both channels of a pair count.
    pub fn frames_of(&self, pair: usize) -> u32 {
        let missed = self.missed.as_ref().map_or(0, |missed| missed[pair]);
        self.frames.saturating_sub(missed)
    }

    /// Returns for each pair the frames that it missed, when there is one.
    pub fn missed(&self) -> Option<&[u32; PAIRS]> {
        self.missed.as_deref()
    }

    /// Tells whether a bin is full.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Returns the number of pairs of hits.
    pub fn coincidences(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Sets everything to zero, without giving memory back.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.frames = 0;
        self.missed = None;
        self.full = false;
    }

    /// Returns roughly how much memory it takes (bytes).
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.counts) + self.missed.as_ref().map_or(0, |m| size_of_val(&**m))
    }

    /// Adds one to each of some counts.
    fn add(&mut self, indices: &[u32]) {
        let counts = &mut *self.counts;
        let mut full = false;
        for index in indices {
            let count = &mut counts[*index as usize];
            *count = count.saturating_add(1);
            full |= *count == u16::MAX;
        }
        self.full |= full;
    }

    fn miss(&mut self, silent: u32) {
        let missed = self.missed.get_or_insert_with(|| Box::new([0; PAIRS]));
        for (missed, (i, j)) in missed.iter_mut().zip(super::pairs::pair_list()) {
            *missed += (silent >> i | silent >> j) & 1;
        }
    }
}

impl Counter {
    /// Makes a counter of pairs within so many nanoseconds, at most [`TMAX_MAX_NS`].
    pub fn new(tmax_ns: u32) -> Self {
        Self {
            tmax_ns: tmax_ns.min(TMAX_MAX_NS),
            keys: Vec::new(),
            meetings: Meetings::default(),
            crowd: Vec::new(),
            found: Vec::new(),
            spread: Spread::default(),
        }
    }

    /// Counts the pairs of one frame of one module, and the frame. Hits of channels in veto, with
    /// an almost full FIFO or that do not count are left out as if they were not there.
    pub fn count(
        &mut self,
        frame: &SuperFrame<'_>,
        live: &Live,
        table: &mut Table,
    ) -> Result<(), Excluded> {
        if table.full {
            return Err(Excluded::Full);
        }
        if frame.hits.is_empty() {
            return Err(Excluded::NoHits);
        }
        if !frame.status.is_complete() {
            return Err(Excluded::Incomplete);
        }
        let silent = (frame.status.hrv_bits() | frame.status.fifo_bits()) & CHANNEL_BITS;
        let channels = live.channels & !silent;
        if channels.count_ones() < 2 {
            return Err(Excluded::Vetoed);
        }
        self.look(frame, channels, live)
            .ok_or(Excluded::Defective)?;
        // Apart from the search, so that the memory of many counts is fetched at once.
        table.add(&self.found);
        table.frames += 1;
        if live.channels & silent != 0 {
            table.miss(live.channels & silent);
        }
        Ok(())
    }

    /// Takes the hits of some channels and finds the pairs among them; `None` when a hit cannot be.
    fn look(&mut self, frame: &SuperFrame<'_>, channels: u32, live: &Live) -> Option<()> {
        if self.keys.len() <= frame.hits.len() {
            self.keys.resize(frame.hits.len() + 1, 0);
        }
        let keys = &mut self.keys[..frame.hits.len() + 1];
        let (mut number, mut wrong) = (0, false);
        let (mut last, mut in_order) = (0, true);
        for hit in frame.hits {
            let (channel, time_ns) = (hit.channel().0, hit.time_ns());
            wrong |= usize::from(channel) >= CHANNELS || time_ns > HIT_TIME_MAX_NS;
            let channel = u32::from(channel) & CHANNEL_KEY_MASK;
            let time_ns = time_ns.wrapping_add(live.shift_ns[channel as usize]);
            let key = time_ns << CHANNEL_KEY_BITS | channel;
            keys[number] = key;
            // Kept when its channel counts, else overwritten by the next one.
            number += (channels >> channel & 1) as usize;
            in_order &= last <= key;
            last = key;
        }
        if wrong {
            return None;
        }
        let keys = &mut keys[..number];
        self.found.clear();
        if !in_order && self.meetings.find(keys, self.tmax_ns) {
            self.take_met(number);
        } else {
            if !in_order {
                self.spread.sort(keys);
            }
            // Behind them a key that no hit has.
            self.keys[number] = u32::MAX;
            find_pairs(&self.keys[..number + 1], self.tmax_ns, &mut self.found);
        }
        Some(())
    }

    /// Takes what the meetings among so many hits found.
    fn take_met(&mut self, hits: usize) {
        let pairs = self.meetings.pairs();
        self.found.resize(pairs.len(), 0);
        let mut number = 0;
        for [a, b] in pairs {
            let (index, counts) = count_of(*a.min(b), *a.max(b), self.tmax_ns);
            // Kept when it counts, else overwritten by the next one.
            self.found[number] = index;
            number += usize::from(counts);
        }
        self.found.truncate(number);
        for crowd in self.meetings.crowds(&self.keys[..hits]) {
            self.crowd.clear();
            self.crowd.extend(crowd);
            self.crowd.sort_unstable();
            self.crowd.push(u32::MAX);
            find_pairs(&self.crowd, self.tmax_ns, &mut self.found);
        }
    }
}

/// Finds hits with exactly one other one in the time after them; groups of more are skipped. The
/// last key is no hit.
fn find_pairs(sorted: &[u32], tmax_ns: u32, found: &mut Vec<u32>) {
    let reach = tmax_ns << CHANNEL_KEY_BITS;
    let mut at = 0;
    while let [first, second, rest @ ..] = &sorted[at..] {
        // The latest key that is not more than tmax after the first.
        let last = (first | CHANNEL_KEY_MASK).saturating_add(reach);
        if *second > last {
            at += 1;
            continue;
        }
        let more = rest.iter().take_while(|key| **key <= last).count();
        if more > 0 {
            at += 2 + more;
            continue;
        }
        at += 1;
        let (index, counts) = count_of(*first, *second, tmax_ns);
        if counts {
            found.push(index);
        }
    }
}

/// Returns which count of a table two hits belong to, and whether they do: not when they are of the
/// same channel, or more than tmax apart.
fn count_of(first: u32, second: u32, tmax_ns: u32) -> (u32, bool) {
    let (a, b) = (first & CHANNEL_KEY_MASK, second & CHANNEL_KEY_MASK);
    let apart_ns = (second >> CHANNEL_KEY_BITS) - (first >> CHANNEL_KEY_BITS);
    // Time of the higher channel minus that of the lower one.
    let bin = if a < b {
        tmax_ns.wrapping_add(apart_ns)
    } else {
        tmax_ns.wrapping_sub(apart_ns)
    };
    let pair = (u32::from(ROWS[a.min(b) as usize]) + a.max(b)).wrapping_sub(1);
    let index = pair.wrapping_mul(2 * tmax_ns + 1).wrapping_add(bin);
    (index, a != b && apart_ns <= tmax_ns)
}

impl Spread {
    /// Sorts: hits of a frame come nearly in order, or else spread over its time.
    fn sort(&mut self, keys: &mut [u32]) {
        if !insert(keys) {
            self.sort_far(keys);
        }
    }

    /// Sorts what is far from being in order.
    #[inline(never)]
    fn sort_far(&mut self, keys: &mut [u32]) {
        self.spread(keys);
        if !insert(keys) {
            keys.sort_unstable();
        }
    }

    /// Counts how many keys each place gets, then puts them there: about one each, when hits are as
    /// likely at any time.
    fn spread(&mut self, keys: &mut [u32]) {
        let bits = (keys.len().ilog2() + 1).clamp(1, SPREAD_BITS_MAX);
        let latest = keys.iter().fold(0, |latest, key| latest | key);
        let shift = (u32::BITS - latest.leading_zeros()).saturating_sub(bits);
        self.next.clear();
        self.next.resize((1 << bits) + 1, 0);
        for key in &*keys {
            self.next[(key >> shift) as usize + 1] += 1;
        }
        for place in 1..self.next.len() {
            self.next[place] += self.next[place - 1];
        }
        self.keys.clear();
        self.keys.resize(keys.len(), 0);
        for key in &*keys {
            let next = &mut self.next[(key >> shift) as usize];
            self.keys[*next as usize] = *key;
            *next += 1;
        }
        keys.copy_from_slice(&self.keys);
    }
}

/// Sorts by insertion, unless that takes many moves: then false, and the order is any.
fn insert(keys: &mut [u32]) -> bool {
    let mut moves_left = keys.len() * MOVES_PER_HIT;
    for end in 1..keys.len() {
        let key = keys[end];
        let mut at = end;
        while at > 0 && keys[at - 1] > key {
            keys[at] = keys[at - 1];
            at -= 1;
        }
        keys[at] = key;
        match moves_left.checked_sub(end - at) {
            Some(left) => moves_left = left,
            None => return false,
        }
    }
    true
}

/// Returns the bins of one pair.
fn bins(tmax_ns: u32) -> usize {
    2 * tmax_ns.min(TMAX_MAX_NS) as usize + 1
}

mod meetings;

#[cfg(test)]
mod tests;
