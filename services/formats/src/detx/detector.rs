//! A detector: its modules, where they are and how to find them.

use std::collections::BTreeMap;

use super::by_id::ById;
use crate::km3net::{ChannelId, DetectorId, DomId};

/// Bits of module and PMT status words; a set bit means "do not use".
pub mod status_bits {
    /// Module or PMT disabled.
    pub const DISABLED: u32 = 1;
    /// Module: no compass.
    pub const COMPASS_OFF: u32 = 1 << 1;
    /// Module: no hydrophone.
    pub const HYDROPHONE_OFF: u32 = 1 << 2;
    /// Module: no piezo.
    pub const PIEZO_OFF: u32 = 1 << 3;
    /// Module: not synchronised.
    pub const MODULE_OUT_OF_SYNC: u32 = 1 << 4;
    /// Module: no transmitter.
    pub const TRANSMITTER_OFF: u32 = 1 << 5;
    /// PMT: no test of the high-rate veto.
    pub const HRV_TEST_OFF: u32 = 1 << 1;
    /// PMT: no test of the FIFO.
    pub const FIFO_TEST_OFF: u32 = 1 << 2;
    /// PMT: no test of the UDP counter.
    pub const UDP_COUNTER_TEST_OFF: u32 = 1 << 3;
    /// PMT: no test of the UDP trailer.
    pub const UDP_TRAILER_TEST_OFF: u32 = 1 << 4;
    /// PMT: not synchronised.
    pub const PMT_OUT_OF_SYNC: u32 = 1 << 5;
}

/// A detector as all services see it. Immutable once made.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// Detector id; negative for simulations.
    pub id: DetectorId,
    /// When the description holds; `None` in files of version 1.
    pub validity: Option<Validity>,
    /// Where on Earth the positions count from; `None` in files of version 1.
    pub utm: Option<Utm>,
    /// Product ids of the boards by module, where a table of the data base told them.
    pub(super) upis: BTreeMap<DomId, String>,
    modules: Vec<Module>,
    by_id: ById,
    by_place: Vec<(Place, usize)>,
    dus: Vec<u32>,
    max_floor: u32,
    pmt_count: usize,
}

/// Time range of a description in UTC seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validity {
    /// First second.
    pub from_s: f64,
    /// Last second.
    pub until_s: f64,
}

/// Reference point of the positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Utm {
    /// Ellipsoid such as `WGS84`.
    pub ellipsoid: String,
    /// Zone such as `32N`.
    pub zone: String,
    /// Easting, in m.
    pub easting_m: f64,
    /// Northing, in m.
    pub northing_m: f64,
    /// Height, negative below the sea surface, in m.
    pub z_m: f64,
}

/// Where a module sits: detection unit and floor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Place {
    /// Detection unit, from 1; not necessarily consecutive.
    pub du: u32,
    /// Floor from 1 at the bottom; 0 is the base module.
    pub floor: u32,
}

/// An optical module, or a base module, which has no PMTs.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// The key used in all DAQ payloads.
    pub id: DomId,
    /// Where it sits.
    pub place: Place,
    /// Centre relative to the reference point, in m; fitted to the PMT axes in versions 1 to 3.
    pub position_m: [f64; 3],
    /// Orientation as quaternion, scalar first; 1 0 0 0 in versions 1 to 3.
    pub orientation: [f64; 4],
    /// Acoustic time offset, in ns; 0 in versions 1 to 3.
    pub t0_ns: f64,
    /// Status bits; `None` before version 5.
    pub status: Option<u32>,
    /// PMTs, index = channel.
    pub pmts: Vec<Pmt>,
}

/// A PMT of a module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pmt {
    /// Number in the whole detector; not the channel.
    pub id: i64,
    /// Position relative to the reference point, in m.
    pub position_m: [f64; 3],
    /// Where the PMT looks.
    pub direction: [f64; 3],
    /// To be added to hit times, in ns.
    pub t0_ns: f64,
    /// Status bits; `None` before version 3.
    pub status: Option<u32>,
}

