//! Cable round-trip times by hand and by the vectors of the reference.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, close, setup, vectors};
use fathom_kernel::view::{Layer, Panel, Panels, Shape, View};
use fathom_kernel::{Content, Fetch, FetchError, Fetched, Monitor, Recalled, Setup, Span};
use fathom_monitors::{Given, Rttc, RttcConfig as Config, rttc_ps};
use serde_json::{Value, json};

/// A whole multiple of an hour.
const T0: i64 = 1_700_002_800_000;

fn config(dus: &[u32]) -> Config {
    Config {
        dus: dus.to_vec(),
        ..Config::default()
    }
}

fn bench(dus: &[u32]) -> Bench<Rttc> {
    Bench::new(config(dus), &Setup::default())
}

fn ok(body: impl Into<Vec<u8>>) -> Result<Content, FetchError> {
    Ok(Content::Bytes(body.into().into(), None))
}

fn gone() -> Result<Content, FetchError> {
    Err(FetchError::Status {
        location: "there".to_owned(),
        status: 404,
    })
}

/// Takes what was asked for.
fn asked(bench: &mut Bench<Rttc>) -> Vec<Fetch> {
    std::mem::take(&mut bench.out.fetches)
}

fn answer(bench: &mut Bench<Rttc>, fetch: &Fetch, content: Result<Content, FetchError>) {
    let name = fetch.name.clone();
    bench
        .monitor
        .on_fetched(Fetched { name, content }, &mut bench.out);
}

/// The answer with these values of each DU.
fn body(dus: &[[f64; 5]]) -> String {
    let values = dus.iter().flatten();
    values
        .map(|value| json!({ "value": value }))
        .collect::<Value>()
        .to_string()
}

/// Five values whose round-trip time is as given.
fn of(rttc_ps: f64) -> [f64; 5] {
    [rttc_ps + 800_000.0, 2.0e5, 2.0e5, 2.0e5, 2.0e5]
}

/// Lets a second pass, answering everything.
fn second(bench: &mut Bench<Rttc>, at_ms: i64, dus: &[[f64; 5]]) {
    bench.tick(at_ms);
    for fetch in asked(bench) {
        let content = match fetch.name.starts_with("subscribe") {
            true => ok(*b"OK\n"),
            false => ok(body(dus)),
        };
        answer(bench, &fetch, content);
    }
}

fn panel(bench: &Bench<Rttc>, n: usize) -> &Panel {
    let View::Panels(Panels { panels, .. }) = &bench.output("rttc").view else {
        panic!("no panels")
    };
    &panels[n]
}

fn layers(panel: &Panel, shape: Shape) -> Vec<&Layer> {
    let layers = panel.layers.iter();
    layers.filter(|layer| layer.shape == shape).collect()
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
fn rttc_vectors() {
    let all = vectors();
    for case in all["rttc"]["values"].as_array().unwrap() {
        let deltas: [f64; 4] = serde_json::from_value(case["wr_delta"].clone()).unwrap();
        let [a, b, c, d] = deltas;
        let values = [case["wr_mu"].as_f64().unwrap(), a, b, c, d];
        let expected = case["rttc_ps"].as_f64().unwrap();
        assert!(close(rttc_ps(&values), expected, 1e-12));
        // The same through the conversation.
        let mut bench = bench(&[3]);
        second(&mut bench, T0, &[]);
        second(&mut bench, T0 + 10_000, &[values]);
        bench.tick(T0 + 11_000);
        let shown = &layers(panel(&bench, 0), Shape::Cross)[0].y;
        assert!(close(shown[0], expected, 1e-12), "{shown:?} {expected}");
    }
}

#[test]
fn rttc_baseline_vectors() {
    let all = vectors();
    let baseline = &all["rttc"]["baseline"];
    let names = [
        "wr_mu",
        "wr_delta[0]",
        "wr_delta[1]",
        "wr_delta[2]",
        "wr_delta[3]",
    ];
    let samples: [Vec<f64>; 5] =
        names.map(|name| serde_json::from_value(baseline["samples"][name].clone()).unwrap());
    let mut bench = bench(&[3]);
    second(&mut bench, T0 - 1000, &[]);
    let count = samples[0].len();
    let polls = (0..count).map(|n| std::array::from_fn(|k| samples[k][n]));
    for (values, minute) in polls.zip(0..) {
        second(&mut bench, T0 + 60_000 * minute, &[values]);
    }
    bench.tick(T0 + 3_600_001);
    let median = baseline["median_ps"].as_f64().unwrap();
    let sigma = baseline["improved_std_ps"].as_f64().unwrap();
    let line = layers(panel(&bench, 0), Shape::Line)[0];
    assert!(close(line.y[0], median, 1e-12) && line.colour == "red");
    let band = layers(panel(&bench, 0), Shape::Dashed);
    assert!(close(band[0].y[0] - median, sigma, 1e-6), "{band:?}");
    assert!(close(median - band[1].y[0], sigma, 1e-6));
    let original = baseline["original_std_ps"].as_f64().unwrap();
    assert!(!close(sigma, original, 1e-3), "the mistake is not copied");
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

/// Sends values every ten seconds for so many minutes; a little noise that is the same each time.
fn minutes(bench: &mut Bench<Rttc>, from_ms: i64, minutes: i64, rttc_ps: f64) {
    for s in 0..60 * minutes {
        let noise = 10.0 * ((s * 7 % 13) as f64 - 6.0);
        second(bench, from_ms + 1000 * s, &[of(rttc_ps + noise)]);
    }
}

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
    for (n, off) in [4999.0, -4999.0, 5001.0, -5001.0, 0.0]
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
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 20_000);
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
}

