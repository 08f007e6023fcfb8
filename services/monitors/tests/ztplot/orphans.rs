//! A start that ended badly loses no event of the selection and leaves no files behind.

use std::collections::BTreeMap;

use fathom_kernel::{FetchError, Persist};

use super::*;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Carries out on `files` what was said to be written and taken away.
fn apply(bench: &mut Bench<ZtPlot>, files: &mut Files) {
    for edit in bench.out.files.drain(..) {
        match edit {
            FileEdit::Write { path, bytes } => {
                files.insert(path, bytes);
            }
            FileEdit::Remove { path } => {
                files.remove(&path);
            }
            FileEdit::Rename { .. } => panic!("nothing is renamed"),
        }
    }
}

/// Answers all wishes about the folder of the selection until there are no more.
fn answer(bench: &mut Bench<ZtPlot>, files: &mut Files) {
    while !bench.out.fetches.is_empty() {
        for fetch in std::mem::take(&mut bench.out.fetches) {
            let place = fetch.from.whole();
            let place = PathBuf::from(place.strip_prefix("data:files/").unwrap());
            let content = match fetch.lists {
                true => {
                    assert!(place.starts_with("event_selection"));
                    let inside = files.keys().filter(|path| path.parent() == Some(&*place));
                    let names = inside.map(|path| path.file_name().unwrap());
                    let text: String = names
                        .map(|name| format!("{}\n", name.to_str().unwrap()))
                        .collect();
                    Some(text.into_bytes())
                }
                false => files.get(&place).cloned(),
            };
            let content = content.map(|bytes| Content::Bytes(bytes.into(), None));
            let absent = FetchError::Absent {
                location: place.display().to_string(),
                why: "No such file".into(),
            };
            let (name, content) = (fetch.name, content.ok_or(absent));
            let fetched = Fetched { name, content };
            bench.monitor.on_fetched(fetched, &mut bench.out);
        }
        apply(bench, files);
    }
}

fn tick(bench: &mut Bench<ZtPlot>, at_ms: i64, files: &mut Files) {
    bench.tick(at_ms);
    apply(bench, files);
    answer(bench, files);
}

fn of(counter: u64, overlays: i32) -> Wanted {
    Wanted::new(T0, counter).overlays(overlays)
}

fn counters(bench: &Bench<ZtPlot>) -> Vec<Value> {
    column(bench, "event_selection", "trigger_counter")
}

fn names(files: &Files) -> Vec<&Path> {
    files.keys().map(PathBuf::as_path).collect()
}

/// A record of the last half minute before a kill was lost from the selection.
#[test]
fn a_change_of_the_selection_is_kept_at_once_and_nothing_else_is() {
    let (mut bench, setup) = bench(small(2));
    let mut files = Files::new();
    tick(&mut bench, T0, &mut files);
    let keeps = |bench: &mut Bench<ZtPlot>| std::mem::take(&mut bench.out.keeps);
    assert!(!keeps(&mut bench));
    bench.take(&of(1, 5).event(&setup));
    assert!(keeps(&mut bench));
    // Too small, and equal to one that is there.
    bench.take(
        &Wanted {
            triggered: vec![(1, 1)],
            ..of(2, 9)
        }
        .event(&setup),
    );
    bench.take(&of(1, 5).event(&setup));
    tick(&mut bench, T0 + 1000, &mut files);
    assert!(!keeps(&mut bench));
    let store = Store::default();
    let mut keep = Persist::default();
    bench.monitor.persist(&mut keep);
    keep.write(&store.checkpoint()).unwrap();

    let (mut next, _) = super::bench(small(2));
    next.monitor.restore(&store.saved()).unwrap();
    let before = files.clone();
    tick(&mut next, T0 + 2000, &mut files);
    assert_eq!(counters(&next), ["1"]);
    assert!(files == before && !keeps(&mut next));
    let name = json!({ "name": "ztplot_00000044_00006760_FI156_TC1" });
    next.monitor.on_request("remove", &name).unwrap();
    tick(&mut next, T0 + 3000, &mut files);
    assert!(files.is_empty() && keeps(&mut next));
}

