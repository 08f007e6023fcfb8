//! `IO_MONIT`: the known fields are encoded to the same bytes.
#![no_main]

use fathom_formats::km3net::Tmch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(packet) = Tmch::decode(body) else {
        return;
    };
    let mut again = Vec::new();
    packet.to_fields().encode(&mut again);
    assert_eq!(again, body[..body.len() - packet.extra_bytes()]);
    serde_json::to_string(&packet).expect("every packet can be shown");
});
