//! The detector as the simulation needs it: modules with PMTs, in arrays of 31 channels each.

use fathom_formats::detx::{Detector, Module};
use fathom_formats::km3net::{CHANNELS, DetectorId, DomId};

use crate::physics::compass;

/// The modules of a detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Detector id in all payloads.
    pub detector_id: DetectorId,
    /// Modules with PMTs, in the order of the detector file.
    pub doms: Vec<Dom>,
    /// Base modules, which send monitoring packets without rates.
    pub bases: Vec<DomId>,
    /// Where the base modules stand (m), in the same order.
    pub base_positions_m: Vec<[f64; 3]>,
}

/// An optical module.
#[derive(Debug, Clone, PartialEq)]
pub struct Dom {
    /// Id in all payloads.
    pub id: DomId,
    /// Detection unit.
    pub du: u32,
    /// Floor.
    pub floor: u32,
    /// Centre (m).
    pub position_m: [f64; 3],
    /// PMTs, index = channel; `None` where there is none or it is disabled.
    pub pmts: [Option<Pmt>; CHANNELS],
}

/// A PMT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pmt {
    /// Where it looks, length 1.
    pub direction: [f64; 3],
    /// To be added to hit times to get the true time (ns).
    pub t0_ns: f64,
}

impl Layout {
    /// Takes over what a detector file says; disabled modules and PMTs stay dark.
    pub fn new(detector: &Detector) -> Self {
        Self {
            detector_id: detector.id,
            doms: detector
                .optical_modules()
                .filter(|module| !module.is_disabled())
                .map(Dom::new)
                .collect(),
            bases: detector
                .modules()
                .iter()
                .filter(|module| module.is_base())
                .map(|module| module.id)
                .collect(),
            base_positions_m: detector
                .modules()
                .iter()
                .filter(|module| module.is_base())
                .map(|module| module.position_m)
                .collect(),
        }
    }

    /// Returns the file with the constants of the compass boards of all modules, for a seed.
    pub fn calibration_file(&self, seed: u64) -> String {
        let optical = self.doms.iter().map(|dom| dom.id);
        compass::calibration_file(seed, optical.chain(self.bases.iter().copied()))
    }

    /// Returns the number of PMTs.
    pub fn pmt_count(&self) -> usize {
        self.doms
            .iter()
            .map(|dom| dom.pmts.iter().flatten().count())
            .sum()
    }
}

impl Dom {
    fn new(module: &Module) -> Self {
        let pmt = |channel: usize| {
            let pmt = module.pmts.get(channel).filter(|pmt| !pmt.is_disabled())?;
            Some(Pmt {
                direction: vector::unit(pmt.direction)?,
                t0_ns: pmt.t0_ns,
            })
        };
        Self {
            id: module.id,
            du: module.place.du,
            floor: module.place.floor,
            position_m: module.position_m,
            pmts: std::array::from_fn(pmt),
        }
    }

    /// Iterates over the channels that have a PMT.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (usize, &Pmt)> {
        let pmts = self.pmts.iter().enumerate();
        pmts.filter_map(|(channel, pmt)| Some((channel, pmt.as_ref()?)))
    }
}

/// Arithmetic of three components.
pub(crate) mod vector {
    pub(crate) type Vector = [f64; 3];

    pub(crate) fn dot([ax, ay, az]: Vector, [bx, by, bz]: Vector) -> f64 {
        ax * bx + ay * by + az * bz
    }

    pub(crate) fn minus([ax, ay, az]: Vector, [bx, by, bz]: Vector) -> Vector {
        [ax - bx, ay - by, az - bz]
    }

    /// Returns `a + factor * b`.
    pub(crate) fn along([ax, ay, az]: Vector, factor: f64, [bx, by, bz]: Vector) -> Vector {
        [ax + factor * bx, ay + factor * by, az + factor * bz]
    }

    pub(crate) fn length(v: Vector) -> f64 {
        dot(v, v).sqrt()
    }

    /// Returns the vector of length 1; `None` when there is no direction.
    pub(crate) fn unit(v: Vector) -> Option<Vector> {
        let length = length(v);
        (length > 0.0 && length.is_finite()).then(|| v.map(|x| x / length))
    }

    /// Returns the direction of a zenith angle's cosine and an azimuth (rad).
    pub(crate) fn direction(cos_zenith: f64, azimuth: f64) -> Vector {
        let sin = (1.0 - cos_zenith * cos_zenith).max(0.0).sqrt();
        [sin * azimuth.cos(), sin * azimuth.sin(), cos_zenith]
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::Layout as Geometry;

    use super::*;

    #[test]
    fn two_blocks_have_all_their_pmts() {
        let layout = Layout::new(&Detector::generated(&Geometry::arca(230)));
        assert_eq!((layout.doms.len(), layout.pmt_count()), (4140, 128_340));
        assert_eq!(layout.bases.len(), 230);
    }
}
