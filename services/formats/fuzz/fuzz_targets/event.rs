//! `IO_EVT`: what is accepted is encoded to the same bytes.
#![no_main]

use fathom_formats::km3net::{Event, Versioning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(event) = Event::decode_with(body, Versioning::AcceptLegacy) else {
        return;
    };
    event.digest();
    assert!(event.triggered_in_snapshot().count() <= event.snapshot.len());
    let mut again = Vec::new();
    event.encode(&mut again).expect("no longer than the input");
    assert_eq!(again, body);
    serde_json::to_string(&event).expect("every event can be shown");
});
