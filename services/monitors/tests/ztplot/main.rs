//! What the event display and the event selection say of events made by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;

mod orphans;
mod stored;

use std::path::{Path, PathBuf};

use common::{Bench, Store, frame, header, setup};
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

/// Hits drawn.
fn discs(panels: &Panels) -> usize {
    let layers = panels.panels.iter().flat_map(|panel| &panel.layers);
    let discs = layers.filter(|layer| layer.shape == Shape::Disc);
    discs.map(|layer| layer.x.len()).sum()
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

#[test]
fn an_event_is_drawn_with_its_ids_and_put_among_the_best() {
    let (mut bench, setup) = bench(Config::default());
    let wanted = Wanted {
        triggered: vec![(1, 1), (1, 2), (2, 5), (2, 6)],
        ..Wanted::new(T0 + 320, 17)
    };
    bench.take(&wanted.event(&setup));
    bench.tick(T0 + 500);
    let output = bench.output("ztplot").clone();
    assert_eq!(
        output.title,
        "z-t-Plot for DetID-44 Run 6760, FrameIndex 156, TriggerCounter 17, Overlays 1, \
         Trigger: 3DM 3DS, Tue Nov 14 22:13:20 2023 UTC"
    );
    assert_eq!(output.datum.unwrap().as_millisecond(), T0 + 320);
    let view = panels(&output);
    assert_eq!(output.view.fault(), None);
    let titles: Vec<_> = view.panels.iter().map(|p| &*p.title).collect();
    assert_eq!(titles, ["DU 1", "DU 2"]);
    let layers = &view.panels[0].layers;
    let (hits, pluses) = (&layers[0], layers.last().unwrap());
    assert_eq!((&*hits.colour, hits.alpha), ("#09A9DE", 0.5));
    assert_eq!((&*pluses.colour, pluses.alpha), ("#FF6363", 0.8));
    assert_eq!((discs(view), pluses.x.len()), (14, 2));
    assert_eq!(view.y.low, Some(0.0));

    assert_eq!(written(&bench), [path(17, "json"), path(17, "dat")]);
    let FileEdit::Write { bytes, .. } = &bench.out.files[1] else {
        panic!()
    };
    assert_eq!(*bytes, wanted.body(&setup));
    let FileEdit::Write { bytes, .. } = &bench.out.files[0] else {
        panic!()
    };
    let stored: Output = serde_json::from_slice(bytes).unwrap();
    assert_eq!(stored.name, "ztplot_00000044_00006760_FI156_TC17");
    assert_eq!((stored.title, stored.view), (output.title, output.view));

    for page in ["overlays", "n_hits", "n_triggered_hits"] {
        let name = format!("event_selection_{page}");
        assert_eq!(column(&bench, &name, "hits (triggered)"), ["14 (4)"]);
        assert_eq!(column(&bench, &name, "new"), ["NEW!"]);
    }
    let row = &table(&bench, "event_selection").rows[0];
    let name = "ztplot_00000044_00006760_FI156_TC17.png";
    let expected = json!([1, 14, 4, 2, name, 6760, 44, 156, "17", T0 / 1000]);
    assert_eq!(json!(row), expected);
}

#[test]
fn two_with_outputs_and_tables_of_their_own_share_no_name() {
    let names = |config: Config| {
        let (mut bench, setup) = bench(config);
        bench.take(&Wanted::new(T0, 17).event(&setup));
        bench.tick(T0 + 500);
        let outputs = bench.out.outputs.iter().map(|output| output.name.clone());
        let files = written(&bench)
            .into_iter()
            .map(|path| path.display().to_string());
        outputs
            .chain(files)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let usual = names(Config::default());
    let other = names(Config {
        output: "large".into(),
        event_selection_table: "largest".into(),
        ..Config::default()
    });
    assert!(
        usual.contains("ztplot") && usual.contains("ztplot_counts"),
        "{usual:?}"
    );
    assert!(
        other.contains("large") && other.contains("large_counts"),
        "{other:?}"
    );
    assert_eq!(usual.len(), other.len());
    assert!(usual.is_disjoint(&other), "{usual:?} {other:?}");
}

#[test]
fn every_event_is_counted_but_drawn_only_when_data_time_moves_on() {
    let (mut bench, setup) = bench(small(1));
    bench.take(&Wanted::new(T0, 1).overlays(100).event(&setup));
    for n in 2..400 {
        let at_ms = T0 + i64::try_from(n).unwrap() * 100;
        bench.take(&Wanted::new(at_ms, n).event(&setup));
    }
    assert_eq!(drawn(&bench), 1);
    bench.take(&Wanted::new(T0 + 59_999, 400).event(&setup));
    assert_eq!(drawn(&bench), 1);
    bench.take(&Wanted::new(T0 + 60_000, 401).event(&setup));
    assert_eq!(drawn(&bench), 2);
    bench.tick(T0 + 61_000);
    assert_eq!(bench.cell("ztplot_counts", "events", 1), json!(401));
    assert_eq!(bench.cell("ztplot_counts", "selected", 1), json!(1));
    // A replay begins anew with older data.
    bench.take(&Wanted::new(T0 - DAY_MS, 402).event(&setup));
    assert_eq!(drawn(&bench), 3);
}

#[test]
fn events_with_too_few_triggered_dus_or_doms_are_left_out() {
    let config = Config {
        min_dus: 2,
        min_doms: 3,
        ..Config::default()
    };
    let (mut bench, setup) = bench(config);
    let with = |counter, triggered: &[(u32, u32)]| Wanted {
        triggered: triggered.to_vec(),
        ..Wanted::new(T0, counter)
    };
    bench.take(&with(1, &[(1, 1), (1, 2), (1, 3), (1, 4)]).event(&setup));
    bench.take(&with(2, &[(1, 1), (1, 1), (2, 1), (2, 1)]).event(&setup));
    bench.tick(T0);
    assert_eq!(drawn(&bench), 0);
    let too_small = bench.cell("ztplot_counts", "too few triggered DUs or DOMs", 1);
    assert_eq!(too_small, json!(2));
    bench.take(&with(3, &[(1, 1), (3, 1), (1, 2)]).event(&setup));
    assert_eq!(drawn(&bench), 1);
}

#[test]
fn only_a_record_of_the_full_top_10_is_told_of_and_only_when_wanted() {
    for elog in [false, true] {
        let (mut bench, setup) = bench(Config {
            elog,
            ..Config::default()
        });
        stored::answer(&mut bench, stored::rows(&[]));
        for n in 1..=10 {
            let overlays = i32::try_from(n).unwrap();
            bench.take(&Wanted::new(T0, n).overlays(overlays).event(&setup));
        }
        // The first ten fill the table: each is in, none is told of.
        assert_eq!(written(&bench).len(), 20);
        assert!(bench.out.alarms.is_empty());
        // As good as the tenth in everything.
        bench.take(&Wanted::new(T0, 11).overlays(1).event(&setup));
        assert_eq!(written(&bench).len(), 20);
        bench.take(&Wanted::new(T0, 12).overlays(2).event(&setup));
        assert_eq!(written(&bench).len(), 22);
        assert_eq!(bench.out.alarms.len(), usize::from(elog));
        if !elog {
            continue;
        }
        let alarm = &bench.out.alarms[0];
        assert_eq!((&*alarm.rule, alarm.firing), ("top10_event", true));
        assert_eq!(alarm.severity, Severity::Info);
        assert_eq!(alarm.subject, "ztplot_00000044_00006760_FI156_TC12");
        assert_eq!(alarm.text, "A new event has made it into the top 10!");
        // It is a happening: nothing takes it back.
        bench.tick(T0 + 2 * DAY_MS);
        assert_eq!(bench.out.alarms.len(), 1);
    }
}

#[test]
fn rows_and_files_go_together_instead_of_piling_up() {
    let config = Config {
        elog: true,
        ..small(2)
    };
    let (mut bench, setup) = bench(config);
    stored::answer(&mut bench, stored::rows(&[]));
    for n in 1..=300 {
        // Each better than all before, in everything.
        let wanted = Wanted {
            others: n,
            triggered: vec![(1, 1); 4 + n]
                .into_iter()
                .chain((2..=4).map(|floor| (1, floor)))
                .collect(),
            ..Wanted::new(T0, n as u64).overlays(i32::try_from(n).unwrap())
        };
        bench.take(&wanted.event(&setup));
    }
    bench.tick(T0);
    assert_eq!(
        column(&bench, "event_selection", "trigger_counter"),
        ["299", "300"]
    );
    assert_eq!(written(&bench).len(), 600);
    let removed = removed(&bench);
    assert_eq!(removed.len(), 596);
    assert!(removed.contains(&path(298, "dat")) && removed.contains(&path(1, "json")));
    assert!(!removed.contains(&path(299, "dat")));
    assert_eq!(bench.out.alarms.len(), 298);
}

#[test]
fn the_selection_and_the_last_plot_survive_a_restart() {
    let (mut bench, setup) = bench(small(2));
    for n in 1..=3 {
        let overlays = i32::try_from(n).unwrap();
        bench.take(&Wanted::new(T0, n).overlays(overlays).event(&setup));
    }
    bench.tick(T0);
    let before = column(&bench, "event_selection", "trigger_counter");
    let plot = bench.output("ztplot").clone();
    let store = Store::default();
    let mut bench = bench.restarted(small(2), &setup, &store);
    bench.tick(T0 + 1000);
    assert_eq!(column(&bench, "event_selection", "trigger_counter"), before);
    assert_eq!(*bench.output("ztplot"), plot);
    // The limits still hold, and data time goes on from where it was.
    bench.out.outputs.clear();
    bench.take(&Wanted::new(T0 + 1000, 4).overlays(1).event(&setup));
    assert!(bench.out.outputs.is_empty() && written(&bench).is_empty());
    // With fewer places than before, the files of those that lose theirs go.
    let mut bench = bench.restarted(small(1), &setup, &store);
    bench.tick(T0 + 2000);
    assert!(!removed(&bench).is_empty());
}

#[test]
fn a_reset_takes_the_files_along() {
    let (mut bench, setup) = bench(Config::default());
    bench.take(&Wanted::new(T0, 1).event(&setup));
    bench.monitor.reset();
    bench.tick(T0);
    assert_eq!(removed(&bench), [path(1, "dat"), path(1, "json")]);
    assert!(table(&bench, "event_selection").rows.is_empty());
}

#[test]
fn the_same_event_twice_has_one_row() {
    let (mut bench, setup) = bench(Config::default());
    for _ in 0..3 {
        bench.take(&Wanted::new(T0, 1).event(&setup));
    }
    // The same counter in another run or detector is another event.
    let run = Wanted {
        run: 6761,
        ..Wanted::new(T0, 1)
    };
    let detector = Wanted {
        det_id: -1,
        ..Wanted::new(T0, 1)
    };
    bench.take(&run.event(&setup));
    bench.take(&detector.event(&setup));
    bench.tick(T0);
    assert_eq!(table(&bench, "event_selection").rows.len(), 3);
    assert_eq!(written(&bench).len(), 6);
}

#[test]
fn one_bad_event_stops_nothing() {
    let (mut bench, setup) = bench(Config::default());
    let body = Wanted::new(T0, 1).body(&setup);
    for cut in 0..body.len() {
        bench.take(&frame(tags::IO_EVT, body[..cut].to_vec(), T0));
    }
    assert_eq!(bench.out.bad.len(), body.len());
    assert_eq!(drawn(&bench), 0);
    for bit in 0..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        bench.take(&frame(tags::IO_EVT, flipped, T0));
        bench.tick(T0);
    }
    for output in &bench.out.outputs {
        assert_eq!(output.view.fault(), None, "{}", output.name);
        assert!(Output::is_valid_name(&output.name), "{}", output.name);
    }
    bench.take(&Wanted::new(T0 + DAY_MS, 5).overlays(i32::MAX).event(&setup));
    bench.tick(T0 + DAY_MS);
    let counters = column(&bench, "event_selection_overlays", "trigger counter");
    assert!(counters.contains(&json!("5")));
}

#[test]
fn an_event_without_any_hit_is_left_out() {
    let config = Config {
        min_dus: 0,
        min_doms: 0,
        ..Config::default()
    };
    let (mut bench, setup) = bench(config);
    let empty = Wanted {
        triggered: vec![],
        others: 0,
        ..Wanted::new(T0, 1).overlays(0)
    };
    bench.take(&empty.event(&setup));
    bench.tick(T0);
    // Nothing in it exceeds 0: it is drawn as the first event, but no record.
    assert_eq!((drawn(&bench), written(&bench).len()), (1, 0));
    assert!(panels(bench.output("ztplot")).panels.is_empty());
}

#[test]
fn unknown_doms_are_counted_and_the_other_hits_drawn() {
    let (mut bench, setup) = bench(Config::default());
    let wanted = Wanted {
        unknown: vec![7, 7, 8],
        ..Wanted::new(T0, 1)
    };
    bench.take(&wanted.event(&setup));
    bench.tick(T0);
    assert_eq!(
        bench.cell("ztplot_counts", "hits of unknown DOMs", 1),
        json!(3)
    );
    let strangers = &table(&bench, "ztplot_unknown").rows;
    assert_eq!(strangers[0][..2], [json!(7), json!(2)]);
    let view = panels(bench.output("ztplot"));
    assert_eq!(discs(view), 14);
    // The wire count stands in the selection.
    assert_eq!(column(&bench, "event_selection", "n_hits"), [17]);
}

#[test]
fn detector_files_of_versions_4_and_5_draw_the_same() {
    use fathom_formats::detx::{Detector, DetxVersion};

    let setup = setup(3);
    let generated = setup.detector.as_ref().unwrap();
    let wanted = Wanted::new(T0, 1);
    let draw = |detector: Detector| {
        let setup = Setup {
            detector: Some(detector.into()),
            ..Setup::default()
        };
        let mut bench = Bench::<ZtPlot>::new(Config::default(), &setup);
        bench.take(&wanted.event(&setup));
        panels(bench.output("ztplot")).clone()
    };
    let mut plots = [DetxVersion::V4, DetxVersion::V5].map(|version| {
        let text = generated.to_detx(version);
        draw(Detector::parse(text.as_bytes()).unwrap().detector)
    });
    assert_eq!(discs(&plots[0]), 14);
    let last = std::mem::take(&mut plots[1]);
    assert_eq!(plots[0], last);
}

#[test]
fn runs_of_other_types_leave_the_selection_when_the_table_of_runs_says_so() {
    let config = Config {
        run_types: vec!["PHYS".into()],
        runs: Some(Location::from("http://db/runs.txt".to_owned())),
        ..Config::default()
    };
    let (mut bench, setup) = bench(config);
    let of_run = |run, counter| {
        let wanted = Wanted {
            run,
            ..Wanted::new(T0, counter)
        };
        wanted.event(&setup)
    };
    bench.tick(T0);
    assert_eq!(bench.out.fetches[0].name, "runs");
    bench.take(&of_run(1, 1));
    bench.take(&of_run(2, 2));
    let bytes = b"RUN\tRUNSETUPNAME\n1\tPHYS.x\n2\tCALIB.x\n"
        .as_slice()
        .into();
    let fetched = Fetched {
        name: "runs".into(),
        content: Ok(Content::Bytes(bytes, None)),
    };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    bench.take(&of_run(2, 3));
    bench.tick(T0 + 1000);
    assert_eq!(column(&bench, "event_selection", "run_id"), [1]);
    assert_eq!(removed(&bench).len(), 2);
    assert_eq!(
        bench.cell("ztplot_counts", "of runs of another type", 1),
        json!(1)
    );
}

#[test]
fn an_event_is_drawn_again_on_request_with_the_dus_chosen() {
    let (mut bench, setup) = bench(small(1));
    let wanted = Wanted {
        triggered: vec![(1, 1), (2, 1), (3, 1), (3, 2)],
        ..Wanted::new(T0, 1).overlays(50)
    };
    bench.take(&wanted.event(&setup));
    bench.take(&Wanted::new(T0 + 1, 2).overlays(0).event(&setup));
    let ask = |bench: &mut Bench<ZtPlot>, args: Value| {
        let answer = bench.monitor.on_request("event", &args)?;
        serde_json::from_value::<Output>(answer).map_err(|e| e.to_string())
    };
    let chosen = ask(&mut bench, json!({"trigger_counter": 1, "dus": [3]})).unwrap();
    assert_eq!(panels(&chosen).panels.len(), 1);
    assert_eq!(panels(&chosen).panels[0].title, "DU 3");
    let most = ask(&mut bench, json!({"trigger_counter": 1, "dus_max": 2})).unwrap();
    let titles = panels(&most).panels.iter().map(|panel| &*panel.title);
    // DU 3 has the most hits, of the others the first one counts.
    assert_eq!(titles.collect::<Vec<_>>(), ["DU 1", "DU 3"]);
    // One that was never drawn, by its counter as tables have it: numbers of 64 bits are texts.
    let other = ask(&mut bench, json!({"run": 6760, "trigger_counter": "2"})).unwrap();
    assert_eq!(other.name, "ztplot_00000044_00006760_FI156_TC2");
    let latest = ask(&mut bench, json!(null)).unwrap();
    assert_eq!(latest.name, "ztplot_00000044_00006760_FI156_TC1");
    assert!(
        ask(&mut bench, json!({"run": 1}))
            .unwrap_err()
            .contains("no such event")
    );
    assert!(
        ask(&mut bench, json!({"ru": 1}))
            .unwrap_err()
            .contains("unknown field")
    );
}

/// Light of a muon that goes straight down 20 m beside DU 2.
fn straight_down(setup: &Setup) -> Vec<u8> {
    let detector = setup.detector.as_ref().unwrap();
    let track = fathom_monitors::LineTrack {
        distance_m: 20.0,
        z_m: 100.0,
        up: -0.99,
        time_ns: 5000.0,
    };
    let hit = |floor| {
        let module = detector.module_at(2, floor).unwrap();
        let pmt = &module.pmts[0];
        let time_ns = track.arrival_ns(pmt.position_m[2]) - pmt.t0_ns;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some microseconds"
        )]
        let time = time_ns.round() as u32;
        SnapshotHit::new(module.id, 0.into(), time, 30)
    };
    let hits: Vec<_> = (1..=12).map(hit).collect();
    let triggered = hits
        .iter()
        .map(|hit| TriggeredHit::new(*hit, TriggerMask(18)));
    let triggered: Vec<_> = triggered.collect();
    let payload = Payload {
        legacy: false,
        header: header(6760, T0),
        trigger_counter: 3,
        trigger_mask: TriggerMask(18),
        overlays: 0,
        triggered: &triggered,
        snapshot: &hits,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).unwrap();
    body
}

