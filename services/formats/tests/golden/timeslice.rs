//! `IO_TSL0`, `IO_TSL1`, `IO_TSL2`, `IO_TSSN`.

use fathom_formats::km3net::{
    SliceHit, SliceLevel, SuperFrame, TimeSlice, Versioning, encode_time_slice,
};
use serde_json::{Value, json};

use super::super::{Case, assert_same, cases};

fn level(case: &Case) -> SliceLevel {
    match case.expect["type"].as_i64() {
        Some(1002) => SliceLevel::L0,
        Some(1004) => SliceLevel::L2,
        Some(1005) => SliceLevel::SN,
        // Legacy slices carry 1001 whatever their level.
        _ => SliceLevel::L1,
    }
}

fn frame(frame: &SuperFrame<'_>) -> Value {
    json!({
        "length": frame.encoded_len(),
        "type": 101,
        "frame_index": frame.header.frame_index,
        "dom_id": frame.dom_id,
        "daq": frame.status.daq_word(),
        "status": frame.status.status_word(),
        "fifo": frame.status.fifo_word(),
        "n_hits": frame.hits.len(),
    })
}

fn hit(hit: &SliceHit) -> Value {
    json!([hit.channel(), hit.time_ns(), hit.tot_ns()])
}

#[test]
fn golden_time_slices() {
    for case in cases("io_ts") {
        let slice = TimeSlice::decode_with(level(&case), &case.body, case.versioning).unwrap();
        let frames: Vec<SuperFrame<'_>> = slice.frames().collect();
        let hits: Vec<&SliceHit> = frames.iter().flat_map(|f| f.hits).collect();
        case.check("type", slice.data_type);
        case.check("version", slice.version());
        case.check_header(&slice.header);
        case.check("n_frames", frames.len());
        case.check("n_hits", hits.len());
        case.check("n_hits", slice.hit_count());
        case.check("first_frame", frames.first().map(frame));
        case.check("last_frame", frames.last().map(frame));
        assert_same(
            &case.expect["first_frame"],
            &json!(frames.first()),
            "first_frame",
        );
        case.check("first_hit", hits.first().map(|h| hit(h)));
        case.check("last_hit", hits.last().map(|h| hit(h)));
        case.check(
            "sum_tot",
            hits.iter().map(|h| u64::from(h.tot_ns())).sum::<u64>(),
        );
        let time_ns: u64 = hits.iter().map(|h| u64::from(h.time_ns())).sum();
        case.check("sum_time", time_ns.to_string());
        case.check("digest", slice.digest());
        assert!(case.check_json(&slice) >= 10);

        if !slice.legacy {
            let mut encoded = Vec::new();
            encode_time_slice(slice.level, &slice.header, &frames, &mut encoded).unwrap();
            assert_eq!(encoded, case.body, "{}", case.name);
            let again = TimeSlice::decode_with(slice.level, &case.body, Versioning::AcceptLegacy);
            assert_eq!(again, Ok(slice), "{}", case.name);
        }
    }
}
