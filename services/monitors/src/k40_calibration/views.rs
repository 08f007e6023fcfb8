//! What shifters see of the calibrations.

use fathom_kernel::view::{Axis, Colours, Detail, Layer, Map, Panel, Panels, Shape, Table};
use serde_json::json;

use super::dom::{Dom, Done};
use super::export::rounded;
use crate::k40::{PairState, expected_rate_hz, pair_list};
use crate::places::{Place, Places};

/// Most modules in one grid of panels.
pub(super) const PANELS_MAX: usize = 96;
/// Panels per row, as in the reference suite.
const PANEL_COLUMNS: u32 = 6;
/// Most failed fits listed one by one.
const FAILED_MAX: usize = 500;
/// Ends of the colour scale of shifts (ns).
const SHIFT_SCALE_NS: f64 = 2.0;
/// Points of the curve of expected rates.
const CURVE_POINTS: i32 = 60;

const BEFORE: &str = "#006BA4";
const AFTER: &str = "#FF800E";
const EXPECTED: &str = "#595959";

/// A module with its result.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) place: &'a Place,
    pub(super) dom: &'a Dom,
    pub(super) done: &'a Done,
}

/// Draws the mean time of each pair over the cosine of its angle.
pub(super) fn intradom(doms: &[Seen<'_>], tmax_ns: u32) -> Panels {
    let reach = f64::from(tmax_ns);
    let panel = |seen: &Seen<'_>| {
        let calibration = &seen.done.calibration;
        let before = points(seen, |pair| calibration.pairs[pair].mean_ns.into());
        let mut after = points(seen, |pair| calibration.corrected_ns(pair));
        after.notes = used(seen)
            .map(|pair| {
                let (i, j) = pair_list()[pair];
                let pair = calibration.pairs[pair];
                format!(
                    "{i}-{j}: {:.2} +- {:.2} ns",
                    pair.mean_ns, pair.mean_error_ns
                )
            })
            .collect();
        Panel {
            title: heading(seen.place),
            layers: vec![
                named(before, "before", BEFORE),
                named(after, "after", AFTER),
            ],
            guides: vec![0.0],
        }
    };
    panels(
        doms.iter().map(panel).collect(),
        "mean time [ns]",
        -reach,
        reach,
    )
}

/// Draws the rate of each pair over the cosine of its angle, with the expected curve.
pub(super) fn angular_rates(doms: &[Seen<'_>]) -> Panels {
    let panel = |seen: &Seen<'_>| {
        let calibration = &seen.done.calibration;
        let before = points(seen, |pair| calibration.pairs[pair].rate_hz.into());
        let after = points(seen, |pair| calibration.corrected_hz(pair));
        let cosines =
            (-CURVE_POINTS..=CURVE_POINTS).map(|n| f64::from(n) / f64::from(CURVE_POINTS));
        let cosines: Vec<f64> = cosines.collect();
        let expected = cosines
            .iter()
            .map(|c| rounded(calibration.scale * expected_rate_hz(*c)));
        let expected = Layer::new(Shape::Line, EXPECTED, cosines.clone(), expected.collect());
        Panel {
            title: heading(seen.place),
            layers: vec![
                named(before, "before", BEFORE),
                named(after, "after", AFTER),
                expected.named("expected"),
            ],
            guides: Vec::new(),
        }
    };
    panels(doms.iter().map(panel).collect(), "rate [Hz]", 0.0, 10.0)
}

fn panels(panels: Vec<Panel>, y_label: &str, low: f64, high: f64) -> Panels {
    Panels {
        columns: PANEL_COLUMNS,
        x: Axis {
            label: "cosine of the angle between the PMTs".to_owned(),
            low: Some(-1.0),
            high: Some(1.0),
            ..Axis::default()
        },
        y: Axis {
            label: y_label.to_owned(),
            low: Some(low),
            high: Some(high),
            ..Axis::default()
        },
        panels,
    }
}

fn heading(place: &Place) -> String {
    format!("DU {} floor {} ({})", place.du, place.floor, place.dom_id)
}

