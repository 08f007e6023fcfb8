//! Faults that the simulated detector can have, by configuration or switched on while it runs.

use fathom_formats::controlhost::Tag;
use fathom_formats::km3net::CHANNELS;
use fathom_kernel::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// Largest number of an acoustic beacon.
const BEACON_MAX: u32 = 120;
/// Most faults known at the same time.
pub(crate) const FAULTS_MAX: usize = 256;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Modules send nothing any more.
    DomDead,
    /// PMTs count far too much and are in high-rate veto.
    PmtHrv,
    /// The times of PMTs are off.
    PmtShifted,
    /// Modules lose the time synchronisation.
    TimeSyncLost,
    /// Modules turn around the vertical, as when a line twists.
    Rotate,
    /// No event triggers.
    TriggerRateZero,
    /// Bits of bodies are flipped.
    CorruptFrames,
    /// Bodies end too early.
    TruncatedFrames,
    /// Bodies are longer than a ligier takes.
    OversizedFrames,
    /// Nothing is sent.
    SourceSilent,
    /// The connection is closed in mid-frame and made again.
    SourceReconnecting,
    /// Acoustic beacons send no pings any more.
    BeaconLost,
}

/// A fault: what, where, how often and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSpec {
    /// What is wrong: `dom_dead`, `pmt_hrv`, `pmt_shifted`, `time_sync_lost`, `rotate`,
    /// `trigger_rate_zero`, `corrupt_frames`, `truncated_frames`, `oversized_frames`, `source_silent`,
    /// `source_reconnecting`, `beacon_lost`.
    pub fault: FaultKind,
    /// Modules concerned, by id; all when neither these nor `dus` nor `floors` are given.
    pub doms: Vec<u32>,
    /// Detection units concerned.
    pub dus: Vec<u32>,
    /// Floors concerned.
    pub floors: Vec<u32>,
    /// Channels concerned, for `pmt_hrv` and `pmt_shifted`; all when none is given.
    pub channels: Vec<u8>,
    /// How much later the hits of shifted PMTs are.
    #[schemars(extend("unit" = "ns"))]
    pub shift_ns: f64,
    /// Acoustic beacons concerned, by number, for `beacon_lost`; all when none is given.
    pub beacons: Vec<u32>,
    /// Tags of the frames concerned, for damaged frames; all when none is given.
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<Tag>,
    /// How far modules turn, for `rotate`.
    #[schemars(extend("unit" = "deg"))]
    pub degrees: f64,
    /// Share of the frames that is damaged.
    pub share: f64,
    /// Size of an oversized frame.
    pub size: Size,
    /// Simulated time between two oversized frames or two reconnections.
    pub every: Span,
    /// Begins so long after the start of the source, or after it was asked for [simulated time].
    pub after: Span,
    /// Ends by itself after so long; never when zero [simulated time].
    pub lasts: Span,
}

impl Default for FaultSpec {
    fn default() -> Self {
        Self {
            fault: FaultKind::SourceSilent,
            doms: Vec::new(),
            dus: Vec::new(),
            floors: Vec::new(),
            channels: Vec::new(),
            shift_ns: 3.0,
            beacons: Vec::new(),
            tags: Vec::new(),
            degrees: 30.0,
            share: 0.01,
            size: Size::from_mib(65),
            every: Span::from_secs(10),
            after: Span::ZERO,
            lasts: Span::ZERO,
        }
    }
}

impl FaultSpec {
    /// Makes a fault of everything, at once and for ever.
    pub fn of(fault: FaultKind) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }

    /// Says what is wrong with the numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(format!("share is {}, expected 0 to 1", self.share));
        }
        if !(-360.0..=360.0).contains(&self.degrees) {
            return Err(format!("degrees is {}, expected -360 to 360", self.degrees));
        }
        if let Some(channel) = self.channels.iter().find(|channel| **channel > 30) {
            return Err(format!(
                "channel {channel} does not exist, expected 0 to 30"
            ));
        }
        if !(-1e6..=1e6).contains(&self.shift_ns) {
            return Err(format!(
                "shift_ns is {}, expected -1e6 to 1e6",
                self.shift_ns
            ));
        }
        if self.every.is_zero() {
            return Err("every is zero, expected a time".to_owned());
        }
        if !(1..=1 << 30).contains(&self.size.bytes()) {
            return Err(format!("size is {}, expected 1 B to 1 GiB", self.size));
        }
        Ok(())
    }

    fn concerns(&self, id: u32, du: u32, floor: u32) -> bool {
        let by_place = |list: &[u32], value| list.is_empty() || list.contains(&value);
        let listed = self.doms.contains(&id);
        let by_id_only = !self.doms.is_empty() && self.dus.is_empty() && self.floors.is_empty();
        listed || !by_id_only && by_place(&self.dus, du) && by_place(&self.floors, floor)
    }

    fn channel_bits(&self) -> u32 {
        if self.channels.is_empty() {
            return (1 << 31) - 1;
        }
        self.channels.iter().fold(0, |bits, c| bits | 1 << c)
    }
}

