//! The PMTs that are not as they should be, from one time step.

use fathom_formats::km3net::CHANNELS;
use fathom_kernel::view::Table;
use serde_json::json;

use super::Config;
use super::steps::Step;
use crate::places::{Place, Places};

/// Most PMTs listed.
const LISTED_MAX: usize = 200;

/// What is wrong with a PMT; the order is that of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    HighRateVeto,
    AboveHighest,
    Silent,
    BelowLowest,
    /// Nobody is to use it, so that nothing is wrong with it; it is listed to be seen.
    Off,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::HighRateVeto,
        Self::AboveHighest,
        Self::Silent,
        Self::BelowLowest,
        Self::Off,
    ];

    fn of(rate_hz: f64, veto_fraction: f64, config: &Config) -> Option<Self> {
        if veto_fraction > config.hrv_ratio_threshold {
            Some(Self::HighRateVeto)
        } else if rate_hz > config.highest_rate {
            Some(Self::AboveHighest)
        } else if rate_hz == 0.0 {
            Some(Self::Silent)
        } else if rate_hz < config.lowest_rate {
            Some(Self::BelowLowest)
        } else {
            None
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::HighRateVeto => "high-rate veto",
            Self::AboveHighest => "above highest_rate",
            Self::Silent => "silent",
            Self::BelowLowest => "below lowest_rate",
            Self::Off => "off by the detector file",
        }
    }
}

/// The PMTs of one step.
#[derive(Debug, Default)]
pub(super) struct Outliers {
    found: Vec<Found>,
    pub(super) doms: usize,
    pub(super) pmts: usize,
}

#[derive(Debug)]
struct Found {
    fault: Fault,
    place: Place,
    channel: usize,
    rate_hz: f64,
    veto_fraction: f64,
}

impl Outliers {
    /// Looks through a step.
    pub(super) fn of(step: &Step, places: &Places, config: &Config) -> Self {
        let mut outliers = Self::default();
        for (dom, place) in step.doms.iter().zip(places.list()) {
            if dom.packets == 0 || places.is_disabled(place) {
                continue;
            }
            outliers.doms += 1;
            outliers.pmts += CHANNELS;
            let off = places.channels_off(place);
            for channel in 0..CHANNELS {
                let (rate_hz, veto_fraction) = (dom.rate_hz(channel), dom.veto_fraction(channel));
                let fault = match off >> channel & 1 {
                    0 => Fault::of(rate_hz, veto_fraction, config),
                    _ => Some(Fault::Off),
                };
                if let Some(fault) = fault {
                    outliers.found.push(Found {
                        fault,
                        place: *place,
                        channel,
                        rate_hz,
                        veto_fraction,
                    });
                }
            }
        }
        outliers
    }

    /// Counts the PMTs per fault.
    pub(super) fn counts(&self) -> [(&'static str, usize); 5] {
        Fault::ALL.map(|fault| {
            let number = self
                .found
                .iter()
                .filter(|found| found.fault == fault)
                .count();
            (fault.text(), number)
        })
    }

    /// Lists them: vetoed and too high first, the highest rate on top, then silent and too low, last
    /// those that are off.
    pub(super) fn table(mut self) -> Table {
        let key = |found: &Found| (found.fault, found.place, found.channel);
        self.found.sort_unstable_by(|a, b| {
            let by_rate = b.rate_hz.total_cmp(&a.rate_hz);
            (a.fault.cmp(&b.fault))
                .then(by_rate)
                .then(key(a).cmp(&key(b)))
        });
        let row = |found: &Found| {
            vec![
                json!(found.place.du),
                json!(found.place.floor),
                json!(found.channel),
                json!(found.place.dom_id),
                json!(found.rate_hz),
                json!(100.0 * found.veto_fraction),
                json!(found.fault.text()),
            ]
        };
        let columns = [
            "DU",
            "floor",
            "channel",
            "DOM id",
            "rate [Hz]",
            "HRV [%]",
            "reason",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.found.iter().take(LISTED_MAX).map(row).collect(),
        }
    }
}
