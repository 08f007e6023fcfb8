//! The simulated detector as a pure state machine: each step makes the messages of 20 ms.
//!
//! No clock, no socket, no task: the same seed, detector, options and start give the same bytes.

use std::sync::Arc;

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{CHANNELS, SliceLevel};
use fathom_kernel::Size;
use rand::Rng;
use rand::rngs::SmallRng;
use serde::Serialize;

use crate::batch::{Chunk, Sealed};
use crate::chance::{Purpose, generator};
use crate::fault::{Damage, Fault, FaultKind, FaultSpec, Faults};
use crate::layout::Layout;
use crate::options::FakeDetectorOptions;
use crate::physics::bursts::Bursts;
use crate::physics::coincidences::{Coincidences, Module};
use crate::physics::event::{Events, Surroundings};
use crate::physics::pmts::DomPmts;
use crate::physics::rates::Rates;
use crate::streams::acoustics::Acoustics;
use crate::streams::messages::Messages;
use crate::streams::monitoring::Monitoring;
use crate::streams::reconstruction::Reconstruction;
use crate::streams::slices::Filters;
use crate::streams::summary::Summaries;
use crate::streams::timeslices::TimeSlices;
use crate::timeline::{FRAME_S, Timeline};

/// Steps of one frame.
pub const STEPS_PER_FRAME: usize = 5;
/// Simulated time of one step (s).
pub const STEP_S: f64 = FRAME_S / STEPS_PER_FRAME as f64;

/// A simulated detector.
#[derive(Debug)]
pub struct Generator {
    layout: Arc<Layout>,
    pmts: Vec<DomPmts>,
    timeline: Timeline,
    faults: Faults,
    bursts: Bursts,
    rates: Rates,
    coincidences: Coincidences,
    events: Option<Events>,
    summaries: Summaries,
    /// L1 and supernova slices, whose hits are of one source of chance.
    l1: TimeSlices,
    supernova: TimeSlices,
    /// L0 and L2 slices, each with hits of its own.
    others: Vec<(TimeSlices, Coincidences)>,
    reconstruction: Option<Reconstruction>,
    acoustics: Option<Acoustics>,
    monitoring: Option<(Monitoring, u64)>,
    messages: Option<Messages>,
    damage: SmallRng,
    /// Frames since the start, over all runs.
    frame: u64,
    step: usize,
}

/// What one step makes.
#[derive(Debug, Default)]
pub struct Step {
    /// Messages, one chunk per stream.
    pub chunks: Vec<Sealed>,
    /// What the source does wrong beside them.
    pub disturbances: Vec<Disturbance>,
}

/// Something that no broker should meet, and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// A frame longer than brokers take.
    Oversized(Size),
    /// The connection breaks in mid-frame.
    Reconnect,
}

/// What is true of a simulated PMT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PmtTruth {
    /// Detection efficiency, 1 on average.
    pub efficiency: f64,
    /// How much later its hits are than the detector file says (ns).
    pub late_ns: f64,
}

/// Where the simulation is.
#[derive(Debug, Clone, Serialize)]
pub struct Position {
    /// Run.
    pub run: i32,
    /// Frame in the run.
    pub frame_index: i32,
    /// Frames since the start.
    pub frames: u64,
}

impl Generator {
    /// Makes a detector whose first run starts at a whole second since 1970.
    pub fn new(layout: Arc<Layout>, options: &FakeDetectorOptions, start_s: u64) -> Self {
        let seed = options.seed;
        let pmts = DomPmts::of(&layout, seed, options.rates.spread, options.misalignment_ns);
        let run_length_s = options.run_length.duration().as_secs();
        let run_length_s = (run_length_s > 0).then_some(run_length_s);
        let events = options.io_evt.enabled;
        let monit = options.io_monit.enabled;
        let every = u64::from(options.io_monit.every.max(1));
        let mut messages = options
            .msg
            .enabled
            .then(|| Messages::new(options.msg.rate_hz, seed));
        if let Some(messages) = &mut messages {
            messages.run_starts(start_s * 1_000_000_000, options.first_run);
        }
        Self {
            timeline: Timeline::new(layout.detector_id, options.first_run, start_s, run_length_s),
            faults: Faults::new(&options.faults, &layout),
            bursts: Bursts::new(&layout, &options.bursts, seed),
            rates: Rates::new(&layout, &pmts, &options.rates, seed),
            coincidences: Coincidences::new(&layout, &pmts, seed, Purpose::Slices),
            others: other_slices(&layout, &pmts, options),
            reconstruction: options
                .io_oline
                .enabled
                .then(|| Reconstruction::new(&options.io_oline, seed)),
            acoustics: options
                .io_toa
                .enabled
                .then(|| Acoustics::new(&layout, &options.io_toa, seed)),
            events: events.then(|| Events::new(&layout, &options.io_evt, seed)),
            summaries: Summaries::new(Filters::new(&options.io_sum)),
            l1: TimeSlices::new(SliceLevel::L1, Filters::new(&options.io_tsl1)),
            supernova: TimeSlices::new(SliceLevel::SN, Filters::new(&options.io_tssn)),
            monitoring: monit.then(|| (Monitoring::new(&layout, seed), every)),
            messages,
            damage: generator(seed, Purpose::Damage),
            frame: 0,
            step: 0,
            pmts,
            layout,
        }
    }

