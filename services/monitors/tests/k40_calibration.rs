//! `k40_calibration` by slices with coincidences of known offsets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{Bench, Store, frame, header, ms, packet, setup};
use fathom_formats::detx::{Detector, Layout, Module};
use fathom_formats::km3net::{
    CHANNELS, ChannelId, DetectorId, DomId, FrameStatus, SliceHit, SliceLevel, SuperFrame,
    encode_time_slice,
};
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{Event, FileEdit, Monitor, Persist, Recalled, Setup, Span, tags};
use fathom_monitors::k40::{cos_angles, expected_rate_hz, pair_list};
use fathom_monitors::{K40Calibration, K40CalibrationConfig as Config, K40Mask, K40Times};
use serde_json::{Value, json};

const START_MS: i64 = 1_700_000_000_000;

/// A module whose coincidences are made here.
struct Fake {
    module: Module,
    /// How much later than true the hits of each channel are, after calibration (ns).
    late_ns: [f64; CHANNELS],
    efficiency: [f64; CHANNELS],
    state: u64,
}

impl Fake {
    fn new(module: &Module) -> Self {
        Self {
            module: module.clone(),
            late_ns: [0.0; CHANNELS],
            efficiency: [1.0; CHANNELS],
            state: 0x9e37_79b9_7f4a_7c15 ^ u64::from(module.id.0),
        }
    }

    fn chance(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.chance()).sum::<f64>() - 6.0
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (mut number, mut product) = (0, self.chance());
        while product > (-mean).exp() {
            product *= self.chance();
            number += 1;
        }
        number
    }

    fn time(&mut self, channel: usize, at_ns: f64) -> u32 {
        let file_ns = self.module.pmts[channel].t0_ns;
        let ns = at_ns + self.late_ns[channel] - file_ns + 2.0 * self.normal();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in a frame"
        )]
        let ns = ns.round() as u32;
        ns
    }

    /// Genuine coincidences of so many seconds, put into one frame, 500 ns apart.
    fn hits(&mut self, seconds: f64) -> Vec<SliceHit> {
        let directions = std::array::from_fn(|c| self.module.pmts[c].direction);
        let cosines = cos_angles(&directions);
        let mut hits = Vec::new();
        let mut at_ns = 1000.0;
        for (cos, &(i, j)) in cosines.iter().zip(pair_list()) {
            let (i, j) = (usize::from(i), usize::from(j));
            let mean = seconds * expected_rate_hz(*cos) * self.efficiency[i] * self.efficiency[j];
            for _ in 0..self.poisson(mean) {
                at_ns += 500.0;
                for channel in [i, j] {
                    let id = u8::try_from(channel).unwrap();
                    hits.push(SliceHit::new(ChannelId(id), self.time(channel, at_ns), 26));
                }
            }
        }
        hits
    }
}

fn slice_of(frames: &[(DomId, FrameStatus, &[SliceHit])], at_ms: i64, level: SliceLevel) -> Event {
    let head = header(1, at_ms);
    let frames: Vec<_> = frames
        .iter()
        .map(|&(dom_id, status, hits)| SuperFrame {
            header: head,
            dom_id,
            status,
            hits,
        })
        .collect();
    let mut body = Vec::new();
    encode_time_slice(level, &head, &frames, &mut body).unwrap();
    frame(level.tag(), body, at_ms)
}

fn slice(dom: DomId, hits: &[SliceHit], at_ms: i64) -> Event {
    slice_of(&[(dom, fine(), hits)], at_ms, SliceLevel::L1)
}

fn fine() -> FrameStatus {
    FrameStatus::complete(8, 0, 0)
}

fn config(cycle_s: u64) -> Config {
    Config {
        cycle: Span::from_secs(cycle_s),
        ..Config::default()
    }
}

fn modules(setup: &Setup) -> Vec<Module> {
    setup
        .detector
        .as_ref()
        .unwrap()
        .optical_modules()
        .cloned()
        .collect()
}

fn bench(config: Config, setup: &Setup) -> Bench<K40Calibration> {
    Bench::new(config, setup)
}

