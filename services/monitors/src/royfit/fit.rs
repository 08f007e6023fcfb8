//! The fit of a track to the selected hits of one string: bounded least squares from several starts.
//!
//! A hit gives two residuals: its time against the model, and the photoelectrons of its coincidence
//! against 72 / path. Bounds are kept by fitting angles: a parameter between `low` and `high` is the
//! middle plus half the range times the sine of its angle.

use fathom_formats::km3net::{CalibratedHit, photoelectrons, slew_ns};
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{Dyn, OMatrix, OVector, U4, Vector4};

use crate::royfit::LineTrack;

/// Photoelectrons of a PMT times the path of the light (m).
const PHOTOELECTRONS_M: f64 = 72.0;
/// Bounds of the closest distance (m).
const DISTANCE_M: (f64, f64) = (1.0, 100.0);
/// Bounds of the vertical component of the direction.
const UP: (f64, f64) = (-0.999, 0.999);
/// Where the fit starts: every distance with every direction, at the guessed height and in the lower
/// and upper half of the hits. At one height only, one track in twenty was missed.
const START_DISTANCES_M: [f64; 3] = [5.0, 20.0, 60.0];
const START_UPS: [f64; 4] = [-0.9, -0.3, 0.3, 0.9];
/// Starts that are approached, and those of them that are followed to the end.
const SEARCH: (usize, usize) = (16, 3);

/// A track with the hits that it was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFit {
    /// The track.
    pub track: LineTrack,
    /// Sum of the squared residuals.
    pub q_sum: f64,
    /// The hits, in order of time.
    pub hits: Vec<CalibratedHit>,
}

impl LineFit {
    /// Returns the quality: the sum per hit. Small is good.
    pub fn q(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "one hit per floor")]
        let hits = self.hits.len() as f64;
        self.q_sum / hits
    }
}

/// Returns the start that the original fit would take: the first triggered hit of the floor with the
/// most hits says height and time, 10 m aside, going down. `None` without hits.
pub fn first_guess(hits: &[CalibratedHit]) -> Option<LineTrack> {
    let count = |floor: u32| hits.iter().filter(|hit| hit.place.floor == floor).count();
    let floors = hits.iter().map(|hit| hit.place.floor);
    // Of floors with as many hits the lowest.
    let brightest = floors.max_by_key(|&floor| (count(floor), std::cmp::Reverse(floor)))?;
    let own = || hits.iter().filter(|hit| hit.place.floor == brightest);
    let first = |a: &&CalibratedHit, b: &&CalibratedHit| a.time_ns.total_cmp(&b.time_ns);
    let triggered = own().filter(|hit| hit.is_triggered).min_by(first);
    let (z_m, time_ns) = match triggered {
        Some(hit) => (hit.position_m[2], hit.time_ns),
        None => {
            let hit = own().min_by(first)?;
            #[expect(clippy::cast_precision_loss, reason = "hits of one floor")]
            let mean_ns = own().map(|hit| hit.time_ns).sum::<f64>() / count(brightest) as f64;
            (hit.position_m[2], mean_ns)
        }
    };
    Some(LineTrack {
        distance_m: 10.0,
        z_m,
        up: -0.9,
        time_ns,
    })
}

/// Returns the sum of the squared residuals of a track for selected hits.
pub fn q_sum(track: &LineTrack, hits: &[CalibratedHit]) -> f64 {
    sum_of(track, &Seen::of(hits, 0.0))
}

fn sum_of(track: &LineTrack, seen: &[Seen]) -> f64 {
    let squared = seen.iter().map(|seen| {
        let light = track.light(seen.z_m);
        (seen.time_ns - light.arrival.value).powi(2) + seen.missing(light.path.value).powi(2)
    });
    squared.sum()
}