/// What is wrong with one module.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct DomFault {
    pub(crate) dead: bool,
    pub(crate) unsynchronised: bool,
    /// How far it turned around the vertical (deg).
    pub(crate) turned_deg: f64,
    /// Channels that count far too much.
    pub(crate) veto: u32,
    /// How much later the hits of each channel are (ns).
    pub(crate) late_ns: [f64; CHANNELS],
}

/// Damage to frames of some tags.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Damage {
    pub(crate) kind: FaultKind,
    pub(crate) tags: Vec<Tag>,
    pub(crate) share: f64,
}

/// Something that happens now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recurring {
    pub(crate) kind: FaultKind,
    pub(crate) size: Size,
    every_frames: u64,
    since: u64,
}

impl Recurring {
    /// Returns whether it happens in a frame.
    pub(crate) fn is_due(&self, frame: u64) -> bool {
        frame
            .checked_sub(self.since)
            .is_some_and(|age| age.is_multiple_of(self.every_frames))
    }
}

/// What all active faults together do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Effects {
    pub(crate) doms: Vec<DomFault>,
    pub(crate) bases: Vec<DomFault>,
    pub(crate) no_trigger: bool,
    /// Acoustic beacons that are silent.
    pub(crate) silent_beacons: Vec<u32>,
    pub(crate) silent: bool,
    pub(crate) damage: Vec<Damage>,
    pub(crate) recurring: Vec<Recurring>,
}

/// A fault with its number and the frames in which it is on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// Number by which it is cleared.
    pub id: u32,
    /// Whether it is on now.
    pub active: bool,
    /// The fault.
    pub spec: FaultSpec,
    #[serde(skip)]
    from: u64,
    #[serde(skip)]
    until: u64,
}

/// All faults, those to come included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    next_id: u32,
    effects: Effects,
}

/// A fault that came or went.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FaultChange {
    pub(crate) fault: FaultKind,
    pub(crate) on: bool,
}

impl Faults {
    pub(crate) fn new(specs: &[FaultSpec], layout: &Layout) -> Self {
        let mut faults = Self::default();
        for spec in specs.iter().take(FAULTS_MAX) {
            faults.add(spec.clone(), 0);
        }
        faults.effects = faults.effects_on(layout);
        faults
    }

    /// Returns what the faults do now.
    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// Returns all faults.
    pub(crate) fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Adds a fault at a frame; `None` when there are too many.
    pub(crate) fn add(&mut self, spec: FaultSpec, now: u64) -> Option<u32> {
        (self.list.len() < FAULTS_MAX).then_some(())?;
        self.next_id += 1;
        let from = now + frames(spec.after);
        let until = match frames(spec.lasts) {
            0 => u64::MAX,
            length => from.saturating_add(length),
        };
        self.list.push(Fault {
            id: self.next_id,
            active: false,
            spec,
            from,
            until,
        });
        Some(self.next_id)
    }

    /// Ends faults, those to come included; returns how many.
    pub(crate) fn clear(&mut self, which: impl Fn(&Fault) -> bool) -> usize {
        let hit = self.list.iter_mut().filter(|fault| which(fault));
        hit.map(|fault| fault.until = 0).count()
    }

    /// Goes to a frame; returns what came and what went.
    pub(crate) fn step(&mut self, frame: u64, layout: &Layout) -> Vec<FaultChange> {
        let mut changes = Vec::new();
        for fault in &mut self.list {
            let on = (fault.from..fault.until).contains(&frame);
            if on != fault.active {
                fault.active = on;
                let fault = fault.spec.fault;
                changes.push(FaultChange { fault, on });
            }
        }
        self.list.retain(|fault| fault.until > frame);
        if !changes.is_empty() {
            self.effects = self.effects_on(layout);
        }
        changes
    }

    fn effects_on(&self, layout: &Layout) -> Effects {
        let mut effects = Effects {
            doms: vec![DomFault::default(); layout.doms.len()],
            bases: vec![DomFault::default(); layout.bases.len()],
            ..Effects::default()
        };
        for fault in self.list.iter().filter(|fault| fault.active) {
            effects.add(fault, layout);
        }
        effects
    }
}

impl Effects {
    /// Tells whether a module is dead: one with PMTs by its rank, or a base module.
    pub(crate) fn is_deaf(&self, place: Result<usize, usize>) -> bool {
        let fault = match place {
            Ok(dom) => self.doms.get(dom),
            Err(base) => self.bases.get(base),
        };
        fault.is_some_and(|fault| fault.dead)
    }

