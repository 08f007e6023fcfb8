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

    /// Adds one to a count.
    fn add(&mut self, index: usize) {
        let count = &mut self.counts[index];
        *count = count.saturating_add(1);
        self.full |= *count == u16::MAX;
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
        let taken = self.take(frame, channels, live);
        let (hits, in_order) = taken.ok_or(Excluded::Defective)?;
        self.count_taken(hits, in_order, table);
        table.frames += 1;
        if live.channels & silent != 0 {
            table.miss(live.channels & silent);
        }
        Ok(())
    }

    /// Takes the hits of some channels; returns their number and whether they came in order, or `None` when
    /// a hit cannot be.
    fn take(
        &mut self,
        frame: &SuperFrame<'_>,
        channels: u32,
        live: &Live,
    ) -> Option<(usize, bool)> {
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
        (!wrong).then_some((number, in_order))
    }

    /// Counts the pairs among the hits taken.
    fn count_taken(&mut self, hits: usize, in_order: bool, table: &mut Table) {
        let tmax_ns = self.tmax_ns;
        let keys = &mut self.keys[..hits];
        if !in_order && self.meetings.find(keys, tmax_ns) {
            for [a, b] in self.meetings.pairs() {
                count_pair(*a.min(b), *a.max(b), tmax_ns, table);
            }
            count_pairs(self.meetings.crowd(), tmax_ns, table);
            return;
        }
        if !in_order {
            self.spread.sort(keys);
        }
        // Behind them a key that no hit has.
        self.keys[hits] = u32::MAX;
        count_pairs(&self.keys[..hits + 1], tmax_ns, table);
    }
}

/// Counts hits with exactly one other one in the time after them; groups of more are skipped. The
/// last key is no hit.
fn count_pairs(sorted: &[u32], tmax_ns: u32, table: &mut Table) {
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
        count_pair(*first, *second, tmax_ns, table);
    }
}

/// Counts two hits, the earlier first, unless they are of the same channel or more than tmax apart.
fn count_pair(first: u32, second: u32, tmax_ns: u32, table: &mut Table) {
    let (a, b) = (first & CHANNEL_KEY_MASK, second & CHANNEL_KEY_MASK);
    let apart_ns = (second >> CHANNEL_KEY_BITS) - (first >> CHANNEL_KEY_BITS);
    if a == b || apart_ns > tmax_ns {
        return;
    }
    // Time of the higher channel minus that of the lower one.
    let bin = if a < b {
        tmax_ns + apart_ns
    } else {
        tmax_ns - apart_ns
    };
    let pair = usize::from(ROWS[a.min(b) as usize]) + a.max(b) as usize - 1;
    table.add(pair * bins(tmax_ns) + bin as usize);
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
