//! One module: what the detector file says of it, what is counted, and what was found last.

use fathom_formats::detx::{Module, pmt_directions};
use fathom_formats::km3net::{CHANNEL_BITS, CHANNELS, DomId};
use fathom_kernel::Setup;

use super::config::{Background, Config, Times};
use super::singles::Singles;
use crate::k40::{Calibration, Inputs, Live, Table, calibrate, cos_angles};

/// Frames within which a repeated one is found: 3.2 s of them.
const RECENT: usize = 32;

/// A module.
pub(super) struct Dom {
    /// What the detector file says of its PMTs.
    pub(super) known: Known,
    /// What is counted since `since_ms`.
    pub(super) table: Table,
    /// Rates of the PMTs since then.
    pub(super) singles: Box<Singles>,
    /// Data time of the first frame counted (ms).
    pub(super) since_ms: Option<i64>,
    /// Result of the last cycle.
    pub(super) last: Option<Box<Done>>,
    /// An alarm is raised for it.
    pub(super) is_alarming: bool,
    /// Data times of the last frames counted (ms), the oldest overwritten by the next.
    recent_ms: [Option<i64>; RECENT],
    next_recent: usize,
}

/// What does not change while the monitor runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    /// Channels that count and what is added to their times.
    pub(super) live: Live,
    /// What would have to be added beyond whole nanoseconds (ns).
    fractions_ns: [f64; CHANNELS],
    /// What the found time offsets are compared with (ns).
    compared_ns: [f64; CHANNELS],
    /// Time offsets of the detector file (ns); NaN where there is none.
    pub(super) file_ns: [f64; CHANNELS],
    /// Where the PMTs look.
    directions: [[f64; 3]; CHANNELS],
}

/// The result of one cycle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    /// First and last data time (ms).
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    /// A bin was full before the end, and counting ended there.
    pub(super) was_full: bool,
    pub(super) calibration: Calibration,
}

impl Known {
    /// Looks a module up in the detector file; without a file all PMTs sit as usual and their times are
    /// raw.
    pub(super) fn of(dom_id: u32, setup: &Setup, config: &Config) -> Self {
        let module = setup
            .detector
            .as_ref()
            .and_then(|d| d.module(DomId(dom_id)));
        let mut known = Self {
            live: Live::new(0, &[0; CHANNELS]),
            fractions_ns: [0.0; CHANNELS],
            compared_ns: [0.0; CHANNELS],
            file_ns: [f64::NAN; CHANNELS],
            directions: pmt_directions(),
        };
        let mut add_ns = [0; CHANNELS];
        let mut channels = CHANNEL_BITS;
        if let Some(module) = module {
            channels = known.read(module, config.times, &mut add_ns);
        }
        known.live = Live::new(channels & !config.masked(dom_id), &add_ns);
        known
    }

    /// Takes over what the file says; returns the channels that are in use.
    fn read(&mut self, module: &Module, times: Times, add_ns: &mut [i64; CHANNELS]) -> u32 {
        self.directions = [[0.0; 3]; CHANNELS];
        let mut channels = 0;
        for (channel, pmt) in module.pmts.iter().take(CHANNELS).enumerate() {
            self.directions[channel] = pmt.direction;
            let is_used = pmt.t0_ns.is_finite() && !pmt.is_disabled() && !module.is_disabled();
            if !is_used {
                continue;
            }
            channels |= 1 << channel;
            self.file_ns[channel] = pmt.t0_ns;
            match times {
                Times::Raw => self.compared_ns[channel] = pmt.t0_ns,
                Times::Calibrated => {
                    #[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
                    let rounded = pmt.t0_ns.round() as i64;
                    add_ns[channel] = rounded;
                    self.fractions_ns[channel] = pmt.t0_ns - pmt.t0_ns.round();
                }
            }
        }
        channels
    }
}

impl Dom {
    pub(super) fn new(known: Known, tmax_ns: u32) -> Self {
        Self {
            known,
            table: Table::new(tmax_ns),
            singles: Box::default(),
            since_ms: None,
            last: None,
            is_alarming: false,
            recent_ms: [None; RECENT],
            next_recent: 0,
        }
    }

    /// Tells whether a frame of this time was counted just before: the module sends one at a time, so
    /// it is the same one again.
    pub(super) fn has_counted(&self, data_ms: i64) -> bool {
        self.recent_ms.contains(&Some(data_ms))
    }

    /// Remembers the time of a frame that was counted.
    pub(super) fn remember(&mut self, data_ms: i64) {
        self.recent_ms[self.next_recent] = Some(data_ms);
        self.next_recent = (self.next_recent + 1) % RECENT;
    }

    /// The data time has jumped: what comes is new, even where it looks the same.
    pub(super) fn forget_times(&mut self) {
        self.recent_ms = [None; RECENT];
    }

