//! Compass boards: what a board with its own offsets and rotations reads in a module that points
//! somewhere, and the file with the constants that take them out again.

use std::fmt::Write as _;

use fathom_formats::km3net::DomId;
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator};
use crate::layout::vector::Vector;

/// Earth's field in the Mediterranean, horizontal and vertical (gauss).
const FIELD_GAUSS: (f64, f64) = (0.25, 0.37);
/// Spread of the offsets of the acceleration (g) and of the field (gauss).
const OFFSETS: (f64, f64) = (0.02, 0.05);
/// Spread of the elements of the rotations around those of unity.
const ROTATION: f64 = 0.06;
/// End of the tests of all boards.
const END_TIME: &str = "2019-01-01T00:00:00";

type Matrix = [Vector; 3];

/// Where a module points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pointing {
    /// Turn around the vertical, from magnetic north (deg).
    pub(crate) yaw_deg: f64,
    pub(crate) pitch_deg: f64,
    pub(crate) roll_deg: f64,
}

/// One board: the constants that a test of it finds, and their inverse.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    acceleration: Sensor,
    field: Sensor,
}

#[derive(Debug, Clone)]
struct Sensor {
    offset: Vector,
    rotation: Matrix,
    inverse: Matrix,
}

impl Board {
    /// Draws the boards of modules; each depends on the seed and the id of its module only.
    pub(crate) fn of(seed: u64, module: DomId) -> Self {
        let mut rng = generator(seed ^ u64::from(module.0) << 32, Purpose::Compass);
        let (a_spread, h_spread) = OFFSETS;
        Self {
            acceleration: Sensor::draw(a_spread, &mut rng),
            field: Sensor::draw(h_spread, &mut rng),
        }
    }

    /// Returns acceleration (g) and magnetic field (gauss) as the board reads them.
    pub(crate) fn readings(&self, pointing: &Pointing) -> (Vector, Vector) {
        let (across, down) = FIELD_GAUSS;
        let (sin, cos) = pointing.yaw_deg.to_radians().sin_cos();
        let level = [across * cos, -across * sin, down];
        let up = [0.0, 0.0, -1.0];
        let read = |sensor: &Sensor, v| sensor.reading(upside_down(pointing.into_module(v)));
        (read(&self.acceleration, up), read(&self.field, level))
    }

    fn write(&self, module: DomId, out: &mut String) {
        let (a, h) = (&self.acceleration, &self.field);
        // Writing to a string cannot fail.
        write!(
            out,
            "\n[[board]]\ndom_id = {module}\nend_time = \"{END_TIME}\"\nAoff = {:?}\nArot = {:?}\n\
             Hoff = {:?}\nHrot = {:?}\n",
            a.offset, a.rotation, h.offset, h.rotation
        )
        .unwrap_or_default();
    }
}

/// Returns the file with the constants of all boards, TOML as the calibration of compasses reads it.
pub(crate) fn calibration_file(seed: u64, modules: impl Iterator<Item = DomId>) -> String {
    let mut text = "# Constants of the simulated compass boards.\n".to_owned();
    modules.for_each(|module| Board::of(seed, module).write(module, &mut text));
    text
}

impl Pointing {
    /// Tilts a vector from a level frame with the heading of the module (ahead, aside, down) into the
    /// frame of the module.
    fn into_module(self, [ahead, aside, down]: Vector) -> Vector {
        let (sin_p, cos_p) = self.pitch_deg.to_radians().sin_cos();
        let (sin_r, cos_r) = self.roll_deg.to_radians().sin_cos();
        [
            cos_p * ahead - sin_p * down,
            sin_p * sin_r * ahead + cos_r * aside + cos_p * sin_r * down,
            sin_p * cos_r * ahead - sin_r * aside + cos_p * cos_r * down,
        ]
    }
}

/// Boards hang upside down in their modules.
fn upside_down([x, y, z]: Vector) -> Vector {
    [x, -y, -z]
}

impl Sensor {
    fn draw(offset: f64, rng: &mut SmallRng) -> Self {
        let tables = Tables::new();
        let mut normal = |spread: f64| spread * tables.normal(rng);
        let offset = std::array::from_fn(|_| normal(offset));
        let rotation: Matrix = std::array::from_fn(|i| {
            std::array::from_fn(|j| f64::from(u8::from(i == j)) + normal(ROTATION))
        });
        Self {
            offset,
            rotation,
            inverse: inverse(&rotation),
        }
    }

    /// Returns what the sensor reads: offset and rotation take the value out of it again.
    fn reading(&self, value: Vector) -> Vector {
        let turned = |j: usize| (0..3).map(|i| value[i] * self.inverse[i][j]).sum::<f64>();
        std::array::from_fn(|j| turned(j) + self.offset[j])
    }
}

/// Inverts a matrix near unity by its cofactors.
fn inverse(m: &Matrix) -> Matrix {
    let cofactor = |i: usize, j: usize| {
        let at = |di: usize, dj: usize| m[(i + di) % 3][(j + dj) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * cofactor(0, j)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_unity() {
        let sensor = Board::of(3, DomId(77)).field;
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3)
                    .map(|k| sensor.rotation[i][k] * sensor.inverse[k][j])
                    .sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn boards_differ_and_come_again_with_their_seed() {
        let offset = |seed, id| Board::of(seed, DomId(id)).field.offset;
        assert_eq!(offset(1, 7), offset(1, 7));
        assert_ne!(offset(1, 7), offset(1, 8));
        assert_ne!(offset(1, 7), offset(2, 7));
    }

    #[test]
    fn a_level_module_feels_gravity_along_its_axis_only() {
        let level = Pointing {
            yaw_deg: 90.0,
            pitch_deg: 0.0,
            roll_deg: 0.0,
        };
        assert_eq!(level.into_module([0.0, 0.0, -1.0]), [0.0, 0.0, -1.0]);
        let tilted = Pointing {
            pitch_deg: 90.0,
            ..level
        };
        let [x, y, z] = tilted.into_module([0.0, 0.0, -1.0]);
        assert!((x - 1.0).abs() < 1e-12 && y.abs() < 1e-12 && z.abs() < 1e-12);
    }
}