/// Fits a track to selected hits; `guess` says where to look first, `margin_m` how far below and
/// above the hits the closest point may be. `None` without hits, or when positions or times are no
/// numbers.
pub fn fit_line(hits: Vec<CalibratedHit>, guess: &LineTrack, margin_m: f64) -> Option<LineFit> {
    // Times of a frame are large; the fit counts them from the guess.
    let seen = Seen::of(&hits, guess.time_ns);
    let heights = || seen.iter().map(|seen| seen.z_m);
    let z_m = (
        heights().min_by(f64::total_cmp)? - margin_m,
        heights().max_by(f64::total_cmp)? + margin_m,
    );
    let bounds = [Bound::of(DISTANCE_M), Bound::of(z_m), Bound::of(UP)];
    let (q_sum, angles) = search(&seen, bounds, starts(guess, &seen, z_m), SEARCH)?;
    let mut track = track_of(&bounds, &angles);
    track.time_ns += guess.time_ns;
    Some(LineFit { track, q_sum, hits })
}

/// Minimises a little from the starts that are best as they are, and from the best of these to the
/// end.
fn search(
    seen: &[Seen],
    bounds: [Bound; 3],
    starts: impl Iterator<Item = LineTrack>,
    (approached, followed): (usize, usize),
) -> Option<(f64, Vector4<f64>)> {
    let first = starts.map(|start| (sum_of(&start, seen), start));
    let mut first: Vec<_> = first.filter(|(q_sum, _)| q_sum.is_finite()).collect();
    first.sort_by(|a, b| a.0.total_cmp(&b.0));
    let approach = LevenbergMarquardt::new().with_tol(1e-3).with_patience(6);
    let mut near: Vec<(f64, Vector4<f64>)> = first
        .iter()
        .take(approached)
        .map(|(_, start)| Problem::new(seen, bounds, start).minimised(&approach))
        .filter(|(q_sum, _)| q_sum.is_finite())
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let follow = LevenbergMarquardt::new().with_tol(1e-8).with_patience(100);
    let ends = near.into_iter().take(followed).map(|(_, angles)| {
        let problem = Problem {
            seen,
            bounds,
            angles,
        };
        problem.minimised(&follow)
    });
    ends.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Every start, with the time that suits the hits best; times count from the guess.
fn starts(
    guess: &LineTrack,
    seen: &[Seen],
    (low_m, high_m): (f64, f64),
) -> impl Iterator<Item = LineTrack> {
    let quarter_m = (high_m - low_m) / 4.0;
    let heights_m = [guess.z_m, low_m + quarter_m, high_m - quarter_m];
    let directions = START_UPS.into_iter();
    let lines = directions.flat_map(|up| START_DISTANCES_M.map(|distance_m| (up, distance_m)));
    let all = lines.flat_map(move |(up, distance_m)| {
        heights_m.map(|z_m| LineTrack {
            distance_m,
            z_m,
            up,
            time_ns: 0.0,
        })
    });
    all.map(|start| {
        let late_ns = seen
            .iter()
            .map(|seen| seen.time_ns - start.arrival_ns(seen.z_m));
        #[expect(clippy::cast_precision_loss, reason = "one hit per floor")]
        let time_ns = late_ns.sum::<f64>() / seen.len() as f64;
        LineTrack { time_ns, ..start }
    })
}

/// What the fit takes of a hit.
#[derive(Debug, Clone, Copy)]
struct Seen {
    z_m: f64,
    /// Time less slewing (ns).
    time_ns: f64,
    /// Of all selected hits of its coincidence.
    photoelectrons: f64,
}

impl Seen {
    fn of(hits: &[CalibratedHit], from_ns: f64) -> Vec<Self> {
        let together = |group: u32| {
            let members = hits.iter().filter(|hit| hit.group == group);
            members.map(|hit| photoelectrons(hit.tot_ns)).sum()
        };
        let seen = |hit: &CalibratedHit| Self {
            z_m: hit.position_m[2],
            time_ns: hit.time_ns - slew_ns(hit.tot_ns) - from_ns,
            photoelectrons: together(hit.group),
        };
        hits.iter().map(seen).collect()
    }

    /// Photoelectrons above those expected after a path.
    fn missing(&self, path_m: f64) -> f64 {
        self.photoelectrons - PHOTOELECTRONS_M / path_m
    }
}

/// A parameter between two limits.
#[derive(Debug, Clone, Copy)]
struct Bound {
    middle: f64,
    half: f64,
}

impl Bound {
    fn of((low, high): (f64, f64)) -> Self {
        Self {
            middle: low.midpoint(high),
            half: (high - low) / 2.0,
        }
    }

    fn value(self, angle: f64) -> f64 {
        self.middle + self.half * angle.sin()
    }

    fn slope(self, angle: f64) -> f64 {
        self.half * angle.cos()
    }

    /// The angle of a value; one at or beyond a limit starts a little inside, where the slope is not
    /// zero.
    fn angle(self, value: f64) -> f64 {
        ((value - self.middle) / self.half)
            .clamp(-0.98, 0.98)
            .asin()
    }
}

fn track_of([distance, height, up]: &[Bound; 3], angles: &Vector4<f64>) -> LineTrack {
    LineTrack {
        distance_m: distance.value(angles[0]),
        z_m: height.value(angles[1]),
        up: up.value(angles[2]),
        time_ns: angles[3],
    }
}

/// The problem as the minimiser wants it: two residuals per hit, three angles and a time.
struct Problem<'a> {
    seen: &'a [Seen],
    bounds: [Bound; 3],
    angles: Vector4<f64>,
}