    fn add(&mut self, fault: &Fault, layout: &Layout) {
        let spec = &fault.spec;
        match spec.fault {
            FaultKind::DomDead
            | FaultKind::PmtHrv
            | FaultKind::PmtShifted
            | FaultKind::TimeSyncLost
            | FaultKind::Rotate => {
                for (effect, dom) in self.doms.iter_mut().zip(&layout.doms) {
                    if spec.concerns(dom.id.0, dom.du, dom.floor) {
                        effect.add(spec);
                    }
                }
                for (effect, id) in self.bases.iter_mut().zip(&layout.bases) {
                    if spec.doms.contains(&id.0) {
                        effect.add(spec);
                    }
                }
            }
            FaultKind::TriggerRateZero => self.no_trigger = true,
            FaultKind::BeaconLost => match &*spec.beacons {
                [] => self.silent_beacons.extend(0..=BEACON_MAX),
                some => self.silent_beacons.extend(some),
            },
            FaultKind::SourceSilent => self.silent = true,
            FaultKind::CorruptFrames | FaultKind::TruncatedFrames => self.damage.push(Damage {
                kind: spec.fault,
                tags: spec.tags.clone(),
                share: spec.share,
            }),
            FaultKind::OversizedFrames | FaultKind::SourceReconnecting => {
                self.recurring.push(Recurring {
                    kind: spec.fault,
                    size: spec.size,
                    every_frames: frames(spec.every).max(1),
                    since: fault.from,
                });
            }
        }
    }
}

impl DomFault {
    fn add(&mut self, spec: &FaultSpec) {
        match spec.fault {
            FaultKind::DomDead => self.dead = true,
            FaultKind::TimeSyncLost => self.unsynchronised = true,
            FaultKind::Rotate => self.turned_deg += spec.degrees,
            FaultKind::PmtShifted => {
                let bits = spec.channel_bits();
                let all = self.late_ns.iter_mut().enumerate();
                let shifted = all.filter(|(channel, _)| bits >> channel & 1 == 1);
                shifted.for_each(|(_, late_ns)| *late_ns += spec.shift_ns);
            }
            _ => self.veto |= spec.channel_bits(),
        }
    }
}

/// Returns the frames of a time, rounded up.
fn frames(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis().div_ceil(100)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{Detector, Layout as Geometry};

    use super::*;

    fn layout() -> Layout {
        Layout::new(&Detector::generated(&Geometry::orca(2)))
    }

    #[test]
    fn a_fault_comes_after_its_delay_and_goes_after_its_time() {
        let layout = layout();
        let spec = FaultSpec {
            after: Span::from_secs(1),
            lasts: Span::from_millis(500),
            ..FaultSpec::of(FaultKind::SourceSilent)
        };
        let mut faults = Faults::new(&[spec], &layout);
        let mut on = Vec::new();
        for frame in 0..30 {
            faults.step(frame, &layout);
            if faults.effects().silent {
                on.push(frame);
            }
        }
        assert_eq!(on, [10, 11, 12, 13, 14]);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn places_are_chosen_by_id_unit_floor_and_channel() {
        let layout = layout();
        let one = layout.doms[20].id.0;
        let by_id = FaultSpec {
            doms: vec![one],
            ..FaultSpec::of(FaultKind::DomDead)
        };
        let by_place = FaultSpec {
            dus: vec![1],
            floors: vec![3],
            channels: vec![0, 30],
            ..FaultSpec::of(FaultKind::PmtHrv)
        };
        let mut faults = Faults::new(&[by_id, by_place], &layout);
        faults.step(0, &layout);
        let dead: Vec<u32> = layout
            .doms
            .iter()
            .zip(&faults.effects().doms)
            .filter(|(_, fault)| fault.dead)
            .map(|(dom, _)| dom.id.0)
            .collect();
        assert_eq!(dead, [one]);
        let vetoed = faults.effects().doms.iter().filter(|f| f.veto != 0);
        assert_eq!(vetoed.map(|f| f.veto).collect::<Vec<_>>(), [1 << 30 | 1]);
        assert_eq!(faults.clear(|_| true), 2);
        faults.step(1, &layout);
        assert_eq!(faults.effects().doms[20], DomFault::default());
    }

    #[test]
    fn what_recurs_does_so_in_its_frames_only() {
        let layout = layout();
        let spec = FaultSpec {
            every: Span::from_secs(2),
            ..FaultSpec::of(FaultKind::OversizedFrames)
        };
        let mut faults = Faults::new(&[spec], &layout);
        faults.step(0, &layout);
        let recurring = faults.effects().recurring[0];
        let due: Vec<u64> = (0..50).filter(|frame| recurring.is_due(*frame)).collect();
        assert_eq!(due, [0, 20, 40]);
    }
}
