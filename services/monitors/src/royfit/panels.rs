//! The picture of the time residuals: one panel per floor, one line per DU.

use fathom_kernel::view::{Axis, AxisScale, Layer, Panel, Panels, Shape};

use super::picture::colour;
use super::residuals::{BINS, Residuals, bin_of};
use crate::places::Places;

/// Most lines of a panel; with more DUs each line sums up several neighbouring ones.
const LINES_MAX: usize = 32;
/// Panels per row, as in km3mon.
const COLUMNS: u32 = 6;
/// Half the range shown, and the width of a bin (ns).
const RANGE_NS: f64 = 500.0;
const BIN_NS: f64 = 5.0;

/// Draws the residuals of all floors.
pub(super) fn draw(places: &Places, residuals: &Residuals) -> Panels {
    let mut floors: Vec<i32> = places.list().iter().map(|place| place.floor).collect();
    floors.sort_unstable();
    floors.dedup();
    let mut dus: Vec<i32> = places.list().iter().map(|place| place.du).collect();
    dus.dedup();
    let groups: Vec<&[i32]> = dus.chunks(dus.len().div_ceil(LINES_MAX).max(1)).collect();
    let panel = |floor: i32| Panel {
        title: format!("floor {floor}"),
        layers: lines((places, residuals), floor, &groups),
        guides: Vec::new(),
    };
    Panels {
        columns: COLUMNS,
        x: Axis {
            label: "time residual [ns]".into(),
            low: Some(-RANGE_NS),
            high: Some(RANGE_NS),
            ..Axis::default()
        },
        y: Axis {
            label: "hits".into(),
            scale: AxisScale::Log,
            low: Some(0.5),
            ..Axis::default()
        },
        panels: floors.into_iter().map(panel).collect(),
    }
}

/// One line per group of DUs that has residuals on a floor.
fn lines((places, residuals): (&Places, &Residuals), floor: i32, groups: &[&[i32]]) -> Vec<Layer> {
    let mut sums = vec![[0_u32; BINS]; groups.len()];
    for (rank, place) in places.list().iter().enumerate() {
        if place.floor != floor {
            continue;
        }
        let group = groups.partition_point(|group| group.last().is_some_and(|du| *du < place.du));
        let Some(sums) = sums.get_mut(group) else {
            continue;
        };
        for (code, count) in residuals.of(rank).iter().enumerate() {
            sums[bin_of(code)] += count;
        }
    }
    let edges: Vec<f64> = (0..=BINS).map(edge_ns).collect();
    let lines = groups.iter().zip(sums).enumerate();
    lines
        .filter(|(_, (_, sums))| sums.iter().any(|&count| count > 0))
        .map(|(place, (group, sums))| {
            let counts = sums.iter().map(|&count| f64::from(count)).collect();
            Layer::new(Shape::Steps, colour(place), edges.clone(), counts).named(name(group))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "at most 200 bins")]
fn edge_ns(bin: usize) -> f64 {
    -RANGE_NS + BIN_NS * bin as f64
}

fn name(group: &[i32]) -> String {
    match group {
        [du] => format!("DU {du}"),
        [first, .., last] => format!("DU {first} to {last}"),
        [] => String::new(),
    }
}
