//! What the Detector Manager is asked, and what it answers.

use super::*;

fn gone() -> Result<Content, FetchError> {
    Err(FetchError::Status {
        location: "there".to_owned(),
        status: 404,
    })
}

#[test]
fn the_product_id_of_the_base_is_shown_where_it_is_known() {
    let table = "DOMID\tDUID\tFLOORID\tUPI\n808\t3\t0\t3.4/267\n809\t3\t1\t3.4/2\n810\t4\t1\t\n";
    let id = fathom_formats::km3net::DetectorId(44);
    let detector = fathom_formats::detx::Detector::from_table(table.as_bytes(), id, None).unwrap();
    let setup = Setup {
        detector: Some(detector.into()),
        ..Setup::default()
    };
    let mut bench = Bench::<Rttc>::new(config(&[]), &setup);
    bench.tick(T0);
    assert_eq!(panel(&bench, 0).title, "DU 3 (3.4/267)");
    assert_eq!(panel(&bench, 1).title, "DU 4");
}

#[test]
fn it_subscribes_with_the_paths_of_the_original_and_asks_every_ten_seconds() {
    let mut bench = bench(&[7, 3]);
    bench.tick(T0);
    let [subscribe] = &*asked(&mut bench) else {
        panic!("one subscription")
    };
    let paths = |du| {
        let deltas = (0..4).map(|k| format!(",/mon/clb/outparams/wr_delta/{du}/0/{k}"));
        format!(
            "/mon/clb/outparams/wr_mu/{du}/0{}",
            deltas.collect::<String>()
        )
    };
    let expected = format!(
        "http://127.0.0.1:1302/monshortdef?name=rttc_monitoring&paths={},{}",
        paths(3),
        paths(7)
    );
    assert_eq!(subscribe.from.to_string(), expected);
    answer(&mut bench, subscribe, ok(*b"OK"));
    let mut polls = Vec::new();
    for s in 1..=30 {
        bench.tick(T0 + 1000 * s);
        for fetch in asked(&mut bench) {
            let url = "http://127.0.0.1:1302/monshort/rttc_monitoring";
            assert_eq!(fetch.from.to_string(), url);
            answer(&mut bench, &fetch, ok(body(&[of(5.0e8), of(5.1e8)])));
            polls.push(s);
        }
    }
    assert_eq!(polls, [10, 20, 30]);
    bench.tick(T0 + 31_000);
    assert_eq!(panel(&bench, 1).title, "DU 7");
    assert_eq!(layers(panel(&bench, 1), Shape::Cross)[0].y, [5.1e8; 3]);
    let title = &bench.output("rttc").title;
    assert_eq!(
        title,
        "RTTC = Cable_RTT - (TX_Slave + RX_Slave + TX_Master + RX_Master)"
    );
}

#[test]
fn a_restarted_manager_is_subscribed_to_again_with_longer_and_longer_pauses() {
    let mut bench = bench(&[3]);
    second(&mut bench, T0, &[]);
    second(&mut bench, T0 + 10_000, &[of(5.0e8)]);
    let mut subscriptions = Vec::new();
    for s in 20..100 {
        bench.tick(T0 + 1000 * s);
        for fetch in asked(&mut bench) {
            if fetch.name.starts_with("subscribe") {
                subscriptions.push(s);
            }
            // First it does not know us any more, then it does not answer OK, for a minute.
            let content = match (fetch.name.starts_with("poll"), s < 80) {
                (true, true) => gone(),
                (false, true) => ok(*b"starting"),
                (true, false) => ok(body(&[of(5.0e8)])),
                (false, false) => ok(*b"OK"),
            };
            answer(&mut bench, &fetch, content);
        }
    }
    assert_eq!(subscriptions, [21, 23, 27, 35, 51, 83]);
    let cell = |row| bench.cell("rttc_manager", row, 1);
    assert_eq!(cell("subscriptions in force"), json!(1));
    assert_eq!(cell("failures"), json!(6));
    assert_eq!(cell("last reason"), Value::Null, "values came since");
    assert_eq!(bench.out.bad.len(), 6);
    assert_eq!(layers(panel(&bench, 0), Shape::Cross)[0].y.len(), 2);
    let about = ("rttc_unavailable", "Detector Manager");
    let alarms = [(about.0, about.1, true), (about.0, about.1, false)];
    assert_eq!(bench.alarms(), alarms);
}