/// The picture of an event showed its hits only, while the fit stood in another one.
#[test]
fn an_event_is_drawn_with_its_line_fit_and_residuals_on_request() {
    let (mut bench, setup) = bench(small(10));
    let body = straight_down(&setup);
    bench.take(&frame(tags::IO_EVT, body, T0));
    let ask = |bench: &mut Bench<ZtPlot>, fit: bool| {
        let args = json!({ "trigger_counter": 3, "fit": fit });
        bench.monitor.on_request("event", &args).unwrap()["view"]["panels"][0].clone()
    };
    let plain = ask(&mut bench, false);
    let fitted = ask(&mut bench, true);
    assert_eq!(plain["title"], "DU 2");
    let title = fitted["title"].as_str().unwrap();
    assert!(title.starts_with("DU 2, Q "), "{title}");
    let layers = fitted["layers"].as_array().unwrap();
    let count = plain["layers"].as_array().unwrap().len();
    let names: Vec<_> = layers[count..]
        .iter()
        .map(|layer| layer["name"].clone())
        .collect();
    assert_eq!(names, ["fitted", "line fit"]);
    assert!(layers[count]["x"].as_array().unwrap().len() >= 10);
    // The curve runs through the hits, and every hit says how far from it it is.
    for note in layers[0]["notes"].as_array().unwrap() {
        let note = note.as_str().unwrap();
        let residual = note
            .rsplit_once("residual ")
            .unwrap()
            .1
            .trim_end_matches(" ns");
        assert!(residual.parse::<f64>().unwrap().abs() < 5.0, "{note}");
    }
}

