//! Dump files: the bodies found lie one after the other inside the file.
#![no_main]

use fathom_formats::km3net::{Dump, DumpShape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for shape in [
        DumpShape::Preamble,
        DumpShape::LengthPrefix,
        DumpShape::Lines,
    ] {
        let mut end = 0;
        for item in Dump::with_shape(shape, bytes) {
            assert!(item.offset >= end);
            end = item.offset + item.body.map_or(0, |body| body.len() as u64);
        }
        assert!(end <= bytes.len() as u64);
    }
});
