//! What the simulated compass boards read comes back as the orientation that the modules have.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use fathom_formats::controlhost::tags;
use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_formats::km3net::Tmch;
use fathom_kernel::view::View;
use fathom_kernel::{
    Content, Event, Fetched, Frame, Location, Monitor, Outputs, Setup, Span, Timestamp,
};
use fathom_monitors::{AhrsCalibration, AhrsCalibrationConfig};
use fathom_simulator::{
    FakeDetectorOptions, FaultKind, FaultSpec, Generator, Layout, STEPS_PER_FRAME,
};

const START_S: i64 = 1_767_225_600;
/// When the module turns, and when the test ends, after the start (s).
const TURN_S: i64 = 600;
const END_S: i64 = 720;

fn options(turned: u32) -> FakeDetectorOptions {
    let mut options = FakeDetectorOptions {
        faults: vec![FaultSpec {
            doms: vec![turned],
            degrees: 30.0,
            after: Span::from_secs(TURN_S.unsigned_abs()),
            ..FaultSpec::of(FaultKind::Rotate)
        }],
        ..FakeDetectorOptions::default()
    };
    options.io_monit.every = 2;
    options.io_evt.enabled = false;
    options.io_sum.enabled = false;
    options.io_tsl1.enabled = false;
    options.io_tssn.enabled = false;
    options.io_oline.enabled = false;
    options.io_toa.enabled = false;
    options.msg.enabled = false;
    options
}

/// The monitor with the constants that the simulation wrote.
fn monitor(setup: &Setup, layout: &Layout, seed: u64) -> (AhrsCalibration, Outputs) {
    let config = AhrsCalibrationConfig {
        time_range: 1.0,
        constants: Some(Location::from("data:files/c.toml".to_owned())),
        interval: Span::from_secs(10),
        ..AhrsCalibrationConfig::default()
    };
    let (mut monitor, mut out) = (AhrsCalibration::new(config, setup), Outputs::default());
    monitor.on_tick(Timestamp::from_second(START_S).unwrap(), &mut out);
    let bytes = layout.calibration_file(seed).into_bytes().into();
    let content = Ok(Content::Bytes(bytes, None));
    let name = out.fetches.pop().unwrap().name;
    monitor.on_fetched(Fetched { name, content }, &mut out);
    (monitor, out)
}

/// The last value of the curve of a floor, and that of ten minutes after the start.
fn values(out: &Outputs, output: &str, floor: u32) -> (f64, f64) {
    let found = out.outputs.iter().rev().find(|o| o.name == output).unwrap();
    let View::Series(series) = &found.view else {
        panic!("{found:?}")
    };
    let name = format!("Floor {floor}");
    let curve = series.curves.iter().find(|c| c.name == name).unwrap();
    let turn_ms = (START_S + TURN_S) * 1000;
    let before = series.times_ms.iter().position(|t| *t == turn_ms).unwrap();
    (curve.values[before], *curve.values.last().unwrap())
}

fn frame_of(tag: fathom_kernel::Tag, body: bytes::Bytes, received: Timestamp) -> Event {
    Event::Frame(Frame {
        source: "simulation".into(),
        tag,
        received,
        body,
    })
}

fn apart_deg(a: f64, b: f64) -> f64 {
    (a - b + 180.0).rem_euclid(360.0) - 180.0
}

#[test]
fn a_module_that_turns_by_30_degrees_comes_back_from_raw_readings() {
    let detector = Arc::new(Detector::generated(&Geometry::orca(1)));
    let layout = Arc::new(Layout::new(&detector));
    let setup = Setup {
        detector: Some(detector),
        ..Setup::default()
    };
    let turned = layout.doms[6].id.0;
    let options = options(turned);
    let (mut monitor, mut out) = monitor(&setup, &layout, options.seed);
    let mut generator = Generator::new(layout.clone(), &options, START_S.unsigned_abs());
    // Sums of the last true orientation of each module, the sine and cosine of its yaw first.
    let mut truth = vec![[0.0_f64; 4]; layout.doms.len()];
    for frame in 0..END_S * 10 {
        let now_ms = START_S * 1000 + frame * 100;
        let now = Timestamp::from_millisecond(now_ms).unwrap();
        for _ in 0..STEPS_PER_FRAME {
            for (tag, body) in generator.step().chunks.iter().flat_map(|c| c.messages()) {
                assert_eq!(tag, tags::IO_MONIT);
                let packet = Tmch::decode(&body).unwrap();
                let id = packet.dom_id();
                let module = layout.doms.iter().position(|dom| dom.id == id);
                if let Some(module) = module.filter(|_| frame >= (END_S - 10) * 10) {
                    let [yaw, pitch, roll] = packet.ypr_deg().map(f64::from);
                    let (sin, cos) = yaw.to_radians().sin_cos();
                    let sums = truth[module].iter_mut();
                    sums.zip([sin, cos, pitch / 50.0, roll / 50.0])
                        .for_each(|(sum, value)| *sum += value);
                }
                monitor.on_event(&frame_of(tag, body, now), &mut out);
            }
        }
        if frame % 10 == 9 {
            out.outputs.clear();
            monitor.on_tick(now, &mut out);
        }
    }
    out.outputs.clear();
    let end = Timestamp::from_second(START_S + END_S + 3).unwrap();
    monitor.on_tick(end, &mut out);
    for (module, [sin, cos, pitch, roll]) in truth.into_iter().enumerate() {
        let floor = layout.doms[module].floor;
        let (before, yaw) = values(&out, "yaw_calib_du1", floor);
        // 0.3 deg of noise in ten readings: four times the error of their median, and a step.
        let yaw_true = sin.atan2(cos).to_degrees();
        assert!(apart_deg(yaw, yaw_true).abs() < 0.5, "{yaw} {yaw_true}");
        assert!((values(&out, "pitch_calib_du1", floor).1 - pitch).abs() < 0.3);
        assert!((values(&out, "roll_calib_du1", floor).1 - roll).abs() < 0.3);
        let turn = if layout.doms[module].id.0 == turned {
            30.0
        } else {
            0.0
        };
        // The current turns all modules by up to 4 deg in 90 minutes.
        assert!(
            (apart_deg(yaw, before) - turn).abs() < 2.0,
            "{before} {yaw}"
        );
    }
    let alarms: Vec<_> = out.alarms.iter().map(|a| (&*a.rule, &*a.subject)).collect();
    assert_eq!(alarms, [("yaw_moved", "DU 1 floor 7")]);
}
