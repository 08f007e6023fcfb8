//! Beacons heard by the modules.

mod beacons;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use fathom_formats::detx::{Detector, Layout, Place};
use fathom_formats::km3net::{Arrival, DetectorId, DomId, encode_arrivals};
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{
    Content, Event, Fetch, FetchError, Fetched, Location, Monitor as _, Setup, Span, tags,
};
use fathom_monitors::{Acoustics, AcousticsConfig as Config};
use serde_json::{Value, json};

use super::common::{Bench, Store, frame, vectors};

const T0: i64 = 1_699_999_800_000;

/// One DU of so many floors; the module of a floor has the number 100 and floor.
fn setup(floors: u32) -> Setup {
    let generated = Detector::generated(&Layout::orca(1));
    let module = generated.modules().first().unwrap();
    let modules = (0..floors).map(|floor| {
        let mut module = module.clone();
        module.id = DomId(100 + floor);
        module.place = Place { du: 1, floor };
        module
    });
    Setup {
        detector: Some(Arc::new(Detector::new(DetectorId(44), modules.collect()))),
        ..Setup::default()
    }
}

/// A series of pings of a beacon that a module hears from a time on.
fn series(dom: u32, emitter: i32, from_ms: i64, pings: u32) -> Vec<Arrival> {
    let ping = |n: u32| Arrival {
        dom_id: DomId(dom),
        emitter,
        quality: 9000.0 - f64::from(n),
        time_base_s: from_ms as f64 / 1000.0 + f64::from(n) * 5.048_729_896_545_41,
        toa_s: 0.3,
    };
    (0..pings).map(ping).collect()
}

fn picture(bench: &Bench<Acoustics>) -> &Panels {
    match &bench.output("Online_Acoustic_Monitoring").view {
        View::Panels(panels) => panels,
        other => panic!("{other:?}"),
    }
}

/// Classes of the squares of each floor, from left to right, as the vectors number them.
fn classes(panels: &Panels) -> BTreeMap<i64, Vec<f64>> {
    let numbers = [-2.5, -1.5, -0.5, 0.5, 1.5];
    let mut squares = Vec::new();
    for (layer, class) in panels.panels[0].layers.iter().zip(numbers) {
        for (x, y) in layer.x.iter().zip(&layer.y) {
            squares.push((*y as i64, *x, class));
        }
    }
    squares.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
    let mut floors: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (floor, _, class) in squares {
        floors.entry(floor).or_default().push(class);
    }
    floors
}
