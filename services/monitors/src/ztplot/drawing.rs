//! The z-t-plot of an event: one panel per DU, hits by time and height.

use std::collections::BTreeMap;

use fathom_formats::detx::Detector;
use fathom_formats::km3net::{CalibratedHit, Event as Payload, EventHits, Slewing, TriggerMask};
use fathom_kernel::view::{Axis, Layer, Panel, Panels, Shape};

use super::overlay::{self, Fits, Frame};
use crate::royfit::LineFit;

/// Hits of a DOM within so much of the first are one coincidence (ns).
pub(super) const WINDOW_NS: f64 = 20.0;
const HIT_COLOUR: &str = "#09A9DE";
/// Multiplicities with an entry of their own in the legend.
const NAMED_SIZES: u32 = 10;
const TRIGGERED_COLOUR: &str = "#FF6363";
/// Short names of triggers in the title, in km3mon's order; others are named by their bit.
const TRIGGER_NAMES: [(u32, &str); 5] = [
    (TriggerMask::SHOWER_MX_BIT, "MX"),
    (TriggerMask::MUON_3D_BIT, "3DM"),
    (TriggerMask::SHOWER_3D_BIT, "3DS"),
    (TriggerMask::NANO_BEACON_BIT, "NB"),
    (TriggerMask::FACTORY_LIMIT_BIT, "factory limit"),
];

/// What all plots of a detector have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Paper {
    low_m: Option<f64>,
    high_m: Option<f64>,
    tick_m: f64,
    /// Heights of the floors of the lowest DU (m).
    guides_m: Vec<f64>,
    dus_max: usize,
}

/// DUs to draw of an event, all when there are none; and how many at most, as the option says when
/// there is no number, 0 for any.
pub(super) type Chosen<'a> = (Option<&'a [u32]>, Option<usize>);

/// What is drawn unless somebody asks for something else.
pub(super) const EVERY_DU: Chosen<'static> = (None, None);

impl Paper {
    pub(super) fn new(detector: &Detector, tick_m: f64, dus_max: usize) -> Self {
        let ends_m = height_ends_m(detector);
        let lowest = detector.optical_modules().map(|m| m.place.du).min();
        let floors = detector
            .optical_modules()
            .filter(|m| Some(m.place.du) == lowest);
        Self {
            low_m: ends_m.map(|(low_m, _)| low_m),
            high_m: ends_m.map(|(_, high_m)| high_m),
            tick_m,
            guides_m: floors
                .filter_map(|m| Some(m.pmts.first()?.position_m[2]))
                .collect(),
            dus_max,
        }
    }

    /// Draws an event.
    pub(super) fn draw(
        &self,
        event: &Payload<'_>,
        detector: &Detector,
        chosen: Chosen<'_>,
    ) -> Panels {
        self.draw_fitted(event, detector, chosen, &Fits::new())
    }

    /// Draws an event with the fits of its DUs over it.
    pub(super) fn draw_fitted(
        &self,
        event: &Payload<'_>,
        detector: &Detector,
        chosen: Chosen<'_>,
        fits: &Fits,
    ) -> Panels {
        let mut hits = EventHits::default();
        hits.calibrate(event, detector, Slewing::Subtracted);
        hits.group(WINDOW_NS);
        self.panels(&hits, chosen, fits)
    }

    fn panels(&self, hits: &EventHits, (dus, dus_max): Chosen<'_>, fits: &Fits) -> Panels {
        let mut by_du: BTreeMap<u32, Vec<&CalibratedHit>> = BTreeMap::new();
        for hit in hits.hits() {
            by_du.entry(hit.place.du).or_default().push(hit);
        }
        if let Some(dus) = dus {
            by_du.retain(|du, _| dus.contains(du));
        }
        let dus_max = dus_max.unwrap_or(self.dus_max);
        if dus_max > 0 && by_du.len() > dus_max {
            let mut sizes: Vec<_> = by_du.iter().map(|(du, hits)| (hits.len(), *du)).collect();
            sizes.sort_unstable_by_key(|&(size, du)| (std::cmp::Reverse(size), du));
            for (_, du) in sizes.split_off(dus_max) {
                by_du.remove(&du);
            }
        }
        let earliest = || hits.hits().iter().map(|h| h.time_ns).min_by(f64::total_cmp);
        let from_ns = hits.first_triggered_ns().or_else(earliest).unwrap_or(0.0);
        let panel = |(du, hits): (&u32, &Vec<_>)| self.panel((*du, fits.get(du)), hits, from_ns);
        Panels {
            columns: columns_of(by_du.len()),
            x: Axis {
                label: "time [ns]".into(),
                ..Axis::default()
            },
            y: Axis {
                label: "z [m]".into(),
                low: self.low_m,
                high: self.high_m,
                tick: Some(self.tick_m),
                ..Axis::default()
            },
            panels: by_du.iter().map(panel).collect(),
        }
    }

