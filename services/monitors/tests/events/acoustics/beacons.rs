//! Which module hears which beacon, cycle by cycle.

use super::*;

fn message(arrivals: &[Arrival], at_ms: i64) -> Event {
    let mut body = Vec::new();
    encode_arrivals(arrivals, &mut body);
    frame(tags::IO_TOA, body, at_ms)
}

#[test]
fn acoustics_vectors() {
    let section = &vectors()["acoustics"];
    let now_ms = (section["now"].as_f64().unwrap() * 1000.0) as i64;
    let floors = section["floors"].as_array().unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let mut arrivals = Vec::new();
    let mut expected = BTreeMap::new();
    for case in floors {
        let floor = u32::try_from(case["floor"].as_u64().unwrap()).unwrap();
        for toa in case["toas"].as_array().unwrap() {
            arrivals.push(Arrival {
                dom_id: DomId(100 + floor),
                emitter: number(&toa[0]) as i32,
                quality: number(&toa[1]),
                time_base_s: number(&toa[2]),
                toa_s: number(&toa[3]),
            });
        }
        let classes = case["classes"].as_array().unwrap().iter().map(number);
        expected.insert(i64::from(floor), classes.collect::<Vec<_>>());
    }
    // Floors without any arrival have no ping in all three slots.
    for floor in 0..=18 {
        expected.entry(floor).or_insert(vec![-1.5; 3]);
    }
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(19));
    bench.tick(now_ms - 1_200_000);
    bench.take(&message(&arrivals, now_ms - 100_000));
    bench.tick(now_ms - 1000);
    assert!(
        classes(picture(&bench)).is_empty(),
        "the cycle has not ended yet"
    );
    bench.tick(now_ms);
    assert_eq!(classes(picture(&bench)), expected);
    let layers = &picture(&bench).panels[0].layers;
    let colours: Vec<_> = layers.iter().map(|layer| &*layer.colour).collect();
    assert_eq!(
        colours,
        ["#9900ff", "#000000", "#ff4d00", "#ffff00", "#33e600"]
    );
    let x: Vec<_> = layers
        .iter()
        .flat_map(|layer| &layer.x)
        .map(|x| (x * 10.0).round())
        .collect();
    assert!(x.iter().all(|x| [8.0, 10.0, 12.0].contains(x)), "{x:?}");
    assert!(
        bench
            .output("Online_Acoustic_Monitoring")
            .view
            .fault()
            .is_none()
    );
}

#[test]
fn all_emitters_are_shown_and_not_just_three() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(1));
    bench.tick(T0);
    let mut all = Vec::new();
    for n in 0..5 {
        all.extend(series(
            100,
            10 + n,
            T0 + 100_000 * i64::from(n) + 700 * i64::from(n),
            9,
        ));
    }
    bench.take(&message(&all, T0 + 590_000));
    bench.tick(T0 + 1_200_000);
    assert_eq!(classes(picture(&bench))[&0], [1.5; 5]);
    assert_eq!(bench.curve("acoustics_pings", "beacon 14"), [9.0]);
}

/// Feeds cycles in which three modules hear two beacons, but in some one of the beacons is silent.
fn feed(
    bench: &mut Bench<Acoustics>,
    cycles: std::ops::Range<i64>,
    silent: impl Fn(i64, i32) -> bool,
) {
    for n in cycles {
        let start = T0 + n * 600_000;
        for (emitter, at_ms) in [(11, 100_000), (-12, 300_700)] {
            for dom in 100..103 {
                if !silent(n, emitter) {
                    let all = series(dom, emitter, start + at_ms, 8);
                    bench.take(&message(&all, start + at_ms + 60_000));
                }
            }
            bench.tick(start + at_ms + 60_000);
        }
    }
}

/// A monitor that has just begun and got five pings.
fn five_arrivals() -> Bench<Acoustics> {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(1));
    bench.tick(T0);
    let arrivals = series(100, 12, T0 + 1000, 5);
    bench
        .monitor
        .on_event(&message(&arrivals, T0 + 30_000), &mut bench.out);
    bench
}