/// Files of events whose rows were lost with a killed process lay there for ever, and the limits were
/// lower than the truth.
#[test]
fn files_without_a_row_come_back_into_the_selection_or_go() {
    let (mut before, setup) = bench(small(1));
    let mut files = Files::new();
    let store = Store::default();
    before.take(&of(1, 5).event(&setup));
    tick(&mut before, T0, &mut files);
    let old = files.clone();
    let mut before = before.restarted(small(1), &setup, &store);
    // Better in everything than the one of the checkpoint, which goes.
    let best = Wanted {
        others: 20,
        triggered: (1..=8).map(|floor| (1, floor)).collect(),
        ..of(2, 7)
    };
    before.take(&best.event(&setup));
    tick(&mut before, T0 + 1000, &mut files);
    assert_eq!(names(&files), [path(2, "dat"), path(2, "json")]);

    // As if the process had been killed before the checkpoint: the files of both are there.
    files.extend(old);
    let (mut next, _) = bench(small(1));
    next.monitor.restore(&store.saved()).unwrap();
    tick(&mut next, T0 + 2000, &mut files);
    tick(&mut next, T0 + 3000, &mut files);
    assert_eq!(counters(&next), ["2"]);
    assert_eq!(names(&files), [path(2, "dat"), path(2, "json")]);
    let limit = next.cell("ztplot_counts", "limit of overlays", 1);
    assert_eq!(limit, json!(7));
    let back = next.cell("ztplot_counts", "taken back from their files", 1);
    assert_eq!(back, json!(1));
    assert!(next.out.keeps && next.out.alarms.is_empty() && next.out.bad.is_empty());

    // And one that is worse than what is there goes.
    let worse = Files::from([
        (path(1, "dat"), of(1, 5).body(&setup)),
        (
            path(1, "json"),
            b"{\"name\": \"ztplot_00000044_00006760_FI156_TC1\"}".to_vec(),
        ),
    ]);
    files.extend(worse);
    let mut next = next.restarted(small(1), &setup, &store);
    tick(&mut next, T0 + 4000, &mut files);
    tick(&mut next, T0 + 5000, &mut files);
    assert_eq!(counters(&next), ["2"]);
    assert_eq!(names(&files), [path(2, "dat"), path(2, "json")]);
}

#[test]
fn a_lost_checkpoint_loses_no_event_and_what_local_db_has_of_it_is_the_same_row() {
    let (mut before, setup) = bench(small(5));
    let mut files = Files::new();
    for n in 1..=3 {
        let overlays = i32::try_from(n).unwrap();
        before.take(&of(n, overlays).event(&setup));
    }
    tick(&mut before, T0, &mut files);
    assert_eq!(files.len(), 6);

    for is_listed_first in [true, false] {
        let (mut next, _) = bench(small(5));
        let rows = stored::rows(&[(1, 1), (7, 90)]);
        if is_listed_first {
            tick(&mut next, T0, &mut files);
            stored::answer(&mut next, rows);
            answer(&mut next, &mut files);
        } else {
            stored::answer(&mut next, rows);
            tick(&mut next, T0, &mut files);
        }
        tick(&mut next, T0 + 60_000, &mut files);
        let mut found = counters(&next);
        found.sort_by_key(ToString::to_string);
        assert_eq!(found, ["1", "2", "3", "7"], "{is_listed_first}");
        let pictures = column(&next, "event_selection_overlays", "picture");
        let shown = pictures.iter().filter(|picture| picture.is_string());
        assert_eq!((pictures.len(), shown.count()), (4, 3), "{is_listed_first}");
        assert_eq!(files.len(), 6);
        assert!(next.out.alarms.is_empty(), "{is_listed_first}");
    }
}

/// The payload was written first: after a kill in between it lay there for ever.
#[test]
fn what_was_written_when_the_process_was_killed_between_two_files_goes() {
    let (mut before, setup) = bench(small(1));
    before.take(&of(1, 5).event(&setup));
    for written in 0..=2 {
        let (mut killed, mut files) = (bench(small(1)).0, Files::new());
        killed.out.files = before.out.files[..written].to_vec();
        apply(&mut killed, &mut files);
        assert_eq!(files.len(), written);
        let (mut next, _) = bench(small(1));
        tick(&mut next, T0, &mut files);
        tick(&mut next, T0 + 1000, &mut files);
        // Both of them are the whole event.
        let left = usize::from(written == 2);
        assert_eq!((files.len(), counters(&next).len()), (2 * left, left));
    }
}

