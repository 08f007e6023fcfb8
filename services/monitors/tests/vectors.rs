//! Numbers of the reference suite. Another file of the same shape can be named by the environment
//! variable `FATHOM_MONITOR_VECTORS`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, close, event, frame, setup, setup_with, slice, unhex, vectors};
use fathom_formats::km3net::{ChannelId, FrameStatus, SummarySlice, Tmch, TriggerMask, rate_hz};
use fathom_kernel::view::{Colours, View};
use fathom_kernel::{Event, Setup, Span, tags};
use fathom_monitors::{
    DomActivity, DomActivityConfig, DomRates, DomRatesConfig, PmtRates, PmtRatesConfig,
    TriggerRates, TriggerRatesConfig,
};
use serde_json::{Value, json};

const T0: i64 = 1_700_000_400_000;

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|n| n.as_f64().unwrap_or(f64::NAN)).collect()
}

#[test]
fn rate_byte_vectors() {
    let section = &vectors()["rate_byte"];
    let tolerance = section["tolerance_rel"].as_f64().unwrap();
    for case in section["cases"].as_array().unwrap() {
        let code = u8::try_from(case["byte"].as_u64().unwrap()).unwrap();
        let expected = case["rate_hz"].as_f64().unwrap();
        assert!(close(rate_hz(code), expected, tolerance), "{case}");
    }
}

#[test]
fn summary_slice_vectors() {
    let section = &vectors()["summary_slice"];
    let tolerance = section["tolerance_rel"].as_f64().unwrap();
    let body = unhex(section["payload_hex"].as_str().unwrap());
    let slice = SummarySlice::decode(&body).unwrap();
    let header = &slice.header;
    let found = [
        ("det_id", i64::from(header.detector_id.0)),
        ("run", header.run.0.into()),
        ("frame_index", header.frame_index.into()),
        ("utc_seconds", header.utc_seconds.into()),
        ("ticks_16ns", header.ticks.into()),
    ];
    for (name, number) in found {
        assert_eq!(Some(number), section[name].as_i64(), "{name}");
    }
    let at_ms = i64::from(slice.header.utc_seconds) * 1000;
    let mut bench = Bench::<DomRates>::new(DomRatesConfig::default(), &Setup::default());
    bench.take(&frame(tags::IO_SUM, body.clone(), at_ms));
    bench.tick(at_ms);
    let map = bench.map("dom_rates");
    let detail = |name: &str| {
        let mut details = map.details.iter();
        &details.find(|d| d.name == name).unwrap().values
    };
    for (n, expected) in section["expected"].as_array().unwrap().iter().enumerate() {
        assert_eq!(u64::from(map.id[n]), expected["dom_id"].as_u64().unwrap());
        let khz = expected["dom_rate_khz"].as_f64().unwrap();
        assert!(
            close(map.values[n], khz, tolerance),
            "{} {khz}",
            map.values[n]
        );
        let codes = slice.frames[n].codes().map(f64::from);
        assert_eq!(codes.to_vec(), numbers(&expected["rate_bytes"]));
        let rates = slice.frames[n].rates_hz();
        for (rate, expected) in rates.iter().zip(numbers(&expected["rates_hz"])) {
            assert!(close(*rate, expected, tolerance));
        }
        let hrv = numbers(&expected["hrv_channels"]);
        assert_eq!(detail("channels in high-rate veto")[n], hrv.len() as f64);
        let vetoed = ChannelId::of_bits(slice.frames[n].status().hrv_bits());
        assert!(vetoed.map(|c| f64::from(c.0)).eq(hrv), "{expected}");
        let wr_ok = expected["wr_ok"].as_bool().unwrap();
        assert_eq!(detail("slices out of sync")[n], f64::from(u8::from(!wr_ok)));
    }
}

/// Where a value stands on a scale, as the vectors name it; both ends belong to the scale.
fn class(value: f64, colours: &Colours) -> &'static str {
    match value {
        low if low < colours.low => colours.under.as_ref().map_or("in", |_| "under"),
        high if high > colours.high => colours.over.as_ref().map_or("in", |_| "over"),
        _ => "in",
    }
}

#[test]
fn dom_view_vectors_of_rates() {
    let section = &vectors()["dom_view"];
    let number = |name: &str| section[name].as_f64().unwrap();
    let config = DomRatesConfig {
        lowest_rate: number("vmin"),
        highest_rate: number("vmax"),
        ..DomRatesConfig::default()
    };
    let mut bench = Bench::<DomRates>::new(config, &Setup::default());
    bench.tick(T0);
    let colours = &bench.map("dom_rates").colours;
    for case in section["values"].as_array().unwrap() {
        let found = class(case["v"].as_f64().unwrap(), colours);
        assert_eq!(found, case["cls"].as_str().unwrap(), "{case}");
    }
}

