//! Rows that the file of `local_db` has already compete with the events that come.

use fathom_kernel::{Checkpoint, FetchError};

use super::*;

/// A row of the file: trigger counter, and the value in all three categories.
type Found = (u64, i64);

/// The columns that `local_db` has of the table.
fn columns() -> Vec<String> {
    let (mut bench, _) = bench(small(1));
    bench.tick(T0);
    table(&bench, "event_selection").columns.clone()
}

/// What `local_db` hands over: all values as texts, as km3mon quotes them.
pub(crate) fn rows(found: &[Found]) -> Result<Content, FetchError> {
    let row = |&(counter, value): &Found| {
        let [value, second] = [value, T0 / 1000 - 500].map(|number| number.to_string());
        let (name, counter) = (format!("old {counter}.png"), counter.to_string());
        json!([
            value, value, value, "1", name, "6760", "44", "156", counter, second
        ])
    };
    let rows: Vec<Value> = found.iter().map(row).collect();
    content(&json!({ "columns": columns(), "rows": rows }))
}

fn content(value: &Value) -> Result<Content, FetchError> {
    let bytes = serde_json::to_vec(value).unwrap();
    Ok(Content::Bytes(bytes.into(), Some("v1".into())))
}

fn absent() -> Result<Content, FetchError> {
    Err(FetchError::Absent {
        location: "files/local_db/event_selection.json".into(),
        why: "No such file".into(),
    })
}

pub(crate) fn answer(bench: &mut Bench<ZtPlot>, content: Result<Content, FetchError>) {
    let name = "rows of local_db".to_owned();
    let fetched = Fetched { name, content };
    bench.monitor.on_fetched(fetched, &mut bench.out);
}

fn wishes(bench: &mut Bench<ZtPlot>) -> usize {
    let fetches = std::mem::take(&mut bench.out.fetches);
    let place = Location::from("data:files/local_db/event_selection.json".to_owned());
    fetches.iter().filter(|fetch| fetch.from == place).count()
}

/// Ten rows of 101 to 110.
fn ten() -> Vec<Found> {
    (1..=10)
        .map(|n| (1000 + n, 100 + i64::try_from(n).unwrap()))
        .collect()
}

fn elog() -> Config {
    Config {
        elog: true,
        archives: vec!["/raw".into()],
        ..Config::default()
    }
}

/// An event of this value in overlays, and less in the other categories.
fn of(counter: u64, overlays: i32) -> Wanted {
    Wanted::new(T0, counter).overlays(overlays)
}

fn told(bench: &Bench<ZtPlot>) -> Vec<&str> {
    let alarms = bench.out.alarms.iter();
    alarms
        .map(|alarm| alarm.subject.rsplit_once("TC").unwrap().1)
        .collect()
}

/// The first ten events were records beside a file full of better ones, and its top 10 was empty.
#[test]
fn a_file_of_km3mon_was_not_there_for_the_selection() {
    let (mut bench, setup) = bench(elog());
    bench.tick(T0);
    assert_eq!(wishes(&mut bench), 1);
    answer(&mut bench, rows(&ten()));
    // Nothing is told of them, and nothing written.
    assert!(bench.out.alarms.is_empty() && bench.out.files.is_empty());
    for n in 1..=20 {
        bench.take(&of(n, 101).event(&setup));
    }
    assert!(written(&bench).is_empty() && told(&bench).is_empty());
    bench.take(&of(21, 102).event(&setup));
    assert_eq!(told(&bench), ["21"]);
    assert_eq!(written(&bench), [path(21, "json"), path(21, "dat")]);
    bench.tick(T0 + 1000);
    // Three categories: the one of 101 is still among the best in two of them.
    let overlays = column(&bench, "event_selection_overlays", "overlays");
    assert_eq!(overlays.first(), Some(&json!(110)));
    assert_eq!(overlays.len(), 10);
    assert!(!overlays.contains(&json!(101)));
    assert_eq!(
        bench.cell("ztplot_counts", "limit of overlays", 1),
        json!(102)
    );
    assert_eq!(bench.cell("ztplot_counts", "limit of hits", 1), json!(101));
    assert_eq!(bench.cell("ztplot_counts", "records", 1), json!(1));
}

