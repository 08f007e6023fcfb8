//! Files and data bases that arrivals are asked of.

use super::*;

#[test]
fn a_table_of_a_file_or_data_base_is_asked_for_and_read() {
    let source = "http://db.example.org/streamds/toashort.txt?detid={detector}&from={from}&to={to}";
    let config = Config {
        source: Some(Location::from(source.to_owned())),
        ..Config::default()
    };
    let mut bench = Bench::<Acoustics>::new(config, &setup(2));
    bench.tick(T0 + 1_200_000);
    bench.tick(T0 + 1_201_000);
    let [fetch] = &*bench.out.fetches else {
        panic!("{} fetches, expected one a minute", bench.out.fetches.len())
    };
    let expected =
        "http://db.example.org/streamds/toashort.txt?detid=44&from=1699998600&to=1700001000";
    assert_eq!(fetch.from.to_string(), expected);
    let mut text = "RUN\tUNIXTIMEBASE\tDOMID\tEMITTERID\tQUALITYFACTOR\tTOA_S\n".to_owned();
    for ping in series(101, 11, T0 + 200_000, 9) {
        text += &format!(
            "1\t{}\t{}\t{}\t{}\t{}\n",
            ping.time_base_s, ping.dom_id, ping.emitter, ping.quality, ping.toa_s
        );
    }
    text += "1\tbroken\n";
    let mut answer = |content| {
        let fetched = Fetched {
            name: "arrivals".into(),
            content,
        };
        bench.monitor.on_fetched(fetched, &mut bench.out);
    };
    // The same table twice is the same pings.
    for _ in 0..2 {
        answer(Ok(Content::Bytes(text.clone().into(), None)));
    }
    let failed = FetchError::Status {
        location: "db".into(),
        status: 503,
    };
    answer(Err(failed));
    assert_eq!(
        bench.out.bad,
        ["line is no ping", "line is no ping", "source not readable"]
    );
    bench.tick(T0 + 1_260_000);
    assert_eq!(classes(picture(&bench))[&1], [-1.5, -1.5, 1.5]);
    assert_eq!(bench.cell("acoustics_counts", "arrivals", 1), json!(9));
    assert_eq!(
        bench.cell("acoustics_counts", "source", 1),
        json!("db: answered 503, expected 200")
    );
}

/// The data base, which wants to know module and runs.
fn by_module() -> Config {
    let at = |text: &str| Some(Location::from(text.to_owned()));
    Config {
        source: at("http://db/toashort?det={detector}&from={minrun}&to={maxrun}&dom={dom_id}"),
        runs: at("http://db/runs?detid={detector}"),
        ..Config::default()
    }
}

/// Lets time pass; returns what is asked for.
fn asked(bench: &mut Bench<Acoustics>, at_ms: i64) -> Vec<Fetch> {
    bench.tick(at_ms);
    std::mem::take(&mut bench.out.fetches)
}

/// Answers; returns what is asked for then.
fn answer(bench: &mut Bench<Acoustics>, name: &str, text: String) -> Vec<Fetch> {
    let fetched = Fetched {
        name: name.to_owned(),
        content: Ok(Content::Bytes(text.into(), None)),
    };
    bench.monitor.on_fetched(fetched, &mut bench.out);
    std::mem::take(&mut bench.out.fetches)
}

/// What the data base has of a module, which it does not name; one it does not know.
fn table_of(dom: u32) -> String {
    if dom == 103 {
        return "ERROR: no such module\n".to_owned();
    }
    let mut table = "EMITTERID\tQUALITYFACTOR\tUNIXTIMEBASE\tTOA_S\n".to_owned();
    for ping in series(dom, 11, T0 + 200_000, 9) {
        let numbers = (ping.emitter, ping.quality, ping.time_base_s, ping.toa_s);
        let (emitter, quality, base, toa) = numbers;
        table += &format!("{emitter}\t{quality}\t{base}\t{toa}\n");
    }
    table
}

/// The data base gives times of arrival of one module and a range of runs only.
#[test]
fn the_data_base_is_asked_by_module_and_by_the_runs_of_the_time() {
    let mut bench = Bench::<Acoustics>::new(by_module(), &setup(12));
    // Nothing is asked for before the runs are known.
    let first = asked(&mut bench, T0 + 900_000);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].from.to_string(), "http://db/runs?detid=44");
    assert!(asked(&mut bench, T0 + 901_000).is_empty());
    let (before, after) = (T0 - 9_000_000, T0 + 9_000_000);
    let runs = format!("RUN\tUNIXSTARTTIME\n70\t{before}\n71\t{T0}\n72\t{after}\n");
    answer(&mut bench, &first[0].name, runs);
    let mut waiting = asked(&mut bench, T0 + 902_000);
    assert_eq!(waiting.len(), 8, "a few at a time");
    let expected = "http://db/toashort?det=44&from=70&to=71&dom=100";
    assert_eq!(waiting[0].from.to_string(), expected);
    let mut done = Vec::new();
    while let Some(fetch) = waiting.pop() {
        let dom: u32 = fetch.name.split_once(':').unwrap().1.parse().unwrap();
        done.push(dom);
        waiting.extend(answer(&mut bench, &fetch.name, table_of(dom)));
        // No second round begins meanwhile.
        if !waiting.is_empty() {
            let more = asked(&mut bench, T0 + 902_000 + 70_000);
            assert!(more.iter().all(|fetch| fetch.name == "run_table"));
        }
    }
    done.sort_unstable();
    assert_eq!(done, (100..112).collect::<Vec<_>>());
    bench.tick(T0 + 1_300_000);
    let classes = classes(picture(&bench));
    assert_eq!(classes[&1], [-1.5, -1.5, 1.5]);
    assert!(!classes[&3].contains(&1.5));
    let fault = bench.cell("acoustics_counts", "source", 1);
    let refusal = "the data base answers \"ERROR: no such module\"";
    assert_eq!(fault, json!(refusal));
}

#[test]
fn a_table_of_runs_without_the_run_of_the_time_is_told() {
    let mut bench = Bench::<Acoustics>::new(by_module(), &setup(2));
    let first = asked(&mut bench, T0);
    let runs = format!("RUN\tUNIXSTARTTIME\n70\t{}\n", T0 + 9_000_000);
    answer(&mut bench, &first[0].name, runs);
    assert!(asked(&mut bench, T0 + 1000).is_empty());
    let fault = bench.cell("acoustics_counts", "source", 1);
    assert_eq!(fault, json!("the table of runs has no run of this time"));
}

#[test]
fn a_source_that_cannot_be_asked_is_refused() {
    assert_eq!(Acoustics::check(&by_module(), &setup(12)), Ok(()));
    let without_runs = Config {
        runs: None,
        ..by_module()
    };
    let why = Acoustics::check(&without_runs, &setup(12)).unwrap_err();
    assert_eq!(why, "source asks by runs: name a table with runs");
    let why = Acoustics::check(&by_module(), &Setup::default()).unwrap_err();
    assert_eq!(why, "source asks by module, expected a [detector]");
}