/// Returns class and number of inactive DOMs when one was last heard of so long ago, and another is
/// heard of all the time.
fn activity(age_s: f64, config: &DomActivityConfig) -> (&'static str, Value) {
    let setup = setup(1);
    let detector = setup.detector.as_ref().unwrap();
    let mut ids = detector.optical_modules().map(|module| module.id.0);
    let (aged, fresh) = (ids.next().unwrap(), ids.next().unwrap());
    let mut bench = Bench::<DomActivity>::new(config.clone(), &setup);
    #[expect(clippy::cast_possible_truncation, reason = "minutes")]
    let age_ms = (age_s * 1000.0) as i64;
    // The host listens for 20 s before, as one that has just been started judges nobody.
    let now_ms = T0 + age_ms.max(0);
    for at_ms in (T0 - 20_000..=now_ms).step_by(1000) {
        let sent = [(aged, 50), (fresh, 50)];
        bench.take(&slice(at_ms, &sent[usize::from(at_ms > T0)..]));
        bench.tick(at_ms);
    }
    if age_ms < 0 {
        let Event::Frame(ahead) = slice(T0 - age_ms, &[(aged, 50)]) else {
            panic!("no frame")
        };
        bench.take(&frame(ahead.tag, ahead.body.to_vec(), T0));
    }
    // One picture in between, so that another one is due.
    bench.tick(now_ms + 1);
    bench.out.outputs.clear();
    bench.tick(now_ms);
    let map = bench.map("dom_activity");
    let inactive = bench.cell("dom_activity_summary", "inactive", 1);
    (class(map.values[0], &map.colours), inactive)
}

#[test]
fn dom_view_vectors_of_activity() {
    let config = DomActivityConfig {
        interval: Span::from_millis(1),
        ..DomActivityConfig::default()
    };
    // As in the reference suite, which knows no tolerance.
    let strict = DomActivityConfig {
        clock_tolerance: 0.0,
        ..config.clone()
    };
    for case in vectors()["dom_view"]["activity"].as_array().unwrap() {
        let age_s = case["age_s"].as_f64().unwrap();
        let listed = json!(u8::from(case["listed_inactive"].as_bool().unwrap()));
        let expected = case["cls"].as_str().unwrap();
        assert_eq!(
            activity(age_s, &strict),
            (expected, listed.clone()),
            "{case}"
        );
        // Ages down to -5 s are no clock problem (km3net-daq.md 2.3), but jitter: -2 s is shown as 0.
        let is_jitter = (-5.0..0.0).contains(&age_s);
        let expected = if is_jitter { "in" } else { expected };
        assert_eq!(activity(age_s, &config), (expected, listed), "{case}");
    }
    assert_eq!(activity(-5.5, &config).0, "under");
}

#[test]
fn timesync_vectors() {
    for case in vectors()["timesync"].as_array().unwrap() {
        let word = u32::try_from(case["status_word"].as_u64().unwrap()).unwrap();
        let status = FrameStatus::from_words(0, word, 0);
        assert_eq!(status.white_rabbit_ok(), case["wr_ok"].as_bool().unwrap());
        let hrv = ChannelId::of_bits(status.hrv_bits()).map(|c| f64::from(c.0));
        assert!(hrv.eq(numbers(&case["hrv_channels"])), "{case}");
    }
}

#[test]
fn trigger_rates_vectors() {
    let section = &vectors()["trigger_rates"];
    let interval_ms = section["interval_s"].as_i64().unwrap() * 1000;
    let start_ms = 1_700_000_000_000 / interval_ms * interval_ms;
    let config = TriggerRatesConfig::default();
    let mut bench = Bench::<TriggerRates>::new(config, &Setup::default());
    bench.take(&event(start_ms - 10, 0, 0));
    bench.tick(start_ms - 5);
    for (n, case) in section["masks"].as_array().unwrap().iter().enumerate() {
        let mask = case["mask"].as_u64().unwrap();
        let flag = |name: &str| case[name].as_bool().unwrap();
        assert_eq!(TriggerMask(mask).is_3d_shower(), flag("shower3d"));
        assert_eq!(TriggerMask(mask).is_mx_shower(), flag("mxshower"));
        assert_eq!(TriggerMask(mask).is_3d_muon(), flag("muon3d"));
        let n = u64::try_from(n).unwrap();
        bench.take(&event(
            start_ms + 1000 * i64::try_from(n).unwrap(),
            mask,
            1 + n,
        ));
    }
    bench.tick(start_ms + interval_ms + 2100);
    let expected = section["rates_hz"].as_object().unwrap();
    for name in ["trigger_rates", "trigger_rates_lin"] {
        for (curve, rate) in expected {
            let last = bench.curve(name, curve).last().copied();
            assert_eq!(last, rate.as_f64(), "{curve}");
        }
    }
    let line = bench.out.lines.last().unwrap();
    assert_eq!(line.header, section["csv_header"].as_str().unwrap());
    let rates = ["Overall", "3DMuon", "MXShower", "3DShower"];
    let rates = rates.map(|name| format!("{:?}", expected[name].as_f64().unwrap()));
    let stamp = (start_ms + interval_ms) / 1000;
    assert_eq!(line.line, format!("{stamp}.0,{}", rates.join(",")));

    // The ring holds a day of intervals.
    let length = section["queue_length"].as_u64().unwrap();
    for n in 0..400 {
        bench.tick(start_ms + interval_ms * (n + 2) + 2100);
    }
    assert_eq!(bench.series("trigger_rates").times_ms.len() as u64, length);
}

