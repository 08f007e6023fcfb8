//! `IO_SUM`.

use fathom_formats::km3net::{Payload, SummaryFrame, SummarySlice};
use serde_json::{Value, json};

use super::super::{Case, assert_same, cases};

fn frame(frame: &SummaryFrame) -> Value {
    let status = frame.status();
    let channels = |bits: u32| (0..31).filter(|n| bits >> n & 1 == 1).collect::<Vec<u8>>();
    json!({
        "dom_id": frame.dom_id(),
        "daq": status.daq_word(),
        "status": status.status_word(),
        "fifo": status.fifo_word(),
        "status_3": status.status_3(),
        "status_4": status.status_4(),
        "codes": frame.codes(),
        "rate_hz": frame.rates_hz(),
        "dom_rate_hz": frame.dom_rate_hz(),
        "udp_packets_received": status.udp_packets_received(),
        "udp_max_sequence": status.udp_max_sequence(),
        "white_rabbit_ok": status.white_rabbit_ok(),
        "hrv_channels": channels(status.hrv_bits()),
        "fifo_channels": channels(status.fifo_bits()),
        "udp_trailer": status.udp_trailer(),
    })
}

fn check_counts(case: &Case, slice: &SummarySlice<'_>) {
    let frames = slice.frames;
    let codes = || frames.iter().flat_map(|f| f.codes());
    let number =
        |wanted: &dyn Fn(&SummaryFrame) -> bool| frames.iter().filter(|f| wanted(f)).count();
    let bits =
        |of: &dyn Fn(&SummaryFrame) -> u32| frames.iter().map(|f| of(f).count_ones()).sum::<u32>();
    case.check("n_frames", frames.len());
    case.check("sum_codes", codes().map(|c| u32::from(*c)).sum::<u32>());
    case.check("n_codes_above_127", codes().filter(|c| **c > 127).count());
    case.check("n_codes_zero", codes().filter(|c| **c == 0).count());
    case.check("n_frames_with_hrv", number(&|f| f.status().hrv_bits() != 0));
    case.check("n_hrv_channels", bits(&|f| f.status().hrv_bits()));
    case.check("n_fifo_channels", bits(&|f| f.status().fifo_bits()));
    case.check("n_frames_wr_ok", number(&|f| f.status().white_rabbit_ok()));
    case.check(
        "n_frames_udp_complete",
        number(&|f| f.status().is_complete()),
    );
    let total_hz: f64 = frames.iter().map(SummaryFrame::dom_rate_hz).sum();
    assert_same(
        &case.expect["total_rate_hz"],
        &json!(total_hz),
        "total_rate_hz",
    );
}

#[test]
fn golden_summary_slices() {
    for case in cases("io_sum") {
        let slice = SummarySlice::decode(&case.body).unwrap();
        case.check("type", 2001);
        case.check("version", 6);
        case.check_header(&slice.header);
        check_counts(&case, &slice);
        for (field, found) in [
            ("first_frame", slice.frames.first()),
            ("last_frame", slice.frames.last()),
        ] {
            assert_same(&case.expect[field], &json!(found.map(frame)), field);
            // The rendering for people has the same fields.
            assert_same(&case.expect[field], &json!(found), field);
        }
        case.check("digest", slice.digest());
        case.check("digest", Payload::Summary(slice).digest());
        assert!(case.check_json(&slice) >= 10);

        let mut encoded = Vec::new();
        slice.encode(&mut encoded).unwrap();
        assert_eq!(encoded, case.body, "{}", case.name);
    }
}