const CENTRE_PS: f64 = 5.0e8;

/// DU 3 has a base with a product id, DU 4 has none.
fn setup_with_base() -> Setup {
    let table = "DOMID\tDUID\tFLOORID\tUPI\n808\t3\t0\t3.4/V2/267\n810\t4\t1\t\n";
    let id = fathom_formats::km3net::DetectorId(44);
    let detector = fathom_formats::detx::Detector::from_table(table.as_bytes(), id, None).unwrap();
    Setup {
        detector: Some(detector.into()),
        ..Setup::default()
    }
}

fn with_data_base() -> Config {
    let at = |text: &str| Some(fathom_kernel::Location::from(text.to_owned()));
    Config {
        data_base: at("http://db/values?min={minrun}&max={maxrun}&upi={upi}&name={parameter}"),
        runs: at("http://db/runs?detid={detector}"),
        ..config(&[])
    }
}

/// What the data base has of a parameter of DU 3: twenty values, 30 ps beside their centre.
fn values(parameter: &str) -> String {
    let k = usize::from(parameter != "wr_mu");
    let rows = (0..20).map(|n| match n % 2 {
        0 => format!("7\t{}\n", of(CENTRE_PS)[k] - 30.0),
        _ => format!("7\t{}\n", of(CENTRE_PS)[k] + 30.0),
    });
    format!("RUN\tDATA_VALUE\n{}7\t\n", rows.collect::<String>())
}

/// Lets a second pass in which all answer; returns the parameters that the data base was asked for.
fn second_with_data_base(bench: &mut Bench<Rttc>, at_ms: i64, value_ps: f64) -> Vec<String> {
    bench.tick(at_ms);
    let mut names = Vec::new();
    while let Some(fetch) = bench.out.fetches.pop() {
        let place = fetch.from.to_string();
        let content = match &*fetch.name {
            name if name.starts_with("subscribe") => ok(*b"OK"),
            name if name.starts_with("poll") => ok(body(&[of(value_ps); 2])),
            "run_table" => {
                assert_eq!(place, "http://db/runs?detid=44");
                let (before, now) = (T0 - 90_000_000, T0 - 1000);
                ok(format!("RUN\tUNIXSTARTTIME\n7\t{before}\n9\t{now}\n"))
            }
            _ => {
                let base = "http://db/values?min=7&max=9&upi=3.4/V2/267&name=";
                let parameter = place.strip_prefix(base).unwrap();
                names.push(parameter.to_owned());
                ok(values(parameter))
            }
        };
        answer(bench, &fetch, content);
    }
    names.sort();
    names
}

fn summary(bench: &Bench<Rttc>, du: usize, column: &str) -> Value {
    let View::Table(table) = &bench.output("rttc_summary").view else {
        panic!("no table")
    };
    let at = table.columns.iter().position(|name| name == column);
    table.rows[du][at.unwrap()].clone()
}