#[test]
fn a_row_without_its_payload_has_an_archive_and_no_picture() {
    let (mut bench, setup) = bench(elog());
    answer(&mut bench, rows(&[(1001, 500)]));
    bench.take(&of(1, 3).event(&setup));
    bench.tick(T0);
    let page = "event_selection_overlays";
    let own = "/event_selection/ztplot_00000044_00006760_FI156_TC1.png";
    assert_eq!(column(&bench, page, "picture"), [json!(null), json!(own)]);
    let archive = "/raw/KM3NeT_00000044/6/KM3NeT_00000044_00006760.root";
    assert_eq!(column(&bench, page, "archive"), [archive, archive]);
    // Who mirrors the table gets the name that is there already.
    let names = column(&bench, "event_selection", "plot_filename");
    assert_eq!(names[0], "old 1001.png");

    let name = "ztplot_00000044_00006760_FI156_TC1001";
    let by_name = json!({ "name": name });
    for verb in ["event", "redraw"] {
        let refused = bench.monitor.on_request(verb, &by_name).unwrap_err();
        assert!(refused.contains("not kept here"), "{verb}: {refused}");
    }
    let redrawn = bench.monitor.on_request("redraw", &json!(null)).unwrap();
    assert_eq!(
        redrawn,
        json!({ "redrawn": ["ztplot_00000044_00006760_FI156_TC1"] })
    );
}

#[test]
fn rows_that_double_or_are_in_already_have_one_place() {
    let (mut bench, setup) = bench(elog());
    bench.take(&of(1, 7).event(&setup));
    answer(
        &mut bench,
        rows(&[(1001, 500), (1001, 500), (1, 7), (1001, 400)]),
    );
    answer(&mut bench, rows(&[(1001, 500), (1, 7)]));
    bench.tick(T0);
    let overlays = column(&bench, "event_selection_overlays", "overlays");
    assert_eq!(overlays, [500, 7]);
    // Our own one keeps its picture.
    let pictures = column(&bench, "event_selection_overlays", "picture");
    assert!(pictures[1].is_string() && removed(&bench).is_empty());
}

#[test]
fn only_files_of_our_own_go_when_events_lose_their_places() {
    let (mut bench, setup) = bench(small(1));
    for (counter, overlays) in [(1, 1), (2, 2)] {
        bench.take(&of(counter, overlays).event(&setup));
    }
    bench.tick(T0);
    bench.out.files.clear();
    answer(&mut bench, rows(&[(1001, 500)]));
    bench.tick(T0 + 1000);
    let gone = removed(&bench);
    assert_eq!(gone.len(), 4);
    for counter in [1, 2] {
        assert!(gone.contains(&path(counter, "dat")), "{gone:?}");
    }
    bench.out.files.clear();
    let better = Wanted {
        others: 600,
        triggered: [vec![(1, 1); 600], vec![(1, 2), (1, 3), (1, 4)]].concat(),
        ..of(3, 501)
    };
    bench.take(&better.event(&setup));
    bench.tick(T0 + 2000);
    assert_eq!(column(&bench, "event_selection", "trigger_counter"), ["3"]);
    assert!(removed(&bench).is_empty());
    // Neither do those of a row that an operator takes out, or that goes by a reset.
    answer(&mut bench, rows(&[(1002, 9000)]));
    let args = json!({ "name": "ztplot_00000044_00006760_FI156_TC1002" });
    bench.monitor.on_request("remove", &args).unwrap();
    bench.tick(T0 + 3000);
    answer(&mut bench, rows(&[(1003, 9000)]));
    bench.monitor.reset();
    bench.tick(T0 + 4000);
    let gone = removed(&bench);
    assert!(
        gone.iter()
            .all(|gone| gone.to_string_lossy().contains("TC3.")),
        "{gone:?}"
    );
}

#[test]
fn records_wait_for_the_rows_at_the_first_start() {
    let (mut bench, setup) = bench(elog());
    bench.tick(T0);
    answer(&mut bench, absent());
    for n in 1..=30 {
        bench.take(&of(n, i32::try_from(n).unwrap()).event(&setup));
    }
    bench.take(&of(31, 200).event(&setup));
    assert!(told(&bench).is_empty());
    // `local_db` comes later: of all these one beats the stored ones.
    bench.tick(T0 + 1000);
    assert_eq!(wishes(&mut bench), 2);
    answer(&mut bench, rows(&ten()));
    assert_eq!(told(&bench), ["31"]);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0);
    assert!(bench.out.bad.is_empty());
    bench.tick(T0 + 2000);
    assert_eq!(removed(&bench).len(), 2 * 30);
}

