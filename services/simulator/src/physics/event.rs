//! Triggered events: muons and showers, the hits they make, the trigger, and the snapshot around.

use std::f64::consts::TAU;

use fathom_formats::km3net::{
    CHANNELS, ChannelId, DomId, Event, Header, SnapshotHit, TriggerMask, TriggeredHit,
};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::chance::{Purpose, Tables, generator, poisson, round_u32};
use crate::fault::DomFault;
use crate::layout::Layout;
use crate::layout::vector::{Vector, along, direction};
use crate::options::EventOptions;
use crate::timeline::FRAME_S;

use super::coincidences::Channels;
use super::light::{Arrival, Source, acceptance};
use super::pmts::{DomPmts, Pulse};
use super::rates::DomCounts;

/// Hits of one module in this time are a local coincidence (ns).
const LOCAL_WINDOW_NS: f64 = 10.0;
/// Local coincidences an event needs, in a detector that is large enough.
const LOCAL_MODULES_MIN: usize = 5;
/// Triggered hits above which the mixed shower trigger fires as well.
const MIXED_HITS_MIN: usize = 30;
/// Photoelectrons of one PMT within this time are one pulse (ns).
const PULSE_NS: f64 = 25.0;
/// Tries for one event; most tracks that pass a detector trigger.
const TRIES_MAX: u32 = 24;
/// Most hits in a snapshot; an event that reaches it carries the factory limit bit.
const SNAPSHOT_MAX: usize = 40_000;
/// Hits of a light source later than its first light by more than this are scattered [ns per m].
const SCATTERING_NS_PER_M: f64 = 0.08;
/// Distance from a module at which events are aimed (m).
const AIM_SPREAD_M: f64 = 25.0;
/// Mean number of further events merged into one.
const OVERLAYS: f64 = 0.05;

/// What the surroundings of an event are.
pub(crate) struct Surroundings<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) pmts: &'a [DomPmts],
    pub(crate) counts: &'a [DomCounts],
    pub(crate) faults: &'a [DomFault],
}

/// Makes events.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    options: EventOptions,
    rate_hz: f64,
    /// Time of the next event in the current frame (s).
    next_s: f64,
    counter: u64,
    hits: Vec<Hit>,
    triggered: Vec<TriggeredHit>,
    snapshot: Vec<SnapshotHit>,
    /// Id and centre (m) of each module, close together for those who go over all of them.
    places: Vec<(DomId, Vector)>,
    rng: SmallRng,
    tables: Tables,
}

/// A hit of the event itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hit {
    dom: usize,
    channel: u8,
    /// True time in the frame (ns).
    time_ns: f64,
    photoelectrons: u32,
    triggered: bool,
}

impl Events {
    pub(crate) fn new(layout: &Layout, options: &EventOptions, seed: u64) -> Self {
        let mut dus: Vec<u32> = layout.doms.iter().map(|dom| dom.du).collect();
        dus.sort_unstable();
        dus.dedup();
        let mut events = Self {
            options: options.clone(),
            rate_hz: options.rate_hz.unwrap_or(0.5 * dus.len() as f64),
            next_s: 0.0,
            counter: 0,
            hits: Vec::new(),
            triggered: Vec::new(),
            snapshot: Vec::new(),
            places: layout
                .doms
                .iter()
                .map(|dom| (dom.id, dom.position_m))
                .collect(),
            rng: generator(seed, Purpose::Events),
            tables: Tables::new(),
        };
        events.next_s = events.gap_s();
        events
    }

    /// Starts counting triggers anew, as each run does.
    pub(crate) fn new_run(&mut self) {
        self.counter = 0;
    }

