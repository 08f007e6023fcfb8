//! Maps of hits and triggered hits.

use std::sync::Arc;

use fathom_formats::detx::{Detector, Layout, Place};
use fathom_formats::km3net::{
    ChannelId, DetectorId, DomId, Event as Payload, SnapshotHit, TriggerMask, TriggeredHit,
};
use fathom_kernel::view::{HitMap, View};
use fathom_kernel::{Event, FileEdit, Monitor as _, Persist, Setup, tags};
use fathom_monitors::{TriggerMap, TriggerMapConfig as Config};
use serde_json::{Value, json};

use super::common::{Bench, Store, frame, header, vectors};

const T0: i64 = 1_700_000_400_000;

/// A detector of these modules: id, DU and floor.
fn detector(modules: &[(u32, u32, u32)]) -> Setup {
    let generated = Detector::generated(&Layout::orca(1));
    let module = generated.optical_modules().next().unwrap();
    let modules = modules.iter().map(|&(id, du, floor)| {
        let mut module = module.clone();
        module.id = DomId(id);
        module.place = Place { du, floor };
        module
    });
    Setup {
        detector: Some(Arc::new(Detector::new(DetectorId(44), modules.collect()))),
        ..Setup::default()
    }
}

/// An event with these hits: DOM, and whether it took part in the trigger.
fn event(run: i32, at_ms: i64, hits: &[(u32, bool)]) -> Event {
    let hit = |(n, &(dom, triggered)): (usize, &(u32, bool))| {
        let channel = ChannelId(u8::try_from(n % 31).unwrap());
        let time_ns = u32::try_from(n).unwrap();
        (
            SnapshotHit::new(DomId(dom), channel, time_ns, 25),
            triggered,
        )
    };
    let hits: Vec<_> = hits.iter().enumerate().map(hit).collect();
    let snapshot: Vec<_> = hits.iter().map(|hit| hit.0).collect();
    let triggered: Vec<_> = hits
        .iter()
        .filter(|hit| hit.1)
        .map(|hit| TriggeredHit::new(hit.0, TriggerMask(16)))
        .collect();
    let payload = Payload {
        legacy: false,
        header: header(run, at_ms),
        trigger_counter: 5,
        trigger_mask: TriggerMask(16),
        overlays: 0,
        triggered: &triggered,
        snapshot: &snapshot,
    };
    let mut body = Vec::new();
    payload.encode(&mut body).unwrap();
    frame(tags::IO_EVT, body, at_ms)
}

fn hitmap<'a>(bench: &'a Bench<TriggerMap>, name: &str) -> &'a HitMap {
    match &bench.output(name).view {
        View::HitMap(map) => map,
        other => panic!("{name} is {other:?}"),
    }
}

/// The columns as dense lists.
fn dense(map: &HitMap) -> Vec<Vec<u64>> {
    let column = |column: &Arc<fathom_kernel::view::HitColumn>| {
        let mut counts = vec![0; map.rows as usize];
        for (&row, &count) in column.rows.iter().zip(&column.counts) {
            counts[usize::from(row)] = count.into();
        }
        counts
    };
    map.columns.iter().map(column).collect()
}

fn lines(map: &HitMap) -> Vec<(u64, &str)> {
    let first = map.columns[0].number;
    let mark = |mark: &'_ fathom_kernel::view::ColumnMark| mark.number - first;
    map.marks.iter().map(|m| (mark(m), &*m.text)).collect()
}

#[test]
fn triggermap_vectors() {
    let section = &vectors()["triggermap"];
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let doms = section["detector"].as_object().unwrap().iter();
    let doms: Vec<_> = doms
        .map(|(id, place)| (id.parse().unwrap(), number(&place[0]), number(&place[1])))
        .collect();
    let config = Config {
        max_events: section["max_events"].as_u64().unwrap() as usize,
        ..Config::default()
    };
    let mut bench = Bench::<TriggerMap>::new(config, &detector(&doms));
    for (n, case) in (0..).zip(section["events"].as_array().unwrap()) {
        let hits = case["hits"].as_array().unwrap().iter();
        let hits: Vec<_> = hits
            .map(|hit| (number(&hit["dom_id"]), hit["triggered"].as_bool().unwrap()))
            .collect();
        let run = i32::try_from(case["run"].as_i64().unwrap()).unwrap();
        bench.take(&event(run, T0 + 1000 * n, &hits));
    }
    bench.tick(T0 + 100_000);
    let (hits, triggered) = (hitmap(&bench, "hitmap"), hitmap(&bench, "triggermap"));
    assert_eq!(json!(dense(hits)), section["hits_columns"]);
    assert_eq!(json!(dense(triggered)), section["triggered_columns"]);
    let map = bench.map("hitmap_doms");
    for (row, id) in map.id.iter().enumerate() {
        assert_eq!(section["row_of_dom"][id.to_string()], json!(row));
    }
    let unknown = bench.cell("triggermap_counts", "hits of unknown DOMs", 1);
    assert_eq!(unknown, section["unknown_dom_hits"]);
    let expected = section["run_lines"].as_array().unwrap().iter();
    let expected: Vec<_> = expected
        .map(|line| (line["x"].as_u64().unwrap(), format!("RUN {}", line["run"])))
        .collect();
    let got: Vec<_> = lines(hits)
        .into_iter()
        .map(|(x, t)| (x, t.to_owned()))
        .collect();
    assert_eq!(got, expected);
    assert_eq!(lines(triggered), lines(hits));
    let colours = &hits.colours;
    assert_eq!(
        (&*colours.map, colours.log, colours.low),
        ("plasma", true, 1.0)
    );
}

