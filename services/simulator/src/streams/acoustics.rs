//! `IO_TOA`: pings of autonomous beacons around the detector, as its modules hear them.
//!
//! Each beacon sends a series of pings once per cycle, the beacons one after the other. Sound travels
//! straight; modules near a beacon hear it louder. Noise that looks like a ping comes at any time.

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{Arrival, DomId, encode_arrivals};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::batch::Chunk;
use crate::chance::{Purpose, Tables, generator, poisson};
use crate::fault::Effects;
use crate::layout::Layout;
use crate::layout::vector::{Vector, length, minus};
use crate::options::AcousticOptions;
use crate::timeline::{FRAME_S, FRAMES_PER_SECOND};

/// Number of the first beacon.
const FIRST_BEACON: u32 = 11;
/// Speed of sound in deep sea water [m/s].
const SOUND_M_PER_S: f64 = 1540.0;
/// Pings of one series.
const PINGS: u32 = 11;
/// Time between two pings of a beacon (s).
const PING_GAP_S: f64 = 5.048_729_896_545_41;
/// How far the beacons stand from the outermost modules (m).
const BEACON_DISTANCE_M: f64 = 150.0;
/// Quality of a ping at 1 km.
const QUALITY_AT_1_KM: f64 = 3000.0;
/// Loss of quality from one ping of a series to the next.
const QUALITY_FALL: f64 = 0.011;
/// Share of the pings that a module misses.
const MISSED: f64 = 0.02;
/// Qualities of noise.
const NOISE_QUALITY: std::ops::Range<f64> = 50.0..300.0;

/// A module that hears.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ear {
    id: DomId,
    /// Rank among the modules with PMTs, or among the base modules.
    place: Result<usize, usize>,
    position_m: Vector,
}

/// Makes the arrivals.
#[derive(Debug)]
pub(crate) struct Acoustics {
    options: AcousticOptions,
    ears: Vec<Ear>,
    beacons_m: Vec<Vector>,
    /// Arrivals whose sound is still on its way, with the time when it is heard (s).
    underway: Vec<(f64, Arrival)>,
    rng: SmallRng,
    tables: Tables,
}

impl Acoustics {
    pub(crate) fn new(layout: &Layout, options: &AcousticOptions, seed: u64) -> Self {
        let optical = layout.doms.iter().enumerate().map(|(n, dom)| Ear {
            id: dom.id,
            place: Ok(n),
            position_m: dom.position_m,
        });
        let bases = layout
            .bases
            .iter()
            .zip(&layout.base_positions_m)
            .enumerate();
        let bases = bases.map(|(n, (id, position_m))| Ear {
            id: *id,
            place: Err(n),
            position_m: *position_m,
        });
        let ears: Vec<Ear> = optical.chain(bases).collect();
        Self {
            beacons_m: beacons(&ears, options.beacons),
            options: options.clone(),
            ears,
            underway: Vec::new(),
            rng: generator(seed, Purpose::Acoustics),
            tables: Tables::new(),
        }
    }

    /// Lets a frame pass; once a second gives what was heard since.
    pub(crate) fn frame(&mut self, start_ns: u64, frame: u64, effects: &Effects) -> Chunk {
        let start_s = start_ns as f64 / 1e9;
        for beacon in 0..self.beacons_m.len() {
            let emitter = FIRST_BEACON + u32::try_from(beacon).unwrap_or(0);
            let is_lost = effects.silent_beacons.contains(&emitter);
            for ping in self
                .pings_between(beacon, start_s)
                .filter(|_| !is_lost)
                .collect::<Vec<_>>()
            {
                self.ping(beacon, emitter, ping, effects);
            }
        }
        let mut chunk = Chunk::default();
        if !frame.is_multiple_of(FRAMES_PER_SECOND) {
            return chunk;
        }
        self.noise(start_s, effects);
        let mut heard = Vec::new();
        self.underway.retain(|(at_s, arrival)| {
            let is_heard = *at_s < start_s;
            heard.extend(is_heard.then_some(*arrival));
            !is_heard
        });
        if !heard.is_empty() {
            chunk.push(tags::IO_TOA, |out| encode_arrivals(&heard, out));
        }
        chunk
    }