#[test]
fn pauses_between_attempts_grow_to_the_longest_one_and_no_further() {
    let config = Config {
        retry_most: fathom_kernel::Span::from_secs(5),
        ..config(&[3])
    };
    let mut bench = Bench::<Rttc>::new(config, &Setup::default());
    let mut attempts = Vec::new();
    for s in 0..25 {
        bench.tick(T0 + 1000 * s);
        for fetch in asked(&mut bench) {
            attempts.push(s);
            answer(&mut bench, &fetch, ok(*b"starting"));
        }
    }
    assert_eq!(attempts, [0, 1, 3, 7, 12, 17, 22]);
}

#[test]
fn a_subscription_that_is_gone_shows_as_a_list_of_another_length_or_as_no_list() {
    let mut bench = bench(&[3, 4]);
    let mut wrong = ["[]", "null", "{\"value\": 1}", "<html>", "[{\"value\": 1}]"].into_iter();
    let mut subscriptions = 0;
    for s in 0..200 {
        bench.tick(T0 + 1000 * s);
        for fetch in asked(&mut bench) {
            let content = match fetch.name.starts_with("poll") {
                true => ok(wrong.next().map_or(body(&[of(5.0e8); 2]), str::to_owned)),
                false => ok("OK"),
            };
            subscriptions += usize::from(fetch.name.starts_with("subscribe"));
            answer(&mut bench, &fetch, content);
        }
    }
    assert_eq!(subscriptions, 6);
    assert_eq!(bench.out.bad.len(), 5);
}

#[test]
fn a_value_that_is_no_number_is_missing_and_the_others_count() {
    let mut bench = bench(&[3, 4]);
    second(&mut bench, T0, &[]);
    bench.tick(T0 + 10_000);
    let poll = asked(&mut bench).remove(0);
    let mut list: Vec<Value> = serde_json::from_str(&body(&[of(5.0e8), of(5.1e8)])).unwrap();
    list[2] = json!({ "value": null });
    list[5] = json!({ "value": "510800000.0", "unit": "ps" });
    answer(&mut bench, &poll, ok(Value::from(list).to_string()));
    bench.tick(T0 + 11_000);
    assert!(layers(panel(&bench, 0), Shape::Cross)[0].y.is_empty());
    assert_eq!(layers(panel(&bench, 1), Shape::Cross)[0].y, [5.1e8]);
    let View::Table(table) = &bench.output("rttc_summary").view else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][7], "no value yet");
    assert_eq!(table.rows[1][1], json!(5.1e8));
}

#[test]
fn a_large_detector_takes_several_subscriptions_and_few_points_per_panel() {
    let setup = setup(230);
    let mut bench = Bench::<Rttc>::new(Config::default(), &setup);
    bench.tick(T0);
    let fetches = asked(&mut bench);
    assert_eq!(
        fetches.len(),
        10,
        "the driver carries out sixteen at a time"
    );
    assert!(fetches.iter().all(|f| f.from.to_string().len() < 8000));
    for fetch in &fetches {
        answer(&mut bench, fetch, ok("OK"));
    }
    for n in 1..150 {
        bench.tick(T0 + 10_000 * n);
        for fetch in asked(&mut bench) {
            let number: usize = fetch.name.trim_start_matches("poll:").parse().unwrap();
            let dus = if number == 9 { 230 - 9 * 24 } else { 24 };
            answer(&mut bench, &fetch, ok(body(&vec![of(5.0e8); dus])));
        }
        let newest = bench.out.outputs.len().saturating_sub(3);
        bench.out.outputs.drain(..newest);
    }
    bench.tick(T0 + 1_491_000);
    let last = panel(&bench, 229);
    assert_eq!(last.title, "DU 230");
    assert_eq!(layers(last, Shape::Cross)[0].y.len(), 104);
}