fn two_doms() -> Setup {
    detector(&[(10, 1, 1), (20, 2, 1)])
}

#[test]
fn a_run_that_goes_down_is_marked_as_well_and_a_late_event_is_not() {
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &two_doms());
    for (run, at_ms) in [
        (9, 0),
        (9, 1000),
        (5, 2000),
        (9, 1500),
        (5, 3000),
        (9, 4000),
    ] {
        bench.take(&event(run, T0 + at_ms, &[(10, true)]));
    }
    bench.tick(T0 + 5000);
    let map = hitmap(&bench, "hitmap");
    assert_eq!(lines(map), [(0, "RUN 9"), (2, "RUN 5"), (5, "RUN 9")]);
    assert_eq!(map.columns[3].note, "det 44 run 9 frame 0 counter 5");
}

#[test]
fn an_unknown_dom_takes_no_other_hit_with_it_and_few_events_become_files() {
    let config = Config {
        dumps: 2,
        ..Config::default()
    };
    let mut bench = Bench::<TriggerMap>::new(config, &two_doms());
    for n in 0..200 {
        let unknown = 900 + u32::try_from(n / 100).unwrap();
        bench.take(&event(
            1,
            T0 + 1000 * n,
            &[(unknown, false), (10, true), (20, false)],
        ));
    }
    bench.tick(T0 + 300_000);
    assert_eq!(dense(hitmap(&bench, "hitmap"))[0], [1, 1]);
    let View::Table(unknown) = &bench.output("triggermap_unknown").view else {
        panic!("no table")
    };
    assert_eq!(unknown.rows.len(), 2);
    let mut there = Vec::new();
    for edit in &bench.out.files {
        match edit {
            FileEdit::Write { path, bytes } => {
                assert!(Payload::decode(bytes).is_ok());
                there.push(path);
            }
            FileEdit::Remove { path } => there.retain(|other| *other != path),
            FileEdit::Rename { .. } => panic!("dumps keep their names"),
        }
    }
    assert_eq!(there.len(), 2);
    // One for each new DOM, and one a minute.
    assert!(bench.out.files.len() < 10, "{}", bench.out.files.len());
}

#[test]
fn dead_and_hot_doms_are_found_against_their_floor() {
    let doms: Vec<_> = (1..=5)
        .map(|du| (du, du, 1))
        .chain([(11, 1, 2), (12, 2, 2), (13, 3, 2)])
        .collect();
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &detector(&doms));
    for n in 0..400_u32 {
        // Floor 1: half of the events, DU 4 none, DU 5 all. Floor 2: one in ten, DU 3 all.
        let mut hits = vec![(5, false), (13, false)];
        if n % 2 == 0 {
            hits.extend([(1, false), (2, false), (3, false)]);
        }
        if n % 10 == 0 {
            hits.extend([(11, false), (12, false)]);
        }
        bench.take(&event(1, T0 + i64::from(n) * 100, &hits));
    }
    bench.tick(T0 + 100_000);
    let View::Table(table) = &bench.output("hitmap_outliers").view else {
        panic!("no table")
    };
    let expected = json!([["dead", 4, 1, 4, 0.0, 50.0], ["hot", 3, 2, 13, 100.0, 10.0]]);
    assert_eq!(json!(table.rows), expected, "twice the median is not hot");
    let map = bench.map("hitmap_doms");
    let at = |id| map.id.iter().position(|&other| other == id).unwrap();
    assert_eq!((map.values[at(1)], map.values[at(5)]), (0.5, 1.0));
}

#[test]
fn a_new_version_shares_its_old_columns() {
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &two_doms());
    let mut before: Vec<_> = Vec::new();
    for n in 0..5 {
        bench.take(&event(1, T0 + n, &[(10, false)]));
        bench.tick(T0 + 10_000 * (n + 1));
        let columns = hitmap(&bench, "hitmap").columns.clone();
        assert!(before.iter().zip(&columns).all(|(a, b)| Arc::ptr_eq(a, b)));
        before = columns;
    }
    assert_eq!(hitmap(&bench, "hitmap").newer_than(3).columns.len(), 1);
}