#[test]
fn files_of_others_stay_and_unfinished_or_damaged_ones_of_our_own_go() {
    let (mut bench, setup) = bench(small(5));
    let signed = |counter: u64, whose: Value| {
        let name = format!("ztplot_00000044_00006760_FI156_TC{counter}");
        let text = json!({ "name": name, "selected_for": whose }).to_string();
        (path(counter, "json"), text.into_bytes())
    };
    let others = Files::from([
        // As km3mon writes them.
        (path(1, "dat"), of(1, 5).body(&setup)),
        (path(1, "png"), b"\x89PNG".to_vec()),
        // Of another selection, and of nobody known.
        (path(2, "dat"), of(2, 5).body(&setup)),
        signed(2, json!("another_table")),
        (path(3, "json"), b"{}".to_vec()),
        ("event_selection/notes.json".into(), b"{}".to_vec()),
        ("event_selection/notes.json.tmp".into(), b"{".to_vec()),
    ]);
    let mut files = others.clone();
    files.extend([
        (path(4, "dat"), vec![1, 2, 3]),
        signed(4, json!("event_selection")),
        // The payload has gone already.
        signed(5, json!("event_selection")),
        // The payload of another event.
        (path(6, "dat"), of(7, 5).body(&setup)),
        signed(6, json!("event_selection")),
        (path(8, "dat.tmp"), b"1".to_vec()),
        (path(8, "json.tmp"), b"1".to_vec()),
    ]);
    tick(&mut bench, T0, &mut files);
    tick(&mut bench, T0 + 60_000, &mut files);
    assert_eq!(names(&files), names(&others));
    assert!(counters(&bench).is_empty());
    assert_eq!(bench.out.bad, ["stored event is damaged"]);
}

#[test]
fn what_was_taken_out_or_reset_does_not_come_back_from_its_files() {
    let (mut before, setup) = bench(small(5));
    let mut files = Files::new();
    let store = Store::default();
    before.take(&of(1, 5).event(&setup));
    before.take(&of(2, 5).event(&setup));
    tick(&mut before, T0, &mut files);
    let all = files.clone();
    let name = json!({ "name": "ztplot_00000044_00006760_FI156_TC1" });
    before.monitor.on_request("remove", &name).unwrap();
    tick(&mut before, T0 + 1000, &mut files);

    files.clone_from(&all);
    let mut next = before.restarted(small(5), &setup, &store);
    tick(&mut next, T0 + 2000, &mut files);
    assert_eq!(names(&files), [path(2, "dat"), path(2, "json")]);
    next.monitor.reset();
    tick(&mut next, T0 + 3000, &mut files);
    assert!(files.is_empty());
    files.clone_from(&all);
    let mut last = next.restarted(small(5), &setup, &store);
    tick(&mut last, T0 + 4000, &mut files);
    assert!(files.is_empty() && counters(&last).is_empty());
}

#[test]
fn a_folder_that_cannot_be_listed_is_told_and_listed_again() {
    let (mut bench, _) = bench(small(5));
    let lists = |bench: &mut Bench<ZtPlot>| {
        let fetches = std::mem::take(&mut bench.out.fetches);
        fetches.into_iter().find(|fetch| fetch.lists)
    };
    for (at_ms, is_asked) in [(0, true), (1000, false), (60_000, true)] {
        bench.tick(T0 + at_ms);
        let list = lists(&mut bench);
        assert_eq!(list.is_some(), is_asked, "{at_ms}");
        let Some(list) = list else { continue };
        let content = Err(FetchError::TooLong {
            location: "files".into(),
            limit: 1,
        });
        let name = list.name;
        let fetched = Fetched { name, content };
        bench.monitor.on_fetched(fetched, &mut bench.out);
    }
    assert_eq!(
        bench.out.bad,
        ["files of the selection cannot be listed"; 2]
    );
}

