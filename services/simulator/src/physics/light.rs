//! When and how Cherenkov light of a track or a shower arrives at a module.
//!
//! A track is straight and moves with the speed of light. Its light leaves at the Cherenkov angle,
//! so a module at the closest distance `d`, reached after a path `s` along the track, sees it at
//! `t0 + (s + d tan(theta)) / c`.

use crate::layout::vector::{Vector, along, dot, length, minus, unit};

/// Speed of light in vacuum [m/ns].
pub(crate) const LIGHT_M_PER_NS: f64 = 0.299_792_458;
/// Refractive index of deep sea water, phase.
const INDEX_PHASE: f64 = 1.35;
/// Refractive index of deep sea water, group: how fast flashes travel.
const INDEX_GROUP: f64 = 1.38;
/// Length after which 1/e of the light is left, absorption and scattering together (m).
const ATTENUATION_M: f64 = 55.0;
/// Photoelectrons per PMT at 1 m from a minimum-ionising muon, if it could be that near: 35,000
/// photons per metre on a cone, 9 cm2 of effective area.
const TRACK_PE_AT_1_M: f64 = 7.0;
/// Photoelectrons per PMT and GeV at 1 m from a shower.
const SHOWER_PE_PER_GEV_AT_1_M: f64 = 12.0;
/// No module is nearer to a track than its own size (m).
const DISTANCE_MIN_M: f64 = 1.0;
/// Beyond this distance less than one photoelectron in ten thousand arrives (m).
const TRACK_REACH_M: f64 = 250.0;

/// A source of light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// A muon.
    Track {
        /// Where it is at its time.
        position_m: Vector,
        /// Where it goes, length 1.
        direction: Vector,
        /// Light per metre, in units of a minimum-ionising muon.
        brightness: f64,
    },
    /// A shower: a flash at one point.
    Shower {
        /// Where.
        position_m: Vector,
        /// Energy [GeV].
        energy_gev: f64,
    },
}

/// Light of a source at one module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Arrival {
    /// After the time of the source (ns); negative where a track passed before.
    pub(crate) time_ns: f64,
    /// Where the light goes, length 1.
    pub(crate) direction: Vector,
    /// Path of the light (m).
    pub(crate) path_m: f64,
    /// Photoelectrons in a PMT that looks at it.
    pub(crate) photoelectrons: f64,
}

/// Returns the tangent of the Cherenkov angle.
pub(crate) fn tan_cherenkov() -> f64 {
    (INDEX_PHASE * INDEX_PHASE - 1.0).sqrt()
}

impl Source {
    /// Returns what arrives at a place; `None` when it is too far away.
    pub(crate) fn at(&self, place_m: Vector) -> Option<Arrival> {
        match *self {
            Self::Track {
                position_m,
                direction,
                brightness,
            } => track_light(position_m, direction, place_m).map(|arrival| Arrival {
                photoelectrons: arrival.photoelectrons * brightness,
                ..arrival
            }),
            Self::Shower {
                position_m,
                energy_gev,
            } => shower_light(position_m, energy_gev, place_m),
        }
    }
}

fn track_light(position_m: Vector, direction: Vector, place_m: Vector) -> Option<Arrival> {
    let to_place = minus(place_m, position_m);
    let path_m = dot(to_place, direction);
    let across = along(to_place, -path_m, direction);
    let distance_m = length(across);
    if distance_m > TRACK_REACH_M {
        return None;
    }
    let tan = tan_cherenkov();
    let cos = 1.0 / INDEX_PHASE;
    let sin = tan * cos;
    let outwards = unit(across).unwrap_or([0.0; 3]);
    let light = unit(along(direction.map(|x| x * cos), sin, outwards))?;
    let near_m = distance_m.max(DISTANCE_MIN_M);
    let light_path_m = distance_m / sin;
    Some(Arrival {
        time_ns: (path_m + distance_m * tan) / LIGHT_M_PER_NS,
        direction: light,
        path_m: light_path_m,
        photoelectrons: TRACK_PE_AT_1_M / near_m * (-light_path_m / ATTENUATION_M).exp(),
    })
}

