//! Prefix and subscriptions of ControlHost.

use bytes::BytesMut;
use fathom_formats::controlhost::{
    BODY_BYTES_MAX_DEFAULT, Mode, Splitter, Subscriptions, Tag, encode_frame,
};
use serde_json::{Map, Value};

use super::super::golden;

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| u8::try_from((c as char).to_digit(16).unwrap()).unwrap();
    hex.as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

#[test]
fn golden_framing() {
    for case in golden()["framing"].as_array().unwrap() {
        let tag: Tag = case["tag"].as_str().unwrap().parse().unwrap();
        let body = bytes(case["body_hex"].as_str().unwrap());
        let wire = bytes(case["frame_hex"].as_str().unwrap());
        let mut encoded = Vec::new();
        encode_frame(tag, &body, &mut encoded).unwrap();
        assert_eq!(encoded, wire);

        let mut buffer = BytesMut::from(wire.as_slice());
        let mut splitter = Splitter::new(BODY_BYTES_MAX_DEFAULT);
        let frame = splitter.take_frame(&mut buffer).unwrap().unwrap();
        assert_eq!((frame.tag, frame.body().as_ref()), (tag, body.as_slice()));
        assert_eq!(frame.whole(), &wire);
        assert!(buffer.is_empty());
    }
}

#[test]
fn golden_subscription_bodies() {
    for case in golden()["subscription_bodies"].as_array().unwrap() {
        let list = Subscriptions::parse(case["body"].as_str().unwrap().as_bytes()).unwrap();
        let found: Map<String, Value> = list
            .iter()
            .map(|s| (s.tag.to_string(), serde_json::to_value(s.mode).unwrap()))
            .collect();
        assert_eq!(case["subscriptions"], Value::Object(found));
        let mut body = Vec::new();
        list.encode(&mut body);
        assert_eq!(Subscriptions::parse(&body), Ok(list));
    }
    assert_eq!(serde_json::to_value(Mode::All).unwrap(), "all");
}
