//! Decoders are views: whatever a body claims, decoding it allocates nothing.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "counting allocations needs an allocator of one's own"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fathom_formats::controlhost::{Splitter, Subscriptions, Tag, tags};
use fathom_formats::km3net::{Payload, Versioning};

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every request is handed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer comes from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Returns the bytes allocated on this thread while something runs.
fn allocated_bytes<T>(run: impl FnOnce() -> T) -> usize {
    let before = ALLOCATED_BYTES.with(Cell::get);
    std::hint::black_box(run());
    ALLOCATED_BYTES.with(Cell::get) - before
}

/// A body with preamble whose every further word is `word`.
fn body(data_type: i32, version: i16, word: u32, words: usize) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&data_type.to_le_bytes());
    body.extend_from_slice(&version.to_le_bytes());
    (0..words).for_each(|_| body.extend_from_slice(&word.to_le_bytes()));
    let length = i32::try_from(body.len()).unwrap();
    body[..4].copy_from_slice(&length.to_le_bytes());
    body
}

#[test]
fn decoding_allocates_nothing_whatever_the_counts_say() {
    let kinds = [
        (tags::IO_EVT, 10001, 4),
        (tags::IO_SUM, 2001, 6),
        (tags::IO_TSL0, 1002, 1),
        (tags::IO_TSL1, 1003, 1),
        (tags::IO_TSL1, 1001, 0),
        (tags::IO_OLINE, 100_001, 0),
    ];
    for (tag, data_type, version) in kinds {
        for word in [
            0,
            1,
            7,
            101,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX,
            0x0fff_ffff,
        ] {
            for words in [0, 5, 12, 13, 14, 100, 1000] {
                let body = body(data_type, version, word, words);
                let decode = || Payload::decode_with(tag, &body, Versioning::AcceptLegacy).is_ok();
                assert_eq!(allocated_bytes(decode), 0, "{tag} {word:#x} {words}");
            }
        }
    }
    let packet = [b"TMCH".as_slice(), &[0xff; 300]].concat();
    assert_eq!(
        allocated_bytes(|| Payload::decode(tags::IO_MONIT, &packet).is_ok()),
        0
    );
    let text = [b'x'; 300];
    assert_eq!(
        allocated_bytes(|| Payload::decode(tags::MSG, &text).is_ok()),
        0
    );
}

#[test]
fn an_announced_length_reserves_nothing() {
    let prefix = *b"IO_EVT\0\0\x03\xff\xff\xff\0\0\0\0";
    let split = || {
        let mut splitter = Splitter::new(64 << 20);
        (splitter.frames(&prefix).count(), splitter.missing(&prefix))
    };
    assert_eq!(allocated_bytes(split), 0);
}

#[test]
fn a_subscription_takes_no_more_than_a_few_times_its_body() {
    let body: String = (0..1000).map(|n| format!(" w T{n}")).collect();
    let list_bytes = 1024 * size_of::<(Tag, u64)>();
    let bytes = allocated_bytes(|| Subscriptions::parse(body.as_bytes()));
    assert!(bytes > 0 && bytes <= 2 * list_bytes, "{bytes}");
}
