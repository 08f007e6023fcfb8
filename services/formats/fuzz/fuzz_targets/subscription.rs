//! Subscription bodies: what is accepted survives writing and reading.
#![no_main]

use fathom_formats::controlhost::Subscriptions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(list) = Subscriptions::parse(body) else {
        return;
    };
    let mut again = Vec::new();
    list.encode(&mut again);
    assert_eq!(Subscriptions::parse(&again), Ok(list));
});
