//! What is normal by the data base.

use super::*;

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
                // Run 9 began a second before, and goes on.
                let first = if at_ms < T0 + 86_400_000 { 7 } else { 9 };
                let base = format!("http://db/values?min={first}&max=9&upi=3.4/V2/267&name=");
                let parameter = place.strip_prefix(&base).unwrap();
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
    // A day later all that the data base has is from after it.
    let later = T0 + 86_420_000;
    second_with_data_base(&mut bench, later, CENTRE_PS + 5000.0);
    bench.tick(later + 1000);
    assert_eq!(summary(&bench, 0, "median from"), json!("data base"));
}

#[test]
fn what_a_data_base_said_more_than_a_day_ago_is_not_what_is_normal() {
    let mut bench = Bench::<Rttc>::new(with_data_base(), &setup_with_base());
    second_with_data_base(&mut bench, T0, CENTRE_PS);
    assert_eq!(
        second_with_data_base(&mut bench, T0 + 1000, CENTRE_PS).len(),
        5
    );
    // Since then it answers with a page for people.
    let without = |bench: &mut Bench<Rttc>, at_ms: i64| {
        bench.tick(at_ms);
        while let Some(fetch) = bench.out.fetches.pop() {
            let content = match &*fetch.name {
                name if name.starts_with("subscribe") => ok(*b"OK"),
                name if name.starts_with("poll") => ok(body(&[of(CENTRE_PS); 2])),
                _ => ok("<html>"),
            };
            answer(bench, &fetch, content);
        }
        bench.tick(at_ms + 1000);
        summary(bench, 0, "median from")
    };
    let day_ms = 86_400_000;
    assert_eq!(without(&mut bench, T0 + day_ms), json!("data base"));
    assert_eq!(
        without(&mut bench, T0 + day_ms + 20_000),
        json!("own history")
    );
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
