//! Two numbers that say little and are marked so: the azimuth of a fit, and a straight line through
//! the hits of several DUs.

use fathom_formats::km3net::CalibratedHit;

use super::LineFit;
use super::REFRACTIVE_INDEX;

/// Hits of a DU later than the model by more come from the other side (ns).
const LATE_NS: f64 = 20.0;

/// Returns the azimuth of a fitted track in degrees, 0 to 360. Unreliable: it is read off where the
/// hit PMTs look, and left or right of that by the Cherenkov angle.
///
/// `hits` are all hits of the DU.
pub(super) fn azimuth_deg(fit: &LineFit, hits: &[CalibratedHit]) -> Option<f64> {
    let first = mean_azimuth(fit.hits.iter())?;
    let is_late =
        |hit: &&CalibratedHit| hit.time_ns - fit.track.arrival_ns(hit.position_m[2]) > LATE_NS;
    let second = mean_azimuth(hits.iter().filter(is_late)).unwrap_or(first);
    let cherenkov = (1.0 / REFRACTIVE_INDEX).acos();
    let azimuth = match first < second {
        true => first - cherenkov,
        false => first + cherenkov,
    };
    Some(azimuth.to_degrees().rem_euclid(360.0))
}

/// Returns where the light goes that these hits saw (rad): against the mean direction of the PMTs.
fn mean_azimuth<'a>(hits: impl Iterator<Item = &'a CalibratedHit>) -> Option<f64> {
    let (x, y) = hits.fold((0.0, 0.0), |(x, y), hit| {
        (x - hit.direction[0], y - hit.direction[1])
    });
    (x != 0.0 || y != 0.0).then(|| f64::atan2(y, x))
}

/// Returns the cosine of the zenith angle of a straight line through the hits of several DUs, 1 is
/// straight down: places against times, weighted by pulses, all light taken to come at once. `None`
/// when the hits have no direction.
pub(super) fn prefit_cos_zenith<'a>(
    hits: impl Iterator<Item = &'a CalibratedHit> + Clone,
) -> Option<f64> {
    let start_ns = hits.clone().next()?.time_ns;
    let (mut weights, mut times, mut squares) = (0.0, 0.0, 0.0);
    let (mut places, mut products) = ([0.0; 3], [0.0; 3]);
    for hit in hits {
        let weight = ((f64::from(hit.tot_ns) - 26.3) / 4.5).max(1.0);
        let time_ns = hit.time_ns - start_ns;
        weights += weight;
        times += weight * time_ns;
        squares += weight * time_ns * time_ns;
        for (axis, place_m) in hit.position_m.into_iter().enumerate() {
            places[axis] += weight * place_m;
            products[axis] += weight * place_m * time_ns;
        }
    }
    // The sums over pairs of hits are these: each pair twice.
    let spread = weights * squares - times * times;
    let axis = |n: usize| (weights * products[n] - places[n] * times) / spread;
    let [x, y, z] = [axis(0), axis(1), axis(2)];
    let length = (x * x + y * y + z * z).sqrt();
    (length > 0.0 && length.is_finite()).then_some(-z / length)
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Place;

    use super::*;
    use crate::royfit::LineTrack;

    fn hit(position_m: [f64; 3], time_ns: f64, direction: [f64; 3]) -> CalibratedHit {
        CalibratedHit {
            dom_id: 1.into(),
            place: Place { du: 1, floor: 1 },
            channel: 0.into(),
            tot_ns: 26,
            is_triggered: true,
            multiplicity: 1,
            group: 0,
            time_ns,
            position_m,
            direction,
        }
    }

    #[test]
    fn a_line_through_hits_on_a_line_is_that_line() {
        // 3 m aside and 4 m down in each step: cos(zenith) = 4 / 5.
        let steps = [0.0, 1.0, 2.0, 3.0];
        let hits = steps.map(|n| hit([3.0 * n, 7.0, -4.0 * n], 1e6 + 5.0 * n, [0.0; 3]));
        let cos = prefit_cos_zenith(hits.iter()).unwrap();
        assert!((cos - 0.8).abs() < 1e-9, "{cos}");
        assert_eq!(prefit_cos_zenith(hits[..1].iter()), None);
    }

    #[test]
    fn light_that_pmts_looking_west_see_goes_east() {
        let track = LineTrack {
            distance_m: 10.0,
            z_m: 0.0,
            up: -0.9,
            time_ns: 0.0,
        };
        let hits = vec![hit([0.0; 3], 0.0, [-1.0, 0.0, 0.0])];
        let fit = LineFit {
            track,
            q_sum: 0.0,
            hits: hits.clone(),
        };
        // acos(1 / 1.3800851282) = 43.56 degrees to the left.
        let alone = azimuth_deg(&fit, &hits).unwrap();
        assert!((alone - 43.56).abs() < 0.01, "{alone}");
        // Light from the north, seen late: the track is on the other side.
        let late = hit([0.0; 3], 100.0, [0.0, -1.0, 0.0]);
        let turned = azimuth_deg(&fit, &[hits[0], late]).unwrap();
        assert!((turned - (360.0 - 43.56)).abs() < 0.01, "{turned}");
    }
}
