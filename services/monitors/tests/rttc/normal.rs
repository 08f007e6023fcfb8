//! What is normal, and shifts from it.

use super::*;

#[test]
fn a_shift_is_an_alarm_that_does_not_become_normal_by_itself() {
    let mut bench = bench(&[3]);
    minutes(&mut bench, T0, 20, 5.0e8);
    assert!(bench.alarms().is_empty());
    minutes(&mut bench, T0 + 1_200_000, 600, 5.0e8 + 2500.0);
    assert_eq!(bench.alarms(), [("rttc_shift", "DU 3", true)]);
    let text = &bench.out.alarms[0].text;
    assert!(text.contains("limit 1000.0 ps"), "{text}");
    assert_eq!(panel(&bench, 0).title, "DU 3: SHIFTED");
    minutes(&mut bench, T0 + 37_200_000, 2, 5.0e8);
    assert_eq!(bench.alarms()[1], ("rttc_shift", "DU 3", false));
    // Somebody says that it is right as it is now.
    minutes(&mut bench, T0 + 37_320_000, 2, 5.0e8 + 2500.0);
    let request = |bench: &mut Bench<Rttc>, args| bench.monitor.on_request("accept", &args);
    assert!(request(&mut bench, json!({"du": 9})).is_err());
    let accepted = request(&mut bench, json!({"du": 3})).unwrap();
    assert_eq!(accepted, json!({"accepted": [3]}));
    minutes(&mut bench, T0 + 37_440_000, 20, 5.0e8 + 2500.0);
    assert_eq!(
        bench.alarms()[2..],
        [("rttc_shift", "DU 3", true), ("rttc_shift", "DU 3", false)]
    );
    assert_eq!(panel(&bench, 0).title, "DU 3");
}

#[test]
fn the_band_after_two_minutes_is_not_that_of_two_samples() {
    let mut bench = bench(&[3]);
    second(&mut bench, T0 - 1000, &[]);
    // As far from the median as the samples scatter, but for those at the full minutes.
    for n in 0..12 {
        let off = if n % 6 == 0 { 0.0 } else { 60.0 };
        let off = if n % 2 == 0 { off } else { -off };
        second(&mut bench, T0 + 10_000 * n, &[of(5.0e8 + off)]);
    }
    bench.tick(T0 + 120_000);
    let band = layers(panel(&bench, 0), Shape::Dashed);
    let median = layers(panel(&bench, 0), Shape::Line)[0].y[0];
    // Ten of twelve are 60 ps off, six below and four above: the mean is -10 ps.
    let sigma = (10.0 * 3600.0 / 12.0 - 100.0_f64).sqrt();
    assert!(close(band[0].y[0] - median, sigma, 1e-6), "{band:?}");
}

#[test]
fn after_hours_one_sample_a_minute_counts_again() {
    let mut bench = bench(&[3]);
    minutes(&mut bench, T0, 180, 5.0e8);
    // 1079 samples shown of which 1000 are kept, 100 at first and some 163 minutes.
    let columns = bench.monitor.memory_bytes() / 40;
    assert!((1000 + 255..1000 + 270).contains(&columns), "{columns}");
}

#[test]
fn a_shift_that_is_over_after_a_restart_fired_on() {
    let mut bench = bench(&[3]);
    minutes(&mut bench, T0, 20, 5.0e8);
    let mut recall = |subject| bench.monitor.recall("rttc_shift", subject);
    assert_eq!(recall("DU 3"), Recalled::Holds);
    assert_eq!(recall("DU 4"), Recalled::Gone);
    minutes(&mut bench, T0 + 1_200_000, 2, 5.0e8);
    assert_eq!(bench.alarms(), [("rttc_shift", "DU 3", false)]);
}

#[test]
fn answers_that_were_missing_before_a_restart_are_said_to_come_only_when_they_come() {
    let mut bench = bench(&[3]);
    let recalled = bench.monitor.recall("rttc_unavailable", "Detector Manager");
    assert_eq!(recalled, Recalled::Holds);
    (0..30).for_each(|s| bench.tick(T0 + 1000 * s));
    assert_eq!(bench.alarms(), []);
    minutes(&mut bench, T0 + 30_000, 1, 5.0e8);
    let about = ("rttc_unavailable", "Detector Manager");
    assert_eq!(bench.alarms(), [(about.0, about.1, false)]);
}