impl Detector {
    /// Makes a detector; of modules with the same id or place the first is found by it.
    pub fn new(id: DetectorId, modules: Vec<Module>) -> Self {
        let by_id = ById::of(modules.iter().map(|m| m.id));
        let mut by_place: Vec<_> = modules
            .iter()
            .enumerate()
            .map(|(at, m)| (m.place, at))
            .collect();
        by_place.sort_unstable();
        by_place.dedup_by_key(|(place, _)| *place);
        let mut dus: Vec<u32> = by_place.iter().map(|(place, _)| place.du).collect();
        dus.dedup();
        let max_floor = modules.iter().map(|m| m.place.floor).max().unwrap_or(0);
        let pmt_count = modules.iter().map(|m| m.pmts.len()).sum();
        Self {
            id,
            validity: None,
            utm: None,
            upis: BTreeMap::new(),
            modules,
            by_id,
            by_place,
            dus,
            max_floor,
            pmt_count,
        }
    }

    /// Returns the modules in file order; their index is the same as in [`Detector::index_of`].
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Iterates over the modules that have PMTs.
    pub fn optical_modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter().filter(|m| !m.is_base())
    }

    /// Returns a module by its id; `None` for a base module or a replaced DOM not in the file.
    pub fn module(&self, id: DomId) -> Option<&Module> {
        self.modules.get(self.index_of(id)?)
    }

    /// Returns the index of a module, for tables beside [`Detector::modules`].
    pub fn index_of(&self, id: DomId) -> Option<usize> {
        self.by_id.find(id)
    }

    /// Returns the product id of the central logic board in a module, such as
    /// `3.4.3.2/V2-2-1/2.267`; DETX files do not have it.
    pub fn upi(&self, id: DomId) -> Option<&str> {
        self.upis.get(&id).map(String::as_str)
    }

    /// Returns where a module sits.
    pub fn place(&self, id: DomId) -> Option<Place> {
        self.module(id).map(|m| m.place)
    }

    /// Returns the module at a place.
    pub fn module_at(&self, du: u32, floor: u32) -> Option<&Module> {
        let place = Place { du, floor };
        let at = self
            .by_place
            .binary_search_by_key(&place, |(place, _)| *place)
            .ok()?;
        self.by_place
            .get(at)
            .and_then(|(_, index)| self.modules.get(*index))
    }

    /// Returns the PMT of a channel of a module.
    pub fn pmt(&self, id: DomId, channel: ChannelId) -> Option<&Pmt> {
        self.module(id)?.pmts.get(usize::from(channel.0))
    }

    /// Returns the detection units in ascending order.
    pub fn dus(&self) -> &[u32] {
        &self.dus
    }

    /// Returns the highest floor.
    pub fn max_floor(&self) -> u32 {
        self.max_floor
    }

    /// Returns the number of PMTs of all modules.
    pub fn pmt_count(&self) -> usize {
        self.pmt_count
    }

    /// Returns whether the description holds at a time; always when the file does not say.
    pub fn is_valid_at(&self, utc_s: f64) -> bool {
        self.validity
            .is_none_or(|v| v.from_s <= utc_s && utc_s <= v.until_s)
    }
}

impl Module {
    /// Returns whether the module has no PMTs, as base modules do.
    pub fn is_base(&self) -> bool {
        self.pmts.is_empty()
    }

    /// Returns whether the module is marked as disabled.
    pub fn is_disabled(&self) -> bool {
        self.status.unwrap_or(0) & status_bits::DISABLED != 0
    }
}

impl Pmt {
    /// Returns whether the PMT is marked as disabled.
    pub fn is_disabled(&self) -> bool {
        self.status.unwrap_or(0) & status_bits::DISABLED != 0
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DU{} F{:02}", self.du, self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_valid_from_its_first_to_its_last_second() {
        let mut detector = Detector::new(DetectorId(1), Vec::new());
        assert!(detector.is_valid_at(0.0));
        detector.validity = Some(Validity {
            from_s: 10.0,
            until_s: 20.0,
        });
        let valid = [9.9, 10.0, 20.0, 20.1].map(|at_s| detector.is_valid_at(at_s));
        assert_eq!(valid, [false, true, true, false]);
    }
}
