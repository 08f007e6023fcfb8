//! When the light of a straight muon track reaches the PMTs of a vertical string.

use crate::royfit::{LIGHT_M_PER_NS, REFRACTIVE_INDEX};

/// A straight track moving at the speed of light, as far as one string can tell it: its azimuth is
/// left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineTrack {
    /// Closest distance of track and string (m).
    pub distance_m: f64,
    /// Height of the closest point (m).
    pub z_m: f64,
    /// Vertical component of the direction, length 1: positive is upgoing.
    pub up: f64,
    /// When the muon is at the closest point (ns).
    pub time_ns: f64,
}

/// A number and its derivatives with respect to distance, height, vertical component and time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sloped {
    pub(super) value: f64,
    pub(super) slope: [f64; 4],
}

/// What a PMT sees of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Light {
    /// Arrival (ns).
    pub(super) arrival: Sloped,
    /// Path of the light (m).
    pub(super) path: Sloped,
}

impl LineTrack {
    /// Returns what a full track is for a string at x = y = 0.
    ///
    /// The track is at `position_m` at `time_ns`, and `direction` need not have length 1. `None` for
    /// a track that is exactly vertical, which is closest to the string everywhere, or has no
    /// direction.
    pub fn of(position_m: [f64; 3], direction: [f64; 3], time_ns: f64) -> Option<Self> {
        let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        let [vx, vy, vz] = direction.map(|v| v / length);
        let [px, py, pz] = position_m;
        let along_m = px * vx + py * vy + pz * vz;
        let z_m = (pz - vz * along_m) / (1.0 - vz * vz);
        let path_m = z_m * vz - along_m;
        let closest = Self {
            distance_m: (px + path_m * vx).hypot(py + path_m * vy),
            z_m,
            up: vz,
            time_ns: time_ns + path_m / LIGHT_M_PER_NS,
        };
        closest.distance_m.is_finite().then_some(closest)
    }

    /// Returns when light arrives at a height of the string (ns).
    pub fn arrival_ns(&self, z_m: f64) -> f64 {
        self.light(z_m).arrival.value
    }

    /// Returns the path of that light (m).
    pub fn light_path_m(&self, z_m: f64) -> f64 {
        self.light(z_m).path.value
    }

    /// Returns arrival and path with their derivatives.
    pub(super) fn light(&self, z_m: f64) -> Light {
        let above_m = z_m - self.z_m;
        let sin2 = 1.0 - self.up * self.up;
        // Distance of the PMT from the track.
        let away_m = self.distance_m.hypot(above_m * sin2.max(0.0).sqrt());
        let away_slope = [
            self.distance_m / away_m,
            -above_m * sin2 / away_m,
            -above_m * above_m * self.up / away_m,
            0.0,
        ];
        let tan = (REFRACTIVE_INDEX * REFRACTIVE_INDEX - 1.0).sqrt();
        let straight_slope = [0.0, -self.up, above_m, 0.0];
        let mut slope = [0.0; 4];
        for ((slope, straight), away) in slope.iter_mut().zip(straight_slope).zip(away_slope) {
            *slope = (straight + tan * away) / LIGHT_M_PER_NS;
        }
        slope[3] = 1.0;
        let arrival = Sloped {
            value: self.time_ns + (above_m * self.up + tan * away_m) / LIGHT_M_PER_NS,
            slope,
        };
        let path = Sloped {
            value: REFRACTIVE_INDEX / tan * away_m,
            slope: away_slope.map(|slope| REFRACTIVE_INDEX / tan * slope),
        };
        Light { arrival, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertical_muon_10_m_aside_reaches_a_pmt_at_its_own_height_after_31_7_ns() {
        let track = LineTrack {
            distance_m: 10.0,
            z_m: 100.0,
            up: -1.0,
            time_ns: 0.0,
        };
        // sqrt(1.3800851282^2 - 1) = 0.951123; 10 * 0.951123 / 0.299792458 = 31.726 ns.
        assert!((track.arrival_ns(100.0) - 31.726).abs() < 1e-3);
        // 30 m further down it comes 30 / 0.299792458 = 100.069 ns later.
        let later_ns = track.arrival_ns(70.0) - track.arrival_ns(100.0);
        assert!((later_ns - 100.069).abs() < 1e-3);
        assert!((track.light_path_m(70.0) - 14.5101).abs() < 1e-3);
    }

    #[test]
    fn the_time_at_a_point_of_the_track_is_not_the_time_at_the_closest_point() {
        // Horizontal, 30 m before the string: it gets there 100.07 ns later.
        let track = LineTrack::of([-30.0, 8.0, 50.0], [2.0, 0.0, 0.0], 500.0).unwrap();
        assert!((track.time_ns - 600.069).abs() < 1e-3);
        assert!((track.distance_m - 8.0).abs() < 1e-12 && track.z_m == 50.0);
        // The light of that moment needs 8 m * 0.951123 / c more.
        assert!((track.arrival_ns(50.0) - 625.450).abs() < 1e-3);
        assert_eq!(LineTrack::of([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], 0.0), None);
        assert_eq!(LineTrack::of([1.0, 0.0, 0.0], [0.0; 3], 0.0), None);
    }

    #[test]
    fn derivatives_are_those_of_small_steps() {
        let track = LineTrack {
            distance_m: 14.0,
            z_m: 80.0,
            up: -0.7,
            time_ns: 250.0,
        };
        let stepped = |n: usize, step: f64| {
            let mut track = track;
            *[
                &mut track.distance_m,
                &mut track.z_m,
                &mut track.up,
                &mut track.time_ns,
            ][n] += step;
            track
        };
        for z_m in [30.0, 79.0, 160.0] {
            let light = track.light(z_m);
            for n in 0..4 {
                let (more, less) = (stepped(n, 1e-5), stepped(n, -1e-5));
                let slope = (more.arrival_ns(z_m) - less.arrival_ns(z_m)) / 2e-5;
                assert!((light.arrival.slope[n] - slope).abs() < 1e-4, "{n} {z_m}");
                let slope = (more.light_path_m(z_m) - less.light_path_m(z_m)) / 2e-5;
                assert!((light.path.slope[n] - slope).abs() < 1e-4, "{n} {z_m}");
            }
        }
    }
}