#[test]
fn stored_events_are_read_again_and_redrawn_after_a_restart() {
    let (mut bench, setup) = bench(small(1));
    let wanted = Wanted::new(T0, 1);
    bench.take(&wanted.event(&setup));
    let store = Store::default();
    let mut bench = bench.restarted(small(1), &setup, &store);
    let name = "ztplot_00000044_00006760_FI156_TC1";
    let by_name = json!({"name": name});
    let refused = bench.monitor.on_request("event", &by_name).unwrap_err();
    assert!(refused.contains("ask again"), "{refused}");
    let redrawn = bench.monitor.on_request("redraw", &json!(null)).unwrap();
    assert_eq!(redrawn, json!({"redrawn": [name]}));
    bench.tick(T0);
    // The first one is for rows of local_db, the last one for the names of all files.
    let [_, fetch, _] = &bench.out.fetches[..] else {
        panic!()
    };
    let place = format!("data:files/{}", path(1, "dat").display());
    assert_eq!(fetch.from, Location::from(place));
    let fetched = Fetched {
        name: fetch.name.clone(),
        content: Ok(Content::Bytes(wanted.body(&setup).into(), None)),
    };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    assert_eq!(written(&bench), [path(1, "json")]);
    bench.monitor.on_request("event", &by_name).unwrap();
    let unknown = bench.monitor.on_request("redraw", &json!({"name": "../x"}));
    assert!(unknown.unwrap_err().contains("not in the selection"));
}

