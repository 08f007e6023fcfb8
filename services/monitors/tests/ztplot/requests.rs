//! Events that somebody asks for, redraws or takes out.

use super::*;

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
