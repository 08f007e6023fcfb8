//! Where the modules stand: DOM id to DU and floor, from the detector description.

use std::collections::{BTreeMap, HashMap, HashSet};

use fathom_formats::detx::{Module, status_bits};
use fathom_formats::km3net::{CHANNELS, DetectorId, Header};
use fathom_kernel::view::{Colours, Detail, Map, RowLabel, Table};
use fathom_kernel::{Output, Outputs, Setup};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::{RARELY_S, ms_of_header, text_of_ms};

/// Most modules placed without a detector description; a two-block detector has 4,140.
const UNDESCRIBED_MAX: usize = 8192;
/// Floors per column of the picture without a detector description.
const UNDESCRIBED_FLOORS: i32 = 18;
/// Most unknown ids listed one by one.
const STRANGERS_MAX: usize = 1000;
/// Most other detectors listed one by one; more are broken headers.
const DETECTORS_MAX: usize = 20;

/// An optical module and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Detection unit; without description the column of the picture.
    pub(crate) du: i32,
    /// Floor, from 1.
    pub(crate) floor: i32,
    /// Id on the wire.
    pub(crate) dom_id: u32,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// An optical module: its rank in order of DU and floor.
    Dom(usize),
    /// A base module, which has no PMTs.
    Base,
    /// Not in the detector description.
    Unknown,
}

/// What the detector description says not to use of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Unused {
    /// Its status bits.
    module: u32,
    /// The channels of its PMTs that are off, one bit each.
    channels: u32,
}

impl Unused {
    fn of(module: &Module) -> Self {
        let off = module.pmts.iter().take(CHANNELS).zip(0..);
        let off = off.filter(|(pmt, _)| pmt.is_disabled());
        Self {
            module: module.status.unwrap_or(0),
            channels: off.fold(0, |channels, (_, channel)| channels | 1 << channel),
        }
    }
}

/// All optical modules, sorted by DU and floor.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    list: Vec<Place>,
    index: HashMap<u32, usize, Quick>,
    bases: HashSet<u32, Quick>,
    /// Modules that the description says not to use in some way.
    unused: HashMap<u32, Unused, Quick>,
    described: bool,
    /// For each rank the one that was looked up after it: messages come in the same order again and again.
    after: Vec<usize>,
    last: usize,
}

impl Places {
    /// Reads them from the detector description. Without one, modules are placed in order of their
    /// first appearance.
    pub(crate) fn of(setup: &Setup) -> Self {
        let Some(detector) = &setup.detector else {
            return Self::new(Vec::new(), HashSet::default(), false);
        };
        let bases = detector.modules().iter().filter(|m| m.is_base());
        let unused = detector.modules().iter().map(|m| (m.id.0, Unused::of(m)));
        Self {
            unused: unused
                .filter(|(_, unused)| *unused != Unused::default())
                .collect(),
            ..Self::new(
                detector.optical_modules().map(place).collect(),
                bases.map(|m| m.id.0).collect(),
                true,
            )
        }
    }

    /// Reads all modules, base modules included: they have no light, but they hear.
    pub(crate) fn with_bases(setup: &Setup) -> Self {
        let Some(detector) = &setup.detector else {
            return Self::of(setup);
        };
        let all = detector.modules().iter().map(place);
        Self::new(all.collect(), HashSet::default(), true)
    }

    fn new(mut list: Vec<Place>, bases: HashSet<u32, Quick>, described: bool) -> Self {
        list.sort_unstable();
        let index = list
            .iter()
            .enumerate()
            .map(|(n, p)| (p.dom_id, n))
            .collect();
        Self {
            after: vec![0; list.len()],
            last: 0,
            list,
            index,
            bases,
            unused: HashMap::default(),
            described,
        }
    }

    /// Looks an id up.
    pub(crate) fn find(&mut self, dom_id: u32) -> Found {
        let expected = self.after.get(self.last).copied().unwrap_or_default();
        if self.list.get(expected).is_some_and(|p| p.dom_id == dom_id) {
            self.last = expected;
            return Found::Dom(expected);
        }
        self.find_anywhere(dom_id)
    }

    fn find_anywhere(&mut self, dom_id: u32) -> Found {
        if let Some(&rank) = self.index.get(&dom_id) {
            if let Some(after) = self.after.get_mut(self.last) {
                *after = rank;
            }
            self.last = rank;
            return Found::Dom(rank);
        }
        if self.bases.contains(&dom_id) {
            return Found::Base;
        }
        if self.described || self.list.len() >= UNDESCRIBED_MAX {
            return Found::Unknown;
        }
        let rank = self.list.len();
        let number = i32::try_from(rank).unwrap_or(i32::MAX);
        self.list.push(Place {
            du: number / UNDESCRIBED_FLOORS + 1,
            floor: number % UNDESCRIBED_FLOORS + 1,
            dom_id,
        });
        self.after.push(0);
        self.index.insert(dom_id, rank);
        Found::Dom(rank)
    }