#[test]
fn a_minute_without_answers_is_no_alarm_before_it_is_over() {
    let mut bench = bench(&[3]);
    (0..11).for_each(|s| second(&mut bench, T0 + 1000 * s, &[of(5.0e8)]));
    bench.tick(T0 + 70_000);
    assert_eq!(bench.alarms(), []);
    bench.tick(T0 + 70_001);
    let about = ("rttc_unavailable", "Detector Manager", true);
    assert_eq!(bench.alarms(), [about]);
}

#[test]
fn a_du_without_values_was_stable_for_ever() {
    let mut bench = bench(&[3, 4]);
    let both = [of(5.0e8), of(5.1e8)];
    let lone = [of(5.0e8), [f64::NAN; 5]];
    (0..30).for_each(|s| second(&mut bench, T0 + 1000 * s, &both));
    (30..80).for_each(|s| second(&mut bench, T0 + 1000 * s, &lone));
    assert_eq!(bench.alarms(), []);
    (80..110).for_each(|s| second(&mut bench, T0 + 1000 * s, &lone));
    assert_eq!(bench.alarms(), [("rttc_unavailable", "DU 4", true)]);
    assert_eq!(panel(&bench, 1).title, "DU 4: NO VALUES");
    let View::Table(table) = &bench.output("rttc_summary").view else {
        panic!("no table")
    };
    assert_eq!(
        (&table.rows[0][7], &table.rows[1][7]),
        (&json!("stable"), &json!("no values"))
    );
    (110..130).for_each(|s| second(&mut bench, T0 + 1000 * s, &both));
    assert_eq!(bench.alarms()[1..], [("rttc_unavailable", "DU 4", false)]);
    // When no DU has any, the manager is told to be of no use, once.
    let none = [[f64::NAN; 5]; 2];
    (130..260).for_each(|s| second(&mut bench, T0 + 1000 * s, &none));
    let about = ("rttc_unavailable", "Detector Manager", true);
    assert_eq!(bench.alarms()[2..], [about]);
    let text = &bench.out.alarms[2].text;
    assert!(text.ends_with("the answers have no values"), "{text}");
}

#[test]
fn five_sigma_count_where_they_are_more_than_the_limit_and_given_values_at_once() {
    let given = Given {
        median_ps: 5.0e8,
        sigma_ps: 1000.0,
    };
    let config = Config {
        given: [("3".to_owned(), given)].into(),
        ..config(&[3])
    };
    let mut bench = Bench::<Rttc>::new(config, &Setup::default());
    second(&mut bench, T0 - 1000, &[]);
    for (n, off) in [4999.0, -4999.0, 5000.0, 5001.0, -5001.0, 0.0]
        .into_iter()
        .enumerate()
    {
        second(
            &mut bench,
            T0 + 10_000 * i64::try_from(n).unwrap(),
            &[of(5.0e8 + off)],
        );
    }
    let alarms = [("rttc_shift", "DU 3", true), ("rttc_shift", "DU 3", false)];
    assert_eq!(bench.alarms(), alarms);
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 30_000);
    // To accept it would change nothing.
    let refused = bench.monitor.on_request("accept", &json!({"du": 3}));
    assert!(refused.unwrap_err().contains("option `given`"));
}

#[test]
fn a_restart_keeps_samples_and_what_is_normal_even_when_a_du_is_new() {
    let mut before = bench(&[3]);
    minutes(&mut before, T0, 30, 5.0e8);
    let store = Store::default();
    let mut bench = before.restarted(config(&[2, 3]), &Setup::default(), &store);
    bench.tick(T0 + 1_800_000);
    assert!(layers(panel(&bench, 0), Shape::Cross)[0].y.is_empty());
    let samples = layers(panel(&bench, 1), Shape::Cross)[0];
    assert_eq!(
        samples.y.len(),
        179,
        "the first ten seconds went for the subscription"
    );
    assert_eq!(layers(panel(&bench, 1), Shape::Line).len(), 1);
    asked(&mut bench);
    // And once more, with both.
    let mut bench = bench.restarted(config(&[3]), &Setup::default(), &store);
    bench.tick(T0 + 1_801_000);
    assert_eq!(layers(panel(&bench, 0), Shape::Cross)[0].y.len(), 179);
    assert!(bench.monitor.memory_bytes() < 2440 * 40);
}