impl<'a> Problem<'a> {
    fn new(seen: &'a [Seen], bounds: [Bound; 3], start: &LineTrack) -> Self {
        let [distance, height, up] = bounds;
        let angles = Vector4::new(
            distance.angle(start.distance_m),
            height.angle(start.z_m),
            up.angle(start.up),
            start.time_ns,
        );
        Self {
            seen,
            bounds,
            angles,
        }
    }

    /// Returns the sum of squares reached, and where.
    fn minimised(self, minimiser: &LevenbergMarquardt<f64>) -> (f64, Vector4<f64>) {
        let (problem, report) = minimiser.minimize(self);
        (2.0 * report.objective_function, problem.angles)
    }
}

impl LeastSquaresProblem<f64, Dyn, U4> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, U4>;
    type ParameterStorage = Owned<f64, U4>;

    fn set_params(&mut self, angles: &Vector4<f64>) {
        self.angles = *angles;
    }

    fn params(&self) -> Vector4<f64> {
        self.angles
    }

    fn residuals(&self) -> Option<OVector<f64, Dyn>> {
        let track = track_of(&self.bounds, &self.angles);
        let residuals = self.seen.iter().flat_map(|seen| {
            let light = track.light(seen.z_m);
            let time = light.arrival.value - seen.time_ns;
            [time, -seen.missing(light.path.value)]
        });
        let rows = Dyn(2 * self.seen.len());
        Some(OVector::from_iterator_generic(
            rows,
            nalgebra::U1,
            residuals,
        ))
    }

    fn jacobian(&self) -> Option<OMatrix<f64, Dyn, U4>> {
        let track = track_of(&self.bounds, &self.angles);
        let mut inner = [1.0; 4];
        for ((inner, bound), angle) in inner.iter_mut().zip(self.bounds).zip(&self.angles) {
            *inner = bound.slope(*angle);
        }
        let mut jacobian = OMatrix::zeros_generic(Dyn(2 * self.seen.len()), U4);
        for (n, seen) in self.seen.iter().enumerate() {
            let light = track.light(seen.z_m);
            let per_path = -PHOTOELECTRONS_M / light.path.value.powi(2);
            for column in 0..4 {
                jacobian[(2 * n, column)] = light.arrival.slope[column] * inner[column];
                jacobian[(2 * n + 1, column)] = light.path.slope[column] * inner[column] * per_path;
            }
        }
        Some(jacobian)
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Place;

    use super::*;

    /// Numbers from 0 to 1 that are always the same.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1_u32 << 31)
        }

        fn between(&mut self, low: f64, high: f64) -> f64 {
            low + (high - low) * self.next()
        }
    }

    /// A muon anywhere, seen on some floors with 3 ns of jitter and light that fluctuates.
    fn muon(numbers: &mut Numbers) -> (LineTrack, Vec<CalibratedHit>) {
        let track = LineTrack {
            distance_m: numbers.between(3.0, 50.0),
            z_m: numbers.between(20.0, 200.0),
            up: numbers.between(-0.99, 0.99),
            time_ns: 1e6,
        };
        let mut hits = Vec::new();
        for floor in 1..=18_u32 {
            if numbers.next() < 0.4 {
                continue;
            }
            let z_m = 21.0 + 9.0 * f64::from(floor);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below 60"
            )]
            let tot_ns = numbers.between(22.0, 60.0) as u8;
            let time_ns = track.arrival_ns(z_m) + slew_ns(tot_ns) + numbers.between(-5.0, 5.0);
            hits.push(CalibratedHit {
                dom_id: floor.into(),
                place: Place { du: 1, floor },
                channel: 0.into(),
                tot_ns,
                is_triggered: true,
                multiplicity: 1,
                group: floor,
                time_ns,
                position_m: [0.0, 0.0, z_m],
                direction: [0.0, 0.0, -1.0],
            });
        }
        (track, hits)
    }

    #[test]
    fn a_few_starts_find_what_a_hundred_find() {
        let mut numbers = Numbers(7);
        let mut worse = 0;
        for _ in 0..40 {
            let (_, hits) = muon(&mut numbers);
            let guess = first_guess(&hits).unwrap();
            let fit = fit_line(hits.clone(), &guess, 9.0).unwrap();
            assert!((q_sum(&fit.track, &hits) - fit.q_sum).abs() < 1e-6 * fit.q_sum + 1e-3);
            let seen = Seen::of(&hits, guess.time_ns);
            let z = (
                hits[0].position_m[2] - 9.0,
                hits.last().unwrap().position_m[2] + 9.0,
            );
            let bounds = [Bound::of(DISTANCE_M), Bound::of(z), Bound::of(UP)];
            let dense = (0..105).map(|n| {
                let (z_m, n) = (z.0 + (z.1 - z.0) * f64::from(n % 3 + 1) / 4.0, n / 3);
                LineTrack {
                    distance_m: [2.0, 6.0, 15.0, 35.0, 75.0][n as usize % 5],
                    z_m,
                    up: f64::from(n / 5) * 0.3 - 0.9,
                    time_ns: 0.0,
                }
            });
            let (best, _) = search(&seen, bounds, dense, (105, 20)).unwrap();
            if fit.q_sum > best * 1.001 + 0.01 {
                worse += 1;
            }
        }
        assert_eq!(worse, 0);
    }

    #[test]
    fn bounds_hold_and_hits_without_numbers_give_no_fit() {
        let (_, mut hits) = muon(&mut Numbers(3));
        let guess = first_guess(&hits).unwrap();
        // So much light would come from nearer than the string itself.
        for hit in &mut hits {
            hit.tot_ns = 170;
        }
        let fit = fit_line(hits.clone(), &guess, 9.0).unwrap();
        assert!(
            (1.0..1.01).contains(&fit.track.distance_m),
            "{:?}",
            fit.track
        );
        assert!((-0.999..=0.999).contains(&fit.track.up));
        hits[0].position_m[2] = f64::NAN;
        assert_eq!(fit_line(hits, &guess, 9.0), None);
        assert_eq!(fit_line(Vec::new(), &guess, 9.0), None);
        assert_eq!(first_guess(&[]), None);
    }
}