#[test]
fn tmch_vectors() {
    for case in vectors()["tmch"]["packets"].as_array().unwrap() {
        let body = unhex(case["payload_hex"].as_str().unwrap());
        let packet = Tmch::decode(&body).unwrap();
        assert_eq!(
            u64::from(packet.dom_id().0),
            case["dom_id"].as_u64().unwrap()
        );
        let seconds = case["utc_seconds"].as_u64().unwrap();
        assert_eq!(u64::from(packet.utc_seconds()), seconds);
        assert_eq!(packet.nanoseconds(), case["nanoseconds"].as_u64().unwrap());
        assert!(packet.rates_hz().to_vec() == numbers(&case["pmt_rates_hz"]));
        let hrv = ChannelId::of_bits(packet.hrv_bits()).map(|c| f64::from(c.0));
        assert!(hrv.eq(numbers(&case["hrv_channels"])));
        assert_eq!(u64::from(packet.hrv()), case["hrvbmp"].as_u64().unwrap());
        let version = u64::from(packet.version_bits() + 1);
        assert_eq!(version, case["version"].as_u64().unwrap());
        assert_eq!(packet.ahrs_valid(), case["ahrs_valid"].as_bool().unwrap());
        let (a, h) = (packet.acceleration_g(), packet.magnetic_gauss());
        let found = [packet.ypr_deg(), a, packet.gyroscope(), h].concat();
        let own = json!([case["yaw"], case["pitch"], case["roll"]]);
        let expected = [&own, &case["A"], &case["G"], &case["H"]].map(numbers);
        for (value, expected) in found.into_iter().zip(expected.concat()) {
            assert!(close(value.into(), expected, 1e-12), "{value} {expected}");
        }
        assert_eq!(packet.temperature_c(), case["temp_c"].as_f64().unwrap());
        assert_eq!(
            packet.humidity_pct(),
            case["humidity_pct"].as_f64().unwrap()
        );
    }
}

#[test]
fn pmt_rates_column_vectors() {
    let all = vectors();
    let section = &all["pmt_rates_column"];
    let packets = all["tmch"]["packets"].as_array().unwrap();
    let dom_id = u32::try_from(packets[0]["dom_id"].as_u64().unwrap()).unwrap();
    let floor = u32::try_from(section["floor"].as_u64().unwrap()).unwrap();
    let config = PmtRatesConfig {
        hrv_ratio_threshold: section["hrv_threshold"].as_f64().unwrap(),
        ..PmtRatesConfig::default()
    };
    let mut bench = Bench::<PmtRates>::new(config, &setup_with(dom_id, 1, floor));
    let mut last_ms = 0;
    for packet in packets {
        let body = unhex(packet["payload_hex"].as_str().unwrap());
        last_ms = packet["utc_seconds"].as_i64().unwrap() * 1000;
        bench.take(&frame(tags::IO_MONIT, body, last_ms));
    }
    bench.tick(last_ms + 12_000);
    let View::Image(image) = &bench.output("pmt_rates_du1").view else {
        panic!("no image")
    };
    let [column] = &*image.columns else {
        panic!("{} columns, expected one", image.columns.len())
    };
    let base = usize::try_from(section["row_base"].as_u64().unwrap()).unwrap();
    assert!(column.values[..base].iter().all(|value| value.is_nan()));
    let rates: Vec<_> = column.values[base..][..31]
        .iter()
        .copied()
        .map(f64::from)
        .collect();
    assert_eq!(rates, numbers(&section["mean_rate_by_row_hz"]));

    let rows = section["channel_to_row"].as_array().unwrap();
    let fractions = numbers(&section["hrv_fraction_by_channel"]);
    let flags = numbers(&section["hrv_flag_by_row"]);
    for (channel, fraction) in fractions.iter().enumerate() {
        let row = usize::try_from(rows[channel].as_u64().unwrap()).unwrap();
        let kept = f64::from(column.overlay[base + row]) / 255.0;
        assert!((kept - fraction).abs() < 0.5 / 255.0 + 1e-12, "{channel}");
        assert_eq!(
            kept > image.overlay_threshold,
            flags[row] == 1.0,
            "{channel}"
        );
    }

    let colour = &section["colour"];
    let low = colour["lowest_hz"].as_f64().unwrap();
    let high = colour["highest_hz"].as_f64().unwrap();
    for (rate, expected) in rates.iter().zip(numbers(&colour["normalised_clipped"])) {
        let shown = ((rate - low) / (high - low)).clamp(0.0, 1.0);
        assert!(close(shown, expected, 1e-12));
    }
}