#[test]
fn nothing_showed_that_arrivals_come_until_a_cycle_was_judged() {
    let mut bench = five_arrivals();
    bench.tick(T0 + 31_000);
    let row = |bench: &Bench<Acoustics>, n: usize| match &bench.output("acoustics_counts").view {
        View::Table(table) => table.rows[n][1].clone(),
        _ => panic!("no table"),
    };
    assert_eq!((row(&bench, 0), row(&bench, 1)), (json!(1), json!(5)));
}

#[test]
fn the_last_cycle_of_recorded_data_was_never_judged() {
    let mut bench = five_arrivals();
    bench.monitor.on_end();
    bench.tick(T0 + 31_000);
    let heard: usize = classes(picture(&bench)).values().map(Vec::len).sum();
    assert!(heard > 0, "no square");
}

#[test]
fn a_lost_beacon_is_an_alarm_and_its_pings_are_followed() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    feed(&mut bench, 0..8, |n, emitter| {
        emitter == -12 && (3..5).contains(&n)
    });
    bench.tick(T0 + 9 * 600_000);
    let alarms = [
        ("beacon_lost", "beacon -12", true),
        ("beacon_lost", "beacon -12", false),
    ];
    assert_eq!(bench.alarms(), alarms);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 4 * 600_000);
    let pings = bench.curve("acoustics_pings", "beacon -12");
    assert_eq!(pings, [24.0, 24.0, 24.0, 0.0, 0.0, 24.0, 24.0, 24.0]);
    assert_eq!(bench.curve("acoustics_heard", "beacon 11"), [3.0; 8]);
    let history = bench
        .monitor
        .on_request("history", &json!({ "dom_id": 101 }))
        .unwrap();
    let cycles = &history["cycles"];
    assert_eq!(cycles.as_array().unwrap().len(), 8);
    assert_eq!(cycles[3]["heard"].as_array().unwrap().len(), 1);
    assert_eq!(cycles[3]["end_ms"], T0 + 4 * 600_000);
    // People know where a module is and not its id.
    let place = json!({ "du": history["du"], "floor": history["floor"] });
    assert_eq!(bench.monitor.on_request("history", &place), Ok(history));
    assert!(bench.monitor.on_request("history", &json!(7)).is_err());
}

#[test]
fn a_beacon_that_stays_lost_for_more_than_a_day_stays_an_alarm_until_it_is_heard() {
    let lost = |n, emitter| emitter == -12 && (3..160).contains(&n);
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    feed(&mut bench, 0..155, lost);
    assert_eq!(bench.alarms(), [("beacon_lost", "beacon -12", true)]);
    // The alarm engine takes for over what is not said again soon after a restart.
    let mut bench = bench.restarted(Config::default(), &setup(3), &Store::default());
    bench.tick(T0 + 155 * 600_000 + 1000);
    assert_eq!(bench.alarms(), [("beacon_lost", "beacon -12", true)]);
    feed(&mut bench, 155..161, lost);
    assert_eq!(bench.alarms().len(), 1);
    let View::Table(table) = &bench.output("acoustics_beacons").view else {
        panic!("no table")
    };
    assert_eq!(
        (&table.rows[0][0], &table.rows[0][5]),
        (&json!(-12), &json!("lost"))
    );
    bench.tick(T0 + 162 * 600_000);
    assert_eq!(bench.alarms()[1..], [("beacon_lost", "beacon -12", false)]);
}

#[test]
fn what_was_not_heard_in_half_a_cycle_is_unknown_and_not_silent() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    // We begin to listen when the beacon has pinged to all but one of the modules.
    bench.tick(T0 + 150_000);
    bench.take(&message(&series(102, 11, T0 + 200_000, 8), T0 + 260_000));
    bench.tick(T0 + 1_200_000);
    let unknown = -2.5;
    assert_eq!(classes(picture(&bench))[&1], [unknown; 3]);
    assert_eq!(classes(picture(&bench))[&2], [unknown, unknown, 1.5]);
    let View::Image(image) = &bench.output("acoustics_history").view else {
        panic!("no image")
    };
    let values = &image.columns[0].values;
    assert!(values[1].is_nan() && values[2] == 8.0);
    // The next one was heard from its beginning.
    bench.take(&message(&series(102, 11, T0 + 800_000, 8), T0 + 860_000));
    bench.tick(T0 + 1_800_000);
    assert_eq!(classes(picture(&bench))[&1], [-1.5; 3]);
}

