//! Muons of known zenith angle, and a DOM whose clock is wrong, through the line fit.

use std::sync::Arc;

use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_kernel::view::View;
use fathom_kernel::{Event, Frame, Monitor, Outputs, Setup, Timestamp, tags};
use fathom_monitors::{Royfit, RoyfitConfig};
use fathom_simulator::{FakeDetectorOptions, Generator, Layout, STEPS_PER_FRAME};

const START_S: i64 = 1_767_225_600;
const SECONDS: usize = 10;

/// Muons of one zenith angle in a detector of four DUs.
fn muons(detector: &Detector, cos_zenith: f64) -> Vec<Event> {
    let mut options = FakeDetectorOptions::default();
    options.io_evt.rate_hz = Some(20.0);
    options.io_evt.showers = 0.0;
    options.io_evt.cos_zenith = Some(cos_zenith);
    for slices in [
        &mut options.io_sum,
        &mut options.io_tsl1,
        &mut options.io_tssn,
    ] {
        slices.enabled = false;
    }
    (options.io_monit.enabled, options.msg.enabled) = (false, false);
    let layout = Arc::new(Layout::new(detector));
    let start_s = u64::try_from(START_S).unwrap();
    let mut generator = Generator::new(layout, &options, start_s);
    let steps = (0..SECONDS * 10 * STEPS_PER_FRAME).map(|_| generator.step());
    let messages = steps.flat_map(|step| {
        let chunks = step.chunks.iter();
        chunks
            .flat_map(|chunk| chunk.messages())
            .collect::<Vec<_>>()
    });
    let events = messages.filter(|(tag, _)| *tag == tags::IO_EVT);
    events
        .map(|(tag, body)| {
            Event::Frame(Frame {
                source: "simulation".into(),
                tag,
                received: Timestamp::from_second(START_S).unwrap(),
                body,
            })
        })
        .collect()
}

/// Feeds a monitor that has this description of the detector; returns what it says.
fn fitted(events: &[Event], detector: Detector) -> Outputs {
    let config = RoyfitConfig {
        offset_residuals: 15,
        ..RoyfitConfig::default()
    };
    let setup = Setup {
        detector: Some(Arc::new(detector)),
        ..Setup::default()
    };
    let mut monitor = Royfit::new(config, &setup);
    let mut out = Outputs::default();
    for event in events {
        monitor.on_event(event, &mut out);
    }
    let end = Timestamp::from_second(START_S + SECONDS as i64).unwrap();
    monitor.on_tick(end, &mut out);
    out
}

fn geometry() -> Detector {
    Detector::generated(&Geometry::orca(4))
}

/// The counts of an output, and the middles of its bins.
fn distribution(out: &Outputs, name: &str) -> Vec<(f64, f64)> {
    let output = out
        .outputs
        .iter()
        .find(|output| output.name == name)
        .unwrap();
    let View::Histogram(histogram) = &output.view else {
        panic!("{name} is {:?}", output.view)
    };
    let middles = histogram
        .edges
        .windows(2)
        .map(|edge| edge[0].midpoint(edge[1]));
    middles.zip(histogram.counts.iter().copied()).collect()
}

/// What the table says of a fit.
struct Fit {
    hits: f64,
    q: f64,
    cos_zenith: f64,
}

/// The last fits.
fn listed(out: &Outputs) -> impl Iterator<Item = Fit> {
    let output = out.outputs.iter().find(|o| o.name == "royfit_summary");
    let View::Table(table) = &output.unwrap().view else {
        panic!("no table")
    };
    let of = |name: &str| table.columns.iter().position(|column| column == name);
    let columns = ["hits", "Q", "cos(zenith)"].map(|name| of(name).unwrap());
    table.rows.iter().map(move |row| {
        let [hits, q, cos_zenith] = columns.map(|column| row[column].as_f64().unwrap());
        Fit {
            hits,
            q,
            cos_zenith,
        }
    })
}