#[test]
fn nine_digits_beside_each_small_panel_left_no_room_for_the_panels_of_a_large_detector() {
    for (dus, label, median_ps) in [(24, "RTTC [ps]", 5.0e8), (25, "RTTC - median [ps]", 0.0)] {
        let given = Given {
            median_ps: 5.0e8,
            sigma_ps: 300.0,
        };
        let config = Config {
            given: [("1".to_owned(), given)].into(),
            ..config(&(1..=dus).collect::<Vec<u32>>())
        };
        let mut bench = Bench::<Rttc>::new(config, &Setup::default());
        bench.tick(T0);
        let View::Panels(view) = &bench.output("rttc").view else {
            panic!("no panels")
        };
        assert_eq!((&*view.y.label, view.panels.len()), (label, dus as usize));
        second(
            &mut bench,
            T0 + 1_000,
            &vec![of(5.0e8); dus.min(24) as usize],
        );
        for n in 1..30 {
            second(
                &mut bench,
                T0 + 10_000 * n,
                &vec![of(5.0e8); dus.min(24) as usize],
            );
        }
        let median = layers(panel(&bench, 0), Shape::Line)[0];
        assert!(!median.y.is_empty() && median.y.iter().all(|&y| y == median_ps));
        // Of the second DU the normal value is not known yet.
        let values = layers(panel(&bench, 1), Shape::Cross)[0];
        assert!(!values.y.is_empty());
        assert!(values.y.iter().all(|&y| (y - median_ps).abs() < 1.0));
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |config: Config, part: &str| {
        let error = Rttc::check(&config, &Setup::default()).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    refused(Config::default(), "expected a [detector] or `dus`");
    let url = "localhost:1302".to_owned();
    refused(
        Config {
            url,
            ..config(&[1])
        },
        "expected http://",
    );
    let limit = 0.0;
    refused(
        Config {
            limit,
            ..config(&[1])
        },
        "more than 0",
    );
    let baseline = Span::from_secs(60);
    refused(
        Config {
            baseline,
            ..config(&[1])
        },
        "10m to 7d",
    );
    let given = Given {
        median_ps: 1.0,
        sigma_ps: -1.0,
    };
    let given = [("1".to_owned(), given)].into();
    refused(
        Config {
            given,
            ..config(&[1])
        },
        "given.1",
    );
}

#[test]
fn a_service_of_the_same_stack_is_named_by_its_name() {
    let config = Config {
        url: "service:simulation:fake_detector_manager".to_owned(),
        ..config(&[1])
    };
    let mut bench = Bench::<Rttc>::new(config, &Setup::default());
    bench.tick(T0);
    let from = asked(&mut bench)[0].from.to_string();
    let start = "http://service:simulation:fake_detector_manager/monshortdef?";
    assert!(from.starts_with(start), "{from}");
    let View::Table(table) = &bench.output("rttc_manager").view else {
        panic!("no table")
    };
    // As it is written in the configuration, not as an address that nobody can open.
    assert_eq!(
        table.rows[0],
        ["address", "service:simulation:fake_detector_manager"]
    );
}

/// The alarm had the whole address of the subscription in it, five parameters of every DU.
#[test]
fn the_alarm_of_a_silent_manager_does_not_repeat_its_whole_question() {
    let mut bench = bench(&(1..=20).collect::<Vec<_>>());
    for s in 0..70 {
        bench.tick(T0 + 1000 * s);
        for fetch in asked(&mut bench) {
            let failed = FetchError::Failed {
                location: fetch.from.to_string(),
                why: "connection refused".to_owned(),
            };
            answer(&mut bench, &fetch, Err(failed));
        }
    }
    assert_eq!(
        bench.alarms(),
        [("rttc_unavailable", "Detector Manager", true)]
    );
    let expected = "no round-trip times for 60 s: \
                    http://127.0.0.1:1302/monshortdef: connection refused";
    assert_eq!(bench.out.alarms[0].text, expected);
}