/// Feeds one cycle of 60 s: 600 slices with a tenth of a second each, singles, and ticks to its end.
fn feed(bench: &mut Bench<K40Calibration>, fakes: &mut [Fake], cycle: i64) {
    let start_ms = START_MS + cycle * 60_000;
    for n in 0..600 {
        let at_ms = start_ms + 100 * n;
        let hits: Vec<_> = fakes
            .iter_mut()
            .map(|fake| (fake.module.id, fake.hits(0.1)))
            .collect();
        let frames: Vec<_> = hits
            .iter()
            .map(|(id, hits)| (*id, fine(), &**hits))
            .collect();
        bench.take(&slice_of(&frames, at_ms, SliceLevel::L1));
        if n % 50 == 0 {
            for fake in fakes.iter() {
                // No accidental coincidences are made, so no singles either.
                bench.take(&packet(at_ms, fake.module.id.0, 0, 0));
            }
            bench.tick(at_ms);
        }
    }
    for n in 0..10 {
        bench.tick(start_ms + 60_000 + 200 * n);
    }
}

fn panels(bench: &Bench<K40Calibration>, name: &str) -> Panels {
    match &bench.output(name).view {
        View::Panels(panels) => panels.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

fn written(bench: &Bench<K40Calibration>, name: &str) -> String {
    let mut files = bench.out.files.iter().rev();
    let found = files.find_map(|edit| match edit {
        FileEdit::Write { path, bytes } if path.to_str() == Some(name) => Some(bytes.clone()),
        _ => None,
    });
    String::from_utf8(found.unwrap_or_else(|| panic!("no file {name}"))).unwrap()
}

fn dom_of(bench: &Bench<K40Calibration>, id: DomId) -> Value {
    let all: Value = serde_json::from_str(&written(bench, "k40calib.json")).unwrap();
    let doms = all["doms"].as_array().unwrap();
    doms.iter()
        .find(|dom| dom["dom_id"] == id.0)
        .cloned()
        .unwrap()
}

fn progress(bench: &Bench<K40Calibration>, row: &str) -> Value {
    bench.cell("k40_progress", row, 1)
}

/// Two hits of channels 3 and 4, 2 ns apart after calibration.
fn pair_of(module: &Module) -> [SliceHit; 2] {
    let hit = |channel: u8, late_ns: f64| {
        let ns = 5000.0 + late_ns - module.pmts[usize::from(channel)].t0_ns;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "5 us"
        )]
        let ns = ns.round() as u32;
        SliceHit::new(ChannelId(channel), ns, 26)
    };
    [hit(3, 0.0), hit(4, 2.0)]
}

#[test]
fn each_cycle_reports_its_own_counts_and_not_those_of_the_first_for_ever() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    for cycle in 1..=4 {
        let start_ms = START_MS + 10_000 * cycle;
        for n in 0..cycle {
            bench.take(&slice(module.id, &pair_of(module), start_ms + 100 * n));
        }
        bench.tick(start_ms + 9000);
        bench.tick(start_ms + 9990 + 10);
        let dom = dom_of(&bench, module.id);
        assert_eq!(dom["coincidences"], json!(cycle), "{dom}");
        assert_eq!(dom["livetime"], json!(cycle as f64 / 10.0));
    }
}

#[test]
fn a_slice_that_comes_twice_counts_once() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    for n in [0, 1, 1, 0, 2] {
        bench.take(&slice(module.id, &pair_of(module), START_MS + 100 * n));
    }
    bench.tick(START_MS + 9000);
    bench.tick(START_MS + 10_000);
    let dom = dom_of(&bench, module.id);
    assert_eq!(dom["coincidences"], json!(3), "{dom}");
    assert_eq!(dom["livetime"], json!(0.3));
}

