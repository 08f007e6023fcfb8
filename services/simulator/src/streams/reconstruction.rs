//! `IO_OLINE`: what the online reconstruction makes of the events: tracks and showers, smeared.

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{Event, Fit, OnlineReco, Variables};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::batch::Chunk;
use crate::chance::{Purpose, Tables, generator};
use crate::layout::vector::{Vector, along, unit};
use crate::options::RecoOptions;
use crate::physics::light::Source;

/// Status of a fit that converged, and of one that did not.
const CONVERGED: i32 = 1;
const FAILED: i32 = 0;
/// Numbers of the two fits.
const JGANDALF: i32 = 1;
const SHOWER: i32 = 2;
/// Likelihood per triggered hit of a good track fit.
const QUALITY_PER_HIT: f64 = 1.2;
/// Share of tracks fitted with a direction that has nothing to do with the true one.
const WRONG: f64 = 0.03;
/// Spread of a fitted position (m).
const POSITION_SPREAD_M: f64 = 1.5;

/// Makes reconstructed events.
#[derive(Debug)]
pub(crate) struct Reconstruction {
    options: RecoOptions,
    rng: SmallRng,
    tables: Tables,
}

impl Reconstruction {
    pub(crate) fn new(options: &RecoOptions, seed: u64) -> Self {
        Self {
            options: options.clone(),
            rng: generator(seed, Purpose::Reconstruction),
            tables: Tables::new(),
        }
    }

    /// Reconstructs an event whose light came from a source at a time of the frame (ns).
    pub(crate) fn reconstruct(
        &mut self,
        event: &Event<'_>,
        (source, at_ns): (&Source, f64),
        chunk: &mut Chunk,
    ) {
        let hits = event.triggered.len() as f64;
        let (track, shower) = match *source {
            Source::Track {
                position_m,
                direction,
                brightness,
            } => {
                let track = self.track(position_m, direction, 100.0 * brightness, hits, at_ns);
                (track, Fit::default())
            }
            Source::Shower {
                position_m,
                energy_gev,
            } => {
                let shower = self.shower(position_m, energy_gev, hits, at_ns);
                (self.no_track(position_m, hits, at_ns), shower)
            }
        };
        let charge: f64 = event
            .triggered
            .iter()
            .map(|hit| f64::from(hit.tot_ns()))
            .sum();
        let header = &event.header;
        let reco = OnlineReco {
            detector_id: header.detector_id,
            run: header.run,
            frame_index: header.frame_index,
            trigger_counter: event.trigger_counter,
            utc_seconds: header.utc_seconds,
            shower,
            track,
            variables: Some(Variables {
                charge_total: charge,
                triggered_hits: u32::try_from(event.triggered.len()).unwrap_or(u32::MAX),
                snapshot_hits: u32::try_from(event.snapshot.len()).unwrap_or(u32::MAX),
                ..Variables::default()
            }),
            extra_bytes: 0,
        };
        chunk.push(tags::IO_OLINE, |out| {
            reco.encode(out).expect("256 bytes are few");
        });
    }

    fn track(
        &mut self,
        position_m: Vector,
        direction: Vector,
        energy_gev: f64,
        hits: f64,
        at_ns: f64,
    ) -> Fit {
        let is_wrong = self.rng.random::<f64>() < WRONG;
        let (direction, per_hit) = match is_wrong {
            true => (self.anywhere(), 0.3 * QUALITY_PER_HIT),
            false => {
                let spread = self.options.track_spread_deg.to_radians();
                (self.around(direction, spread), QUALITY_PER_HIT)
            }
        };
        let converged = self.rng.random::<f64>() < self.options.converged;
        Fit {
            position_m: self.near(position_m),
            direction,
            energy_gev: energy_gev * (0.5 * self.tables.normal(&mut self.rng)).exp(),
            quality: per_hit * hits + 2.0 * hits.sqrt() * self.tables.normal(&mut self.rng),
            time_ns: at_ns,
            kind: JGANDALF,
            status: if converged { CONVERGED } else { FAILED },
            ndf: degrees(hits, 5.0),
        }
    }

    /// A track fitted to the light of a shower: some direction, of no quality.
    fn no_track(&mut self, position_m: Vector, hits: f64, at_ns: f64) -> Fit {
        Fit {
            position_m: self.near(position_m),
            direction: self.anywhere(),
            energy_gev: 10.0,
            quality: 2.0 * hits.sqrt() * self.tables.normal(&mut self.rng),
            time_ns: at_ns,
            kind: JGANDALF,
            status: FAILED,
            ndf: degrees(hits, 5.0),
        }
    }

    fn shower(&mut self, position_m: Vector, energy_gev: f64, hits: f64, at_ns: f64) -> Fit {
        Fit {
            position_m: self.near(position_m),
            direction: self.anywhere(),
            energy_gev: energy_gev * (0.3 * self.tables.normal(&mut self.rng)).exp(),
            quality: 0.4 * hits + hits.sqrt() * self.tables.normal(&mut self.rng),
            time_ns: at_ns,
            kind: SHOWER,
            status: CONVERGED,
            ndf: degrees(hits, 4.0),
        }
    }

    fn near(&mut self, position_m: Vector) -> Vector {
        position_m.map(|x| x + POSITION_SPREAD_M * self.tables.normal(&mut self.rng))
    }

    /// Returns a direction that is off by an angle of this spread in each of two planes.
    fn around(&mut self, direction: Vector, spread: f64) -> Vector {
        let off = [0, 1, 2].map(|_| self.tables.normal(&mut self.rng));
        unit(along(direction, spread, off)).unwrap_or(direction)
    }

    fn anywhere(&mut self) -> Vector {
        self.around([0.0; 3], 1.0)
    }
}

/// Returns the degrees of freedom that are left of so many hits.
fn degrees(hits: f64, parameters: f64) -> i32 {
    i32::try_from(crate::chance::round_u32((hits - parameters).max(0.0))).unwrap_or(i32::MAX)
}