    fn panel(
        &self,
        (du, fit): (u32, Option<&LineFit>),
        hits: &[&CalibratedHit],
        from_ns: f64,
    ) -> Panel {
        let layer = |shape, colour, hits: &[&CalibratedHit]| {
            let x = hits.iter().map(|h| rounded(h.time_ns - from_ns, 100.0));
            let y = hits.iter().map(|h| rounded(h.position_m[2], 1000.0));
            Layer::new(shape, colour, x.collect(), y.collect())
        };
        let discs = |hits: &[&CalibratedHit]| {
            let mut discs = layer(Shape::Disc, HIT_COLOUR, hits);
            discs.name = hits.first().map_or_else(String::new, |hit| name(hit));
            discs.alpha = 0.5;
            discs.z = hits.iter().map(|hit| f64::from(hit.multiplicity)).collect();
            discs.notes = hits.iter().map(|hit| note(hit, fit)).collect();
            discs
        };
        let triggered: Vec<_> = hits.iter().copied().filter(|h| h.is_triggered).collect();
        let mut pluses = layer(Shape::Plus, TRIGGERED_COLOUR, &triggered).named("triggered");
        pluses.alpha = 0.8;
        // One layer per size, so that the legend shows the sizes.
        let mut by_size = hits.to_vec();
        by_size.sort_by_key(|hit| hit.multiplicity);
        let sizes = by_size.chunk_by(|a, b| named_size(a) == named_size(b));
        let mut panel = Panel {
            title: format!("DU {du}"),
            layers: sizes.map(discs).chain([pluses]).collect(),
            guides: self.guides_m.clone(),
        };
        if let (Some(fit), Some(ends_m)) = (fit, self.low_m.zip(self.high_m)) {
            overlay::lay(&mut panel, fit, hits, Frame { from_ns, ends_m });
        }
        panel
    }
}

/// Returns the multiplicity by which a hit stands in the legend.
fn named_size(hit: &CalibratedHit) -> u32 {
    hit.multiplicity.min(NAMED_SIZES)
}

fn name(hit: &CalibratedHit) -> String {
    match named_size(hit) {
        NAMED_SIZES => format!("multiplicity {NAMED_SIZES} and more"),
        size => format!("multiplicity {size}"),
    }
}

pub(super) fn title(event: &Payload<'_>) -> String {
    format!("z-t-Plot for {}", name_of(event))
}

/// Says which event it is, what triggered and when.
pub(crate) fn name_of(event: &Payload<'_>) -> String {
    let header = &event.header;
    let at = crate::clock::timestamp(crate::clock::ms_of_header(header));
    format!(
        "DetID-{} Run {}, FrameIndex {}, TriggerCounter {}, Overlays {}, Trigger: {}, {} UTC",
        header.detector_id,
        header.run,
        header.frame_index,
        event.trigger_counter,
        event.overlays,
        triggers(event.trigger_mask),
        at.strftime("%a %b %e %H:%M:%S %Y")
    )
}

fn triggers(mask: TriggerMask) -> String {
    let known = TRIGGER_NAMES.iter().filter(|(bit, _)| mask.has(*bit));
    let known = known.map(|(_, name)| (*name).to_owned());
    let is_known = |bit: u32| TRIGGER_NAMES.iter().any(|(known, _)| *known == bit);
    let others = (0..64).filter(|&bit| mask.has(bit) && !is_known(bit));
    let all: Vec<_> = known
        .chain(others.map(|bit| format!("bit {bit}")))
        .collect();
    all.join(" ")
}

fn note(hit: &CalibratedHit, fit: Option<&LineFit>) -> String {
    let CalibratedHit {
        dom_id,
        place,
        channel,
        tot_ns,
        multiplicity,
        ..
    } = hit;
    let triggered = if hit.is_triggered { ", triggered" } else { "" };
    let residual = fit.map(|fit| {
        let residual_ns = overlay::residual_ns(fit, hit);
        format!(", residual {residual_ns:.1} ns")
    });
    format!(
        "DOM {dom_id} ({place}) channel {channel}, tot {tot_ns} ns, multiplicity {multiplicity}{triggered}{}",
        residual.unwrap_or_default()
    )
}

/// Returns the ends of the height axis: 0, and above the highest PMT. `None` without PMTs.
pub(crate) fn height_ends_m(detector: &Detector) -> Option<(f64, f64)> {
    let pmts = detector.optical_modules().flat_map(|m| &m.pmts);
    let heights = pmts.map(|pmt| pmt.position_m[2]);
    let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| {
        (low.min(z), high.max(z))
    });
    // A file with heights below the sea surface does not begin at 0.
    let low_m = match low < 0.0 {
        true => round_to_tens(low - 10.0),
        false => 0.0,
    };
    (low.is_finite() && high.is_finite()).then(|| (low_m, max_z_m(high)))
}