fn used(seen: &Seen<'_>) -> impl Iterator<Item = usize> {
    let pairs = seen.done.calibration.pairs.iter().enumerate();
    pairs
        .filter(|(_, pair)| pair.state == PairState::Good)
        .map(|(at, _)| at)
}

fn points(seen: &Seen<'_>, value: impl Fn(usize) -> f64) -> Layer {
    let cosines = seen.dom.cos_angles();
    let (x, y) = used(seen)
        .map(|pair| (rounded(cosines[pair]), rounded(value(pair))))
        .unzip();
    Layer::new(Shape::Disc, BEFORE, x, y)
}

fn named(mut layer: Layer, name: &str, colour: &str) -> Layer {
    colour.clone_into(&mut layer.colour);
    layer.alpha = 0.6;
    layer.named(name)
}

/// One number per PMT of a DU: channels to the right, floors up.
pub(super) fn pmt_map(
    doms: &[(&Place, Option<&Done>)],
    value: impl Fn(&crate::k40::PmtResult) -> [f64; 2],
    detail: &str,
    colours: Colours,
) -> Map {
    let mut map = Map {
        x_label: "channel".to_owned(),
        y_label: "Floor".to_owned(),
        x: Vec::new(),
        y: Vec::new(),
        id: Vec::new(),
        values: Vec::new(),
        details: vec![Detail {
            name: detail.to_owned(),
            values: Vec::new(),
        }],
        colours,
    };
    for (place, done) in doms {
        let Some(done) = done else { continue };
        for (pmt, channel) in done.calibration.pmts.iter().zip(0..) {
            let [number, error] = value(pmt).map(rounded);
            map.x.push(channel);
            map.y.push(place.floor);
            map.id.push(place.dom_id);
            map.values.push(number);
            map.details[0].values.push(error);
        }
    }
    map
}

/// One number per module: the shift of its worst PMT.
pub(super) fn shift_map(places: &Places, doms: &[Option<Box<Dom>>]) -> Map {
    let worst = |at: usize| done(doms, at).and_then(Done::worst);
    let count = places.list().len();
    let of = |number: &dyn Fn((usize, f64, f64)) -> f64| {
        (0..count)
            .map(|at| worst(at).map_or(f64::NAN, number))
            .collect()
    };
    #[expect(clippy::cast_precision_loss, reason = "a channel")]
    let channel = |(channel, ..): (usize, f64, f64)| channel as f64;
    let details = vec![
        detail("channel", of(&channel)),
        detail("error [ns]", of(&|(_, _, error)| rounded(error))),
        detail(
            "livetime [s]",
            (0..count)
                .map(|at| done(doms, at).map_or(f64::NAN, |d| d.calibration.livetime_s))
                .collect(),
        ),
    ];
    places.map(
        of(&|(_, shift, _)| rounded(shift)),
        details,
        shift_colours(),
    )
}

/// One number per module: the efficiency of its worst PMT.
pub(super) fn efficiency_map(places: &Places, doms: &[Option<Box<Dom>>]) -> Map {
    let lowest = |at: usize| {
        let pmts = done(doms, at)?.calibration.pmts.iter().enumerate();
        pmts.filter(|(_, pmt)| pmt.efficiency.is_finite())
            .min_by(|(_, a), (_, b)| a.efficiency.total_cmp(&b.efficiency))
    };
    let count = places.list().len();
    let values = (0..count).map(|at| lowest(at).map_or(f64::NAN, |(_, p)| rounded(p.efficiency)));
    #[expect(clippy::cast_precision_loss, reason = "a channel")]
    let channels = (0..count).map(|at| lowest(at).map_or(f64::NAN, |(channel, _)| channel as f64));
    let details = vec![detail("channel", channels.collect())];
    places.map(values.collect(), details, efficiency_colours())
}

fn done(doms: &[Option<Box<Dom>>], at: usize) -> Option<&Done> {
    doms.get(at)?.as_ref()?.last.as_deref()
}

