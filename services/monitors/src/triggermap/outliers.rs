//! DOMs that have hits in too few or too many events, against the other DOMs of their floor.

use std::collections::BTreeMap;

use fathom_hist::median;
use fathom_kernel::view::Table;
use serde_json::json;

use super::layer::Layer;
use crate::places::Places;

/// Fewer events than this say nothing.
const EVENTS_MIN: usize = 100;
/// Fewer DOMs on a floor than this have no median of their own: that of all DOMs serves.
const FLOOR_DOMS_MIN: usize = 3;
/// A difference below so many standard deviations of the expected number is chance.
const SIGMAS: f64 = 4.0;

/// Lists dead and hot DOMs, dead ones first.
pub(super) fn table(places: &Places, layer: &Layer, (dead, hot): (f64, f64)) -> Table {
    let shares: Vec<f64> = (0..places.list().len())
        .map(|row| layer.per_event(layer.sum(row).events))
        .collect();
    let mut rows = Vec::new();
    if layer.len() >= EVENTS_MIN {
        let usual = usual(places, &shares);
        #[expect(clippy::cast_precision_loss, reason = "at most 50000 events")]
        let events = layer.len() as f64;
        for ((place, &share), usual) in places.list().iter().zip(&shares).zip(usual) {
            let slack = SIGMAS * (usual / events).sqrt();
            let what = match share {
                share if share < dead * usual && usual - share > slack => "dead",
                share if share > hot * usual && share - usual > slack => "hot",
                _ => continue,
            };
            rows.push((what, usual, place, share));
        }
    }
    rows.sort_by_key(|(what, ..)| *what);
    let columns = [
        "state",
        "DU",
        "floor",
        "DOM id",
        "events with a hit [%]",
        "median of the floor [%]",
    ];
    let row = |(what, usual, place, share): (&str, f64, &crate::places::Place, f64)| {
        vec![
            json!(what),
            json!(place.du),
            json!(place.floor),
            json!(place.dom_id),
            json!(100.0 * share),
            json!(100.0 * usual),
        ]
    };
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(row).collect(),
    }
}

/// Returns what is usual for each DOM.
fn usual(places: &Places, shares: &[f64]) -> Vec<f64> {
    let mut floors: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for (place, &share) in places.list().iter().zip(shares) {
        floors.entry(place.floor).or_default().push(share);
    }
    let all = median(shares.iter().copied()).unwrap_or(0.0);
    let usual: BTreeMap<i32, f64> = floors
        .into_iter()
        .map(|(floor, shares)| match shares.len() {
            FLOOR_DOMS_MIN.. => (floor, median(shares).unwrap_or(all)),
            _ => (floor, all),
        })
        .collect();
    let of = |place: &crate::places::Place| usual.get(&place.floor).copied().unwrap_or(all);
    places.list().iter().map(of).collect()
}