#[test]
fn the_maps_survive_a_restart_and_a_new_detector_description() {
    let config = Config {
        max_events: 4,
        ..Config::default()
    };
    let store = Store::default();
    let mut bench = Bench::<TriggerMap>::new(config.clone(), &two_doms());
    for n in 0..3 {
        bench.take(&event(7, T0 + n, &[(10, true), (20, false), (20, false)]));
    }
    let mut bench = bench.restarted(config.clone(), &two_doms(), &store);
    for n in 3..6 {
        bench.take(&event(7, T0 + n, &[(20, true)]));
    }
    // Kept by appending this time; DOM 5 then stands in front of the others.
    let mut bench = bench.restarted(config.clone(), &two_doms(), &store);
    bench.take(&event(8, T0 + 100, &[(10, true)]));
    let setup = detector(&[(5, 1, 1), (10, 1, 2), (20, 2, 1)]);
    let mut bench = bench.restarted(config, &setup, &store);
    bench.tick(T0 + 20_000);
    let map = hitmap(&bench, "hitmap");
    assert_eq!(dense(map), [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0]]);
    assert_eq!(map.columns[0].number, 3);
    assert_eq!(lines(map), [(3, "RUN 8")]);
    assert_eq!(dense(hitmap(&bench, "triggermap"))[3], [0, 1, 0]);
    assert_eq!(bench.map("hitmap_doms").values, [0.0, 0.25, 0.75]);
}

#[test]
fn without_a_detector_description_rows_grow_as_doms_come() {
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &Setup::default());
    bench.take(&event(1, T0, &[(77, true)]));
    bench.take(&event(1, T0 + 1, &[(66, true), (77, true)]));
    bench.tick(T0 + 3000);
    assert_eq!(dense(hitmap(&bench, "triggermap")), [[1, 0], [1, 1]]);
}

#[test]
fn few_events_make_no_dom_dead_or_hot_by_chance() {
    let doms: Vec<_> = (1..=5).map(|du| (du, du, 1)).collect();
    let outliers = |events: u32, hits_of: &dyn Fn(u32, u32) -> bool| {
        let config = Config {
            hot_above: 2.0,
            ..Config::default()
        };
        let mut bench = Bench::<TriggerMap>::new(config, &detector(&doms));
        for n in 0..events {
            let hits: Vec<_> = (1..=5).filter(|dom| hits_of(*dom, n)).collect();
            let hits: Vec<_> = hits.into_iter().map(|dom| (dom, false)).collect();
            bench.take(&event(1, T0 + i64::from(n) * 100, &hits));
        }
        bench.tick(T0 + 100_000);
        let View::Table(table) = &bench.output("hitmap_outliers").view else {
            panic!("no table")
        };
        table
            .rows
            .iter()
            .map(|row| row[0].clone())
            .collect::<Vec<_>>()
    };
    let all_but_one = |dom: u32, _: u32| dom != 3;
    assert!(outliers(99, &all_but_one).is_empty());
    assert_eq!(outliers(100, &all_but_one), ["dead"]);
    // Four hits are usual: four standard deviations are eight.
    assert!(outliers(100, &|dom, n| dom != 3 && n < 4).is_empty());
    // One is usual: four standard deviations are four.
    let some = |hits: u32| move |dom: u32, n: u32| n < if dom == 3 { hits } else { 1 };
    assert!(outliers(100, &some(4)).is_empty());
    assert_eq!(outliers(100, &some(6)), ["hot"]);
}

#[test]
fn events_with_strangers_are_kept_once_a_minute_and_for_each_new_stranger() {
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &two_doms());
    // Second, and the unknown DOM.
    for (s, dom) in [(0, 900), (1, 900), (2, 901), (61, 900), (62, 900)] {
        bench.take(&event(1, T0 + 1000 * s, &[(dom, false), (dom, true)]));
    }
    let second = |edit: &FileEdit| match edit {
        FileEdit::Write { path, .. } => {
            let name = path.to_str().unwrap();
            name.split('_').nth(2).unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    };
    let seconds: Vec<_> = bench.out.files.iter().map(second).collect();
    let expected = [
        "2023-11-14T22-20-00",
        "2023-11-14T22-20-02",
        "2023-11-14T22-21-02",
    ];
    assert_eq!(seconds, expected);

    // What is known of them survives a restart.
    let mut bench = bench.restarted(Config::default(), &two_doms(), &Store::default());
    bench.take(&event(1, T0 + 63_000, &[(901, false)]));
    assert!(bench.out.files.is_empty());
    bench.tick(T0 + 70_000);
    let cell = |row| bench.cell("triggermap_counts", row, 1);
    assert_eq!(cell("hits of unknown DOMs"), json!(11));
    assert_eq!(cell("events kept as files"), json!(3));
    assert_eq!(cell("events since the start"), json!(6));
}

#[test]
fn hits_and_triggered_hits_are_kept_apart_in_every_checkpoint() {
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &two_doms());
    let store = Store::default();
    for n in 0..3 {
        bench.take(&event(1, T0 + n, &[(10, true), (20, false)]));
        // All but the first are appended.
        let mut keep = Persist::last();
        bench.monitor.persist(&mut keep);
        keep.write(&store.checkpoint()).unwrap();
    }
    let mut bench = Bench::<TriggerMap>::new(Config::default(), &two_doms());
    bench.monitor.restore(&store.saved()).unwrap();
    bench.tick(T0 + 10_000);
    assert_eq!(dense(hitmap(&bench, "hitmap")), [[1, 1]; 3]);
    assert_eq!(dense(hitmap(&bench, "triggermap")), [[1, 0]; 3]);
}
