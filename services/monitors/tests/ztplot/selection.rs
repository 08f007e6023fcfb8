//! The best events, with their rows and files.

use super::*;

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
fn files_of_an_event_that_left_just_before_a_restart_go_after_it() {
    let (mut bench, setup) = bench(small(1));
    bench.take(&Wanted::new(T0, 1).event(&setup));
    bench.tick(T0);
    // Better in everything, and no tick before the restart.
    let better = Wanted {
        others: 20,
        triggered: vec![(1, 1); 5]
            .into_iter()
            .chain((2..=4).map(|floor| (1, floor)))
            .collect(),
        ..Wanted::new(T0 + 100, 2).overlays(9)
    };
    bench.take(&better.event(&setup));
    assert!(removed(&bench).is_empty());
    let mut bench = bench.restarted(small(1), &setup, &Store::default());
    bench.tick(T0 + 1000);
    let gone = removed(&bench);
    assert!(gone.contains(&path(1, "dat")), "{gone:?}");
    assert!(!gone.contains(&path(2, "dat")), "{gone:?}");
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
