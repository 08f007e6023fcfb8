//! ControlHost streams in any pieces, and any subscription body.

use bytes::BytesMut;
use fathom_formats::controlhost::{Splitter, Subscriptions, Tag, encode_frame};
use proptest::collection::vec;
use proptest::prelude::*;

fn tag() -> impl Strategy<Value = Tag> {
    "[!-~]{1,8}".prop_map(|text| text.parse().unwrap())
}

proptest! {
    #[test]
    fn messages_survive_any_cutting_of_the_stream(
        messages in vec((tag(), vec(any::<u8>(), 0..50)), 0..12),
        cuts in vec(1_usize..40, 1..40),
    ) {
        let mut stream = Vec::new();
        for (tag, body) in &messages {
            encode_frame(*tag, body, &mut stream).unwrap();
        }
        let mut splitter = Splitter::new(50);
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            buffer.extend_from_slice(piece);
            let mut frames = splitter.frames(&buffer);
            for frame in frames.by_ref() {
                let frame = frame.unwrap();
                prop_assert_eq!(frame.body().len(), frame.body_len());
                found.push((frame.tag, buffer[frame.body()].to_vec()));
            }
            let consumed = frames.consumed();
            bytes::Buf::advance(&mut buffer, consumed);
            prop_assert!(splitter.missing(&buffer) >= 1);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, messages);
        prop_assert_eq!(splitter.position(), stream.len() as u64);
    }

    #[test]
    fn no_stream_makes_the_splitter_panic(stream in vec(any::<u8>(), 0..200), max in 0_usize..300) {
        let mut splitter = Splitter::new(max);
        let mut frames = splitter.frames(&stream);
        let mut errors = 0;
        for frame in frames.by_ref() {
            prop_assert_eq!(errors, 0);
            match frame {
                Ok(frame) => prop_assert!(frame.whole().end <= stream.len()),
                Err(_) => errors += 1,
            }
        }
        prop_assert!(frames.consumed() <= stream.len());
    }

    #[test]
    fn no_subscription_makes_the_parser_panic_and_lists_survive(
        body in prop_oneof![vec(any::<u8>(), 0..100), "([wasm]{1,2}[ \0\t]{1,2}[!-~]{1,9}[ \n]){0,9}".prop_map(String::into_bytes)],
    ) {
        if let Ok(list) = Subscriptions::parse(&body) {
            let mut encoded = Vec::new();
            list.encode(&mut encoded);
            prop_assert_eq!(Subscriptions::parse(&encoded), Ok(list));
        }
    }
}