#[test]
fn offsets_and_efficiencies_come_back_within_their_errors() {
    let setup = setup(1);
    let mut fakes: Vec<Fake> = modules(&setup)[..2].iter().map(Fake::new).collect();
    for (n, fake) in fakes.iter_mut().enumerate() {
        for channel in 0..CHANNELS {
            fake.late_ns[channel] = ((channel * 7 + n * 3) % 11) as f64 / 10.0 - 0.5;
            fake.efficiency[channel] = 0.8 + 0.04 * ((channel * 5 + n) % 11) as f64;
        }
    }
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let (mut squares, mut squares_qe, mut number) = (0.0, 0.0, 0.0);
    for fake in &fakes {
        let dom = dom_of(&bench, fake.module.id);
        let list = |name: &str| -> Vec<f64> {
            let list = dom[name].as_array().unwrap().iter();
            list.map(|n| n.as_f64().unwrap()).collect()
        };
        let centre = fathom_hist::median(fake.late_ns).unwrap();
        let usual = list("qe").iter().sum::<f64>() / fake.efficiency.iter().sum::<f64>();
        for channel in 0..CHANNELS {
            let off = list("shift")[channel] - (fake.late_ns[channel] - centre);
            squares += (off / list("shift_error")[channel]).powi(2);
            let off = list("qe")[channel] - fake.efficiency[channel] * usual;
            squares_qe += (off / list("qe_error")[channel]).powi(2);
            number += 1.0;
            // What is to be put into the next detector file.
            let new = list("t0_new")[channel];
            let expected = fake.module.pmts[channel].t0_ns - list("shift")[channel];
            assert!((new - expected).abs() < 2e-4);
        }
        let [before, after] = [0, 1].map(|n| dom["rms_means"][n].as_f64().unwrap());
        assert!(after < before, "{before} {after}");
        assert!(dom["pairs_used"].as_u64().unwrap() > 80);
    }
    let (t0, qe) = (squares / number, squares_qe / number);
    assert!((0.5..1.8).contains(&t0), "t0 {t0}");
    assert!((0.5..1.8).contains(&qe), "qe {qe}");
}

#[test]
fn a_pmt_that_never_coincides_is_unknown_and_its_failed_fits_are_listed_not_taken_for_zero() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[0])];
    fakes[0].efficiency[12] = 0.0;
    fakes[0].late_ns = [0.3; CHANNELS];
    fakes[0].late_ns[5] = 1.3;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let dom = dom_of(&bench, fakes[0].module.id);
    assert!(dom["t0s"][12].is_null() && dom["qe"][12].is_null() && dom["t0_new"][12].is_null());
    let shift = dom["shift"][5].as_f64().unwrap();
    assert!((shift - 1.0).abs() < 0.35, "{shift}");
    let View::Table(failed) = &bench.output("k40_failed_fits").view else {
        panic!()
    };
    let of_dead = failed
        .rows
        .iter()
        .filter(|row| row[3] == 12 || row[4] == 12);
    assert!(of_dead.count() >= 5, "{failed:?}");
    let csv = written(&bench, "k40calib.csv");
    let line = csv
        .lines()
        .find(|line| line.split(',').nth(2) == Some("12"))
        .unwrap();
    assert!(line.contains(",,,,,,,"), "{line}");
}

#[test]
fn a_cycle_without_any_data_leaves_results_and_files_as_they_are() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(bench.out.files.len(), 2);
    for n in 1..200 {
        bench.tick(START_MS + 10_000 + 200 * n);
    }
    assert_eq!(bench.out.files.len(), 2);
    let args = json!({"dom_id": module.id.0});
    assert!(bench.monitor.on_request("dom", &args).is_ok());
    assert_eq!(progress(&bench, "state"), json!("waiting for slices"));
    // The next cycle begins with the next slice.
    bench.take(&slice(module.id, &pair_of(module), START_MS + 60_000));
    bench.tick(START_MS + 69_900);
    assert_eq!(bench.out.files.len(), 2);
    bench.tick(START_MS + 70_000);
    assert_eq!(bench.out.files.len(), 4);
}

#[test]
fn a_module_with_hardly_any_data_is_reported_without_a_calibration() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    let dom = dom_of(&bench, module.id);
    assert!(dom["t0s"].as_array().unwrap().iter().all(Value::is_null));
    assert_eq!(panels(&bench, "intradom").panels.len(), 1);
    assert!(bench.alarms().is_empty());
}

