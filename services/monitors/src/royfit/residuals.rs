//! Time residuals of the last two hours: a histogram per DOM, kept by minutes so that old ones leave.
//!
//! A residual becomes a code: bins of 0.5 ns within 15 ns of zero, where medians are read off, and of
//! 5 ns outside. A minute keeps its cells, one number per DOM and code with their count; the sums of
//! all minutes are an array of 254 numbers per DOM.

use std::collections::BTreeMap;

/// Bins from -500 to 500 ns.
pub(super) const CODES: usize = 254;
/// Bins of the pictures: 5 ns from -500 to 500 ns.
pub(super) const BINS: usize = 200;
/// Largest residual (ns).
const LARGEST_NS: f64 = 500.0;
/// Up to here bins are fine (ns).
const FINE_UP_TO_NS: f64 = 15.0;
const FINE_NS: f64 = 0.5;
const COARSE_NS: f64 = 5.0;
/// Coarse bins on either side of the fine ones.
const COARSE: usize = 97;
const FINE: usize = 60;
/// A minute with so many cells is full: further residuals are counted, not kept.
pub(super) const CELLS_MAX: usize = 1 << 17;
/// A cell is `key << 11 | count`, the key `rank * 254 + code`.
const COUNT_BITS: u32 = 11;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;
/// Most DOMs: what a key has room for. Two ARCA blocks have 4,140.
const DOMS_MAX: usize = (1 << (32 - COUNT_BITS)) / CODES;
/// Residuals that wait to become cells.
const FRESH_MAX: usize = 1 << 14;

/// What became of a residual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It counts.
    Yes,
    /// It is larger than 500 ns.
    TooLarge,
    /// Its minute is over or far ahead, or has all the cells it may have.
    NoRoom,
}

/// One minute.
#[derive(Debug, Clone, Default, PartialEq)]
struct Minute {
    /// Sorted by key; a key occurs again when its count is full.
    cells: Vec<u32>,
    /// Cells that are not sorted in yet.
    fresh: Vec<u32>,
}

/// The residuals of all DOMs, by their rank in the list of DOMs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Residuals {
    /// Minutes kept.
    minutes_max: i64,
    newest: i64,
    minutes: BTreeMap<i64, Minute>,
    /// Sums of all minutes, [`CODES`] per DOM.
    sums: Vec<u32>,
}

impl Residuals {
    pub(super) fn new(doms: usize, minutes_max: i64) -> Self {
        Self {
            minutes_max,
            newest: i64::MIN,
            minutes: BTreeMap::new(),
            sums: vec![0; doms.min(DOMS_MAX) * CODES],
        }
    }

    /// The clock of the data stands at a minute: what is too old leaves, and what is ahead of it, as
    /// after the begin of a replay.
    pub(super) fn set_clock(&mut self, minute: i64) {
        self.newest = minute;
        let oldest = minute.saturating_sub(self.minutes_max - 1);
        let gone: Vec<i64> = self
            .minutes
            .keys()
            .copied()
            .filter(|at| !(oldest..=minute.saturating_add(1)).contains(at))
            .collect();
        for at in gone {
            let Some(mut minute) = self.minutes.remove(&at) else {
                continue;
            };
            minute.settle();
            for cell in minute.cells {
                let (key, count) = parts(cell);
                self.sums[key] = self.sums[key].saturating_sub(count);
            }
        }
    }

    /// Adds a residual (ns) of a DOM.
    pub(super) fn add(&mut self, minute: i64, rank: usize, residual_ns: f64) -> Kept {
        match key_of(rank, residual_ns) {
            Some(key) => self.add_cell(minute, key, 1),
            None if rank >= DOMS_MAX => Kept::NoRoom,
            None => Kept::TooLarge,
        }
    }