    /// Returns roughly how much memory the lists take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.len() * (size_of::<Place>() + size_of::<(u32, usize, usize)>())
            + self.bases.len() * size_of::<u32>()
            + self.unused.len() * size_of::<(u32, Unused)>()
    }

    /// Returns the modules; ranks of [`Found::Dom`] point into this list.
    pub(crate) fn list(&self) -> &[Place] {
        &self.list
    }

    /// Tells whether the description says not to use a module: it is shown, but raises no alarm.
    pub(crate) fn is_disabled(&self, place: &Place) -> bool {
        self.is_off(place, status_bits::DISABLED)
    }

    /// Tells whether the description says not to use a module, or a part of it, for which a bit of its
    /// status stands: it is shown, but raises no alarm.
    pub(crate) fn is_off(&self, place: &Place, part: u32) -> bool {
        self.unused(place).module & (status_bits::DISABLED | part) != 0
    }

    /// Returns the channels, one bit each, whose PMTs the description says not to use.
    pub(crate) fn channels_off(&self, place: &Place) -> u32 {
        self.unused(place).channels
    }

    fn unused(&self, place: &Place) -> Unused {
        self.unused.get(&place.dom_id).copied().unwrap_or_default()
    }

    /// Returns the rank of a module that is already placed.
    pub(crate) fn rank(&self, dom_id: u32) -> Option<usize> {
        self.index.get(&dom_id).copied()
    }

    /// Finds what an alarm is about among the modules: a DU, or a module by `DU 3 floor 7`, which gives
    /// its rank as well. `None` when there is no such thing any more, or nobody is to use it.
    pub(crate) fn of_subject(&self, subject: &str) -> Option<(i32, Option<usize>)> {
        let rest = subject.strip_prefix("DU ")?;
        let Some((du, floor)) = rest.split_once(" floor ") else {
            let du = rest.parse().ok()?;
            return self.list.iter().any(|p| p.du == du).then_some((du, None));
        };
        let (du, floor) = (du.parse().ok()?, floor.parse().ok()?);
        let is_it = |p: &Place| (p.du, p.floor) == (du, floor);
        let rank = self.list.iter().position(is_it)?;
        let is_used = !self.is_disabled(&self.list[rank]);
        is_used.then_some((du, Some(rank)))
    }

    /// Returns the rank of the module that somebody asks for: by its id, `{"dom_id": N}` or `N`, or by
    /// its place, `{"du": N, "floor": N}`.
    pub(crate) fn asked(&self, args: &Value) -> Result<usize, String> {
        let place = args.get("du").zip(args.get("floor"));
        if let Some((du, floor)) = place {
            let place = (du.as_i64(), floor.as_i64());
            let is_it = |p: &Place| (Some(p.du.into()), Some(p.floor.into())) == place;
            let rank = self.list.iter().position(is_it);
            return rank.ok_or_else(|| format!("there is no module on DU {du} floor {floor}"));
        }
        let dom_id = args.get("dom_id").unwrap_or(args).as_u64();
        let dom_id =
            dom_id.ok_or("which module? expected {\"dom_id\": N} or {\"du\": N, \"floor\": N}")?;
        let rank = u32::try_from(dom_id).ok().and_then(|id| self.rank(id));
        rank.ok_or_else(|| format!("DOM {dom_id} is not in the detector"))
    }

    /// Makes a map of one value per module.
    pub(crate) fn map(&self, values: Vec<f64>, details: Vec<Detail>, colours: Colours) -> Map {
        Map {
            x_label: self.x_label().to_owned(),
            y_label: "Floor".to_owned(),
            x: self.list.iter().map(|place| place.du).collect(),
            y: self.list.iter().map(|place| place.floor).collect(),
            id: self.list.iter().map(|place| place.dom_id).collect(),
            values,
            details,
            colours,
        }
    }

    /// Labels the first module of each DU.
    pub(crate) fn du_labels(&self) -> Vec<RowLabel> {
        let mut labels: Vec<RowLabel> = Vec::new();
        let mut before = None;
        for (place, row) in self.list.iter().zip(0..) {
            if before.replace(place.du) != Some(place.du) {
                let text = format!("DU {}", place.du);
                labels.push(RowLabel { row, text });
            }
        }
        labels
    }

    /// Returns the floors that a DU is drawn with at least.
    pub(crate) fn floors_without_description(&self) -> usize {
        if self.described {
            0
        } else {
            usize::try_from(UNDESCRIBED_FLOORS).unwrap_or(0)
        }
    }

    fn x_label(&self) -> &'static str {
        if self.described {
            "DU"
        } else {
            "modules in order of appearance (no detector description)"
        }
    }
}