#[test]
fn a_detector_without_du_1_is_calibrated_with_the_angles_of_its_own_modules() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut list: Vec<Module> = generated.optical_modules().take(2).cloned().collect();
    for (module, floor) in list.iter_mut().zip(1..) {
        module.place.du = 5;
        module.place.floor = floor;
    }
    // In the second one all channels look elsewhere.
    list[1].pmts.rotate_right(7);
    let detector = Detector::new(DetectorId(44), list.clone());
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut fakes: Vec<Fake> = list.iter().map(Fake::new).collect();
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    for (panel, module) in panels(&bench, "angular_k40rate_distribution")
        .panels
        .iter()
        .zip(&list)
    {
        let before = &panel.layers[0];
        let directions = std::array::from_fn(|c| module.pmts[c].direction);
        let own: Vec<f64> = cos_angles(&directions).to_vec();
        assert!(before.x.len() > 80);
        let all_own = before
            .x
            .iter()
            .all(|x| own.iter().any(|cos| (cos - x).abs() < 1e-3));
        assert!(all_own);
        // With wrong angles rates would scatter about the curve by several Hz.
        let off = before
            .x
            .iter()
            .zip(&before.y)
            .map(|(x, y)| (y - expected_rate_hz(*x)).powi(2));
        let rms = (off.sum::<f64>() / before.x.len() as f64).sqrt();
        assert!(rms < 0.5, "{rms}");
    }
}