fn detail(name: &str, values: Vec<f64>) -> Detail {
    Detail {
        name: name.to_owned(),
        values,
    }
}

pub(super) fn shift_colours() -> Colours {
    Colours {
        map: "coolwarm".into(),
        low: -SHIFT_SCALE_NS,
        high: SHIFT_SCALE_NS,
        log: false,
        under: Some("deepskyblue".into()),
        over: Some("deeppink".into()),
        missing: "lightgrey".into(),
        label: "shift against the detector file [ns]".into(),
    }
}

pub(super) fn efficiency_colours() -> Colours {
    Colours {
        map: "cividis".into(),
        low: 0.5,
        high: 1.5,
        log: false,
        under: Some("deepskyblue".into()),
        over: Some("deeppink".into()),
        missing: "lightgrey".into(),
        label: "relative efficiency".into(),
    }
}

/// One row per module, the one that is furthest off first.
pub(super) fn summary(doms: &[Seen<'_>]) -> Table {
    let mut sorted: Vec<_> = doms.iter().map(|seen| (seen, seen.done.worst())).collect();
    let off = |worst: &Option<(usize, f64, f64)>| worst.map_or(0.0, |(_, shift, _)| shift.abs());
    sorted.sort_by(|(_, a), (_, b)| off(b).total_cmp(&off(a)));
    let row = |(seen, worst): &(&Seen<'_>, Option<(usize, f64, f64)>)| {
        let found = &seen.done.calibration;
        let undetermined = (0..).zip(&found.pmts).filter(|(channel, pmt)| {
            seen.dom.known.live.channels() >> channel & 1 == 1 && !pmt.t0_ns.is_finite()
        });
        vec![
            json!(seen.place.du),
            json!(seen.place.floor),
            json!(seen.place.dom_id),
            json!(rounded(found.livetime_s)),
            json!(found.coincidences),
            json!(found.count(PairState::Good)),
            json!(found.count(PairState::Failed)),
            json!(rounded(found.rms_ns[0])),
            json!(rounded(found.rms_ns[1])),
            json!(rounded(found.rms_hz[0])),
            json!(rounded(found.rms_hz[1])),
            json!(worst.map(|(_, shift, _)| rounded(shift))),
            json!(worst.map(|(_, _, error)| rounded(error))),
            json!(worst.map(|(channel, ..)| channel)),
            json!(undetermined.count()),
            json!(rounded(found.chi2_per_ndf)),
            json!(if seen.done.was_full {
                "counts were full"
            } else {
                ""
            }),
        ]
    };
    Table {
        columns: [
            "DU",
            "floor",
            "DOM id",
            "livetime [s]",
            "coincidences",
            "pairs used",
            "fits failed",
            "RMS before [ns]",
            "RMS after [ns]",
            "rate RMS before [Hz]",
            "rate RMS after [Hz]",
            "worst shift [ns]",
            "its error [ns]",
            "its channel",
            "PMTs not determined",
            "chi2/ndf",
            "remark",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: sorted.iter().map(row).collect(),
    }
}

/// The pairs whose fit failed though their peak should have stood out.
pub(super) fn failed(doms: &[Seen<'_>]) -> Table {
    let mut rows = Vec::new();
    let mut others = 0_u64;
    for seen in doms {
        let pairs = seen.done.calibration.pairs.iter().zip(pair_list());
        for (_, (i, j)) in pairs.filter(|(pair, _)| pair.state == PairState::Failed) {
            if rows.len() >= FAILED_MAX {
                others += 1;
                continue;
            }
            let Place { du, floor, dom_id } = seen.place;
            rows.push(vec![
                json!(du),
                json!(floor),
                json!(dom_id),
                json!(i),
                json!(j),
            ]);
        }
    }
    if others > 0 {
        rows.push(vec![
            json!("others"),
            json!(others),
            json!(""),
            json!(""),
            json!(""),
        ]);
    }
    Table {
        columns: ["DU", "floor", "DOM id", "channel", "channel"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
}
