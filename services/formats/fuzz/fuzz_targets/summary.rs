//! `IO_SUM`: what is accepted is encoded to the same bytes.
#![no_main]

use fathom_formats::km3net::SummarySlice;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(slice) = SummarySlice::decode(body) else {
        return;
    };
    slice.digest();
    let mut again = Vec::new();
    slice.encode(&mut again).expect("no longer than the input");
    assert_eq!(again, body);
    serde_json::to_string(&slice).expect("every slice can be shown");
});