    /// Returns the pings that a beacon sends in the frame that starts at a time: number in its series
    /// and time (s). Cycles start at whole multiples of their length.
    fn pings_between(
        &self,
        beacon: usize,
        start_s: f64,
    ) -> impl Iterator<Item = (u32, f64)> + use<> {
        let cycle_s = self.options.cycle.seconds();
        let turn = (beacon as f64 + 0.2) / self.beacons_m.len().max(1) as f64;
        let first_s = (start_s / cycle_s).floor() * cycle_s + turn * cycle_s;
        let at = move |n: u32| (n, first_s + f64::from(n) * PING_GAP_S);
        // The series of the last beacon may reach into the next cycle.
        let before = move |n: u32| (n, first_s - cycle_s + f64::from(n) * PING_GAP_S);
        let all = (0..PINGS).map(at).chain((0..PINGS).map(before));
        all.filter(move |(_, at_s)| (start_s..start_s + FRAME_S).contains(at_s))
    }

    /// Sends the sound of a ping to all modules.
    fn ping(&mut self, beacon: usize, emitter: u32, (n, at_s): (u32, f64), effects: &Effects) {
        for ear in 0..self.ears.len() {
            let ear = self.ears[ear];
            let distance_m = length(minus(ear.position_m, self.beacons_m[beacon]));
            let loudness = 1000.0 / distance_m.max(100.0) * (1.0 - QUALITY_FALL * f64::from(n));
            let quality = QUALITY_AT_1_KM * loudness + 10.0 * self.tables.normal(&mut self.rng);
            let is_missed = self.rng.random::<f64>() < MISSED;
            if is_missed || effects.is_deaf(ear.place) {
                continue;
            }
            let travel_s = distance_m / SOUND_M_PER_S;
            self.underway.push((
                at_s + travel_s,
                Arrival {
                    dom_id: ear.id,
                    emitter: i32::try_from(emitter).unwrap_or(0),
                    quality: quality.round(),
                    time_base_s: at_s,
                    toa_s: (travel_s * 1e6).round() / 1e6,
                },
            ));
        }
    }

    /// Adds what the filter of each module takes for a ping in one second.
    fn noise(&mut self, start_s: f64, effects: &Effects) {
        let mean = self.options.noise_per_minute / 60.0;
        let beacons = u32::try_from(self.beacons_m.len()).unwrap_or(0);
        for ear in 0..self.ears.len() {
            let ear = self.ears[ear];
            for _ in 0..poisson(mean, self.tables, &mut self.rng) {
                let emitter = FIRST_BEACON + self.rng.random_range(0..beacons.max(1));
                let toa_s: f64 = self.rng.random();
                let arrival = Arrival {
                    dom_id: ear.id,
                    emitter: i32::try_from(emitter).unwrap_or(0),
                    quality: self.rng.random_range(NOISE_QUALITY).round(),
                    time_base_s: start_s - 1.0,
                    toa_s: (toa_s * 1e6).round() / 1e6,
                };
                if !effects.is_deaf(ear.place) {
                    self.underway.push((start_s - 1.0 + toa_s, arrival));
                }
            }
        }
    }
}

