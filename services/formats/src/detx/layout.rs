//! Generated detectors of any size, for simulation and demonstration.

use crate::km3net::{CHANNELS, DetectorId, DomId};

use super::detector::{Detector, Module, Place, Pmt, Utm, Validity};
use super::optics::{DOM_RADIUS_M, pmt_directions};

/// Detection units of one building block.
const BLOCK_DUS: u32 = 115;
/// First module id; real ones lie in this range.
const FIRST_DOM_ID: u32 = 806_451_572;
/// Most that consecutive module ids differ by; two ARCA blocks stay below 810,000,000.
const DOM_ID_STEP: u64 = 701;

/// What a generated detector looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Detector id.
    pub detector_id: DetectorId,
    /// Detection units, numbered from 1; more than 115 make a second block.
    pub dus: u32,
    /// Floors of a detection unit.
    pub floors: u32,
    /// Distance between neighbouring detection units, in m.
    pub du_spacing_m: f64,
    /// Distance between floors, in m.
    pub floor_spacing_m: f64,
    /// Height of floor 1 above the sea bed, in m.
    pub first_floor_m: f64,
    /// Distance between the centres of two blocks, in m.
    pub block_spacing_m: f64,
    /// Whether each detection unit has a base module on floor 0.
    pub base_modules: bool,
    /// Reference point.
    pub utm: Utm,
}

impl Layout {
    /// Returns the layout of ARCA: 90 m between units, 36 m between floors.
    pub fn arca(dus: u32) -> Self {
        Self {
            detector_id: DetectorId(160),
            dus,
            floors: 18,
            du_spacing_m: 90.0,
            floor_spacing_m: 36.0,
            first_floor_m: 80.0,
            block_spacing_m: 1300.0,
            base_modules: true,
            utm: utm("33N", [587_600.0, 4_016_800.0, -3450.0]),
        }
    }

    /// Returns the layout of ORCA: 20 m between units, 9 m between floors.
    pub fn orca(dus: u32) -> Self {
        Self {
            detector_id: DetectorId(49),
            dus,
            floors: 18,
            du_spacing_m: 20.0,
            floor_spacing_m: 9.0,
            first_floor_m: 30.0,
            block_spacing_m: 300.0,
            base_modules: true,
            utm: utm("32N", [256_500.0, 4_743_000.0, -2440.0]),
        }
    }
}

fn utm(zone: &str, [easting_m, northing_m, z_m]: [f64; 3]) -> Utm {
    let (ellipsoid, zone) = ("WGS84".to_owned(), zone.to_owned());
    Utm {
        ellipsoid,
        zone,
        easting_m,
        northing_m,
        z_m,
    }
}

impl Detector {
    /// Makes a detector of a layout; the same layout always gives the same detector.
    pub fn generated(layout: &Layout) -> Self {
        let lowest = u32::from(!layout.base_modules);
        let places = footprint(layout)
            .into_iter()
            .zip(1..)
            .flat_map(|(xy, du)| (lowest..=layout.floors).map(move |floor| (xy, du, floor)));
        let modules = places
            .zip(0..)
            .map(|((xy, du, floor), number)| module(layout, xy, Place { du, floor }, number))
            .collect();
        let mut detector = Self::new(layout.detector_id, modules);
        detector.validity = Some(Validity {
            from_s: 0.0,
            until_s: 9_999_999_999.0,
        });
        detector.utm = Some(layout.utm.clone());
        detector
    }
}

/// Returns where the detection units stand, block after block, row after row.
fn footprint(layout: &Layout) -> Vec<[f64; 2]> {
    let blocks = layout.dus.div_ceil(BLOCK_DUS).max(1);
    (0..blocks)
        .flat_map(|block| {
            let dus = layout.dus.saturating_sub(block * BLOCK_DUS).min(BLOCK_DUS);
            let shift_m = (f64::from(block) - f64::from(blocks - 1) / 2.0) * layout.block_spacing_m;
            let spacing_m = layout.du_spacing_m;
            block_footprint(dus)
                .into_iter()
                .map(move |[x, y]| [x * spacing_m + shift_m, y * spacing_m])
        })
        .collect()
}

/// Returns the points of a triangular lattice of spacing 1 nearest to its centre, row by row.
fn block_footprint(dus: u32) -> Vec<[f64; 2]> {
    // 115 points fill a circle of radius 5.6; 8 rows to each side hold them all.
    const REACH: i32 = 8;
    let row_height = 0.75_f64.sqrt();
    let mut points: Vec<[f64; 2]> = (-REACH..=REACH)
        .flat_map(|row| {
            let offset = f64::from(row.rem_euclid(2)) / 2.0;
            let y = f64::from(row) * row_height;
            (-REACH..=REACH).map(move |column| [f64::from(column) + offset, y])
        })
        .collect();
    let radius = |[x, y]: &[f64; 2]| x.hypot(*y);
    points.sort_by(|a, b| radius(a).total_cmp(&radius(b)));
    points.truncate(dus as usize);
    points.sort_by(|[ax, ay], [bx, by]| ay.total_cmp(by).then(ax.total_cmp(bx)));
    points
}