/// `local_db` kept rows of events whose pictures had gone, because it never heard that they had left.
#[test]
fn events_that_have_left_are_listed_until_they_come_back() {
    let (mut bench, setup) = bench(small(1));
    let gone = |bench: &Bench<ZtPlot>| {
        let name = "event_selection_gone";
        let rows = column(bench, name, "trigger_counter").into_iter();
        rows.zip(column(bench, name, "plot_filename"))
            .map(|(counter, name)| {
                let counter = counter.as_str().unwrap().to_owned();
                assert!(
                    name.as_str()
                        .unwrap()
                        .ends_with(&format!("_TC{counter}.png"))
                );
                counter
            })
            .collect::<Vec<_>>()
    };
    let best = |counter: u64, better: usize| Wanted {
        others: 10 + 10 * better,
        triggered: (1..=4 + u32::try_from(better).unwrap())
            .map(|floor| (1, floor))
            .collect(),
        ..of(counter, 5 + i32::try_from(better).unwrap())
    };
    // A row that was found, and the same event again: its row is of others.
    stored::answer(&mut bench, stored::rows(&[(1, 4)]));
    bench.take(&best(1, 0).event(&setup));
    bench.take(&best(2, 1).event(&setup));
    bench.take(&best(3, 2).event(&setup));
    bench.tick(T0);
    bench.tick(T0 + 1000);
    assert_eq!(counters(&bench), ["3"]);
    assert_eq!(gone(&bench), ["2"]);
    let store = Store::default();
    let mut bench = bench.restarted(small(1), &setup, &store);
    bench.tick(T0 + 2000);
    assert_eq!(gone(&bench), ["2"]);
    // What the list of the file has of it is not taken.
    stored::answer(&mut bench, stored::rows(&[(2, 90)]));
    bench.tick(T0 + 3000);
    assert_eq!(counters(&bench), ["3"]);
    let name = json!({ "name": "ztplot_00000044_00006760_FI156_TC3" });
    bench.monitor.on_request("remove", &name).unwrap();
    bench.tick(T0 + 4000);
    bench.tick(T0 + 5000);
    assert_eq!(gone(&bench), ["2", "3"]);
    bench.take(&best(2, 1).event(&setup));
    bench.tick(T0 + 6000);
    assert_eq!(
        (counters(&bench), gone(&bench)),
        (vec![json!("2")], vec!["3".into()])
    );
}

/// The files of some events in the folder of a selection.
fn files_of(folder: &str, counters: std::ops::RangeInclusive<u64>) -> Vec<PathBuf> {
    let file = |counter: u64, ending: &str| {
        let path = path(counter, ending);
        Path::new(folder).join(path.file_name().unwrap())
    };
    counters
        .flat_map(|counter| ["dat", "json"].map(|ending| file(counter, ending)))
        .collect()
}

/// Two selections of one stack took away each other's files with the rows that left one of them.
#[test]
fn two_selections_keep_all_files_of_both() {
    let second = |best| Config {
        event_selection_table: "second".into(),
        elog: true,
        ..small(best)
    };
    let (mut long, setup) = bench(small(4));
    let mut short = Bench::new(second(2), &setup);
    let mut files = Files::new();
    for counter in 1..=8 {
        let better = i32::try_from(counter).unwrap();
        for bench in [&mut long, &mut short] {
            let wanted = Wanted {
                others: 10 + usize::try_from(counter).unwrap(),
                ..of(counter, 5 + better)
            };
            bench.take(&wanted.event(&setup));
            tick(bench, T0 + i64::from(better) * 60_000, &mut files);
        }
    }
    // All have as many triggered hits: the first ones stay for that.
    let ofs = |folder: &str, ranges: [std::ops::RangeInclusive<u64>; 2]| {
        let mut all: Vec<_> = ranges
            .into_iter()
            .flat_map(|r| files_of(folder, r))
            .collect();
        all.sort();
        all
    };
    let mut both = ofs("event_selection", [1..=4, 5..=8]);
    both.extend(ofs("event_selection/second", [1..=2, 7..=8]));
    both.sort();
    assert_eq!(names(&files), both);

    let pictures = column(&short, "second_overlays", "picture");
    let name = "ztplot_00000044_00006760_FI156_TC8";
    assert_eq!(
        pictures[0],
        json!(format!("/event_selection/second/{name}.png"))
    );
    let told = short.out.alarms.iter().map(|alarm| &*alarm.subject);
    assert!(
        told.clone()
            .any(|subject| subject == format!("second/{name}"))
    );

    // What is drawn anew, taken out, and lost over a restart concerns one of them only.
    let asked = json!({ "name": name });
    short.monitor.on_request("redraw", &asked).unwrap();
    files.remove(&files_of("event_selection/second", 8..=8)[1]);
    tick(&mut short, T0 + 600_000, &mut files);
    assert_eq!(names(&files), both);
    long.monitor.on_request("remove", &asked).unwrap();
    tick(&mut long, T0 + 600_000, &mut files);
    let left = files_of("event_selection", 8..=8);
    both.retain(|path| !left.contains(path));
    assert_eq!(names(&files), both);
    let mut next = Bench::new(second(4), &setup);
    tick(&mut next, T0 + 700_000, &mut files);
    tick(&mut next, T0 + 701_000, &mut files);
    assert_eq!(names(&files), both);
    assert_eq!(column(&next, "second", "trigger_counter").len(), 4);
}