#[test]
fn half_a_cycle_in_which_a_beacon_is_not_heard_does_not_lose_it() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    feed(&mut bench, 0..3, |_, _| false);
    bench.tick(T0 + 4 * 600_000);
    let mut bench = bench.restarted(Config::default(), &setup(3), &Store::default());
    // The beacon pings at second 100 of its cycle, which we miss.
    bench.tick(T0 + 4 * 600_000 + 250_000);
    feed(&mut bench, 4..5, |_, emitter| emitter == 11);
    bench.tick(T0 + 6 * 600_000);
    assert_eq!(bench.alarms(), []);
}

/// The reference suite meant to show a failing data base in a colour of its own, but never did.
#[test]
fn no_data_at_all_is_not_taken_for_modules_that_hear_nothing() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    feed(&mut bench, 0..3, |_, _| false);
    for n in 3..6 {
        bench.tick(T0 + n * 600_000 + 1000);
    }
    assert_eq!(classes(picture(&bench))[&2], [-2.5; 3]);
    assert_eq!(bench.alarms(), [("acoustics_no_data", "IO_TOA", true)]);
    feed(&mut bench, 6..8, |_, _| false);
    bench.tick(T0 + 9 * 600_000);
    assert_eq!(bench.alarms()[1], ("acoustics_no_data", "IO_TOA", false));
    assert_eq!(classes(picture(&bench))[&2], [-1.5, 1.5, 1.5]);
}

#[test]
fn results_and_waiting_arrivals_survive_a_restart() {
    let store = Store::default();
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(3));
    feed(&mut bench, 0..3, |_, _| false);
    let mut bench = bench.restarted(Config::default(), &setup(3), &store);
    feed(&mut bench, 3..4, |_, _| false);
    let mut bench = bench.restarted(Config::default(), &setup(3), &store);
    bench.tick(T0 + 5 * 600_000);
    assert_eq!(bench.curve("acoustics_pings", "beacon 11"), [24.0; 4]);
    // Nobody listened for an hour: nothing is known of it, and nothing is said.
    bench.tick(T0 + 5 * 600_000 + 1000);
    let mut bench = bench.restarted(Config::default(), &setup(3), &store);
    bench.tick(T0 + 12 * 600_000);
    assert_eq!(bench.series("acoustics_pings").times_ms.len(), 4);
    assert!(bench.alarms().is_empty());
}

#[test]
fn a_shorter_period_can_be_configured() {
    let config = Config {
        period: Span::from_secs(200),
        delay: Span::from_secs(10),
        ..Config::default()
    };
    let mut bench = Bench::<Acoustics>::new(config, &setup(1));
    let start = T0 / 200_000 * 200_000;
    bench.tick(start);
    bench.take(&message(
        &series(100, 11, start + 50_000, 5),
        start + 80_000,
    ));
    bench.tick(start + 209_000);
    assert!(classes(picture(&bench)).is_empty());
    bench.tick(start + 210_000);
    assert_eq!(classes(picture(&bench))[&0], [-1.5, -1.5, 0.5]);
}

#[test]
fn modules_that_are_not_described_are_listed_by_their_ids() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(1));
    bench.tick(T0);
    for dom in [100, 808, 777] {
        bench.take(&message(&series(dom, 11, T0 + 200_000, 8), T0 + 260_000));
    }
    bench.tick(T0 + 1_200_000);
    let row = "modules not in the detector description";
    assert_eq!(bench.cell("acoustics_counts", row, 1), json!(2));
    let View::Table(table) = &bench.output("acoustics_unknown").view else {
        panic!("no table")
    };
    let ids: Vec<_> = table.rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, [json!(777), json!(808)]);
}

#[test]
fn a_broken_message_is_counted() {
    let mut bench = Bench::<Acoustics>::new(Config::default(), &setup(1));
    bench.take(&frame(tags::IO_TOA, b"TOA 1\n1,2\n".to_vec(), T0));
    assert_eq!(bench.out.bad, ["wrong_line"]);
}
