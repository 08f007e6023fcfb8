//! Numbers of the reference suite. Another file of the same shape can be named by the environment
//! variable `FATHOM_MONITOR_VECTORS`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, close, event, frame, setup_with, unhex, vectors};
use fathom_formats::km3net::{ChannelId, FrameStatus, SummarySlice, Tmch, TriggerMask, rate_hz};
use fathom_kernel::view::View;
use fathom_kernel::{Setup, tags};
use fathom_monitors::{
    DomRates, DomRatesConfig, PmtRates, PmtRatesConfig, TriggerRates, TriggerRatesConfig,
};
use serde_json::Value;

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
        let rates = slice.frames[n].rates_hz();
        for (rate, expected) in rates.iter().zip(numbers(&expected["rates_hz"])) {
            assert!(close(*rate, expected, tolerance));
        }
        let hrv = numbers(&expected["hrv_channels"]);
        assert_eq!(detail("channels in high-rate veto")[n], hrv.len() as f64);
        let wr_ok = expected["wr_ok"].as_bool().unwrap();
        assert_eq!(detail("slices out of sync")[n], f64::from(u8::from(!wr_ok)));
    }
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
        assert_eq!(packet.ahrs_valid(), case["ahrs_valid"].as_bool().unwrap());
        let (a, h) = (packet.acceleration_g(), packet.magnetic_gauss());
        let expected = [numbers(&case["A"]), numbers(&case["H"])].concat();
        for (value, expected) in a.into_iter().chain(h).zip(expected) {
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
