//! `IO_TOA`: what is read is written and read again as the same pings.
#![no_main]

use fathom_formats::km3net::{Arrival, encode_arrivals};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(arrivals) = Arrival::decode(body) else {
        return;
    };
    let mut again = Vec::new();
    encode_arrivals(&arrivals, &mut again);
    assert_eq!(Arrival::decode(&again).as_ref(), Ok(&arrivals));
});
