//! Fits the DUs of one event.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fathom_formats::detx::Detector;
use fathom_formats::km3net::{CalibratedHit, DomId, Event as Payload, EventHits, Slewing};
use fathom_hist::median;

use super::fit::{LineFit, first_guess, fit_line};
use super::select::{Selection, select_hits};

/// Height between two floors of a DU of one floor (m).
const FLOOR_SPACING_M: f64 = 9.0;

/// What of an event is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wanted {
    /// Triggered DOMs of the event.
    pub(crate) doms_min: usize,
    /// Selected hits of a DU, one per floor.
    pub(crate) hits_min: usize,
    /// Hits of a coincidence.
    pub(crate) multiplicity: usize,
    /// Longest time between neighbours of a coincidence (ns).
    pub(crate) window_ns: f64,
    /// Hits of a DOM this long after the first are one group (ns).
    pub(crate) group_ns: f64,
}

/// What came of an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EventFits {
    /// The fits, by DU.
    pub(crate) dus: Vec<(u32, LineFit)>,
    /// DUs with triggered hits, but too few on one line.
    pub(super) few: u64,
    /// DUs whose fit failed.
    pub(super) failed: u64,
    /// Different DOMs among the triggered hits.
    pub(super) triggered_doms: usize,
}

impl EventFits {
    /// Returns the sum of the qualities.
    pub(super) fn q(&self) -> f64 {
        self.dus.iter().map(|(_, fit)| fit.q()).sum()
    }
}

/// Calibrates and fits. Keeps its memory from event to event: 208 bytes per hit.
#[derive(Debug)]
pub(crate) struct Fitter {
    detector: Arc<Detector>,
    wanted: Wanted,
    /// Height between floors of each DU (m).
    spacing_m: BTreeMap<u32, f64>,
    hits: EventHits,
    /// Hits of the DUs with triggered hits, by DU, DOM and time.
    by_du: Vec<CalibratedHit>,
    triggered: HashSet<DomId>,
}

impl Fitter {
    pub(crate) fn new(detector: Arc<Detector>, wanted: Wanted) -> Self {
        Self {
            spacing_m: spacings_m(&detector),
            detector,
            wanted,
            hits: EventHits::default(),
            by_du: Vec::new(),
            triggered: HashSet::new(),
        }
    }

    /// Fits every DU with triggered hits; `None` when too few DOMs have triggered.
    pub(crate) fn fit(&mut self, event: &Payload<'_>) -> Option<EventFits> {
        self.by_du.clear();
        self.triggered.clear();
        self.triggered
            .extend(event.triggered.iter().map(|hit| hit.dom_id()));
        // Also for events that are not fitted, as their unknown modules count as well.
        self.hits.calibrate(event, &self.detector, Slewing::Kept);
        if self.triggered.len() < self.wanted.doms_min {
            return None;
        }
        self.hits.group(self.wanted.group_ns);
        let mut dus: Vec<u32> = Vec::new();
        for hit in self.hits.hits().iter().filter(|hit| hit.is_triggered) {
            if let Err(at) = dus.binary_search(&hit.place.du) {
                dus.insert(at, hit.place.du);
            }
        }
        let of_them = |hit: &&CalibratedHit| dus.binary_search(&hit.place.du).is_ok();
        let hits = self.hits.hits().iter().filter(of_them);
        self.by_du.extend(hits);
        // Stable: DOM and time stay in order.
        self.by_du.sort_by_key(|hit| hit.place.du);
        let mut fits = EventFits {
            triggered_doms: self.triggered.len(),
            ..EventFits::default()
        };
        for hits in self.by_du.chunk_by(|a, b| a.place.du == b.place.du) {
            self.fit_du(hits, &mut fits);
        }
        Some(fits)
    }

    fn fit_du(&self, hits: &[CalibratedHit], fits: &mut EventFits) {
        let Some(du) = hits.first().map(|hit| hit.place.du) else {
            return;
        };
        let floor_spacing_m = self.spacing_m.get(&du).copied().unwrap_or(FLOOR_SPACING_M);
        let selection = Selection {
            window_ns: self.wanted.window_ns,
            multiplicity: self.wanted.multiplicity,
            floors_min: self.wanted.hits_min,
            floor_spacing_m,
        };
        let selected = select_hits(hits, &selection);
        if selected.len() < self.wanted.hits_min {
            fits.few += 1;
            return;
        }
        let chosen = selected.iter().map(|&n| hits[n]).collect();
        let fit = first_guess(hits).and_then(|guess| fit_line(chosen, &guess, floor_spacing_m));
        match fit {
            Some(fit) => fits.dus.push((du, fit)),
            None => fits.failed += 1,
        }
    }

    /// Returns the hits of the DUs with triggered hits of the last event that was fitted, by DU, DOM
    /// and time.
    pub(super) fn hits(&self) -> &[CalibratedHit] {
        &self.by_du
    }

    /// Returns the DOM of every hit of the last event that has no PMT in the description.
    pub(super) fn unknown(&self) -> &[DomId] {
        self.hits.unknown()
    }

    /// Returns when the first triggered hit of the last event was (ns).
    pub(super) fn first_ns(&self) -> f64 {
        self.hits.first_triggered_ns().unwrap_or(0.0)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.by_du.capacity() + self.hits.hits().len()) * size_of::<CalibratedHit>()
    }
}

/// The usual height between neighbouring floors of each DU (m).
fn spacings_m(detector: &Detector) -> BTreeMap<u32, f64> {
    let between = |du: u32| {
        let steps = (1..=detector.max_floor()).filter_map(|floor| {
            let below = detector.module_at(du, floor)?;
            let above = detector.module_at(du, floor + 1)?;
            Some(above.position_m[2] - below.position_m[2])
        });
        median(steps).filter(|step| *step > 0.0)
    };
    let dus = detector.dus().iter();
    dus.map(|&du| (du, between(du).unwrap_or(FLOOR_SPACING_M)))
        .collect()
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Layout;

    use super::*;

    #[test]
    fn the_distance_of_floors_comes_from_the_detector() {
        let detector = Detector::generated(&Layout::arca(2));
        assert_eq!(
            spacings_m(&detector),
            BTreeMap::from([(1, 36.0), (2, 36.0)])
        );
        let one_floor = Layout {
            floors: 1,
            ..Layout::orca(1)
        };
        let detector = Detector::generated(&one_floor);
        assert_eq!(spacings_m(&detector), BTreeMap::from([(1, 9.0)]));
    }
}
