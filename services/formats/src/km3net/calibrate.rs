//! The hits of an event with their place, direction and calibrated time, and their coincidences.

use super::event::Event;
use super::hit::SnapshotHit;
use super::ids::{ChannelId, DomId};
use super::tot::slew_ns;
use crate::detx::{Detector, Place};

/// A snapshot hit of an event, calibrated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibratedHit {
    /// DOM.
    pub dom_id: DomId,
    /// Detection unit and floor of the DOM.
    pub place: Place,
    /// Channel of the PMT.
    pub channel: ChannelId,
    /// Time over threshold, in ns.
    pub tot_ns: u8,
    /// Whether the hit also occurs among the triggered hits.
    pub is_triggered: bool,
    /// Hits in its group of coincidences; 1 before [`EventHits::group`].
    pub multiplicity: u32,
    /// Number of its group, from 0 in the order of [`EventHits::group`].
    pub group: u32,
    /// Time since the start of the frame with the offset of the PMT, in ns.
    pub time_ns: f64,
    /// Position of the PMT, in m.
    pub position_m: [f64; 3],
    /// Where the PMT looks.
    pub direction: [f64; 3],
}

/// Whether times are corrected for slewing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slewing {
    /// `slew_ns` of the time over threshold is subtracted.
    Subtracted,
    /// Times are those of the wire and the offset of the PMT.
    Kept,
}

/// The calibrated hits of one event. Keeps its memory from event to event: 104 bytes per hit.
#[derive(Debug, Clone, Default)]
pub struct EventHits {
    hits: Vec<CalibratedHit>,
    triggered: Triggered,
    unknown: Vec<DomId>,
}

/// The triggered hits of an event, to be asked for each hit whether it is one of them.
#[derive(Debug, Clone, Default)]
struct Triggered {
    /// Keys, sorted.
    keys: Vec<u128>,
    /// One bit for each value that keys spread to: most hits are not triggered, and most of those
    /// find their bit not set.
    bits: Box<[u64]>,
}

/// As many bits as this are asked first, as a power of two: 2 kB.
const SPREAD_BITS: u32 = 14;

impl EventHits {
    /// Takes the snapshot hits of an event, in their order, in place of what was here.
    pub fn calibrate(&mut self, event: &Event<'_>, detector: &Detector, slewing: Slewing) {
        self.hits.clear();
        self.unknown.clear();
        self.hits.reserve(event.snapshot.len());
        let keys = event.triggered.iter().map(|hit| key(hit.hit()));
        self.triggered.set(keys);
        // Hits come DOM by DOM more often than not.
        let mut last = None;
        for hit in event.snapshot {
            let dom_id = hit.dom_id();
            let module = match last {
                Some((id, module)) if id == dom_id => module,
                _ => detector.module(dom_id),
            };
            last = Some((dom_id, module));
            let pmt = module.and_then(|m| Some((m, m.pmts.get(usize::from(hit.channel().0))?)));
            let Some((module, pmt)) = pmt else {
                self.unknown.push(dom_id);
                continue;
            };
            let late_ns = match slewing {
                Slewing::Subtracted => slew_ns(hit.tot_ns()),
                Slewing::Kept => 0.0,
            };
            self.hits.push(CalibratedHit {
                dom_id,
                place: module.place,
                channel: hit.channel(),
                tot_ns: hit.tot_ns(),
                is_triggered: self.triggered.has(key(hit)),
                multiplicity: 1,
                group: 0,
                time_ns: f64::from(hit.time_ns()) + pmt.t0_ns - late_ns,
                position_m: pmt.position_m,
                direction: pmt.direction,
            });
        }
    }

    /// Sorts the hits by DOM and time and says of each how many of its DOM it coincides with. A
    /// group begins with a hit, and ends before the first one that is later by more than the window.
    pub fn group(&mut self, window_ns: f64) {
        self.hits.sort_unstable_by(|a, b| {
            let dom = a.dom_id.cmp(&b.dom_id);
            dom.then(a.time_ns.total_cmp(&b.time_ns))
        });
        let together = |first: &CalibratedHit, hit: &CalibratedHit| {
            hit.dom_id == first.dom_id && hit.time_ns - first.time_ns <= window_ns
        };
        let (mut rest, mut group) = (self.hits.as_mut_slice(), 0);
        while !rest.is_empty() {
            let (members, later) = rest.split_at_mut(group_len(rest, together));
            let multiplicity = u32::try_from(members.len()).unwrap_or(u32::MAX);
            for hit in members {
                (hit.multiplicity, hit.group) = (multiplicity, group);
            }
            rest = later;
            group += 1;
        }
    }

    /// Returns the hits: as they came, or by DOM and time after [`EventHits::group`].
    pub fn hits(&self) -> &[CalibratedHit] {
        &self.hits
    }

    /// Returns the DOM of every hit that has no PMT in the detector description.
    pub fn unknown(&self) -> &[DomId] {
        &self.unknown
    }

    /// Returns the time of the earliest triggered hit, in ns.
    pub fn first_triggered_ns(&self) -> Option<f64> {
        let triggered = self.hits.iter().filter(|hit| hit.is_triggered);
        triggered.map(|hit| hit.time_ns).min_by(f64::total_cmp)
    }
}

