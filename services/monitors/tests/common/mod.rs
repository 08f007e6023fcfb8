//! Feeds monitors with messages and looks at what they say.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::string_slice, reason = "helpers of tests")]

use std::sync::Arc;

use fathom_formats::detx::{Detector, Layout, Module, Place};
use fathom_formats::km3net::{
    CHANNELS, DetectorId, DomId, Event as Payload, FrameStatus, Header, RunNumber, SnapshotHit,
    SummaryFrame, SummarySlice, TmchFields, TriggerMask, TriggeredHit,
};
use fathom_kernel::view::{Series, View};
use fathom_kernel::{
    Checkpoint, CheckpointError, CheckpointStore, Event, Frame, Monitor, Output, Outputs, Persist,
    Saved, Setup, Tag, Timestamp, tags,
};
use serde_json::Value;

pub(crate) fn vectors() -> Value {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/monitor-vectors.json"
    );
    let path = std::env::var("FATHOM_MONITOR_VECTORS").unwrap_or(own.into());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

pub(crate) fn ms(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap()
}

pub(crate) fn frame(tag: Tag, body: Vec<u8>, received_ms: i64) -> Event {
    Event::Frame(Frame {
        source: "test".into(),
        tag,
        received: ms(received_ms),
        body: body.into(),
    })
}

/// Bytes with each of their bits flipped, one at a time.
pub(crate) fn flipped(intact: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..intact.len() * 8).map(|bit| {
        let mut body = intact.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        body
    })
}

/// Bytes that end too early, at each place.
pub(crate) fn cut(intact: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..intact.len()).map(|len| intact[..len].to_vec())
}

/// Damages a message in each of these ways, and sees that nearly as many as it has bytes are counted.
pub(crate) fn count_damaged<M: Monitor>(bench: &mut Bench<M>, intact: &Event, at_ms: i64) {
    let Event::Frame(intact) = intact else {
        panic!("no frame")
    };
    let mut damaged = |body: Vec<u8>, n: i64| {
        bench.take(&frame(intact.tag, body, at_ms + n));
        bench.tick(at_ms + 10 * n);
        bench.out.outputs.clear();
    };
    for (n, body) in (0..).zip(flipped(&intact.body)) {
        damaged(body, n);
    }
    for body in cut(&intact.body) {
        damaged(body, 100_000);
    }
    assert!(bench.out.bad.len() >= intact.body.len() - 8);
}

pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs().max(1e-300)
}

/// A header whose frame starts at a time.
pub(crate) fn header(run: i32, at_ms: i64) -> Header {
    Header {
        detector_id: DetectorId(44),
        run: RunNumber(run),
        frame_index: 0,
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        white_rabbit: false,
        ticks: u32::try_from(at_ms % 1000).unwrap() * 62_500,
    }
}

/// An event of run 1 that arrives when it happened.
pub(crate) fn event(at_ms: i64, mask: u64, counter: u64) -> Event {
    event_of_run(1, at_ms, mask, counter)
}

pub(crate) fn event_of_run(run: i32, at_ms: i64, mask: u64, counter: u64) -> Event {
    frame(
        tags::IO_EVT,
        event_body(run, at_ms, mask, counter, 2),
        at_ms,
    )
}

pub(crate) fn event_body(run: i32, at_ms: i64, mask: u64, counter: u64, hits: u8) -> Vec<u8> {
    let hit = |n: u8| SnapshotHit::new(DomId(808_000_000), (n % 31).into(), n.into(), 25);
    let snapshot: Vec<_> = (0..hits.saturating_mul(2)).map(hit).collect();
    let triggered: Vec<_> = (0..hits)
        .map(|n| TriggeredHit::new(hit(n), TriggerMask(mask)))
        .collect();
    let mut body = Vec::new();
    let payload = Payload {
        legacy: false,
        header: header(run, at_ms),
        trigger_counter: counter,
        trigger_mask: TriggerMask(mask),
        overlays: 4,
        triggered: &triggered,
        snapshot: &snapshot,
    };
    payload.encode(&mut body).unwrap();
    body
}

/// A slice in which these DOMs have this rate code on all channels.
pub(crate) fn slice(at_ms: i64, doms: &[(u32, u8)]) -> Event {
    let frames: Vec<_> = doms
        .iter()
        .map(|&(id, code)| {
            SummaryFrame::new(DomId(id), FrameStatus::complete(4, 0, 0), [code; CHANNELS])
        })
        .collect();
    slice_of(at_ms, &frames, at_ms)
}

pub(crate) fn slice_of(at_ms: i64, frames: &[SummaryFrame], received_ms: i64) -> Event {
    let mut body = Vec::new();
    let header = header(1, at_ms);
    SummarySlice { header, frames }.encode(&mut body).unwrap();
    frame(tags::IO_SUM, body, received_ms)
}

/// A packet in which all channels of a module count the same.
pub(crate) fn packet(at_ms: i64, dom_id: u32, count: u32, hrv: u32) -> Event {
    let fields = TmchFields {
        utc_seconds: u32::try_from(at_ms / 1000).unwrap(),
        ticks: u32::try_from(at_ms % 1000).unwrap() * 62_500,
        dom_id: DomId(dom_id),
        rate_counts: [count; CHANNELS],
        hrv,
        ..TmchFields::default()
    };
    let mut body = Vec::new();
    fields.encode(&mut body);
    frame(tags::IO_MONIT, body, at_ms)
}