fn place(module: &Module) -> Place {
    let wide = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    Place {
        du: wide(module.place.du),
        floor: wide(module.place.floor),
        dom_id: module.id.0,
    }
}

/// Ids that are not in the detector description, and data of detectors that it does not describe,
/// counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strangers {
    /// The detector that is described.
    described: Option<i32>,
    detectors: BTreeMap<i32, Stranger>,
    seen: BTreeMap<u32, Stranger>,
    unlisted: u64,
    changed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stranger {
    messages: u64,
    last_ms: i64,
}

impl Strangers {
    /// Makes an empty list beside a detector description.
    pub(crate) fn of(setup: &Setup) -> Self {
        Self {
            described: setup.detector.as_ref().map(|detector| detector.id.0),
            ..Self::default()
        }
    }

    /// Looks whether data are of the detector that is described. If not they are counted and used all
    /// the same: what of them is unknown shows by itself.
    pub(crate) fn look_at(&mut self, header: &Header, out: &mut Outputs) {
        self.look_at_id(header.detector_id, ms_of_header(header), out);
    }

    /// The same for data that have no such header.
    pub(crate) fn look_at_id(&mut self, id: DetectorId, data_ms: i64, out: &mut Outputs) {
        let DetectorId(id) = id;
        if self.described.is_none_or(|described| described == id) {
            return;
        }
        out.bad("other_detector");
        self.changed = true;
        let is_listed = count(&mut self.detectors, DETECTORS_MAX, id, data_ms);
        self.unlisted += u64::from(!is_listed);
    }

    /// Counts an unknown id.
    pub(crate) fn saw(&mut self, dom_id: u32, data_ms: i64) {
        self.changed = true;
        let is_listed = count(&mut self.seen, STRANGERS_MAX, dom_id, data_ms);
        self.unlisted += u64::from(!is_listed);
    }

    /// Puts the list for people when it has changed; `at` is the time of the data.
    pub(crate) fn put_if_changed(
        &mut self,
        name: &str,
        title: &str,
        at: Option<Timestamp>,
        out: &mut Outputs,
    ) {
        if let Some(table) = self.table_if_changed() {
            out.put(Output::new(name, title, table).at(at).every(RARELY_S));
        }
    }

    fn table_if_changed(&mut self) -> Option<Table> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let row = |id, s: &Stranger| vec![id, json!(s.messages), json!(text_of_ms(s.last_ms))];
        let described = self.described.unwrap_or_default();
        let detectors = self.detectors.iter().map(|(id, s)| {
            let id = format!("detector {id}, the description is of {described}");
            row(json!(id), s)
        });
        let doms = self.seen.iter().map(|(id, s)| row(json!(id), s));
        let mut rows: Vec<_> = detectors.chain(doms).collect();
        if self.unlisted > 0 {
            rows.push(vec![json!("others"), json!(self.unlisted), json!("")]);
        }
        let columns = ["DOM id", "messages", "last seen [UTC]"];
        Some(Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        })
    }
}

/// A hasher for ids that come from a detector file: one multiplication.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quick;

/// The state of [`Quick`].
#[derive(Default)]
pub(crate) struct QuickHasher(u64);

impl std::hash::BuildHasher for Quick {
    type Hasher = QuickHasher;

    fn build_hasher(&self) -> QuickHasher {
        QuickHasher::default()
    }
}

impl std::hash::Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    /// Fibonacci hashing: the factor is 2^64 divided by the golden ratio; the fold brings its well
    /// mixed upper half to the bits that a table uses.
    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Counts a message of a stranger; returns `false` when it finds no room in the list.