#[test]
fn all_modules_are_reached_not_only_the_eighteen_of_one_picture() {
    let setup = setup(2);
    let all = modules(&setup);
    let mut bench = bench(config(10), &setup);
    for module in &all {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(
        progress(&bench, "state"),
        json!("calibrating, 4 of 36 modules")
    );
    for n in 1..80 {
        bench.tick(START_MS + 10_000 + 10 * n);
    }
    let View::Table(summary) = &bench.output("k40_summary").view else {
        panic!()
    };
    assert_eq!(summary.rows.len(), 36);
    assert_eq!(panels(&bench, "intradom").panels.len(), 18);
    let of_second = bench
        .monitor
        .on_request("intradom", &json!({"du": 2}))
        .unwrap();
    assert_eq!(
        of_second["intradom"]["panels"].as_array().unwrap().len(),
        18
    );
    // The page draws it like any view.
    assert_eq!(of_second["intradom"]["form"], "panels");
    let first = json!({"du": 1, "floor": 1});
    let first = bench.monitor.on_request("dom", &first).unwrap();
    assert_eq!(first["dom_id"], all[0].id.0);
    let asked = json!({"dom_ids": [all[0].id.0, all[35].id.0]});
    assert_eq!(
        bench.monitor.on_request("show", &asked).unwrap()["modules"],
        2
    );
    bench.tick(START_MS + 12_000);
    assert_eq!(panels(&bench, "intradom").panels.len(), 2);
    for (x, name) in [(18, "k40_t0_du2"), (18, "k40_qe_du1")] {
        assert_eq!(bench.map(name).values.len(), x * 31);
    }
    assert!(
        bench
            .monitor
            .on_request("show", &json!({"dus": []}))
            .is_err()
    );
    assert!(
        bench
            .monitor
            .on_request("dom", &json!({"dom_id": 1}))
            .is_err()
    );
}

#[test]
fn modules_are_calibrated_some_per_tick() {
    let setup = setup(2);
    let mut bench = bench(config(10), &setup);
    for module in &modules(&setup) {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    let mut ticks = 0;
    while bench.out.files.is_empty() {
        ticks += 1;
        bench.take(&packet(START_MS + 9_800 + 200 * ticks, 17, 700, 0));
        bench.tick(START_MS + 9_800 + 200 * ticks);
    }
    assert_eq!(ticks, 36 / 4);
}

#[test]
fn ticks_that_take_long_do_not_keep_messages_waiting() {
    let setup = setup(1);
    let mut bench = bench(config(10), &setup);
    for module in &modules(&setup) {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    let state = |bench: &mut Bench<K40Calibration>, at_ms: i64| {
        bench.tick(at_ms);
        bench.tick(at_ms + 5000);
        progress(bench, "state")
    };
    // The next ticks come at once, before any message: they leave the time to those.
    let waiting = json!("calibrating, 4 of 18 modules");
    assert_eq!(state(&mut bench, START_MS + 11_000), waiting);
    // When no message comes at all, it goes on nevertheless.
    assert_eq!(state(&mut bench, START_MS + 17_000), waiting);
    let going_on = json!("calibrating, 8 of 18 modules");
    assert_eq!(state(&mut bench, START_MS + 23_000), going_on);
}

#[test]
fn a_channel_in_veto_loses_time_and_hits_of_its_pairs_only() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    let hits = pair_of(module);
    for (n, status) in [
        (0, fine()),
        (1, FrameStatus::complete(8, 1 << 4, 0)),
        (2, FrameStatus::complete(8, 0, 1 << 3)),
    ] {
        bench.take(&slice_of(
            &[(module.id, status, &hits)],
            START_MS + n * 100,
            SliceLevel::L1,
        ));
    }
    let all_vetoed = FrameStatus::complete(8, u32::MAX, 0);
    let missing = FrameStatus::from_words(8 << 16 | 3, 0, 1 << 31);
    for status in [all_vetoed, missing] {
        bench.take(&slice_of(
            &[(module.id, status, &hits)],
            START_MS + 300,
            SliceLevel::L1,
        ));
    }
    let asked = json!({"dom_id": module.id.0});
    let counts = bench.monitor.on_request("counts", &asked).unwrap();
    assert_eq!(counts["frames"], 3);
    let expected =
        json!([{"channels": [3, 4], "frames": 1, "counts": counts["pairs"][0]["counts"]}]);
    assert_eq!(counts["pairs"], expected);
    bench.tick(START_MS + 400);
    assert_eq!(
        progress(&bench, "frames left out: all channels in veto"),
        json!(1)
    );
    assert_eq!(
        progress(&bench, "frames left out: packets missing"),
        json!(1)
    );
    assert_eq!(
        progress(&bench, "of these, without some channels (veto or FIFO)"),
        json!(2)
    );
}

#[test]
fn masked_pmts_are_not_counted() {
    let setup = setup(1);
    let all = modules(&setup);
    let masked = vec![
        K40Mask {
            dom_id: Some(all[0].id.0),
            channels: vec![4],
        },
        K40Mask {
            dom_id: None,
            channels: vec![30],
        },
    ];
    let mut bench = bench(
        Config {
            masked,
            ..config(10)
        },
        &setup,
    );
    for module in &all[..2] {
        bench.take(&slice(module.id, &pair_of(module), START_MS));
    }
    let pairs = |n: usize| {
        let counts = json!({"dom_id": all[n].id.0});
        counts
    };
    let asked: Vec<_> = (0..2).map(pairs).collect();
    let number = |bench: &mut Bench<K40Calibration>, args: &Value| {
        let counts = bench.monitor.on_request("counts", args).unwrap();
        counts["pairs"].as_array().unwrap().len()
    };
    assert_eq!(number(&mut bench, &asked[0]), 0);
    assert_eq!(number(&mut bench, &asked[1]), 1);
    let wrong = vec![K40Mask {
        dom_id: None,
        channels: vec![31],
    }];
    assert!(
        K40Calibration::check(
            &Config {
                masked: wrong,
                ..config(10)
            },
            &setup
        )
        .is_err()
    );
}

#[test]
fn a_shift_of_two_ns_raises_an_alarm_that_goes_when_the_shift_goes() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[3])];
    fakes[0].late_ns[9] = 2.0;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", true)]);
    let text = &bench.out.alarms[0].text;
    assert!(text.contains("channel 9 by +"), "{text}");
    let worst = bench.map("k40_t0").values[3];
    assert!((worst - 2.0).abs() < 0.4, "{worst}");
    // The alarm engine takes for over what is not said again soon after a restart.
    let mut bench = bench.restarted(config(60), &setup, &Store::default());
    bench.tick(START_MS + 60_000 + 2500);
    bench.tick(START_MS + 60_000 + 2700);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", true)]);
    fakes[0].late_ns[9] = 0.0;
    feed(&mut bench, &mut fakes, 1);
    assert_eq!(
        bench.alarms()[1..],
        [("k40_t0_shift", "DU 1 floor 4", false)]
    );
}