/// A generated detector of so many DUs, of which all data here are.
pub(crate) fn setup(dus: u32) -> Setup {
    let layout = Layout {
        detector_id: DetectorId(44),
        ..Layout::orca(dus)
    };
    Setup {
        detector: Some(Arc::new(Detector::generated(&layout))),
        ..Setup::default()
    }
}

/// A detector whose DUs have these numbers and so many floors.
pub(crate) fn tall_setup(dus: &[u32], floors: u32) -> Setup {
    let generated = Detector::generated(&Layout::orca(1));
    let module = generated.optical_modules().next().unwrap();
    let places = dus
        .iter()
        .flat_map(|&du| (1..=floors).map(move |floor| Place { du, floor }));
    let modules = places.zip(808_000_000..).map(|(place, id)| {
        let mut module = module.clone();
        module.id = DomId(id);
        module.place = place;
        module
    });
    Setup {
        detector: Some(Arc::new(Detector::new(DetectorId(44), modules.collect()))),
        ..Setup::default()
    }
}

/// A detector of one DOM.
pub(crate) fn setup_with(dom_id: u32, du: u32, floor: u32) -> Setup {
    let generated = Detector::generated(&Layout::orca(1));
    let mut module = generated.optical_modules().next().unwrap().clone();
    module.id = DomId(dom_id);
    module.place = Place { du, floor };
    Setup {
        detector: Some(Arc::new(Detector::new(DetectorId(44), vec![module]))),
        ..Setup::default()
    }
}

/// The same detector with one module that is not to be used.
pub(crate) fn with_disabled(mut setup: Setup, place: Place) -> Setup {
    let detector = setup.detector.take().unwrap();
    let mut modules = detector.modules().to_vec();
    let module = modules.iter_mut().find(|m| m.place == place).unwrap();
    module.status = Some(1);
    setup.detector = Some(Arc::new(Detector::new(detector.id, modules)));
    setup
}

/// A monitor with everything it said.
pub(crate) struct Bench<M> {
    pub(crate) monitor: M,
    pub(crate) out: Outputs,
}

impl<M: Monitor> Bench<M> {
    pub(crate) fn new(config: M::Config, setup: &Setup) -> Self {
        M::check(&config, setup).unwrap();
        Self {
            monitor: M::new(config, setup),
            out: Outputs::default(),
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        self.monitor.on_event(event, &mut self.out);
    }

    pub(crate) fn tick(&mut self, at_ms: i64) {
        self.monitor.on_tick(ms(at_ms), &mut self.out);
    }

    /// The newest version of an output.
    pub(crate) fn output(&self, name: &str) -> &Output {
        let mut all = self.out.outputs.iter().rev();
        all.find(|output| output.name == name)
            .unwrap_or_else(|| panic!("no output {name}"))
    }

    pub(crate) fn series(&self, name: &str) -> &Series {
        match &self.output(name).view {
            View::Series(series) => series,
            other => panic!("{name} is {other:?}"),
        }
    }

    pub(crate) fn curve(&self, name: &str, curve: &str) -> &[f64] {
        let curves = &self.series(name).curves;
        &curves.iter().find(|c| c.name == curve).unwrap().values
    }

    pub(crate) fn map(&self, name: &str) -> &fathom_kernel::view::Map {
        match &self.output(name).view {
            View::Map(map) => map,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A cell of a table, by the first cell of its row.
    pub(crate) fn cell(&self, name: &str, row: &str, column: usize) -> Value {
        let View::Table(table) = &self.output(name).view else {
            panic!("{name} is no table")
        };
        let row = table.rows.iter().find(|r| r[0] == row).unwrap();
        row[column].clone()
    }

    /// Rules of the alarms so far, with whether they fire.
    pub(crate) fn alarms(&self) -> Vec<(&str, &str, bool)> {
        let alarms = self.out.alarms.iter();
        alarms.map(|a| (&*a.rule, &*a.subject, a.firing)).collect()
    }

    /// The same monitor after a restart.
    pub(crate) fn restarted(mut self, config: M::Config, setup: &Setup, store: &Store) -> Self {
        let mut keep = Persist::last();
        self.monitor.persist(&mut keep);
        keep.write(&store.checkpoint()).unwrap();
        let mut next = Self::new(config, setup);
        next.monitor.restore(&store.saved()).unwrap();
        next
    }
}

/// A checkpoint in memory.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<std::sync::Mutex<Saved>>);

impl Store {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new("test".into(), Arc::new(self.clone()))
    }

    pub(crate) fn saved(&self) -> Saved {
        self.0.lock().unwrap().clone()
    }
}

impl CheckpointStore for Store {
    fn load(&self, _: &str) -> Result<Saved, CheckpointError> {
        Ok(self.saved())
    }

    fn save(&self, _: &str, snapshot: &[u8]) -> Result<(), CheckpointError> {
        *self.0.lock().unwrap() = Saved {
            snapshot: Some(snapshot.to_vec()),
            records: Vec::new(),
        };
        Ok(())
    }

    fn append(&self, _: &str, record: &[u8]) -> Result<(), CheckpointError> {
        self.0.lock().unwrap().records.push(record.to_vec());
        Ok(())
    }
}

/// Changes what the description says of the module on the first floor of DU 1.
pub(crate) fn described_anew(setup: &mut Setup, change: impl FnOnce(&mut Module)) {
    let detector = setup.detector.take().unwrap();
    let mut modules = detector.modules().to_vec();
    let place = Place { du: 1, floor: 1 };
    change(modules.iter_mut().find(|m| m.place == place).unwrap());
    setup.detector = Some(Arc::new(Detector::new(detector.id, modules)));
}