fn module(layout: &Layout, [x, y]: [f64; 2], place: Place, number: u32) -> Module {
    let z = match place.floor {
        0 => 0.91,
        floor => layout.first_floor_m + f64::from(floor - 1) * layout.floor_spacing_m,
    };
    let position_m = [x, y, z].map(millimetres);
    // Modules hang as they were deployed: any heading, the same for the same module.
    let heading = fraction(u64::from(number)) * std::f64::consts::TAU;
    let id = u64::from(FIRST_DOM_ID)
        + u64::from(number) * DOM_ID_STEP
        + scrambled(u64::from(number) << 32) % DOM_ID_STEP;
    let pmts = match place.floor {
        0 => Vec::new(),
        _ => pmts(position_m, heading, number),
    };
    Module {
        id: DomId(u32::try_from(id).unwrap_or(u32::MAX)),
        place,
        position_m,
        orientation: [(heading / 2.0).cos(), 0.0, 0.0, (heading / 2.0).sin()],
        t0_ns: 0.0,
        status: Some(0),
        pmts,
    }
}

fn pmts([x, y, z]: [f64; 3], heading: f64, number: u32) -> Vec<Pmt> {
    let (sin, cos) = heading.sin_cos();
    let first_id = i64::from(number) * CHANNELS as i64 + 1;
    let directions = pmt_directions().into_iter().zip(first_id..);
    directions
        .map(|([dx, dy, dz], id)| {
            let direction = [dx * cos - dy * sin, dx * sin + dy * cos, dz];
            let [ox, oy, oz] = direction.map(|d| d * DOM_RADIUS_M);
            Pmt {
                id,
                position_m: [x + ox, y + oy, z + oz].map(millimetres),
                direction,
                // Cables and electronics: some hundred ns, different for each PMT.
                t0_ns: millimetres(200.0 + 40.0 * fraction(id.unsigned_abs() << 16)),
                status: Some(0),
            }
        })
        .collect()
}

/// Rounds to the three decimals that detector files have.
fn millimetres(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Returns a number in [0, 1) that looks random and depends on the seed only.
fn fraction(seed: u64) -> f64 {
    (scrambled(seed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns bits that look random and depend on the seed only (splitmix64).
fn scrambled(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::km3net::ChannelId;

    #[test]
    fn two_arca_blocks_have_4140_doms_and_128340_pmts() {
        let detector = Detector::generated(&Layout::arca(230));
        assert_eq!(detector.optical_modules().count(), 4140);
        assert_eq!(detector.pmt_count(), 128_340);
        assert_eq!(detector.dus(), (1..=230).collect::<Vec<u32>>());
        assert_eq!(detector.max_floor(), 18);
        let ids: Vec<u32> = detector.modules().iter().map(|m| m.id.0).collect();
        assert!(ids.is_sorted_by(|a, b| a < b) && ids[ids.len() - 1] < 810_000_000);
    }

    #[test]
    fn neighbours_are_as_far_apart_as_asked_for() {
        let detector = Detector::generated(&Layout::orca(115));
        let floor_1: Vec<[f64; 3]> = (1..=115)
            .map(|du| detector.module_at(du, 1).unwrap().position_m)
            .collect();
        let distance = |a: &[f64; 3], b: &[f64; 3]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for (at, a) in floor_1.iter().enumerate() {
            let others = floor_1.iter().enumerate().filter(|(other, _)| *other != at);
            let nearest = others.map(|(_, b)| distance(a, b)).fold(f64::MAX, f64::min);
            assert!((nearest - 20.0).abs() < 0.01, "{nearest}");
        }
        let [low, high] = [1, 2].map(|floor| detector.module_at(7, floor).unwrap().position_m[2]);
        assert_eq!(high - low, 9.0);
    }

    #[test]
    fn base_modules_sit_on_floor_0_and_have_no_pmts() {
        let detector = Detector::generated(&Layout::arca(1));
        assert_eq!(detector.modules().len(), 19);
        assert!(detector.module_at(1, 0).unwrap().is_base());
        let dom = detector.module_at(1, 18).unwrap();
        assert_eq!(detector.place(dom.id), Some(Place { du: 1, floor: 18 }));
        let down = detector.pmt(dom.id, ChannelId(22)).unwrap();
        assert_eq!(down.direction, [0.0, 0.0, -1.0]);
        assert!((dom.position_m[2] - down.position_m[2] - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_crossing_point_of_generated_axes_is_the_module() {
        let detector = Detector::generated(&Layout::arca(2));
        for module in detector.optical_modules() {
            let found = super::super::position::crossing_point(&module.pmts);
            let near = found
                .iter()
                .zip(module.position_m)
                .all(|(a, b)| (a - b).abs() < 2e-3);
            assert!(near, "{found:?} {:?}", module.position_m);
        }
    }
}