    /// Makes the messages of the next 20 ms.
    pub fn step(&mut self) -> Step {
        let mut chunks = Vec::new();
        let mut step = Step::default();
        if self.step == 0 {
            step.disturbances = self.begin_frame();
        }
        self.slice_hits();
        chunks.extend(self.monitoring_packets());
        chunks.extend(self.event_messages());
        self.step += 1;
        if self.step == STEPS_PER_FRAME {
            self.end_frame(&mut chunks);
        }
        if let Some(messages) = &mut self.messages {
            messages.routine(self.timeline.start_ns(), STEP_S);
            chunks.push(messages.take());
        }
        if self.faults.effects().silent {
            return Step::default();
        }
        step.chunks = self.seal(chunks);
        step
    }

    /// Leaves out frames, as a source does that was too slow.
    pub fn skip(&mut self, frames: u64) {
        for _ in 0..frames {
            self.next_frame();
        }
    }

    /// Returns whether the next step begins a frame.
    pub fn is_at_frame_start(&self) -> bool {
        self.step == 0
    }

    /// Adds a fault; the answer is its number, or why it was refused.
    pub fn add_fault(&mut self, spec: FaultSpec) -> Result<u32, String> {
        spec.check()?;
        let refused = format!("more than {} faults", crate::fault::FAULTS_MAX);
        self.faults.add(spec, self.frame).ok_or(refused)
    }

    /// Ends the faults that `which` chooses; returns how many.
    pub fn clear_faults(&mut self, which: impl Fn(&Fault) -> bool) -> usize {
        self.faults.clear(which)
    }

    /// Returns the faults, those to come included.
    pub fn faults(&self) -> &[Fault] {
        self.faults.list()
    }

    /// Returns what the simulation knows of the PMTs of a module, in the order of the layout: what
    /// calibrations are to find. `None` where there is no PMT; faults are not included.
    pub fn truth(&self, dom: usize) -> [Option<PmtTruth>; CHANNELS] {
        let (layout, pmts) = (&self.layout.doms[dom], &self.pmts[dom]);
        std::array::from_fn(|channel| {
            let pmt = layout.pmts[channel].as_ref()?;
            Some(PmtTruth {
                efficiency: f64::from(pmts.efficiency[channel]),
                late_ns: pmts.raw_offset_ns[channel] + pmt.t0_ns,
            })
        })
    }

    /// Returns where the simulation is.
    pub fn position(&self) -> Position {
        let header = self.timeline.header();
        Position {
            run: header.run.0,
            frame_index: header.frame_index,
            frames: self.frame,
        }
    }

    fn begin_frame(&mut self) -> Vec<Disturbance> {
        let changes = self.faults.step(self.frame, &self.layout);
        if let Some(messages) = &mut self.messages {
            for change in &changes {
                messages.fault(self.timeline.start_ns(), change);
            }
        }
        self.bursts.step(&self.layout);
        let effects = self.faults.effects();
        self.rates.step(&self.bursts, &effects.doms);
        let recurring = effects.recurring.iter();
        let due = recurring.filter(|r| r.is_due(self.frame));
        due.map(|r| match r.kind {
            FaultKind::OversizedFrames => Disturbance::Oversized(r.size),
            _ => Disturbance::Reconnect,
        })
        .collect()
    }

    /// Returns this step's share of a number of modules.
    fn share(&self, number: usize) -> std::ops::Range<usize> {
        let cut = |step: usize| step * number / STEPS_PER_FRAME;
        cut(self.step)..cut(self.step + 1)
    }

    fn slice_hits(&mut self) {
        let frame = self.frame;
        for at in self.share(self.layout.doms.len()) {
            if self.faults.effects().doms[at].dead {
                continue;
            }
            let module = Module {
                index: at,
                dom: &self.layout.doms[at],
                pmts: &self.pmts[at],
                counted: &self.rates.counts[at],
                fault: &self.faults.effects().doms[at],
            };
            for slices in [&mut self.l1, &mut self.supernova] {
                if slices.filters.wants(frame) {
                    slices.add(&module, &mut self.coincidences);
                }
            }
            for (slices, coincidences) in &mut self.others {
                if slices.filters.wants(frame) {
                    slices.add(&module, coincidences);
                }
            }
        }
    }

    fn monitoring_packets(&mut self) -> Option<Chunk> {
        let modules = self.share(self.monitoring.as_ref()?.0.len());
        let (monitoring, every) = self.monitoring.as_mut()?;
        self.frame.is_multiple_of(*every).then(|| {
            let effects = self.faults.effects();
            let header = self.timeline.header();
            let faults = (effects.doms.as_slice(), effects.bases.as_slice());
            monitoring.packets(modules, &header, &self.rates.counts, faults)
        })
    }