#[test]
fn a_shift_that_a_higher_limit_allows_after_a_restart_fired_on() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[3])];
    fakes[0].late_ns[9] = 2.0;
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut fakes, 0);
    let higher = Config {
        alarm_shift: 5.0,
        ..config(60)
    };
    let mut bench = bench.restarted(higher, &setup, &Store::default());
    let mut recall = |subject| bench.monitor.recall("k40_t0_shift", subject);
    assert_eq!(recall("DU 1 floor 4"), Recalled::Holds);
    assert_eq!(recall("DU 1 floor 5"), Recalled::Unknown);
    assert_eq!(recall("DU 9 floor 5"), Recalled::Gone);
    bench.tick(START_MS + 60_000 + 2500);
    assert_eq!(bench.alarms(), [("k40_t0_shift", "DU 1 floor 4", false)]);
}

#[test]
fn raw_times_are_compared_with_the_detector_file_as_well() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut module = generated.optical_modules().next().unwrap().clone();
    for (pmt, n) in module.pmts.iter_mut().zip(0..) {
        pmt.t0_ns = 200.0 + f64::from(n % 5) * 0.7;
    }
    let detector = Detector::new(DetectorId(44), vec![module.clone()]);
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut fakes = [Fake::new(&module)];
    fakes[0].late_ns[9] = 1.5;
    let raw = Config {
        times: K40Times::Raw,
        ..config(60)
    };
    let mut bench = bench(raw, &setup);
    feed(&mut bench, &mut fakes, 0);
    let dom = dom_of(&bench, module.id);
    for channel in 0..CHANNELS {
        let shift = dom["shift"][channel].as_f64().unwrap();
        let expected = if channel == 9 { 1.5 } else { 0.0 };
        assert!((shift - expected).abs() < 0.4, "{channel} {shift}");
    }
    // Channel 4 has 2.8 ns more to be added than channel 0, so its raw hits are earlier.
    let raw_ns = dom["t0s"][4].as_f64().unwrap();
    assert!((raw_ns + 2.8).abs() < 0.4, "{raw_ns}");
}

#[test]
fn fractions_of_a_nanosecond_in_the_detector_file_are_not_lost() {
    let generated = Detector::generated(&Layout::orca(1));
    let mut module = generated.optical_modules().next().unwrap().clone();
    for (pmt, n) in module.pmts.iter_mut().zip(0..) {
        // Rounded up and down by nearly half a nanosecond.
        pmt.t0_ns = 200.0 + if n % 2 == 0 { 0.49 } else { 0.51 };
    }
    let detector = Detector::new(DetectorId(44), vec![module.clone()]);
    let setup = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut bench = bench(config(60), &setup);
    feed(&mut bench, &mut [Fake::new(&module)], 0);
    let dom = dom_of(&bench, module.id);
    let mean = |from: usize| {
        let list = (from..CHANNELS)
            .step_by(2)
            .map(|c| dom["t0s"][c].as_f64().unwrap());
        list.sum::<f64>() / 15.0
    };
    // Without the fractions, 0.98 ns lie between even and odd channels.
    assert!((mean(1) - mean(0)).abs() < 0.12, "{} {}", mean(1), mean(0));
}