fn count<K: Ord>(list: &mut BTreeMap<K, Stranger>, most: usize, id: K, at_ms: i64) -> bool {
    if list.len() >= most && !list.contains_key(&id) {
        return false;
    }
    let stranger = list.entry(id).or_default();
    stranger.messages += 1;
    stranger.last_ms = at_ms;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::timestamp;

    #[test]
    fn without_description_modules_are_placed_as_they_come() {
        let mut places = Places::of(&Setup::default());
        assert_eq!(places.find(900), Found::Dom(0));
        assert_eq!(places.find(5), Found::Dom(1));
        assert_eq!(places.find(900), Found::Dom(0));
        for id in 1000..1017 {
            places.find(id);
        }
        let last = places.list()[18];
        assert_eq!((last.du, last.floor), (2, 1));
    }

    #[test]
    fn modules_are_sorted_by_du_and_floor_and_others_are_unknown() {
        let at = |du, floor, dom_id| Place { du, floor, dom_id };
        let list = vec![at(5, 1, 1), at(2, 2, 2), at(2, 1, 3)];
        let mut places = Places::new(list, HashSet::from_iter([7]), true);
        assert_eq!(places.find(3), Found::Dom(0));
        assert_eq!(places.find(1), Found::Dom(2));
        assert_eq!(places.find(7), Found::Base);
        assert_eq!(places.find(8), Found::Unknown);
    }

    #[test]
    fn a_module_is_asked_for_by_its_id_or_its_place() {
        let at = |du, floor, dom_id| Place { du, floor, dom_id };
        let places = Places::new(vec![at(2, 1, 30), at(2, 2, 40)], HashSet::default(), true);
        for args in [
            json!(40),
            json!({ "dom_id": 40 }),
            json!({ "du": 2, "floor": 2 }),
        ] {
            assert_eq!(places.asked(&args), Ok(1), "{args}");
        }
        for (args, why) in [
            (json!({ "du": 2, "floor": 3 }), "no module on DU 2 floor 3"),
            (json!({ "dom_id": 50 }), "DOM 50 is not in the detector"),
            (json!({ "du": 2 }), "which module?"),
            (json!(null), "which module?"),
        ] {
            let said = places.asked(&args).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn modules_are_found_whatever_came_before_them() {
        let list = (1..100).map(|n| Place {
            du: 1,
            floor: n,
            dom_id: n.unsigned_abs() * 7,
        });
        let mut described = Places::new(list.collect(), HashSet::from_iter([1]), true);
        let mut places = Places::of(&Setup::default());
        for n in 1..100 {
            places.find(n * 7);
        }
        for step in [1, 1, 5, 41, 1, 98, 98] {
            for n in (0..99).map(|n| n * step % 99) {
                let rank = Found::Dom(n as usize);
                assert_eq!(described.find((n + 1) * 7), rank);
                assert_eq!(places.find((n + 1) * 7), rank);
                assert_eq!(described.find(2), Found::Unknown);
                assert_eq!(described.find(1), Found::Base);
            }
        }
    }

    #[test]
    fn data_of_another_detector_are_told_and_counted() {
        let layout = fathom_formats::detx::Layout::orca(1);
        let detector = fathom_formats::detx::Detector::generated(&layout);
        let own = detector.id;
        let setup = Setup {
            detector: Some(detector.into()),
            ..Setup::default()
        };
        let header = |detector_id| Header {
            detector_id,
            run: fathom_formats::km3net::RunNumber(1),
            frame_index: 0,
            utc_seconds: 1_700_000_400,
            white_rabbit: true,
            ticks: 0,
        };
        let (mut strangers, mut out) = (Strangers::of(&setup), Outputs::default());
        strangers.look_at(&header(own), &mut out);
        assert!(strangers.table_if_changed().is_none());
        let other = fathom_formats::km3net::DetectorId(own.0 + 1);
        strangers.look_at(&header(other), &mut out);
        strangers.look_at(&header(other), &mut out);
        let text = format!("detector {other}, the description is of {own}");
        let expected = [[json!(text), json!(2), json!("2023-11-14 22:20:00")]];
        assert_eq!(strangers.table_if_changed().unwrap().rows, expected);
        assert_eq!(out.bad, ["other_detector"; 2]);
        // Without a description every detector is welcome.
        Strangers::of(&Setup::default()).look_at(&header(other), &mut out);
        assert_eq!(out.bad.len(), 2);
    }

    #[test]
    fn a_list_to_which_nothing_was_added_for_an_hour_is_not_stale() {
        let (mut strangers, mut out) = (Strangers::default(), Outputs::default());
        strangers.saw(7, 0);
        let at = timestamp(1_700_000_000_000);
        strangers.put_if_changed("dom_rates_unknown", "Unknown DOMs", Some(at), &mut out);
        strangers.put_if_changed("dom_rates_unknown", "Unknown DOMs", Some(at), &mut out);
        let [list] = &out.outputs[..] else {
            panic!("expected one list, got {}", out.outputs.len());
        };
        assert!(!list.is_stale(timestamp(1_700_003_600_000)));
    }

    #[test]
    fn a_flood_of_unknown_ids_is_counted_but_not_kept() {
        let mut strangers = Strangers::default();
        for id in 0..5000 {
            strangers.saw(id, 0);
        }
        let table = strangers.table_if_changed().unwrap();
        assert_eq!(table.rows.len(), STRANGERS_MAX + 1);
        assert_eq!(table.rows.last().unwrap()[1], json!(4000));
        assert!(strangers.table_if_changed().is_none());
    }
}