#[test]
fn an_event_is_taken_out_of_the_selection_on_request() {
    let (mut bench, setup) = bench(Config::default());
    bench.take(&Wanted::new(T0, 1).overlays(i32::MAX).event(&setup));
    bench.take(&Wanted::new(T0, 2).event(&setup));
    let name = "ztplot_00000044_00006760_FI156_TC1";
    let args = json!({"name": name});
    bench.monitor.on_request("remove", &args).unwrap();
    bench.tick(T0);
    assert_eq!(column(&bench, "event_selection", "trigger_counter"), ["2"]);
    assert_eq!(removed(&bench), [path(1, "dat"), path(1, "json")]);
    let again = bench.monitor.on_request("remove", &args).unwrap_err();
    assert!(again.contains("not in the selection"), "{again}");
    assert!(bench.monitor.on_request("remove", &json!(null)).is_err());
}

#[test]
fn an_event_that_comes_back_before_its_files_are_gone_keeps_them() {
    let (mut bench, setup) = bench(Config::default());
    bench.take(&Wanted::new(T0, 1).event(&setup));
    bench.monitor.reset();
    bench.take(&Wanted::new(T0, 1).event(&setup));
    bench.tick(T0);
    assert!(removed(&bench).is_empty());
    assert_eq!(column(&bench, "event_selection", "trigger_counter"), ["1"]);
}

