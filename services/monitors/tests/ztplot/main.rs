//! What the event display and the event selection say of events made by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod drawing;
mod orphans;
mod requests;
mod selection;
mod stored;

use std::path::{Path, PathBuf};

use common::{Bench, Store, cut, flipped, frame, header, setup};
use fathom_formats::km3net::{
    DetectorId, DomId, Event as Payload, Header, SnapshotHit, TriggerMask, TriggeredHit,
};
use fathom_kernel::view::{Panels, Shape, Table, View};
use fathom_kernel::{
    Content, Event, Fetched, FileEdit, Location, Monitor, Output, Setup, Severity, Span, tags,
};
use fathom_monitors::{ZtPlot, ZtPlotConfig as Config};
use serde_json::{Value, json};

const T0: i64 = 1_700_000_000_000;

const DAY_MS: i64 = 86_400_000;

/// What makes an event of a test.
#[derive(Clone)]
struct Wanted {
    at_ms: i64,
    received_ms: i64,
    det_id: i32,
    run: i32,
    counter: u64,
    overlays: i32,
    /// DU and floor of the triggered hits, one each.
    triggered: Vec<(u32, u32)>,
    /// Further hits, of a DOM in DU 1.
    others: usize,
    unknown: Vec<u32>,
}

impl Wanted {
    fn new(at_ms: i64, counter: u64) -> Self {
        Self {
            at_ms,
            received_ms: at_ms,
            det_id: 44,
            run: 6760,
            counter,
            overlays: 1,
            triggered: (1..=4).map(|floor| (1, floor)).collect(),
            others: 10,
            unknown: Vec::new(),
        }
    }

    fn overlays(mut self, overlays: i32) -> Self {
        self.overlays = overlays;
        self
    }

    fn body(&self, setup: &Setup) -> Vec<u8> {
        let detector = setup.detector.as_ref().unwrap();
        let dom = |du, floor| detector.module_at(du, floor).unwrap().id;
        let hit = |dom, time| SnapshotHit::new(dom, 0.into(), time, 30);
        let triggered: Vec<_> = (self.triggered.iter().zip(1000..))
            .map(|(&(du, floor), time)| {
                TriggeredHit::new(hit(dom(du, floor), time), TriggerMask(18))
            })
            .collect();
        let others = (2000..).take(self.others).map(|time| hit(dom(1, 9), time));
        let unknown = self.unknown.iter().map(|&id| hit(DomId(id), 5));
        let own = triggered.iter().map(|t| *t.hit());
        let snapshot: Vec<_> = own.chain(others).chain(unknown).collect();
        let payload = Payload {
            legacy: false,
            header: Header {
                detector_id: DetectorId(self.det_id),
                frame_index: 156,
                ..header(self.run, self.at_ms)
            },
            trigger_counter: self.counter,
            trigger_mask: TriggerMask(18),
            overlays: self.overlays,
            triggered: &triggered,
            snapshot: &snapshot,
        };
        let mut body = Vec::new();
        payload.encode(&mut body).unwrap();
        body
    }

    fn event(&self, setup: &Setup) -> Event {
        frame(tags::IO_EVT, self.body(setup), self.received_ms)
    }
}

fn bench(config: Config) -> (Bench<ZtPlot>, Setup) {
    let setup = setup(3);
    (Bench::new(config, &setup), setup)
}

fn small(best: usize) -> Config {
    Config {
        best,
        ..Config::default()
    }
}

fn table<'a>(bench: &'a Bench<ZtPlot>, name: &str) -> &'a Table {
    match &bench.output(name).view {
        View::Table(table) => table,
        other => panic!("{name} is {other:?}"),
    }
}

fn panels(output: &Output) -> &Panels {
    match &output.view {
        View::Panels(panels) => panels,
        other => panic!("{other:?}"),
    }
}

fn column(bench: &Bench<ZtPlot>, name: &str, heading: &str) -> Vec<Value> {
    let table = table(bench, name);
    let at = table.columns.iter().position(|c| c == heading).unwrap();
    table.rows.iter().map(|row| row[at].clone()).collect()
}

fn drawn(bench: &Bench<ZtPlot>) -> usize {
    let outputs = bench.out.outputs.iter();
    outputs.filter(|output| output.name == "ztplot").count()
}

fn written(bench: &Bench<ZtPlot>) -> Vec<PathBuf> {
    let path = |edit: &FileEdit| match edit {
        FileEdit::Write { path, .. } => Some(path.clone()),
        FileEdit::Remove { .. } | FileEdit::Rename { .. } => None,
    };
    bench.out.files.iter().filter_map(path).collect()
}

fn removed(bench: &Bench<ZtPlot>) -> Vec<PathBuf> {
    let path = |edit: &FileEdit| match edit {
        FileEdit::Remove { path } => Some(path.clone()),
        FileEdit::Write { .. } | FileEdit::Rename { .. } => None,
    };
    bench.out.files.iter().filter_map(path).collect()
}

fn path(counter: u64, ending: &str) -> PathBuf {
    let name = format!("ztplot_00000044_00006760_FI156_TC{counter}.{ending}");
    Path::new("event_selection").join(name)
}
