//! `IO_MONIT`.

use fathom_formats::km3net::Tmch;
use serde_json::{Value, json};

use super::super::{assert_same, cases};

/// The reference widens 32 bit floats; reading JSON may be off by the last bit of the wide form.
fn assert_widened(expected: &Value, found: [f32; 3], what: &str) {
    for (at, found) in found.map(f64::from).into_iter().enumerate() {
        let expected = expected[at].as_f64().unwrap();
        let last_bit = expected.abs() * f64::EPSILON;
        assert!((found - expected).abs() <= last_bit, "{what}[{at}]");
    }
}

#[test]
fn golden_monitoring_packets() {
    for case in cases("io_monit") {
        let packet = Tmch::decode(&case.body).unwrap();
        case.check("run", packet.run());
        case.check("udp_sequence_number", packet.udp_sequence_number());
        case.check("utc_seconds", packet.utc_seconds());
        case.check("ticks_16ns", packet.ticks());
        case.check("nanoseconds", packet.nanoseconds());
        case.check("dom_id", packet.dom_id());
        case.check("dom_status", packet.dom_status());
        case.check("rate_counts", packet.rate_counts());
        case.check("rates_hz", packet.rates_hz());
        case.check("hrv", packet.hrv());
        case.check("flags", packet.flags());
        case.check("ahrs_valid", u8::from(packet.ahrs_valid()));
        case.check("version_bits", packet.version_bits());
        assert_widened(&case.expect["ypr"], packet.ypr_deg(), "ypr");
        assert_widened(&case.expect["A"], packet.acceleration_g(), "A");
        assert_widened(&case.expect["G"], packet.gyroscope(), "G");
        assert_widened(&case.expect["H"], packet.magnetic_gauss(), "H");
        case.check("temp_raw", packet.temperature_raw());
        case.check("humidity_raw", packet.humidity_raw());
        assert_same(
            &case.expect["temperature_c"],
            &json!(packet.temperature_c()),
            "temperature",
        );
        assert_same(
            &case.expect["humidity_pct"],
            &json!(packet.humidity_pct()),
            "humidity",
        );
        case.check("tdcfull", packet.tdc_full());
        case.check("aesfull", packet.aes_full());
        case.check("flushc", packet.flush_count());
        case.check("ts_duration_ms_raw", packet.slice_duration_us());
        case.check(
            "tdc_supertime_fifo_size",
            packet.fifo_sizes().map(|s| s.tdc),
        );
        case.check(
            "aes_supertime_fifo_size",
            packet.fifo_sizes().map(|s| s.aes),
        );
        assert!(case.check_json(&packet) >= 20);

        let mut encoded = Vec::new();
        packet.to_fields().encode(&mut encoded);
        assert_eq!(encoded, case.body, "{}", case.name);
    }
}
