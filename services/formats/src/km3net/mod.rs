//! The payloads of KM3NeT's data acquisition: the bodies of ControlHost messages.
//!
//! Byte order: little-endian, except hit times and all of `IO_MONIT`, which are big-endian. Nothing
//! is aligned. Decoders are views over the body; every count is checked against the bytes that are
//! there before anything else happens, and nothing is allocated for it. Encoders append to any
//! [`bytes::BufMut`].

mod calibrate;
mod digest;
mod dump;
mod error;
mod event;
mod header;
mod hit;
mod ids;
mod json;
mod msg;
mod oline;
mod payload;
mod rate;
mod reader;
mod status;
mod summary;
mod timeslice;
mod tmch;
mod toa;
mod tot;
mod trigger;

pub use calibrate::{CalibratedHit, EventHits, Slewing, group_len};
pub(crate) use digest::LineHash;
pub use digest::sha256_hex;
pub use dump::{Dump, DumpError, DumpItem, DumpShape};
pub use error::{EncodeError, PayloadError};
pub use event::{EVENT_VERSION, Event};
pub use header::{FRAME_NS, HEADER_BYTES, Header, PREAMBLE_BYTES, TICK_NS, Versioning, data_type};
pub use hit::{SliceHit, SnapshotHit, TriggeredHit};
pub use ids::{CHANNEL_ROWS, CHANNELS, ChannelId, DetectorId, DomId, RunNumber};
pub use msg::{LogFields, LogMessage, LogSource, encode_message};
pub use oline::{Fit, ONLINE_RECO_BYTES, OnlineReco, Variables};
pub use payload::Payload;
pub use rate::{RATE_MAX_HZ, RATE_MIN_HZ, rate_code, rate_hz, rate_table};
pub use status::{CHANNEL_BITS, FrameStatus};
pub use summary::{SUMMARY_VERSION, SummaryFrame, SummarySlice};
pub use timeslice::{
    FrameDefect, HIT_TIME_MAX_NS, SliceHead, SliceLevel, SuperFrame, SuperFrames,
    TIME_SLICE_VERSION, TimeSlice, encode_time_slice,
};
pub use tmch::{FifoSizes, HZ_PER_COUNT, TMCH_BYTES_MIN, Tmch, TmchFields};
pub use toa::{Arrival, TOA_HEAD, encode_arrivals};
pub use tot::{photoelectrons, slew_ns};
pub use trigger::TriggerMask;