/// Puts the beacons on a circle around the modules, at the height of the lowest one.
fn beacons(ears: &[Ear], number: u32) -> Vec<Vector> {
    let count = ears.len().max(1) as f64;
    let mean = |axis: usize| ears.iter().map(|ear| ear.position_m[axis]).sum::<f64>() / count;
    let (x, y) = (mean(0), mean(1));
    let far = |ear: &Ear| (ear.position_m[0] - x).hypot(ear.position_m[1] - y);
    let radius_m = ears.iter().map(far).fold(0.0, f64::max) + BEACON_DISTANCE_M;
    let low = ears
        .iter()
        .map(|ear| ear.position_m[2])
        .fold(f64::INFINITY, f64::min);
    let z = if low.is_finite() { low } else { 0.0 };
    let beacon = |n: u32| {
        let (sin, cos) = (std::f64::consts::TAU * f64::from(n) / f64::from(number)).sin_cos();
        [x + radius_m * cos, y + radius_m * sin, z]
    };
    (0..number).map(beacon).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fathom_formats::detx::{Detector, Layout as Geometry};
    use fathom_kernel::Span;

    use super::*;

    const START_S: u64 = 1_699_999_800;

    fn layout() -> Layout {
        Layout::new(&Detector::generated(&Geometry::orca(2)))
    }

    /// Lets so many seconds pass.
    fn heard(options: &AcousticOptions, seconds: u64, effects: &Effects) -> Vec<Arrival> {
        let mut source = Acoustics::new(&layout(), options, 5);
        let mut all = Vec::new();
        for frame in 0..seconds * FRAMES_PER_SECOND {
            let start_ns = START_S * 1_000_000_000 + frame * 100_000_000;
            for (_, body) in source.frame(start_ns, frame, effects).seal().messages() {
                all.extend(Arrival::decode(&body).unwrap());
            }
        }
        all
    }

    fn effects(layout: &Layout) -> Effects {
        Effects {
            doms: vec![crate::fault::DomFault::default(); layout.doms.len()],
            bases: vec![crate::fault::DomFault::default(); layout.bases.len()],
            ..Effects::default()
        }
    }

    #[test]
    fn sound_needs_its_time_and_every_module_hears_every_series() {
        let options = AcousticOptions {
            noise_per_minute: 0.0,
            ..AcousticOptions::default()
        };
        let layout = layout();
        let all = heard(&options, 600, &effects(&layout));
        let mut by_ear: BTreeMap<(u32, i32), Vec<Arrival>> = BTreeMap::new();
        for arrival in all {
            let key = (arrival.dom_id.0, arrival.emitter);
            by_ear.entry(key).or_default().push(arrival);
        }
        // 36 optical and 2 base modules, three beacons.
        assert_eq!(by_ear.len(), 38 * 3);
        let source = Acoustics::new(&layout, &options, 5);
        for ((dom, emitter), pings) in by_ear {
            assert!((8..=11).contains(&pings.len()), "{}", pings.len());
            let ear = source.ears.iter().find(|ear| ear.id.0 == dom).unwrap();
            let beacon = source.beacons_m[usize::try_from(emitter - 11).unwrap()];
            let distance_m = length(minus(ear.position_m, beacon));
            assert!((100.0..500.0).contains(&distance_m), "{distance_m}");
            for ping in &pings {
                assert!((ping.toa_s * 1540.0 - distance_m).abs() < 0.01);
                // Series of beacon 11 begin 40 s after the start of a cycle.
                let since_s =
                    ping.time_base_s - START_S as f64 - 200.0 * f64::from(emitter - 11) - 40.0;
                let number = since_s / PING_GAP_S;
                assert!(
                    (number - number.round()).abs() < 1e-6 && number < 10.5,
                    "{since_s}"
                );
            }
        }
    }

    #[test]
    fn a_lost_beacon_and_a_dead_module_are_not_heard() {
        let layout = layout();
        let mut effects = effects(&layout);
        effects.silent_beacons = vec![12];
        effects.doms[0].dead = true;
        let options = AcousticOptions {
            noise_per_minute: 0.0,
            cycle: Span::from_secs(240),
            ..AcousticOptions::default()
        };
        let all = heard(&options, 240, &effects);
        assert!(
            all.iter()
                .all(|a| a.emitter != 12 && a.dom_id != layout.doms[0].id)
        );
        assert!(all.iter().any(|a| a.emitter == 13));
    }

    #[test]
    fn noise_comes_as_often_as_asked_for() {
        let options = AcousticOptions {
            noise_per_minute: 6.0,
            beacons: 0,
            ..AcousticOptions::default()
        };
        let all = heard(&options, 120, &effects(&layout()));
        // 38 modules, two minutes: 456 on average.
        assert!((370..540).contains(&all.len()), "{}", all.len());
        assert!(all.iter().all(|a| a.quality <= 300.0));
    }
}