/// The baseline came from the file or from here only, while the data base has the last day.
#[test]
fn what_is_normal_comes_from_the_data_base_where_there_is_one() {
    let setup = setup_with_base();
    let mut bench = Bench::<Rttc>::new(with_data_base(), &setup);
    assert!(second_with_data_base(&mut bench, T0, CENTRE_PS).is_empty());
    let asked = second_with_data_base(&mut bench, T0 + 1000, CENTRE_PS);
    let deltas = (0..4).map(|n| format!("wr_delta[{n}]"));
    let all: Vec<_> = deltas.chain(["wr_mu".to_owned()]).collect();
    assert_eq!(asked, all);
    bench.tick(T0 + 2000);
    // Median and, of five spreads of 30 ps in quadrature, sigma of DU 3; DU 4 has no base.
    assert_eq!(summary(&bench, 0, "median [ps]"), json!(CENTRE_PS));
    let sigma_ps = summary(&bench, 0, "sigma [ps]").as_f64().unwrap();
    assert!((sigma_ps - 30.0 * 5.0_f64.sqrt()).abs() < 1e-6);
    assert_eq!(summary(&bench, 0, "samples of the median"), json!(20));
    assert_eq!(summary(&bench, 0, "median from"), json!("data base"));
    assert_eq!(summary(&bench, 1, "median from"), json!(null));
    let fault = bench.cell("rttc_manager", "its last reason", 1);
    let expected = "the detector description does not have the base of DU 4";
    assert_eq!(fault, json!(expected));
    // A shift is an alarm at once, without ten minutes of samples.
    second_with_data_base(&mut bench, T0 + 10_000, CENTRE_PS + 5000.0);
    bench.tick(T0 + 11_000);
    assert_eq!(bench.alarms(), [("rttc_shift", "DU 3", true)]);
    // It is asked every hour.
    let later = T0 + 3_601_000;
    assert_eq!(second_with_data_base(&mut bench, later, CENTRE_PS).len(), 5);
}

/// When the data base did not answer in the first round, nobody asked it again for an hour.
#[test]
fn a_data_base_that_failed_once_was_asked_only_an_hour_later() {
    let setup = setup_with_base();
    let mut bench = Bench::<Rttc>::new(with_data_base(), &setup);
    second_with_data_base(&mut bench, T0, CENTRE_PS);
    // One of five parameters is answered with a page for people.
    bench.tick(T0 + 1000);
    while let Some(fetch) = bench.out.fetches.pop() {
        let content = match fetch.from.to_string().split_once("name=") {
            Some((_, "wr_delta[2]")) => ok("<html>"),
            Some((_, parameter)) => ok(values(parameter)),
            None => ok(body(&[of(CENTRE_PS); 2])),
        };
        answer(&mut bench, &fetch, content);
    }
    bench.tick(T0 + 2000);
    assert_eq!(summary(&bench, 0, "median from"), Value::Null);
    let asked = second_with_data_base(&mut bench, T0 + 30_000, CENTRE_PS);
    assert!(asked.is_empty(), "{asked:?}");
    let asked = second_with_data_base(&mut bench, T0 + 31_000, CENTRE_PS);
    assert_eq!(asked, ["wr_delta[2]"]);
    bench.tick(T0 + 32_000);
    assert_eq!(summary(&bench, 0, "median from"), json!("data base"));
    assert_eq!(summary(&bench, 0, "median [ps]"), json!(CENTRE_PS));
    // What the description lacks is still told.
    let fault = bench.cell("rttc_manager", "its last reason", 1);
    let expected = "the detector description does not have the base of DU 4";
    assert_eq!(fault, json!(expected));
    let later = T0 + 3_601_000;
    assert_eq!(second_with_data_base(&mut bench, later, CENTRE_PS).len(), 5);
}

#[test]
fn an_accepted_value_goes_over_what_the_data_base_has_from_before() {
    let (setup, store) = (setup_with_base(), Store::default());
    let mut bench = Bench::<Rttc>::new(with_data_base(), &setup);
    for at_ms in [T0, T0 + 1000, T0 + 10_000] {
        second_with_data_base(&mut bench, at_ms, CENTRE_PS + 5000.0);
    }
    let accepted = bench.monitor.on_request("accept", &json!({ "du": 3 }));
    assert_eq!(accepted.unwrap(), json!({ "accepted": [3] }));
    second_with_data_base(&mut bench, T0 + 70_000, CENTRE_PS + 5000.0);
    bench.tick(T0 + 71_000);
    assert_eq!(summary(&bench, 0, "median from"), json!("own history"));
    // A restart does not forget it.
    let mut bench = bench.restarted(with_data_base(), &setup, &store);
    second_with_data_base(&mut bench, T0 + 80_000, CENTRE_PS + 5000.0);
    let asked = second_with_data_base(&mut bench, T0 + 81_000, CENTRE_PS + 5000.0);
    assert_eq!(asked.len(), 5);
    bench.tick(T0 + 82_000);
    assert_eq!(summary(&bench, 0, "median from"), json!("own history"));
}

#[test]
fn a_data_base_that_cannot_be_asked_is_refused() {
    let setup = setup_with_base();
    assert_eq!(Rttc::check(&with_data_base(), &setup), Ok(()));
    let without_runs = Config {
        runs: None,
        ..with_data_base()
    };
    let why = Rttc::check(&without_runs, &setup).unwrap_err();
    assert_eq!(why, "data_base asks by runs: name a table with runs");
    let without_du = Config {
        data_base: Some("http://db/all".to_owned().into()),
        ..config(&[])
    };
    let why = Rttc::check(&without_du, &setup).unwrap_err();
    assert!(why.contains("expected {du}, {upi} or {dom_id}"), "{why}");
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