    /// Adds residuals of one DOM and code, up to as many as a cell counts.
    pub(super) fn add_cell(&mut self, minute: i64, key: u32, count: u32) -> Kept {
        let oldest = self.newest.saturating_sub(self.minutes_max - 1);
        let is_inside = (oldest..=self.newest.saturating_add(1)).contains(&minute);
        let (true, Some(sum)) = (is_inside, self.sums.get_mut(key as usize)) else {
            return Kept::NoRoom;
        };
        let slot = self.minutes.entry(minute).or_default();
        if slot.fresh.len() >= FRESH_MAX {
            slot.settle();
        }
        if slot.cells.len() >= CELLS_MAX {
            return Kept::NoRoom;
        }
        let count = count.min(COUNT_MAX);
        slot.fresh.push(key << COUNT_BITS | count);
        *sum += count;
        Kept::Yes
    }

    /// Returns the sums of a DOM by code.
    pub(super) fn of(&self, rank: usize) -> &[u32] {
        let from = rank * CODES;
        self.sums.get(from..from + CODES).unwrap_or(&[])
    }

    /// Iterates over the minutes with their cells, newest first.
    pub(super) fn cells(&mut self) -> impl Iterator<Item = (i64, &[u32])> {
        let minutes = self.minutes.iter_mut().rev();
        minutes.map(|(at, minute)| {
            minute.settle();
            (*at, minute.cells.as_slice())
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let of = |minute: &Minute| minute.cells.capacity() + minute.fresh.capacity();
        (self.minutes.values().map(of).sum::<usize>() + self.sums.len()) * 4
    }
}

impl Minute {
    /// Turns what is fresh into cells.
    fn settle(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        self.cells.extend(fresh);
        self.cells.sort_unstable();
        self.cells.dedup_by(|cell, before| {
            let count = (*cell & COUNT_MAX) + (*before & COUNT_MAX);
            let is_one = *cell >> COUNT_BITS == *before >> COUNT_BITS && count <= COUNT_MAX;
            if is_one {
                *before = *before & !COUNT_MAX | count;
            }
            is_one
        });
        self.cells.shrink_to_fit();
    }
}

/// Splits a cell into key and count.
pub(super) fn parts(cell: u32) -> (usize, u32) {
    ((cell >> COUNT_BITS) as usize, cell & COUNT_MAX)
}

/// Returns the key of a residual; `None` when it is too large, or the rank.
pub(super) fn key_of(rank: usize, residual_ns: f64) -> Option<u32> {
    let code = code_of(residual_ns)?;
    let key = (rank < DOMS_MAX).then_some(rank * CODES + code)?;
    u32::try_from(key).ok()
}

fn code_of(residual_ns: f64) -> Option<usize> {
    if !(-LARGEST_NS..LARGEST_NS).contains(&residual_ns) {
        return None;
    }
    let (first, from_ns, width_ns) = if residual_ns < -FINE_UP_TO_NS {
        (0, -LARGEST_NS, COARSE_NS)
    } else if residual_ns < FINE_UP_TO_NS {
        (COARSE, -FINE_UP_TO_NS, FINE_NS)
    } else {
        (COARSE + FINE, FINE_UP_TO_NS, COARSE_NS)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 96 by the checks above"
    )]
    let within = ((residual_ns - from_ns) / width_ns) as usize;
    Some(first + within)
}

/// Returns the edges of a code (ns).
fn edges_of(code: usize) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a code is below 254")]
    let (low, width) = match code {
        0..COARSE => (-LARGEST_NS + COARSE_NS * code as f64, COARSE_NS),
        COARSE..157 => (-FINE_UP_TO_NS + FINE_NS * (code - COARSE) as f64, FINE_NS),
        _ => (
            FINE_UP_TO_NS + COARSE_NS * (code - COARSE - FINE) as f64,
            COARSE_NS,
        ),
    };
    (low, low + width)
}

/// Returns the bin of the pictures that a code belongs to.
pub(super) fn bin_of(code: usize) -> usize {
    match code {
        0..COARSE => code,
        COARSE..157 => COARSE + (code - COARSE) / 10,
        _ => code - FINE + FINE / 10,
    }
}