#[test]
fn counts_and_results_survive_a_restart_in_mid_cycle() {
    let setup = setup(1);
    let mut fakes = [Fake::new(&modules(&setup)[0])];
    let id = fakes[0].module.id;
    let mut before = bench(config(60), &setup);
    feed(&mut before, &mut fakes, 0);
    let found = before
        .monitor
        .on_request("dom", &json!({"dom_id": id.0}))
        .unwrap();
    for n in 0..5 {
        before.take(&slice(
            id,
            &pair_of(&fakes[0].module),
            START_MS + 62_000 + 100 * n,
        ));
    }
    let counts = before
        .monitor
        .on_request("counts", &json!({"dom_id": id.0}))
        .unwrap();
    let store = Store::default();
    let mut after = before.restarted(config(60), &setup, &store);
    let args = json!({"dom_id": id.0});
    assert_eq!(after.monitor.on_request("counts", &args).unwrap(), counts);
    assert_eq!(after.monitor.on_request("dom", &args).unwrap(), found);
    after.tick(START_MS + 63_000);
    assert_eq!(panels(&after, "intradom").panels.len(), 1);
    assert_eq!(after.map("k40_t0_du1").values.len(), 31);
    // The cycle goes on where it was, and ends in time.
    after.take(&slice(id, &pair_of(&fakes[0].module), START_MS + 119_000));
    after.tick(START_MS + 119_500);
    assert!(after.out.files.is_empty());
    after.tick(START_MS + 125_000);
    assert_eq!(dom_of(&after, id)["coincidences"], json!(6));

    let other = Config {
        tmax: 12,
        ..config(60)
    };
    let mut refused = bench(other, &setup);
    assert!(refused.monitor.restore(&store.saved()).is_err());
    let mut damaged = store.saved();
    let bytes = damaged.snapshot.as_mut().unwrap();
    bytes.truncate(bytes.len() - 10);
    let mut fresh = bench(config(60), &setup);
    fresh.monitor.restore(&damaged).unwrap();
    assert!(fresh.monitor.on_request("counts", &args).is_err());
}

#[test]
fn a_large_detector_is_kept_whole_at_its_end_however_late_that_was_done_before() {
    let setup = setup(12);
    let all = modules(&setup);
    let mut bench = bench(config(600), &setup);
    let fill = |bench: &mut Bench<K40Calibration>, at_ms: i64| {
        for module in &all {
            bench.take(&slice(module.id, &pair_of(module), at_ms));
        }
        bench.tick(at_ms);
    };
    let is_kept = |bench: &mut Bench<K40Calibration>, mut keep: Persist| {
        bench.monitor.persist(&mut keep);
        let store = Store::default();
        keep.write(&store.checkpoint()).unwrap();
        store.saved().snapshot.is_some()
    };
    fill(&mut bench, START_MS);
    assert!(bench.monitor.memory_bytes() > 4 << 20);
    assert!(is_kept(&mut bench, Persist::default()));
    fill(&mut bench, START_MS + 30_000);
    assert!(!is_kept(&mut bench, Persist::default()));
    assert!(is_kept(&mut bench, Persist::last()));
}

#[test]
fn counts_made_with_other_time_offsets_are_not_taken_over() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut before = bench(config(60), &setup);
    before.take(&slice(module.id, &pair_of(module), START_MS));
    let mut other = module.clone();
    other.pmts[7].t0_ns += 3.0;
    let detector = Detector::new(DetectorId(44), vec![other]);
    let recalibrated = Setup {
        detector: Some(std::sync::Arc::new(detector)),
        ..Setup::default()
    };
    let mut after = before.restarted(config(60), &recalibrated, &Store::default());
    assert!(
        after
            .monitor
            .on_request("counts", &json!({"dom_id": module.id.0}))
            .is_err()
    );
}

#[test]
fn a_jump_of_the_data_time_ends_the_cycle_and_mixes_nothing() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(60), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    bench.tick(START_MS);
    // A replay from a day before begins.
    let day_ms = 86_400_000;
    let mut old = slice(module.id, &pair_of(module), START_MS - day_ms);
    if let Event::Frame(frame) = &mut old {
        frame.received = ms(START_MS + 20_000);
    }
    bench.take(&old);
    bench.tick(START_MS + 20_200);
    let dom = dom_of(&bench, module.id);
    assert_eq!(dom["coincidences"], json!(1));
    assert_eq!(dom["until"], json!("2023-11-14T22:13:20Z"));
    bench.take(&old);
    let counts = bench
        .monitor
        .on_request("counts", &json!({"dom_id": module.id.0}))
        .unwrap();
    assert_eq!(counts["frames"], 1);
}

