//! How counts and results are kept over a restart.
//!
//! ```text
//! head    'H' | JSON of [`Head`]
//! module  'D' | id u32 | channels u32, 31 shifts u32 | since i64 (or minimum) | frames u32
//!             | 31 medians of 5 f32 and 5 u32 | counts u16 ... | missed: u8, and if 1, 465 u32
//!             | result: u8, and if 1: from i64 | until i64 | full u8 | alarm u8 | livetime f64
//!             | coincidences u64 | 6 f64 | 31 PMTs of 7 f64 | 465 pairs of u8 and 4 f32
//! ```
//! Little-endian, each record behind its length. 34 kB per module at 10 ns.

use fathom_formats::km3net::CHANNELS;
use fathom_hist::RunningMedian;
use serde::{Deserialize, Serialize};

use super::config::{Stream, Times};
use super::dom::{Dom, Done, Known};
use super::singles::Singles;
use crate::k40::{Calibration, PAIRS, Pair, PairState, PmtResult, Table};

pub(super) const VERSION: u32 = 1;

/// What all modules have in common; counts of other options are of no use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) stream: Stream,
    pub(super) times: Times,
    pub(super) tmax_ns: u32,
    /// Begin of the cycle (ms).
    pub(super) since_ms: Option<i64>,
    /// Data time to which the last round counted (ms).
    pub(super) calibrated_ms: Option<i64>,
}

impl Head {
    /// Tells whether counts kept by one are of use to the other.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let of = |head: &Self| (head.version, head.stream, head.times, head.tmax_ns);
        of(self) == of(other)
    }
}

/// Writes the record of the head.
pub(super) fn head_record(head: &Head) -> Vec<u8> {
    let mut record = vec![b'H'];
    record.extend(serde_json::to_vec(head).expect("numbers become JSON"));
    record
}

/// Writes the record of a module.
pub(super) fn dom_record(dom_id: u32, dom: &Dom) -> Vec<u8> {
    let mut record = Vec::with_capacity(dom.memory_bytes() + 512);
    record.push(b'D');
    record.extend(dom_id.to_le_bytes());
    put_known(&dom.known, &mut record);
    record.extend(dom.since_ms.unwrap_or(i64::MIN).to_le_bytes());
    record.extend(dom.table.frames().to_le_bytes());
    for median in dom.singles.medians() {
        let (heights, ranks) = median.parts();
        record.extend(heights.into_iter().flat_map(f32::to_le_bytes));
        record.extend(ranks.into_iter().flat_map(u32::to_le_bytes));
    }
    record.extend(
        dom.table
            .counts()
            .iter()
            .flat_map(|count| count.to_le_bytes()),
    );
    record.push(u8::from(dom.table.missed().is_some()));
    if let Some(missed) = dom.table.missed() {
        record.extend(missed.iter().flat_map(|frames| frames.to_le_bytes()));
    }
    record.push(u8::from(dom.last.is_some()));
    if let Some(done) = &dom.last {
        put_done(done, dom.is_alarming, &mut record);
    }
    record
}

fn put_known(known: &Known, record: &mut Vec<u8>) {
    record.extend(known.live.channels().to_le_bytes());
    let shifts = known.live.shifts_ns().iter();
    record.extend(shifts.flat_map(|ns| ns.to_le_bytes()));
}

fn put_done(done: &Done, is_alarming: bool, record: &mut Vec<u8>) {
    let found = &done.calibration;
    record.extend(done.from_ms.to_le_bytes());
    record.extend(done.until_ms.to_le_bytes());
    record.extend([u8::from(done.was_full), u8::from(is_alarming)]);
    record.extend(found.livetime_s.to_le_bytes());
    record.extend(found.coincidences.to_le_bytes());
    let [before_ns, after_ns] = found.rms_ns;
    let [before_hz, after_hz] = found.rms_hz;
    let numbers = [
        found.scale,
        before_ns,
        after_ns,
        before_hz,
        after_hz,
        found.chi2_per_ndf,
    ];
    record.extend(numbers.into_iter().flat_map(f64::to_le_bytes));
    for pmt in &found.pmts {
        let numbers = [
            pmt.t0_ns,
            pmt.t0_error_ns,
            pmt.shift_ns,
            pmt.shift_error_ns,
            pmt.sigma_ns,
            pmt.efficiency,
            pmt.efficiency_error,
        ];
        record.extend(numbers.into_iter().flat_map(f64::to_le_bytes));
    }
    for pair in found.pairs.iter() {
        record.push(pair.state as u8);
        let numbers = [
            pair.mean_ns,
            pair.mean_error_ns,
            pair.sigma_ns,
            pair.rate_hz,
        ];
        record.extend(numbers.into_iter().flat_map(f32::to_le_bytes));
    }
}

/// Reads the record of the head.
pub(super) fn read_head(record: &[u8]) -> Option<Head> {
    serde_json::from_slice(record.strip_prefix(b"H")?).ok()
}