    /// Calibrates with what was counted until now, and begins to count anew.
    pub(super) fn complete(&mut self, until_ms: i64, config: &Config) {
        let singles_hz = match config.background {
            Background::Offset => [f64::NAN; CHANNELS],
            Background::Singles | Background::Both => self.singles.values_hz(),
        };
        let calibration = calibrate(&Inputs {
            table: &self.table,
            cos_angles: &cos_angles(&self.known.directions),
            channels: self.known.live.channels(),
            singles_hz,
            fits_offset: config.background == Background::Both,
            fractions_ns: self.known.fractions_ns,
            compared_ns: self.known.compared_ns,
            weighting: config.weighting.into(),
            cos_min: config.ct_min,
        });
        self.last = Some(Box::new(Done {
            from_ms: self.since_ms.unwrap_or(until_ms),
            until_ms,
            was_full: self.table.is_full(),
            calibration,
        }));
        self.forget_counts();
    }

    /// Begins to count anew.
    pub(super) fn forget_counts(&mut self) {
        self.table.clear();
        *self.singles = Singles::default();
        self.since_ms = None;
    }

    /// Returns the cosine of the angle of each pair.
    pub(super) fn cos_angles(&self) -> [f64; crate::k40::PAIRS] {
        cos_angles(&self.known.directions)
    }

    /// Returns roughly how much memory it takes (bytes).
    pub(super) fn memory_bytes(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |done| {
            size_of::<Done>() + size_of_val(&*done.calibration.pairs)
        });
        size_of::<Self>() + self.table.memory_bytes() + size_of_val(&*self.singles) + last
    }
}

impl Done {
    /// Returns the PMT that is furthest from what the detector file says: channel, shift and error (ns).
    pub(super) fn worst(&self) -> Option<(usize, f64, f64)> {
        let shifts = self.calibration.pmts.iter().enumerate();
        shifts
            .filter(|(_, pmt)| pmt.shift_ns.is_finite())
            .max_by(|(_, a), (_, b)| a.shift_ns.abs().total_cmp(&b.shift_ns.abs()))
            .map(|(channel, pmt)| (channel, pmt.shift_ns, pmt.shift_error_ns))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use fathom_formats::detx::{Detector, Layout};
    use fathom_formats::km3net::{Tmch, TmchFields};

    use super::*;
    use crate::k40::{PAIRS, Pair, PmtResult};

    /// A result in which these PMTs are off by so much.
    pub(crate) fn done(shifts_ns: &[(usize, f64, f64)]) -> Done {
        let mut pmts = [PmtResult::UNKNOWN; CHANNELS];
        for &(channel, shift_ns, shift_error_ns) in shifts_ns {
            pmts[channel].shift_ns = shift_ns;
            pmts[channel].shift_error_ns = shift_error_ns;
        }
        Done {
            from_ms: 0,
            until_ms: 10_000,
            was_full: false,
            calibration: Calibration {
                livetime_s: 10.0,
                coincidences: 0,
                scale: 1.0,
                pmts,
                pairs: Box::new([Pair::default(); PAIRS]),
                rms_ns: [f64::NAN; 2],
                rms_hz: [f64::NAN; 2],
                chi2_per_ndf: f64::NAN,
            },
        }
    }

    #[test]
    fn the_worst_pmt_is_the_furthest_one_early_or_late() {
        let found = done(&[(3, 1.0, 0.1), (9, -2.0, 0.2), (30, 1.5, 0.3)]).worst();
        assert_eq!(found, Some((9, -2.0, 0.2)));
        assert_eq!(done(&[]).worst(), None);
    }

    #[test]
    fn a_pmt_that_the_detector_file_switches_off_does_not_count() {
        let detector = Detector::generated(&Layout::orca(1));
        let mut module = detector.optical_modules().next().unwrap().clone();
        module.pmts[4].status = Some(1);
        let id = module.id;
        let of = |module: Module| {
            let detector = Detector::new(detector.id, vec![module]);
            let setup = Setup {
                detector: Some(Arc::new(detector)),
                ..Setup::default()
            };
            Known::of(id.0, &setup, &Config::default())
        };
        let known = of(module.clone());
        assert_eq!(known.live.channels(), CHANNEL_BITS & !(1 << 4));
        assert!(known.file_ns[4].is_nan() && known.file_ns[5].is_finite());
        module.status = Some(1);
        assert_eq!(of(module).live.channels(), 0);
    }

    #[test]
    fn the_next_cycle_has_no_singles_of_the_one_before() {
        let known = Known::of(1, &Setup::default(), &Config::default());
        let mut dom = Dom::new(known, 10);
        let mut body = Vec::new();
        let fields = TmchFields {
            rate_counts: [700; CHANNELS],
            ..TmchFields::default()
        };
        fields.encode(&mut body);
        dom.singles.add(&Tmch::decode(&body).unwrap());
        dom.since_ms = Some(0);
        dom.complete(10_000, &Config::default());
        assert!(dom.singles.values_hz().iter().all(|hz| hz.is_nan()));
        assert_eq!(dom.since_ms, None);
    }
}
