//! Detector simulator, recorder and replay.
//!
//! [`Generator`] is the simulated detector, a pure state machine; the kind `fake_detector` paces it
//! and sends what it makes to the bus or to a ligier.
#![warn(missing_docs)]

mod batch;
mod chance;
mod decode;
mod fake_detector;
mod fake_detector_manager;
mod fault;
mod generator;
mod input;
mod layout;
mod options;
mod outlet;
mod pace;
mod packed;
mod physics;
mod record;
mod recording;
mod replay;
mod streams;
mod timeline;

use fathom_kernel::Kind;

pub use batch::{Chunk, Sealed};
pub use decode::{DecodeOptions, Decoded, decode};
pub use fake_detector::FakeDetector;
pub use fake_detector_manager::{FakeDetectorManager, FakeDetectorManagerOptions};
pub use fault::{Fault, FaultKind, FaultSpec};
pub use generator::{Disturbance, Generator, PmtTruth, Position, STEP_S, STEPS_PER_FRAME, Step};
pub use input::{FileMessage, FileProblem, InputFile, OpenError, guess_tag};
pub use layout::{Dom, Layout, Pmt};
pub use options::{
    AcousticOptions, BurstOptions, EventOptions, FakeDetectorOptions, MessageOptions, RateOptions,
    RecoOptions, SliceOptions, StreamOptions,
};
pub use outlet::{Outlet, OutletParts, Target};
pub use packed::PackedError;
pub use record::{RecordError, RecordOptions, Recorded, record};
pub use recording::{Record, Recording, RecordingError, RecordingWriter};
pub use replay::{Feed, Played, Player, Replay, ReplayOptions, Speed, Timed};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::service::<FakeDetectorOptions, FakeDetector>(
        "fake_detector",
        "Simulates a detector: K40, bioluminescence, muons, run changes and faults on demand",
    )
    .computing()
    .reading_detector(),
    Kind::service::<FakeDetectorManagerOptions, FakeDetectorManager>(
        "fake_detector_manager",
        "Answers for the cables' round-trip times like a Detector Manager, with faults on demand",
    )
    .reading_detector(),
    Kind::service::<ReplayOptions, Replay>(
        "replay",
        "Plays recordings and raw dumps again, at real, scaled or full speed",
    )
    .computing(),
];