#[test]
fn damaged_stored_events_are_counted() {
    let (mut bench, setup) = bench(small(1));
    bench.take(&Wanted::new(T0, 1).event(&setup));
    bench.monitor.on_request("redraw", &json!(null)).unwrap();
    bench.tick(T0);
    let name = bench.out.fetches[1].name.clone();
    let content = Ok(Content::Bytes(vec![1, 2, 3].into(), None));
    bench
        .monitor
        .on_fetched(Fetched { name, content }, &mut bench.out);
    assert_eq!(bench.out.bad, ["stored event is damaged"]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let setup = setup(1);
    let refused = |config: Config| ZtPlot::check(&config, &setup).unwrap_err();
    assert!(refused(small(0)).contains("expected 1 to 100"));
    let table = |name: &str| Config {
        event_selection_table: name.into(),
        ..Config::default()
    };
    for name in ["", "x; DROP TABLE y", "a/b"] {
        assert!(refused(table(name)).contains("expected letters"), "{name}");
    }
    let output = Config {
        output: "a/b".into(),
        ..Config::default()
    };
    assert!(refused(output).contains("expected letters"));
    let types = Config {
        run_types: vec!["PHYS".into()],
        ..Config::default()
    };
    assert!(refused(types).contains("name a table"));
    let tick = Config {
        ytick_distance: f64::NAN,
        interval: Span::from_secs(1),
        ..Config::default()
    };
    assert!(refused(tick).contains("above 0"));
    let nowhere = ZtPlot::check(&Config::default(), &Setup::default());
    assert!(nowhere.unwrap_err().contains("[detector]"));
}