#[test]
fn events_better_than_all_stored_ones_are_records_though_places_were_free() {
    let (mut bench, setup) = bench(Config {
        elog: true,
        ..small(2)
    });
    for n in 1..=3 {
        bench.take(&of(n, 200 + i32::try_from(n).unwrap()).event(&setup));
    }
    let low: Vec<Found> = vec![(1001, 1), (1002, 1)];
    answer(&mut bench, rows(&low));
    // The first two filled free places as far as was known.
    assert_eq!(told(&bench), ["1", "2", "3"]);
}

#[test]
fn without_local_db_records_are_told_of_after_a_while() {
    let fill = |bench: &mut Bench<ZtPlot>, setup: &Setup| {
        bench.tick(T0);
        for n in 1..=11 {
            bench.take(&of(n, i32::try_from(n).unwrap()).event(setup));
        }
        answer(bench, absent());
        bench.tick(T0 + 29_999);
    };
    let (mut late, setup) = bench(elog());
    fill(&mut late, &setup);
    assert!(told(&late).is_empty() && late.monitor.is_busy());
    late.tick(T0 + 30_000);
    assert_eq!(told(&late), ["11"]);
    // Nobody waits any more, and the look goes on.
    late.take(&of(12, 12).event(&setup));
    assert_eq!(told(&late), ["11", "12"]);
    answer(&mut late, absent());
    wishes(&mut late);
    late.tick(T0 + 89_000);
    late.tick(T0 + 90_000);
    assert_eq!(wishes(&mut late), 1);
    assert!(late.out.bad.is_empty());

    // At the end of recorded data there is nothing to wait for.
    let (mut ended, setup) = bench(elog());
    fill(&mut ended, &setup);
    ended.monitor.on_end();
    ended.tick(T0 + 29_999);
    assert_eq!(told(&ended), ["11"]);
    assert!(!ended.monitor.is_busy());
}

#[test]
fn what_waits_and_what_was_found_survive_a_restart() {
    let (mut bench, setup) = bench(elog());
    for n in 1..=11 {
        bench.take(&of(n, i32::try_from(n).unwrap()).event(&setup));
    }
    let store = Store::default();
    let mut bench = bench.restarted(elog(), &setup, &store);
    answer(&mut bench, rows(&[(1001, 500)]));
    // With the row that was there, the tenth event met a full table as well.
    assert_eq!(told(&bench), ["10", "11"]);
    let mut bench = bench.restarted(elog(), &setup, &store);
    bench.tick(T0);
    let overlays = column(&bench, "event_selection_overlays", "overlays");
    assert_eq!(overlays[0], json!(500));
    // A list of before is still taken in, and nothing waits for it.
    bench.take(&of(12, 400).event(&setup));
    assert_eq!(told(&bench), ["12"]);
}

/// What was kept by a version that knew nothing of the file.
#[test]
fn a_checkpoint_of_before_is_taken_back() {
    let (mut bench, setup) = bench(small(2));
    bench.take(&of(1, 5).event(&setup));
    let store = Store::default();
    drop(bench.restarted(small(2), &setup, &store));
    let saved = store.saved();
    let mut kept: Value = saved.json().unwrap().unwrap();
    kept.as_object_mut().unwrap().remove("stored").unwrap();
    assert!(kept["rows"][0].get("found_as").is_none());
    let checkpoint: Checkpoint = store.checkpoint();
    checkpoint
        .save(&serde_json::to_vec(&kept).unwrap())
        .unwrap();
    let mut bench = Bench::<ZtPlot>::new(small(2), &setup);
    bench.monitor.restore(&store.saved()).unwrap();
    answer(&mut bench, rows(&[(1001, 500)]));
    bench.tick(T0);
    assert_eq!(
        column(&bench, "event_selection_overlays", "overlays"),
        [500, 5]
    );
}

