//! `IO_TSL*` and `IO_TSSN`: what is accepted is encoded to the same bytes.
#![no_main]

use fathom_formats::km3net::{SliceLevel, SuperFrame, TimeSlice, Versioning, encode_time_slice};
use libfuzzer_sys::fuzz_target;

const LEVELS: [SliceLevel; 4] = [
    SliceLevel::L0,
    SliceLevel::L1,
    SliceLevel::L2,
    SliceLevel::SN,
];

fuzz_target!(|body: &[u8]| {
    for level in LEVELS {
        let Ok(slice) = TimeSlice::decode_with(level, body, Versioning::AcceptLegacy) else {
            continue;
        };
        slice.digest();
        let frames: Vec<SuperFrame<'_>> = slice.frames().collect();
        assert_eq!(frames.len(), slice.frames().len());
        assert!(frames.iter().filter_map(|f| f.defect()).count() <= frames.len());
        serde_json::to_string(&slice).expect("every slice can be shown");
        if !slice.legacy {
            let mut again = Vec::new();
            encode_time_slice(level, &slice.header, &frames, &mut again)
                .expect("no longer than the input");
            assert_eq!(again, body);
        }
    }
});