/// Returns the bin below whose upper edge half of the counts lie.
fn middle_of(distribution: &[(f64, f64)]) -> f64 {
    let half = distribution.iter().map(|(_, count)| count).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let mut bins = distribution.iter();
    let found = bins.find(|(_, count)| {
        below += count;
        below >= half
    });
    found.unwrap().0
}

/// Fraction of fits whose cosine of the zenith angle is this near.
fn share_near(out: &Outputs, cos_zenith: f64, error: f64) -> f64 {
    let all = distribution(out, "royfit_zenith");
    let sum = |near: &dyn Fn(f64) -> bool| {
        let counted = all.iter().filter(|(middle, _)| near(*middle));
        counted.map(|(_, count)| count).sum::<f64>()
    };
    sum(&|middle| (middle - cos_zenith).abs() <= error) / sum(&|_| true)
}

#[test]
fn royfit_finds_where_muons_come_from() {
    for cos_zenith in [0.97, 0.85, -0.85, -0.97] {
        let events = muons(&geometry(), cos_zenith);
        let out = fitted(&events, geometry());
        let all = distribution(&out, "royfit_zenith");
        let fits: f64 = all.iter().map(|(_, count)| count).sum();
        assert!(
            fits > 1.5 * events.len() as f64,
            "{fits} fits of {} events",
            events.len()
        );
        // A string that sees only one side of the closest point has two answers, so only most of the
        // fits are near.
        let middle = middle_of(&all);
        assert!(
            (middle - cos_zenith).abs() < 0.04,
            "{cos_zenith} became {middle}"
        );
        let near = share_near(&out, cos_zenith, 0.06);
        assert!(near > 0.6, "{cos_zenith}: {near}");
        let same_side = share_near(&out, cos_zenith.signum(), 1.0);
        assert!(same_side > 0.85, "{cos_zenith}: {same_side}");
        // A string that saw the muon almost everywhere knows it well, if the fit is good: over twenty seeds
        // 86 % at -0.97, 89 % at 0.97 and 95 % at the others, and with one seed 6 % less or more.
        let whole = listed(&out).filter(|fit| fit.hits >= 15.0 && fit.q < 50.0);
        let errors: Vec<f64> = whole
            .map(|fit| (fit.cos_zenith - cos_zenith).abs())
            .collect();
        let good = errors.iter().filter(|error| **error < 0.08).count();
        assert!(errors.len() >= 10, "{errors:?}");
        assert!(good as f64 > 0.75 * errors.len() as f64, "{errors:?}");
        // The clocks are right, and no DOM is said to be off.
        assert!(out.alarms.is_empty(), "{:?}", out.alarms);
    }
}

#[test]
fn royfit_finds_a_dom_whose_t0_is_12_ns_wrong_in_the_detector_file() {
    let mut modules = geometry().modules().to_vec();
    let wrong = modules
        .iter_mut()
        .find(|m| (m.place.du, m.place.floor) == (2, 9));
    let wrong = wrong.unwrap();
    let dom_id = wrong.id.0;
    for pmt in &mut wrong.pmts {
        pmt.t0_ns += 12.0;
    }
    let believed = Detector::new(geometry().id, modules);
    let out = fitted(&muons(&geometry(), 0.97), believed);
    let medians = out
        .outputs
        .iter()
        .find(|o| o.name == "time_residual_medians");
    let View::Map(map) = &medians.unwrap().view else {
        panic!("no map")
    };
    let widest = map
        .values
        .iter()
        .zip(&map.id)
        .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let (median_ns, id) = widest.unwrap();
    // The DOM takes part in its own fit, which follows it a little.
    assert!(
        *id == dom_id && (6.0..13.0).contains(median_ns),
        "{id} {median_ns}"
    );
    let others = map
        .values
        .iter()
        .zip(&map.id)
        .filter(|(_, id)| **id != dom_id);
    let off = others.filter(|(median, _)| median.abs() > 6.0).count();
    assert_eq!(off, 0, "{:?}", map.values);
    let alarms: Vec<_> = out.alarms.iter().map(|a| (&*a.rule, &*a.subject)).collect();
    assert_eq!(alarms, [("dom_time_offset", "DU 2 floor 9")]);
}