#[test]
fn what_was_taken_out_or_reset_does_not_come_back_from_the_file() {
    let (mut bench, setup) = bench(small(1));
    answer(&mut bench, rows(&[(1001, 500), (1002, 400)]));
    let args = json!({ "name": "ztplot_00000044_00006760_FI156_TC1001" });
    bench.monitor.on_request("remove", &args).unwrap();
    let store = Store::default();
    let mut bench = bench.restarted(small(1), &setup, &store);
    bench.tick(T0);
    // The next best of the file has the free place.
    answer(&mut bench, rows(&[(1001, 500), (1002, 400)]));
    bench.tick(T0 + 1000);
    let counters = |bench: &Bench<ZtPlot>| column(bench, "event_selection", "trigger_counter");
    assert_eq!(counters(&bench), ["1002"]);
    bench.monitor.reset();
    bench.out.fetches.clear();
    bench.tick(T0 + 100_000);
    answer(&mut bench, rows(&[(1002, 400)]));
    bench.tick(T0 + 200_000);
    assert_eq!(wishes(&mut bench), 0);
    assert!(counters(&bench).is_empty());
    bench.take(&of(1, 5).event(&setup));
    bench.tick(T0 + 201_000);
    assert_eq!(counters(&bench), ["1"]);
}

/// What was kept is lost, the rows come back from the file, and their pictures are still there.
#[test]
fn pictures_of_our_own_are_shown_again_and_go_with_their_rows() {
    let (mut before, setup) = bench(small(1));
    before.take(&of(1, 500).event(&setup));
    let FileEdit::Write { bytes, .. } = before.out.files.remove(0) else {
        panic!()
    };
    let (mut bench, _) = bench(small(1));
    answer(&mut bench, rows(&[(1, 500), (2, 500)]));
    let place = format!("data:files/{}", path(1, "json").display());
    let fetch = bench.out.fetches.pop().unwrap();
    assert_eq!(fetch.from, Location::from(place));
    let send = |bench: &mut Bench<ZtPlot>, content| {
        let name = fetch.name.clone();
        bench
            .monitor
            .on_fetched(Fetched { name, content }, &mut bench.out);
        bench.tick(T0);
        column(bench, "event_selection_overlays", "picture").remove(0)
    };
    // What goes by the name and is none of ours stays as it is.
    for other in [b"{}".as_slice(), b"\x89PNG", b"{\"name\": \"ztplot\"}"] {
        let content = Ok(Content::Bytes(other.into(), None));
        assert_eq!(send(&mut bench, content), json!(null));
    }
    assert_eq!(send(&mut bench, absent()), json!(null));
    assert!(bench.out.bad.is_empty());
    let picture = send(&mut bench, Ok(Content::Bytes(bytes.into(), None)));
    assert_eq!(
        picture,
        "/event_selection/ztplot_00000044_00006760_FI156_TC1.png"
    );
    let args = json!({ "name": "ztplot_00000044_00006760_FI156_TC1" });
    bench.monitor.on_request("remove", &args).unwrap();
    bench.tick(T0 + 1000);
    assert_eq!(removed(&bench), [path(1, "dat"), path(1, "json")]);
}

/// Two selections shared the folder: one took the picture of the other for its own and took it away.
#[test]
fn pictures_of_another_selection_are_none_of_our_own() {
    let (mut bench, _) = bench(small(1));
    answer(&mut bench, rows(&[(1, 500)]));
    let name = "ztplot_00000044_00006760_FI156_TC1";
    let send = |bench: &mut Bench<ZtPlot>, whose: &str| {
        let picture = json!({ "name": name, "selected_for": whose });
        let fetched = Fetched {
            name: format!("picture of {name}"),
            content: content(&picture),
        };
        bench.monitor.on_fetched(fetched, &mut bench.out);
        bench.tick(T0);
        column(bench, "event_selection_overlays", "picture").remove(0)
    };
    assert_eq!(send(&mut bench, "another_table"), json!(null));
    assert!(send(&mut bench, "event_selection").is_string());
}