impl Triggered {
    fn set(&mut self, keys: impl Iterator<Item = u128>) {
        self.keys.clear();
        self.keys.extend(keys);
        self.keys.sort_unstable();
        let words = (1 << SPREAD_BITS) / u64::BITS as usize;
        if self.bits.len() == words {
            self.bits.fill(0);
        } else {
            self.bits = vec![0; words].into();
        }
        for key in &self.keys {
            let (word, bit) = spread(*key);
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn has(&self, key: u128) -> bool {
        let (word, bit) = spread(key);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
            && self.keys.binary_search(&key).is_ok()
    }
}

/// Returns the word and the bit that a key spreads to.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn spread(key: u128) -> (usize, u64) {
    let both = key as u64 ^ ((key >> 64) as u64).rotate_left(32);
    let at = both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SPREAD_BITS);
    ((at / 64) as usize, 1 << (at % 64))
}

/// Returns how many of the items, sorted by time, make one group with the first one: those until
/// the first that does not belong to it.
pub fn group_len<T>(sorted: &[T], belongs: impl Fn(&T, &T) -> bool) -> usize {
    let Some(first) = sorted.first() else {
        return 0;
    };
    let other = sorted.iter().position(|item| !belongs(first, item));
    other.unwrap_or(sorted.len()).max(1)
}

/// What makes two hits the same: DOM, channel, time and time over threshold.
fn key(hit: &SnapshotHit) -> u128 {
    let dom = u128::from(hit.dom_id().0) << 48;
    let time = u128::from(hit.time_ns()) << 16;
    dom | time | u128::from(hit.channel().0) << 8 | u128::from(hit.tot_ns())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detx::Layout;
    use crate::km3net::{Header, TriggerMask, TriggeredHit};

    fn event<'a>(triggered: &'a [TriggeredHit], snapshot: &'a [SnapshotHit]) -> Event<'a> {
        Event {
            legacy: false,
            header: Header::default(),
            trigger_counter: 0,
            trigger_mask: TriggerMask(0),
            overlays: 0,
            triggered,
            snapshot,
        }
    }

    #[test]
    fn hits_get_the_offset_place_and_direction_of_their_pmt() {
        let detector = Detector::generated(&Layout::orca(2));
        let module = detector.optical_modules().nth(20).unwrap();
        let wire = SnapshotHit::new(module.id, 3.into(), 1000, 30);
        let triggered = [TriggeredHit::new(wire, TriggerMask(1))];
        let twin = SnapshotHit::new(module.id, 3.into(), 1000, 31);
        let mut hits = EventHits::default();
        let snapshot = [wire, twin];
        hits.calibrate(&event(&triggered, &snapshot), &detector, Slewing::Kept);
        let [hit, other] = hits.hits() else { panic!() };
        assert_eq!(hit.time_ns, 1000.0 + module.pmts[3].t0_ns);
        assert_eq!(hit.place, module.place);
        assert_eq!(hit.position_m, module.pmts[3].position_m);
        assert_eq!(hit.direction, module.pmts[3].direction);
        assert!(hit.is_triggered && !other.is_triggered);
        assert_eq!(hits.first_triggered_ns(), Some(hit.time_ns));
        let kept_ns = hit.time_ns;

        hits.calibrate(
            &event(&triggered, &snapshot),
            &detector,
            Slewing::Subtracted,
        );
        assert_eq!(hits.hits().len(), 2);
        assert_eq!(hits.hits()[0].time_ns, kept_ns - slew_ns(30));
    }

    #[test]
    fn doms_and_channels_that_do_not_exist_are_listed_and_skipped() {
        let detector = Detector::generated(&Layout::orca(1));
        let known = detector.optical_modules().next().unwrap().id;
        let hit = |dom, channel: u8| SnapshotHit::new(dom, channel.into(), 1, 1);
        let snapshot = [hit(DomId(7), 0), hit(known, 31), hit(known, 30)];
        let mut hits = EventHits::default();
        hits.calibrate(&event(&[], &snapshot), &detector, Slewing::Kept);
        assert_eq!(hits.unknown(), [DomId(7), known]);
        assert_eq!(hits.hits().len(), 1);
        assert_eq!(hits.first_triggered_ns(), None);
    }

    #[test]
    fn coincidences_are_counted_per_dom_from_the_first_hit_of_a_group() {
        let detector = Detector::generated(&Layout::orca(1));
        let doms: Vec<_> = detector.optical_modules().map(|m| m.id).take(2).collect();
        // On the same channel all have the same offset.
        let times = [60, 0, 20, 41, 5];
        let one = times.map(|t| SnapshotHit::new(doms[0], 0.into(), t, 30));
        let other = [SnapshotHit::new(doms[1], 0.into(), 1, 30)];
        let snapshot = [&other[..], &one[..]].concat();
        let mut hits = EventHits::default();
        hits.calibrate(&event(&[], &snapshot), &detector, Slewing::Kept);
        hits.group(20.0);
        let first: Vec<_> = hits.hits().iter().filter(|h| h.dom_id == doms[0]).collect();
        let sizes: Vec<_> = first.iter().map(|h| h.multiplicity).collect();
        assert_eq!(sizes, [3, 3, 3, 2, 2]);
        assert!(first.is_sorted_by_key(|h| h.group));
        let lone = hits.hits().iter().find(|h| h.dom_id == doms[1]).unwrap();
        assert_eq!(lone.multiplicity, 1);
        assert_eq!(group_len::<i32>(&[], |_, _| true), 0);
    }
}
