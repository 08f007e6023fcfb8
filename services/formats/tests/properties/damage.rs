//! Damaged bodies: an error or a value, never a panic.

use fathom_formats::controlhost::{Tag, tags};
use fathom_formats::km3net::*;
use proptest::collection::vec;
use proptest::prelude::*;

use super::samples;

/// Decodes a body and uses everything in it; tells whether it was accepted.
fn use_all(tag: Tag, body: &[u8]) -> bool {
    let Ok(payload) = Payload::decode_with(tag, body, Versioning::AcceptLegacy) else {
        return false;
    };
    assert!(!serde_json::to_string(&payload).unwrap().is_empty());
    payload.digest();
    if let Payload::Event(event) = &payload {
        assert!(event.triggered_in_snapshot().count() <= event.snapshot.len());
    }
    true
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    for (tag, body) in samples::bodies() {
        assert!(use_all(tag, &body), "{tag}");
        for length in 0..body.len() {
            let accepted = use_all(tag, &body[..length]);
            // These two have no length of their own: what is left is a shorter message.
            let may_be_short =
                tag == tags::MSG || tag == tags::IO_MONIT && length >= TMCH_BYTES_MIN;
            assert_eq!(accepted, may_be_short, "{tag} cut to {length}");
        }
    }
}

#[test]
fn truncation_that_the_preamble_hides_is_an_error() {
    for (tag, body) in samples::bodies() {
        if tag == tags::MSG || tag == tags::IO_MONIT {
            continue;
        }
        for length in PREAMBLE_BYTES..body.len() {
            let mut cut = body[..length].to_vec();
            cut[..4].copy_from_slice(&i32::try_from(length).unwrap().to_le_bytes());
            let is_short_form = tag == tags::IO_OLINE && length >= ONLINE_RECO_BYTES;
            assert_eq!(use_all(tag, &cut), is_short_form, "{tag} cut to {length}");
        }
    }
}

#[test]
fn any_flipped_bit_gives_an_error_or_a_value() {
    for (tag, body) in samples::bodies() {
        for bit in 0..body.len() * 8 {
            let mut damaged = body.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let accepted = use_all(tag, &damaged);
            // Length and type are in the first eight bytes; nothing there may pass.
            let must_fail = bit < 64 && tag != tags::MSG && tag != tags::IO_MONIT;
            assert!(!(must_fail && accepted), "{tag} bit {bit}");
        }
    }
}

#[test]
fn left_over_bytes_are_an_error() {
    for (tag, mut body) in samples::bodies() {
        body.push(0);
        let length = i32::try_from(body.len()).unwrap();
        let has_preamble = tag != tags::MSG && tag != tags::IO_MONIT;
        if has_preamble {
            body[..4].copy_from_slice(&length.to_le_bytes());
        }
        assert_eq!(
            use_all(tag, &body),
            !has_preamble || tag == tags::IO_OLINE,
            "{tag}"
        );
    }
}

#[test]
fn a_slice_of_another_level_is_refused() {
    let (_, body) = samples::bodies().remove(2);
    let got = TimeSlice::decode(SliceLevel::SN, &body);
    assert_eq!(
        got,
        Err(PayloadError::WrongType {
            expected: 1005,
            got: 1003
        })
    );
}

#[test]
fn counts_are_checked_before_anything_is_read() {
    let (_, body) = samples::bodies().remove(0);
    let with_count = |count: i32| {
        let mut body = body.clone();
        body[50..54].copy_from_slice(&count.to_le_bytes());
        Event::decode(&body).unwrap_err()
    };
    assert_eq!(
        with_count(-1).to_string(),
        "negative number of triggered hits (-1) at offset 50"
    );
    assert_eq!(
        with_count(i32::MAX).to_string(),
        "2147483647 triggered hits at offset 54 need 38654705646 bytes, 70 are left"
    );
    assert_eq!(with_count(i32::MAX).reason(), "count_beyond_body");
}

#[test]
fn a_super_frame_of_another_length_or_type_is_refused() {
    let (_, body) = samples::bodies().remove(2);
    let with = |at: usize, number: i32| {
        let mut body = body.clone();
        body[at..at + 4].copy_from_slice(&number.to_le_bytes());
        TimeSlice::decode(SliceLevel::L1, &body).unwrap_err()
    };
    // Two hits take 12 bytes behind the 56 that each frame has.
    let got = with(34, 62);
    assert!(
        matches!(got, PayloadError::FrameLength { need: 68, .. }),
        "{got}"
    );
    let got = with(38, 1001);
    assert!(
        matches!(got, PayloadError::FrameType { got: 1001, .. }),
        "{got}"
    );
}

#[test]
fn the_head_of_a_slice_with_more_frames_than_fit_is_refused() {
    let (_, mut body) = samples::bodies().remove(2);
    assert_eq!(SliceHead::decode(SliceLevel::L1, &body).unwrap().frames, 2);
    // The two frames take 124 bytes, three take 168 at least.
    body[30..34].copy_from_slice(&3_i32.to_le_bytes());
    let got = SliceHead::decode(SliceLevel::L1, &body).unwrap_err();
    assert!(
        matches!(
            got,
            PayloadError::CountBeyondBody {
                need: 168,
                left: 124,
                ..
            }
        ),
        "{got}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(
        tag in prop::sample::select(tags::STATION.to_vec()),
        mut body in vec(any::<u8>(), 0..400),
        lengths_fit: bool,
    ) {
        if lengths_fit && body.len() >= PREAMBLE_BYTES {
            let types = [10001, 2001, 1002, 1003, 1004, 1005, 0, 100_001, 0, 0];
            let at = tags::STATION.iter().position(|t| *t == tag).unwrap();
            let length = i32::try_from(body.len()).unwrap();
            body[..4].copy_from_slice(&length.to_le_bytes());
            body[4..8].copy_from_slice(&i32::to_le_bytes(types[at]));
            if body.len() > 10 {
                body[8..10].copy_from_slice(&i16::to_le_bytes([4, 6, 1, 1, 1, 1, 0, 0, 0, 0][at]));
            }
            if tag == tags::IO_MONIT {
                body[..4].copy_from_slice(b"TMCH");
            }
            if tag == tags::IO_TOA {
                body[..6].copy_from_slice(b"TOA 1\n");
            }
        }
        use_all(tag, &body);
    }

    #[test]
    fn no_dump_makes_the_walk_panic_or_read_a_byte_twice(
        tag in prop::sample::select(tags::STATION.to_vec()),
        bytes in vec(prop_oneof![3 => Just(0_u8), 1 => 0_u8..20, 1 => any::<u8>()], 0..200),
    ) {
        let mut end = 0;
        for item in Dump::new(tag, &bytes) {
            prop_assert!(item.offset >= end);
            if let Ok(body) = item.body {
                end = item.offset + body.len() as u64;
                prop_assert!(end <= bytes.len() as u64);
            }
        }
    }
}