/// Returns where a fraction of the residuals lies below (ns), evenly spread within a bin; `None`
/// without any.
pub(super) fn quantile_ns(sums: &[u32], fraction: f64) -> Option<f64> {
    let total = sums.iter().map(|&count| u64::from(count)).sum::<u64>();
    if total == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let mut below = fraction * total as f64;
    for (code, &count) in sums.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = f64::from(count);
        if below <= count {
            let (low, high) = edges_of(code);
            return Some(low + (high - low) * below / count);
        }
        below -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_fine_near_zero_and_their_edges_touch() {
        assert_eq!(code_of(-500.0), Some(0));
        assert_eq!(code_of(499.9), Some(253));
        assert_eq!([500.0, -500.1, f64::NAN].map(code_of), [None; 3]);
        assert_eq!(edges_of(code_of(0.3).unwrap()), (0.0, 0.5));
        assert_eq!(edges_of(code_of(-15.1).unwrap()), (-20.0, -15.0));
        for code in 1..CODES {
            let (before, (low, high)) = (edges_of(code - 1), edges_of(code));
            assert_eq!(before.1, low);
            assert_eq!(code_of(low), Some(code));
            // All of a code lies in one bin of 5 ns.
            let bin = bin_of(code) as f64 * 5.0 - 500.0;
            assert!(bin <= low && high <= bin + 5.0, "{code}");
        }
    }

    #[test]
    fn the_median_of_residuals_from_2_to_4_ns_is_3_ns() {
        let mut residuals = Residuals::new(2, 120);
        residuals.set_clock(10);
        for n in 0..200 {
            let residual_ns = 2.0 + f64::from(n) / 100.0;
            assert_eq!(residuals.add(10, 1, residual_ns), Kept::Yes);
        }
        let median = quantile_ns(residuals.of(1), 0.5).unwrap();
        assert!((median - 3.0).abs() < 0.01, "{median}");
        let width = quantile_ns(residuals.of(1), 0.84).unwrap() - median;
        assert!((width - 0.68).abs() < 0.01, "{width}");
        assert_eq!(quantile_ns(residuals.of(0), 0.5), None);
    }

    #[test]
    fn minutes_leave_after_the_window_and_when_a_replay_begins() {
        let mut residuals = Residuals::new(1, 3);
        residuals.set_clock(100);
        for minute in [97, 98, 99, 100, 101, 102] {
            let kept = residuals.add(minute, 0, 1.0);
            let expected = if (98..=101).contains(&minute) {
                Kept::Yes
            } else {
                Kept::NoRoom
            };
            assert_eq!(kept, expected, "{minute}");
        }
        let total = |residuals: &Residuals| residuals.of(0).iter().sum::<u32>();
        assert_eq!(total(&residuals), 4);
        residuals.set_clock(101);
        assert_eq!(total(&residuals), 3);
        residuals.set_clock(50);
        assert_eq!(total(&residuals), 0);
        assert_eq!(residuals.add(50, 0, 600.0), Kept::TooLarge);
        assert_eq!(residuals.add(50, 1, 1.0), Kept::NoRoom);
    }

    #[test]
    fn counts_larger_than_a_cell_holds_are_not_lost() {
        let mut residuals = Residuals::new(1, 3);
        residuals.set_clock(1);
        for _ in 0..50_000 {
            residuals.add(1, 0, 0.1);
        }
        assert_eq!(residuals.of(0).iter().sum::<u32>(), 50_000);
        let (_, cells) = residuals.cells().next().unwrap();
        assert_eq!(cells.iter().map(|cell| parts(*cell).1).sum::<u32>(), 50_000);
        assert!(cells.len() < 30, "{}", cells.len());
        residuals.set_clock(10);
        assert_eq!(residuals.of(0).iter().sum::<u32>(), 0);
    }

    #[test]
    fn a_minute_has_no_more_cells_than_it_may() {
        let doms = 1000;
        let mut residuals = Residuals::new(doms, 3);
        residuals.set_clock(1);
        let mut kept = 0;
        for rank in 0..doms {
            for code in 0..CODES {
                let (low, high) = edges_of(code);
                kept += usize::from(residuals.add(1, rank, low.midpoint(high)) == Kept::Yes);
            }
        }
        assert_eq!(kept, CELLS_MAX);
        assert!(residuals.memory_bytes() <= 4 * (CELLS_MAX + FRESH_MAX + doms * CODES));
    }
}