fn shower_light(position_m: Vector, energy_gev: f64, place_m: Vector) -> Option<Arrival> {
    let to_place = minus(place_m, position_m);
    let distance_m = length(to_place).max(DISTANCE_MIN_M);
    let photoelectrons = SHOWER_PE_PER_GEV_AT_1_M * energy_gev / (distance_m * distance_m)
        * (-distance_m / ATTENUATION_M).exp();
    (photoelectrons > 1e-4).then_some(())?;
    Some(Arrival {
        time_ns: distance_m * INDEX_GROUP / LIGHT_M_PER_NS,
        direction: unit(to_place).unwrap_or([0.0, 0.0, 1.0]),
        path_m: distance_m,
        photoelectrons,
    })
}

/// Returns the share of the light that a PMT sees which looks along `axis`.
///
/// Full when the light comes head on, a fifth from the side, nothing from behind: the reflector ring
/// and the glass let a PMT see a little over 90 degrees.
pub(crate) fn acceptance(axis: Vector, light: Vector) -> f64 {
    let cos = -dot(axis, light);
    ((cos + 0.25) / 1.25).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_50_m_beside_a_vertical_track_sees_it_after_the_cone_has_arrived() {
        // Straight down through the origin; the module is 100 m below it and 50 m to the side:
        // tan(theta) = sqrt(1.35^2 - 1) = 0.906918, t = (100 + 50 * 0.906918) / 0.299792458 ns.
        let track = Source::Track {
            position_m: [0.0; 3],
            direction: [0.0, 0.0, -1.0],
            brightness: 1.0,
        };
        let arrival = track.at([50.0, 0.0, -100.0]).unwrap();
        assert!(
            (arrival.time_ns - 484.822).abs() < 1e-2,
            "{}",
            arrival.time_ns
        );
        // The light goes outwards and down: cos(theta) = 1 / 1.35 along the track.
        let [x, y, z] = arrival.direction;
        assert!((z + 1.0 / 1.35).abs() < 1e-9 && y == 0.0 && x > 0.0);
        // Head on for a PMT that looks back along the light, dark for one that looks away.
        assert!((acceptance([-x, 0.0, -z], arrival.direction) - 1.0).abs() < 1e-9);
        assert_eq!(acceptance(arrival.direction, arrival.direction), 0.0);
    }

    #[test]
    fn light_emitted_at_the_cherenkov_angle_takes_the_same_time() {
        // By hand along the light's own way: the muon runs to the point of emission, the light goes
        // d / sin(theta) from there with c / n.
        let direction = unit([0.3, -0.2, -0.9]).unwrap();
        let position_m = [10.0, -20.0, 300.0];
        let place_m = [60.0, 15.0, 120.0];
        let track = Source::Track {
            position_m,
            direction,
            brightness: 1.0,
        };
        let to_place = minus(place_m, position_m);
        let s = dot(to_place, direction);
        let d = length(along(to_place, -s, direction));
        let (tan, cos) = (tan_cherenkov(), 1.0 / INDEX_PHASE);
        let emitted = (s - d / tan) / LIGHT_M_PER_NS;
        let travelled = d / (tan * cos) * INDEX_PHASE / LIGHT_M_PER_NS;
        let arrival = track.at(place_m).unwrap();
        assert!((arrival.time_ns - emitted - travelled).abs() < 1e-9);
    }

    #[test]
    fn a_shower_lights_up_a_sphere() {
        let shower = Source::Shower {
            position_m: [0.0; 3],
            energy_gev: 1000.0,
        };
        let arrival = shower.at([0.0, 30.0, 40.0]).unwrap();
        // 50 m at c / 1.38: 230.16 ns; 12 * 1000 / 2500 * exp(-50 / 55) = 1.934 photoelectrons.
        assert!((arrival.time_ns - 230.16).abs() < 0.01);
        assert!((arrival.photoelectrons - 1.934).abs() < 1e-3);
        assert_eq!(shower.at([0.0, 0.0, 2000.0]), None);
    }
}
