//! `IO_OLINE`: the known fields are encoded to the same bytes, except the length.
#![no_main]

use fathom_formats::km3net::OnlineReco;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(reco) = OnlineReco::decode(body) else {
        return;
    };
    let mut again = Vec::new();
    reco.encode(&mut again).expect("a few hundred bytes");
    assert_eq!(again[4..], body[4..body.len() - reco.extra_bytes]);
    serde_json::to_string(&reco).expect("every reconstruction can be shown");
});
