//! ControlHost streams: cut anywhere, they give the same messages and the same error.
#![no_main]

use bytes::{Buf, BytesMut};
use fathom_formats::controlhost::{FrameError, Splitter, Tag};
use libfuzzer_sys::fuzz_target;

const BODY_BYTES_MAX: usize = 1 << 16;

type Messages = Vec<Result<(Tag, Vec<u8>), FrameError>>;

/// Splits a stream that arrives in pieces of one size.
fn split(stream: &[u8], piece: usize) -> Messages {
    let mut splitter = Splitter::new(BODY_BYTES_MAX);
    let mut buffer = BytesMut::new();
    let mut messages = Messages::new();
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        let mut frames = splitter.frames(&buffer);
        for frame in frames.by_ref() {
            let failed = frame.is_err();
            messages.push(frame.map(|f| (f.tag, buffer[f.body()].to_vec())));
            if failed {
                return messages;
            }
        }
        let consumed = frames.consumed();
        buffer.advance(consumed);
        assert!(splitter.missing(&buffer) <= BODY_BYTES_MAX + 16);
    }
    messages
}

fuzz_target!(|stream: &[u8]| {
    let Some((size, stream)) = stream.split_first() else {
        return;
    };
    assert_eq!(
        split(stream, usize::from(*size).max(1)),
        split(stream, stream.len().max(1))
    );
});