/// Reads the id in the record of a module.
pub(super) fn read_id(record: &[u8]) -> Option<u32> {
    let mut left = record.strip_prefix(b"D")?;
    take(&mut left).map(u32::from_le_bytes)
}

/// Reads the record of a module of which this is known now; `None` when it is damaged, or from
/// before the detector file or the masks changed.
pub(super) fn read_dom(record: &[u8], known: Known, tmax_ns: u32) -> Option<Dom> {
    let mut left = record.strip_prefix(b"D")?;
    let left = &mut left;
    take::<4>(left)?;
    let mut expected = Vec::new();
    put_known(&known, &mut expected);
    *left = left.strip_prefix(&*expected)?;
    let since_ms = take(left).map(i64::from_le_bytes)?;
    let frames = take(left).map(u32::from_le_bytes)?;
    let mut medians = [RunningMedian::default(); CHANNELS];
    for median in &mut medians {
        let heights = some(|| take(left).map(f32::from_le_bytes))?;
        let ranks = some(|| take(left).map(u32::from_le_bytes))?;
        *median = RunningMedian::from_parts(heights, ranks)?;
    }
    let cells = Table::new(tmax_ns).counts().len();
    let (counts, rest) = left.split_at_checked(2 * cells)?;
    *left = rest;
    let counts = counts
        .as_chunks::<2>()
        .0
        .iter()
        .map(|c| u16::from_le_bytes(*c))
        .collect();
    let missed = match take(left)? {
        [0] => None,
        _ => Some(Box::new(some(|| take(left).map(u32::from_le_bytes))?)),
    };
    let mut dom = Dom::new(known, tmax_ns);
    dom.table = Table::from_parts(tmax_ns, counts, frames, missed)?;
    *dom.singles = Singles::of(medians);
    dom.since_ms = (since_ms != i64::MIN).then_some(since_ms);
    if take(left)? != [0] {
        dom.last = Some(Box::new(read_done(left)?));
    }
    left.is_empty().then_some(dom)
}

/// Reads a result. Whether an alarm was raised for it is of the past: it is said again, or not, by the
/// limit of today.
fn read_done(left: &mut &[u8]) -> Option<Done> {
    let from_ms = take(left).map(i64::from_le_bytes)?;
    let until_ms = take(left).map(i64::from_le_bytes)?;
    let [was_full, _was_alarming] = take(left)?;
    let livetime_s = take(left).map(f64::from_le_bytes)?;
    let coincidences = take(left).map(u64::from_le_bytes)?;
    let [
        scale,
        before_ns,
        after_ns,
        before_hz,
        after_hz,
        chi2_per_ndf,
    ] = numbers(left)?;
    let pmts = read_pmts(left)?;
    let pairs = read_pairs(left)?;
    let calibration = Calibration {
        livetime_s,
        coincidences,
        scale,
        pmts,
        pairs,
        rms_ns: [before_ns, after_ns],
        rms_hz: [before_hz, after_hz],
        chi2_per_ndf,
    };
    Some(Done {
        from_ms,
        until_ms,
        was_full: was_full != 0,
        calibration,
    })
}

fn read_pmts(left: &mut &[u8]) -> Option<[PmtResult; CHANNELS]> {
    let mut pmts = [PmtResult::UNKNOWN; CHANNELS];
    for pmt in &mut pmts {
        let [
            t0_ns,
            t0_error_ns,
            shift_ns,
            shift_error_ns,
            sigma_ns,
            efficiency,
            efficiency_error,
        ] = numbers(left)?;
        *pmt = PmtResult {
            t0_ns,
            t0_error_ns,
            shift_ns,
            shift_error_ns,
            sigma_ns,
            efficiency,
            efficiency_error,
        };
    }
    Some(pmts)
}

fn read_pairs(left: &mut &[u8]) -> Option<Box<[Pair; PAIRS]>> {
    let mut pairs = Box::new([Pair::default(); PAIRS]);
    for pair in pairs.iter_mut() {
        let [state] = take(left)?;
        let [mean_ns, mean_error_ns, sigma_ns, rate_hz] =
            some(|| take(left).map(f32::from_le_bytes))?;
        let state = state_of(state)?;
        *pair = Pair {
            state,
            mean_ns,
            mean_error_ns,
            sigma_ns,
            rate_hz,
        };
    }
    Some(pairs)
}

fn state_of(code: u8) -> Option<PairState> {
    let all = [
        PairState::Dropped,
        PairState::Weak,
        PairState::Failed,
        PairState::Good,
    ];
    all.into_iter().find(|state| *state as u8 == code)
}

/// Takes bytes off the front.
fn take<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = left.split_first_chunk::<N>()?;
    *left = rest;
    Some(*bytes)
}

fn numbers<const N: usize>(left: &mut &[u8]) -> Option<[f64; N]> {
    some(|| take(left).map(f64::from_le_bytes))
}

/// Takes a number of things, if there are so many.
fn some<T: Copy + Default, const N: usize>(mut next: impl FnMut() -> Option<T>) -> Option<[T; N]> {
    let mut list = [T::default(); N];
    for item in &mut list {
        *item = next()?;
    }
    Some(list)
}
