//! From the readings of a compass board to the orientation of its module.

use serde::{Deserialize, Serialize};

/// What a test of a board found: offsets and rotations of its two sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// Offset of the acceleration (g).
    #[serde(rename = "Aoff")]
    pub a_offset: [f64; 3],
    /// Rotation and scale of the acceleration; a row vector is multiplied from the left.
    #[serde(rename = "Arot")]
    pub a_rotation: [[f64; 3]; 3],
    /// Offset of the magnetic field (gauss).
    #[serde(rename = "Hoff")]
    pub h_offset: [f64; 3],
    /// Rotation and scale of the magnetic field; a row vector is multiplied from the left.
    #[serde(rename = "Hrot")]
    pub h_rotation: [[f64; 3]; 3],
}

/// Where a module points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation {
    /// Turn around the vertical from magnetic north, 0 to 360 (deg).
    pub yaw_deg: f64,
    /// -90 to 90 (deg).
    pub pitch_deg: f64,
    /// -180 to 180 (deg).
    pub roll_deg: f64,
}

const UNITY: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

impl Constants {
    /// A board without offsets and rotations, which no real one is.
    pub const IDENTITY: Self = Self {
        a_offset: [0.0; 3],
        a_rotation: UNITY,
        h_offset: [0.0; 3],
        h_rotation: UNITY,
    };

    /// Returns the orientation for an acceleration (g) and a magnetic field (gauss); only ratios of
    /// their components matter. There is no correction for the magnetic declination.
    pub fn orientation(&self, acceleration: [f64; 3], field: [f64; 3]) -> Orientation {
        let [ax, ay, az] = corrected(acceleration, self.a_offset, &self.a_rotation);
        let [hx, hy, hz] = corrected(field, self.h_offset, &self.h_rotation);
        let roll = (-ay).atan2(-az);
        let pitch = ax.atan2(ay.hypot(az));
        let (sin_roll, cos_roll) = roll.sin_cos();
        let (sin_pitch, cos_pitch) = pitch.sin_cos();
        let east = hz * sin_roll - hy * cos_roll;
        let north = hx * cos_pitch + hy * sin_pitch * sin_roll + hz * sin_pitch * cos_roll;
        let mut yaw_deg = east.atan2(north).to_degrees();
        if yaw_deg < 0.0 {
            yaw_deg += 360.0;
        }
        Orientation {
            yaw_deg,
            pitch_deg: pitch.to_degrees(),
            roll_deg: roll.to_degrees(),
        }
    }

    /// Tells whether all numbers are finite.
    pub(super) fn is_finite(&self) -> bool {
        let vectors = [self.a_offset, self.h_offset];
        let rows = self.a_rotation.iter().chain(&self.h_rotation);
        vectors.iter().chain(rows).flatten().all(|n| n.is_finite())
    }
}

/// Takes offset and rotation out of a reading. The module hangs upside down: y and z change sign.
fn corrected(reading: [f64; 3], offset: [f64; 3], rotation: &[[f64; 3]; 3]) -> [f64; 3] {
    let moved: [f64; 3] = std::array::from_fn(|i| reading[i] - offset[i]);
    let turned = |j: usize| (0..3).map(|i| moved[i] * rotation[i][j]).sum::<f64>();
    [turned(0), -turned(1), -turned(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_board_that_looks_north_has_yaw_zero() {
        // Upside down on the board: gravity along +z of the wire becomes -z.
        let level = Constants::IDENTITY.orientation([0.0, 0.0, 1.0], [0.25, 0.0, -0.37]);
        assert_eq!((level.pitch_deg, level.roll_deg), (0.0, 0.0));
        assert_eq!(level.yaw_deg, 0.0);
        let west = Constants::IDENTITY.orientation([0.0, 0.0, 1.0], [0.0, -0.25, -0.37]);
        assert!((west.yaw_deg - 270.0).abs() < 1e-9, "{west:?}");
    }
}