#[test]
fn damaged_slices_other_levels_and_unknown_modules_are_counted_and_harmless() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut bench = bench(config(10), &setup);
    let hits = pair_of(module);
    let Event::Frame(whole) = slice(module.id, &hits, START_MS) else {
        panic!()
    };
    for cut in 0..whole.body.len() {
        bench.take(&frame(tags::IO_TSL1, whole.body[..cut].to_vec(), START_MS));
    }
    assert_eq!(bench.out.bad.len(), whole.body.len());
    bench.take(&frame(tags::IO_MONIT, b"TMCH".to_vec(), START_MS));
    assert_eq!(bench.out.bad.len(), whole.body.len() + 1);
    bench.take(&slice_of(
        &[(module.id, fine(), &hits)],
        START_MS,
        SliceLevel::L0,
    ));
    assert!(
        bench
            .monitor
            .on_request("counts", &json!({"dom_id": module.id.0}))
            .is_err()
    );
    bench.take(&slice(DomId(17), &hits, START_MS));
    bench.take(&packet(START_MS, 17, 700, 0));
    bench.tick(START_MS);
    let View::Table(unknown) = &bench.output("k40_unknown").view else {
        panic!()
    };
    assert_eq!(unknown.rows[0][..2], [json!(17), json!(1)]);
    assert_eq!(
        bench
            .monitor
            .on_request("bad", &Value::Null)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn the_singles_of_a_cycle_are_their_median_without_veto() {
    let setup = setup(1);
    let module = &modules(&setup)[0];
    let mut fakes = [Fake::new(module)];
    let mut bench = bench(config(60), &setup);
    bench.take(&slice(module.id, &pair_of(module), START_MS));
    // 7 kHz, but twice 300 kHz in veto: the median stays, and the background with it.
    for (n, (count, hrv)) in [
        (700, 0),
        (700, 0),
        (30_000, u32::MAX),
        (30_000, u32::MAX),
        (700, 0),
    ]
    .into_iter()
    .enumerate()
    {
        bench.take(&packet(START_MS + 100 * n as i64, module.id.0, count, hrv));
    }
    for n in 1..600 {
        bench.take(&slice(module.id, &fakes[0].hits(0.1), START_MS + 100 * n));
    }
    bench.tick(START_MS + 60_000);
    let dom = dom_of(&bench, module.id);
    // 49e6 * 1e-9 = 0.049 Hz per bin over 21 bins is 1.03 Hz taken off a rate of 6 Hz; 300 kHz would
    // leave nothing.
    let scale = dom["scale"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&scale), "{scale}");
}

#[test]
fn without_a_detector_description_modules_are_counted_as_they_come() {
    let setup = Setup::default();
    let mut bench = bench(config(10), &setup);
    let hits = [(3, 5000), (4, 5002)].map(|(c, ns)| SliceHit::new(ChannelId(c), ns, 26));
    bench.take(&slice(DomId(99), &hits, START_MS));
    bench.tick(START_MS);
    bench.tick(START_MS + 10_000);
    assert_eq!(dom_of(&bench, DomId(99))["coincidences"], json!(1));
    assert!(dom_of(&bench, DomId(99))["t0_new"][0].is_null());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let setup = setup(2);
    let wrong: BTreeMap<&str, Config> = [
        ("cycle", config(1)),
        (
            "tmax",
            Config {
                tmax: 21,
                ..config(60)
            },
        ),
        (
            "ct_min",
            Config {
                ct_min: f64::NAN,
                ..config(60)
            },
        ),
        (
            "alarm_shift",
            Config {
                alarm_shift: -1.0,
                ..config(60)
            },
        ),
        (
            "doms_per_tick",
            Config {
                doms_per_tick: 0,
                ..config(60)
            },
        ),
        (
            "shown",
            Config {
                shown: vec![3],
                ..config(60)
            },
        ),
    ]
    .into();
    for (name, config) in wrong {
        let error = K40Calibration::check(&config, &setup).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
    assert!(K40Calibration::check(&Config::default(), &setup).is_ok());
}