#[test]
fn an_event_that_comes_again_brings_what_its_row_lacks() {
    let (mut bench, setup) = bench(elog());
    answer(&mut bench, rows(&[(1, 500)]));
    bench.take(&of(1, 5).event(&setup));
    bench.take(&of(1, 5).event(&setup));
    bench.tick(T0);
    assert_eq!(written(&bench), [path(1, "json"), path(1, "dat")]);
    let pictures = column(&bench, "event_selection_overlays", "picture");
    assert!(pictures.len() == 1 && pictures[0].is_string());
    assert!(told(&bench).is_empty());
    assert_eq!(bench.cell("ztplot_counts", "selected", 1), json!(0));
}

#[test]
fn rows_count_for_their_days_and_runs_and_only_those_of_wanted_runs() {
    let config = Config {
        best_per_run: 1,
        run_types: vec!["PHYS".into()],
        runs: Some(Location::from("http://db/runs.txt".to_owned())),
        ..small(1)
    };
    let (mut bench, setup) = bench(config);
    let row = |run: i32, counter: u64, value: i64| {
        json!([
            value,
            value,
            value,
            1,
            "a.png",
            run,
            44,
            156,
            counter,
            T0 / 1000
        ])
    };
    let table = json!({
        "columns": columns(),
        "rows": [row(1, 1, 900), row(2, 2, 800), row(2, 3, 700), row(3, 4, 600)],
    });
    answer(&mut bench, content(&table));
    let runs = b"RUN\tRUNSETUPNAME\n1\tCALIB.x\n2\tPHYS.x\n3\tPHYS.x\n";
    let fetched = Fetched {
        name: "runs".into(),
        content: Ok(Content::Bytes(runs.as_slice().into(), None)),
    };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    // The list is asked for once more, because a place is free now.
    bench.tick(T0);
    assert_eq!(wishes(&mut bench), 1);
    answer(&mut bench, content(&table));
    bench.tick(T0 + 1000);
    assert_eq!(
        column(&bench, "event_selection_overlays", "overlays"),
        [800]
    );
    let mut runs = column(&bench, "event_selection", "run_id");
    runs.sort_by_key(Value::as_i64);
    assert_eq!(runs, [2, 3]);
    // The best of run 3 is known, so that a weaker one of it is none.
    let of_run = |run, counter, overlays| Wanted {
        run,
        ..of(counter, overlays)
    };
    bench.take(&of_run(3, 9, 599).event(&setup));
    assert!(written(&bench).is_empty());
    bench.take(&of_run(3, 10, 601).event(&setup));
    assert_eq!(written(&bench).len(), 2);
}

#[test]
fn rows_that_cannot_be_read_are_counted_and_looked_for_again() {
    let (mut bench, setup) = bench(elog());
    bench.tick(T0);
    let failed = FetchError::Failed {
        location: "x".into(),
        why: "input/output error".into(),
    };
    answer(&mut bench, Err(failed));
    let damaged = Content::Bytes(b"{\"columns\"".as_slice().into(), None);
    answer(&mut bench, Ok(damaged));
    assert_eq!(bench.out.bad, ["rows of the file cannot be read"; 2]);
    bench.out.bad.clear();
    bench.tick(T0 + 1000);
    assert_eq!(wishes(&mut bench), 2);
    let row = json!([1, 1, 1, 1, "a", "six", 44, 156, 1, 5]);
    let good = json!([500, 1, 1, 1, "a", 6, 44, 156, 1, 5]);
    let table = json!({ "columns": columns(), "rows": [row, good, []] });
    answer(&mut bench, content(&table));
    assert_eq!(bench.out.bad, ["row of the file that is no event"; 2]);
    bench.take(&of(1, 1).event(&setup));
    bench.tick(T0 + 2000);
    assert_eq!(
        column(&bench, "event_selection_overlays", "overlays"),
        [500, 1]
    );
}

#[test]
fn the_table_is_the_one_of_the_option() {
    let config = Config {
        event_selection_table: "best_of_orca".into(),
        ..Config::default()
    };
    let (mut bench, _) = bench(config);
    bench.tick(T0);
    let place = Location::from("data:files/local_db/best_of_orca.json".to_owned());
    let wishes = |bench: &Bench<ZtPlot>| {
        let fetches = bench.out.fetches.iter();
        fetches.filter(|fetch| fetch.from == place).count()
    };
    assert_eq!(wishes(&bench), 1);
    bench.tick(T0 + 5000);
    assert_eq!(wishes(&bench), 1, "one answer is waited for at a time");
}