/// Returns the upper end of the height axis: 10 m above the highest PMT, rounded to tens.
fn max_z_m(highest_m: f64) -> f64 {
    round_to_tens(highest_m + 10.0)
}

/// Rounds to tens, halves to the even ten, as Python does.
fn round_to_tens(number: f64) -> f64 {
    (number / 10.0).round_ties_even() * 10.0
}

/// Cuts what nobody sees, so that a picture takes less space.
pub(crate) fn rounded(number: f64, steps: f64) -> f64 {
    (number * steps).round() / steps
}

/// Returns the panels per row: the square root, rounded up.
pub(crate) fn columns_of(panels: usize) -> u32 {
    let square = u32::try_from(panels).unwrap_or(u32::MAX);
    let root = square.isqrt();
    (root + u32::from(root.saturating_mul(root) < square)).max(1)
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Layout;
    use fathom_formats::km3net::{Header, SnapshotHit, TriggeredHit};

    use super::*;

    #[test]
    fn the_height_axis_ends_at_the_even_ten_like_in_python() {
        let cases = [
            (15.0, 20.0),
            (25.0, 40.0),
            (35.0, 40.0),
            (203.7, 210.0),
            (204.9, 210.0),
        ];
        for (highest, expected) in cases {
            assert_eq!(max_z_m(highest), expected, "{highest}");
        }
    }

    #[test]
    fn panels_fill_a_square() {
        let cases = [
            (0, 1),
            (1, 1),
            (2, 2),
            (4, 2),
            (5, 3),
            (9, 3),
            (10, 4),
            (115, 11),
            (230, 16),
        ];
        for (panels, columns) in cases {
            assert_eq!(columns_of(panels), columns, "{panels}");
        }
    }

    #[test]
    fn triggers_are_named_and_unknown_ones_numbered() {
        assert_eq!(triggers(TriggerMask(0b1_0110)), "MX 3DM 3DS");
        assert_eq!(
            triggers(TriggerMask(0x8000_0041)),
            "factory limit bit 0 bit 6"
        );
    }

    #[test]
    fn hits_count_from_the_first_triggered_one_and_grow_with_their_multiplicity() {
        let detector = Detector::generated(&Layout::orca(3));
        let modules: Vec<_> = detector.optical_modules().collect();
        let module = |du| *modules.iter().find(|m| m.place.du == du).unwrap();
        let hit = |du, time| SnapshotHit::new(module(du).id, 0.into(), time, 26);
        let snapshot = [
            hit(2, 90),
            hit(2, 150),
            hit(2, 160),
            hit(1, 300),
            hit(2, 400),
        ];
        let triggered = [2, 3].map(|n| TriggeredHit::new(snapshot[n], TriggerMask(2)));
        let event = Payload {
            legacy: false,
            header: Header::default(),
            trigger_counter: 9,
            trigger_mask: TriggerMask(2),
            overlays: 1,
            triggered: &triggered,
            snapshot: &snapshot,
        };
        let paper = Paper::new(&detector, 25.0, 0);
        let panels = paper.draw(&event, &detector, EVERY_DU);
        let titles: Vec<_> = panels.panels.iter().map(|p| &*p.title).collect();
        assert_eq!(titles, ["DU 1", "DU 2"]);
        assert_eq!((panels.columns, panels.y.tick), (2, Some(25.0)));
        let [single, double, pluses] = &panels.panels[1].layers[..] else {
            panic!()
        };
        assert_eq!(
            (&*single.name, &*double.name),
            ("multiplicity 1", "multiplicity 2")
        );
        assert_eq!(
            (&single.z[..], &double.z[..]),
            (&[1.0, 1.0][..], &[2.0, 2.0][..])
        );
        assert_eq!(
            (&single.x[..], &double.x[..]),
            (&[-70.0, 240.0][..], &[-10.0, 0.0][..])
        );
        assert_eq!((&pluses.x[..], pluses.shape), (&[0.0][..], Shape::Plus));
        assert!((single.y[0] - module(2).pmts[0].position_m[2]).abs() <= 0.0005);
        let (id, place) = (module(2).id, module(2).place);
        let note = format!("DOM {id} ({place}) channel 0, tot 26 ns, multiplicity");
        assert_eq!(single.notes[0], format!("{note} 1"));
        assert_eq!(double.notes[1], format!("{note} 2, triggered"));
        assert_eq!(panels.panels[0].guides.len(), 18);

        let chosen = paper.draw(&event, &detector, (Some(&[1]), None));
        assert_eq!(chosen.panels.len(), 1);
        let most = Paper::new(&detector, 25.0, 1).draw(&event, &detector, EVERY_DU);
        assert_eq!(most.panels[0].title, "DU 2");
    }
}
