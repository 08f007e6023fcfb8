//! `MSG`: any bytes are a message.
#![no_main]

use fathom_formats::km3net::LogMessage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let message = LogMessage::decode(body);
    message.source();
    if let Some(fields) = message.fields() {
        let line = message.lines().next().expect("fields come from a line");
        assert!(line.starts_with(fields.date) && line.ends_with(fields.text));
    }
    serde_json::to_string(&message).expect("every message can be shown");
});