    /// Makes the events that begin before `until_s` of the frame; each with its source, and the time
    /// of that (ns).
    pub(crate) fn until(
        &mut self,
        until_s: f64,
        header: &Header,
        around: &Surroundings<'_>,
        mut send: impl FnMut(&Event<'_>, (&Source, f64)),
    ) {
        while self.next_s < until_s {
            let at_ns = self.next_s * 1e9;
            self.next_s += self.gap_s();
            let Some((source, mask)) = self.event(at_ns, around) else {
                continue;
            };
            let event = Event {
                legacy: false,
                header: *header,
                trigger_counter: self.counter,
                trigger_mask: mask,
                overlays: i32::try_from(poisson(OVERLAYS, self.tables, &mut self.rng)).unwrap_or(0),
                triggered: &self.triggered,
                snapshot: &self.snapshot,
            };
            send(&event, (&source, at_ns));
            self.counter += 1;
        }
    }

    /// Lets a stretch of the frame pass in which nothing triggers.
    pub(crate) fn pause_until(&mut self, until_s: f64) {
        while self.next_s < until_s {
            self.next_s += self.gap_s();
        }
    }

    /// Goes to the next frame.
    pub(crate) fn next_frame(&mut self) {
        self.next_s -= FRAME_S;
    }

    fn gap_s(&mut self) -> f64 {
        if self.rate_hz <= 0.0 {
            return f64::INFINITY;
        }
        self.tables.exponential(&mut self.rng) / self.rate_hz
    }

    /// Makes one event; `None` when no try triggers, as in a detector that is dead.
    fn event(&mut self, at_ns: f64, around: &Surroundings<'_>) -> Option<(Source, TriggerMask)> {
        (!around.layout.doms.is_empty()).then_some(())?;
        (0..TRIES_MAX).find_map(|_| {
            let source = self.source(around.layout);
            self.light_up(&source, at_ns, around);
            let mask = self.trigger(&source, around.layout)?;
            Some((source, self.fill(mask, around)?))
        })
    }

    /// Draws a muon or a shower near some module.
    fn source(&mut self, layout: &Layout) -> Source {
        let rng = &mut self.rng;
        let dom = &layout.doms[rng.random_range(0..layout.doms.len())];
        let away = direction(rng.random_range(-1.0..1.0), rng.random_range(0.0..TAU));
        let distance_m = AIM_SPREAD_M * self.tables.normal(rng);
        let position_m: Vector = along(dom.position_m, distance_m, away);
        if rng.random::<f64>() < self.options.showers {
            // From 100 GeV up, two thirds below 1 TeV.
            let energy_gev = 100.0 * (1.5 * self.tables.exponential(rng)).exp().min(1e4);
            return Source::Shower {
                position_m,
                energy_gev,
            };
        }
        // Atmospheric muons come from above, the more the steeper: density ~ cos^2.
        let cos_down = rng.random::<f64>().cbrt();
        let up = rng.random::<f64>() < self.options.upgoing;
        let drawn = if up { -cos_down } else { cos_down };
        let cos_zenith = self.options.cos_zenith.unwrap_or(drawn).clamp(-1.0, 1.0);
        Source::Track {
            position_m,
            // A direction says where a muon goes, a zenith angle where it comes from.
            direction: direction(-cos_zenith, rng.random_range(0.0..TAU)),
            brightness: 1.0 + (0.2 + self.tables.normal(rng)).exp(),
        }
    }

    /// Finds the hits of a source in all modules.
    fn light_up(&mut self, source: &Source, at_ns: f64, around: &Surroundings<'_>) {
        self.hits.clear();
        for at in 0..around.layout.doms.len() {
            let Some(arrival) = source.at(self.places[at].1) else {
                continue;
            };
            let (dom, fault) = (&around.layout.doms[at], &around.faults[at]);
            if fault.dead {
                continue;
            }
            let silent = around.counts[at].hrv | fault.veto;
            let efficiency = &around.pmts[at].efficiency;
            for (channel, pmt) in dom.channels() {
                let share = acceptance(pmt.direction, arrival.direction);
                let mean = arrival.photoelectrons * share * f64::from(efficiency[channel]);
                if mean > 1e-3 && silent >> channel & 1 == 0 {
                    self.pulses((at, channel), mean, at_ns, &arrival);
                }
            }
        }
    }

    /// Draws the photoelectrons of one PMT and joins those that are one pulse.
    fn pulses(&mut self, (dom, channel): (usize, usize), mean: f64, at_ns: f64, light: &Arrival) {
        let first = self.hits.len();
        for _ in 0..poisson(mean, self.tables, &mut self.rng).min(200) {
            let spread_ns = Pulse::draw(1, self.tables, &mut self.rng).delay_ns;
            let late_ns = if self.rng.random_ratio(1, 3) {
                SCATTERING_NS_PER_M * light.path_m * self.tables.exponential(&mut self.rng)
            } else {
                0.0
            };
            self.hits.push(Hit {
                dom,
                channel: u8::try_from(channel).unwrap_or(u8::MAX),
                time_ns: at_ns + light.time_ns + spread_ns + late_ns,
                photoelectrons: 1,
                triggered: false,
            });
        }
        self.hits[first..].sort_by(|a, b| a.time_ns.total_cmp(&b.time_ns));
        let mut kept = first;
        for next in first + 1..self.hits.len() {
            if self.hits[next].time_ns - self.hits[kept].time_ns < PULSE_NS {
                self.hits[kept].photoelectrons += 1;
            } else {
                kept += 1;
                self.hits[kept] = self.hits[next];
            }
        }
        self.hits.truncate((kept + 1).min(self.hits.len()));
    }

    /// Marks local coincidences; returns the triggers that fire, `None` when there are too few.
    fn trigger(&mut self, source: &Source, layout: &Layout) -> Option<TriggerMask> {
        let needed = LOCAL_MODULES_MIN.min(layout.doms.len().div_ceil(3));
        let mut modules = 0;
        for hits in self.hits.chunk_by_mut(|a, b| a.dom == b.dom) {
            hits.sort_by(|a, b| a.time_ns.total_cmp(&b.time_ns));
            for at in 1..hits.len() {
                let (a, b) = (hits[at - 1], hits[at]);
                if b.time_ns - a.time_ns < LOCAL_WINDOW_NS && a.channel != b.channel {
                    hits[at - 1].triggered = true;
                    hits[at].triggered = true;
                }
            }
            modules += usize::from(hits.iter().any(|hit| hit.triggered));
        }
        (modules >= needed).then_some(())?;
        let triggered = self.hits.iter().filter(|hit| hit.triggered).count();
        let mixed = 1 << TriggerMask::SHOWER_MX_BIT;
        Some(TriggerMask(match source {
            Source::Track { .. } if triggered >= MIXED_HITS_MIN => {
                1 << TriggerMask::MUON_3D_BIT | mixed
            }
            Source::Track { .. } => 1 << TriggerMask::MUON_3D_BIT,
            Source::Shower { .. } => 1 << TriggerMask::SHOWER_3D_BIT | mixed,
        }))
    }

    /// Turns the hits into those of the payload and adds the background around them.
    fn fill(&mut self, mask: TriggerMask, around: &Surroundings<'_>) -> Option<TriggerMask> {
        let times = self.hits.iter().filter(|hit| hit.triggered);
        let (first_ns, last_ns) = times.fold((f64::MAX, f64::MIN), |(low, high), hit| {
            (low.min(hit.time_ns), high.max(hit.time_ns))
        });
        let margin_ns = self.options.margin.seconds() * 1e9;
        let window_ns = (first_ns - margin_ns, last_ns + margin_ns);
        self.triggered.clear();
        self.snapshot.clear();
        let mut own = std::mem::take(&mut self.hits).into_iter().peekable();
        let mut place = self.background_step(window_ns);
        for (dom, counted) in around.counts.iter().enumerate() {
            while let Some(hit) = own.next_if(|hit| hit.dom == dom) {
                self.take(&hit, mask, window_ns, around);
            }
            place -= f64::from(counted.total);
            while place < 0.0 && self.snapshot.len() < SNAPSHOT_MAX {
                self.noise(dom, window_ns, around);
                place += self.background_step(window_ns);
            }
        }
        (!self.triggered.is_empty()).then_some(())?;
        let full = self.snapshot.len() >= SNAPSHOT_MAX;
        Some(TriggerMask(
            mask.0 | u64::from(full) << TriggerMask::FACTORY_LIMIT_BIT,
        ))
    }

    /// Draws how many counts of background lie before the next one inside the window.
    fn background_step(&mut self, (from_ns, to_ns): (f64, f64)) -> f64 {
        let share = (to_ns - from_ns) * 1e-9 / FRAME_S;
        self.tables.exponential(&mut self.rng) / share
    }

    fn take(
        &mut self,
        hit: &Hit,
        mask: TriggerMask,
        (from_ns, to_ns): (f64, f64),
        around: &Surroundings<'_>,
    ) {
        let channel = usize::from(hit.channel);
        let late_ns = around.faults[hit.dom].late_ns[channel];
        let time_ns = hit.time_ns + around.pmts[hit.dom].raw_offset_ns[channel] + late_ns;
        if time_ns < 0.0 || hit.time_ns < from_ns || hit.time_ns > to_ns {
            return;
        }
        let tot_ns = Pulse::draw(hit.photoelectrons, self.tables, &mut self.rng).tot_ns;
        let dom_id = self.places[hit.dom].0;
        let wire = SnapshotHit::new(dom_id, ChannelId(hit.channel), round_u32(time_ns), tot_ns);
        self.snapshot.push(wire);
        if hit.triggered {
            self.triggered.push(TriggeredHit::new(wire, mask));
        }
    }

    fn noise(&mut self, dom: usize, (from_ns, to_ns): (f64, f64), around: &Surroundings<'_>) {
        let counted = &around.counts[dom];
        let channel = Channels::of(counted).draw(&mut self.rng);
        let true_ns = self.rng.random_range(from_ns..to_ns);
        let time_ns = true_ns + around.pmts[dom].raw_offset_ns[usize::from(channel.0) % CHANNELS];
        // A channel in veto counts at the start of the frame only, long before most events.
        if counted.hrv >> channel.0 & 1 == 1 || time_ns < 0.0 {
            return;
        }
        let tot_ns = Pulse::draw(1, self.tables, &mut self.rng).tot_ns;
        self.snapshot.push(SnapshotHit::new(
            self.places[dom].0,
            channel,
            round_u32(time_ns),
            tot_ns,
        ));
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{Detector, Layout as Geometry};

    use super::*;

    struct Scene {
        layout: Layout,
        pmts: Vec<DomPmts>,
        counts: Vec<DomCounts>,
        faults: Vec<DomFault>,
    }

    impl Scene {
        fn new(geometry: &Geometry) -> Self {
            let layout = Layout::new(&Detector::generated(geometry));
            let pmts = DomPmts::of(&layout, 11, 0.1, 1.0);
            let count = DomCounts {
                counts: [750; CHANNELS],
                total: 750 * 31,
                ..DomCounts::default()
            };
            let (counts, faults) = (
                vec![count; layout.doms.len()],
                vec![DomFault::default(); layout.doms.len()],
            );
            Self {
                layout,
                pmts,
                counts,
                faults,
            }
        }

        fn around(&self) -> Surroundings<'_> {
            Surroundings {
                layout: &self.layout,
                pmts: &self.pmts,
                counts: &self.counts,
                faults: &self.faults,
            }
        }
    }

    #[test]
    fn hits_of_a_known_track_come_when_its_light_does() {
        let scene = Scene::new(&Geometry::orca(7));
        let mut events = Events::new(&scene.layout, &EventOptions::default(), 1);
        // Straight down 8 m beside the first module's unit, above its top floor at 1 ms.
        let dom = &scene.layout.doms[0];
        let [x, y, z] = dom.position_m;
        let track = Source::Track {
            position_m: [x + 8.0, y, z + 200.0],
            direction: [0.0, 0.0, -1.0],
            brightness: 20.0,
        };
        events.light_up(&track, 1e6, &scene.around());
        // By hand: 200 m down and 8 m tan(theta) aside: (200 + 7.2553) / 0.299792458 = 691.33 ns.
        let own: Vec<&Hit> = events.hits.iter().filter(|hit| hit.dom == 0).collect();
        assert!(own.len() >= 5, "{}", own.len());
        let residual = |hit: &&Hit| hit.time_ns - 1e6 - 691.33;
        let median = {
            let mut residuals: Vec<f64> = own.iter().map(residual).collect();
            residuals.sort_by(f64::total_cmp);
            residuals[residuals.len() / 2]
        };
        assert!(median.abs() < 2.0, "{median}");
        // Light goes down and outwards, so PMTs that look down see nothing of it from behind.
        assert!(own.iter().all(|hit| hit.channel != 22));
    }

    #[test]
    fn triggered_hits_are_in_the_snapshot_and_hits_are_grouped_by_module() {
        let scene = Scene::new(&Geometry::arca(21));
        let options = EventOptions {
            rate_hz: Some(200.0),
            ..EventOptions::default()
        };
        let mut events = Events::new(&scene.layout, &options, 2);
        let (mut seen, mut background, mut muons) = (0, 0, 0);
        for _ in 0..10 {
            events.until(FRAME_S, &Header::default(), &scene.around(), |event, _| {
                assert_eq!(event.trigger_counter, seen);
                seen += 1;
                assert_eq!(event.triggered_in_snapshot().count(), event.triggered.len());
                let mut doms: Vec<u32> = event.snapshot.iter().map(|h| h.dom_id().0).collect();
                doms.dedup();
                let groups = doms.len();
                doms.sort_unstable();
                doms.dedup();
                assert_eq!(groups, doms.len());
                background += event.snapshot.len() - event.triggered.len();
                muons += u32::from(event.trigger_mask.is_3d_muon());
            });
            events.next_frame();
        }
        // One second at 200 Hz, nine in ten of them muons.
        assert!((150..250).contains(&seen), "{seen}");
        assert!(f64::from(muons) > 0.8 * seen as f64, "{muons}");
        // 378 modules at 232.5 kHz in at least 2 us: 176 hits of background per event.
        assert!(background as f64 / seen as f64 > 150.0);
    }

    #[test]
    fn a_dead_detector_does_not_trigger() {
        let mut scene = Scene::new(&Geometry::orca(1));
        scene.faults.fill(DomFault {
            dead: true,
            ..DomFault::default()
        });
        let mut events = Events::new(&scene.layout, &EventOptions::default(), 2);
        events.until(100.0, &Header::default(), &scene.around(), |_, _| {
            panic!("an event without hits")
        });
    }
}