    /// Returns the events of this step, and what the reconstruction makes of them.
    fn event_messages(&mut self) -> [Chunk; 2] {
        let (mut chunk, mut reconstructed) = (Chunk::default(), Chunk::default());
        let until_s = (self.step + 1) as f64 * STEP_S;
        let effects = self.faults.effects();
        let Some(events) = &mut self.events else {
            return [chunk, reconstructed];
        };
        if effects.no_trigger {
            events.pause_until(until_s);
            return [chunk, reconstructed];
        }
        let around = Surroundings {
            layout: &self.layout,
            pmts: &self.pmts,
            counts: &self.rates.counts,
            faults: &effects.doms,
        };
        let reconstruction = &mut self.reconstruction;
        events.until(
            until_s,
            &self.timeline.header(),
            &around,
            |event, source| {
                chunk.push(tags::IO_EVT, |out| {
                    event
                        .encode(out)
                        .expect("an event has far fewer hits than 2 GiB");
                });
                if let Some(reconstruction) = reconstruction {
                    reconstruction.reconstruct(event, source, &mut reconstructed);
                }
            },
        );
        [chunk, reconstructed]
    }

    fn end_frame(&mut self, chunks: &mut Vec<Chunk>) {
        let header = self.timeline.header();
        let effects = self.faults.effects();
        let (layout, counts) = (&self.layout, &self.rates.counts);
        let summaries = &mut self.summaries;
        let slice = summaries
            .filters
            .wants(self.frame)
            .then(|| summaries.slice(&header, layout, counts, &effects.doms));
        summaries.filters.pass(self.frame, slice, chunks);
        let module = |at: usize| Module {
            index: at,
            dom: &layout.doms[at],
            pmts: &self.pmts[at],
            counted: &counts[at],
            fault: &effects.doms[at],
        };
        let others = self.others.iter_mut().map(|(slices, _)| slices);
        for slices in [&mut self.supernova, &mut self.l1]
            .into_iter()
            .chain(others)
        {
            let slice = slices
                .filters
                .wants(self.frame)
                .then(|| slices.finish(&header, layout.doms.len(), module, &effects.doms));
            slices.filters.pass(self.frame, slice, chunks);
        }
        if let Some(acoustics) = &mut self.acoustics {
            chunks.push(acoustics.frame(self.timeline.start_ns(), self.frame, effects));
        }
        if let Some((monitoring, _)) = &mut self.monitoring {
            monitoring.next_frame();
        }
        if let Some(events) = &mut self.events {
            events.next_frame();
        }
        self.next_frame();
    }

    fn next_frame(&mut self) {
        self.step = 0;
        self.frame += 1;
        if !self.timeline.advance() {
            return;
        }
        if let Some(events) = &mut self.events {
            events.new_run();
        }
        if let Some(messages) = &mut self.messages {
            messages.run_starts(self.timeline.start_ns(), self.timeline.header().run.0);
        }
    }

    fn seal(&mut self, chunks: Vec<Chunk>) -> Vec<Sealed> {
        let damage = &self.faults.effects().damage;
        let rng = &mut self.damage;
        chunks
            .into_iter()
            .filter(|chunk| !chunk.is_empty())
            .map(|mut chunk| {
                if !damage.is_empty() {
                    chunk.rewrite(|tag, body| {
                        let hit = damage.iter().filter(|d| d.hits(tag, rng));
                        let kinds: Vec<FaultKind> = hit.map(|d| d.kind).collect();
                        kinds.into_iter().for_each(|kind| spoil(kind, body, rng));
                    });
                }
                chunk.seal()
            })
            .collect()
    }
}

/// Makes the streams that are off unless asked for.
fn other_slices(
    layout: &Layout,
    pmts: &[DomPmts],
    options: &FakeDetectorOptions,
) -> Vec<(TimeSlices, Coincidences)> {
    [
        (SliceLevel::L0, &options.io_tsl0, Purpose::Level0),
        (SliceLevel::L2, &options.io_tsl2, Purpose::Level2),
    ]
    .into_iter()
    .filter(|(_, slices, _)| slices.enabled)
    .map(|(level, slices, purpose)| {
        let hits = Coincidences::new(layout, pmts, options.seed, purpose);
        (TimeSlices::new(level, Filters::new(slices)), hits)
    })
    .collect()
}

impl Damage {
    fn hits(&self, tag: fathom_formats::controlhost::Tag, rng: &mut SmallRng) -> bool {
        (self.tags.is_empty() || self.tags.contains(&tag)) && rng.random_bool(self.share)
    }
}

/// Damages a body: up to eight bits flipped, or the end missing.
fn spoil(kind: FaultKind, body: &mut Vec<u8>, rng: &mut SmallRng) {
    if body.is_empty() {
        return;
    }
    if kind == FaultKind::TruncatedFrames {
        body.truncate(rng.random_range(1..=body.len().saturating_sub(1).max(1)));
        return;
    }
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..body.len());
        body[at] ^= 1 << rng.random_range(0..8);
    }
}
