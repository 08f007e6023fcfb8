//! `IO_EVT`: a triggered event.
//!
//! ```text
//! 0 preamble | 8 version = 4 | 10 header | 30 counter u64 | 38 mask u64 | 46 overlays i32
//! 50 NT i32 | 54 NT triggered hits of 18 | NS i32 | NS snapshot hits of 10
//! ```
//! The legacy form has no version, so everything behind it stands 2 bytes earlier.

use std::collections::HashSet;

use bytes::BufMut;
use zerocopy::byteorder::little_endian::{I32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{EncodeError, PayloadError};
use super::header::{Header, Preamble, Versioning, data_type, read_header, read_version};
use super::hit::{SnapshotHit, TriggeredHit};
use super::reader::Reader;
use super::trigger::TriggerMask;

/// Version of the event payload since Jpp v13.
pub const EVENT_VERSION: i16 = 4;

/// An event; the hits are views over the body, or over the caller's own when encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Whether the payload is of the form without version.
    pub legacy: bool,
    /// Detector, run and time of the frame.
    pub header: Header,
    /// Counter of triggers.
    pub trigger_counter: u64,
    /// Triggers that fired.
    pub trigger_mask: TriggerMask,
    /// Number of merged events.
    pub overlays: i32,
    /// Hits that took part in a trigger, grouped by DOM, not sorted by time.
    pub triggered: &'a [TriggeredHit],
    /// All hits around the trigger, the triggered ones included.
    pub snapshot: &'a [SnapshotHit],
}

/// The fixed part between header and hits.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Fixed {
    trigger_counter: U64,
    trigger_mask: U64,
    overlays: I32,
}

impl<'a> Event<'a> {
    /// Decodes the body of an `IO_EVT` message of today's form.
    pub fn decode(body: &'a [u8]) -> Result<Self, PayloadError> {
        Self::decode_form(body, false)
    }

    /// Decodes the body of an `IO_EVT` message of the forms asked for.
    pub fn decode_with(body: &'a [u8], versioning: Versioning) -> Result<Self, PayloadError> {
        let current = Self::decode_form(body, false);
        match versioning {
            Versioning::Current => current,
            Versioning::AcceptLegacy => {
                current.or_else(|e| Self::decode_form(body, true).map_err(|_| e))
            }
        }
    }

    fn decode_form(body: &'a [u8], legacy: bool) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(body);
        let got = Preamble::read(&mut reader, body)?;
        if got != data_type::EVENT {
            return Err(PayloadError::WrongType {
                expected: data_type::EVENT,
                got,
            });
        }
        if !legacy {
            read_version(&mut reader, EVENT_VERSION)?;
        }
        let header = read_header(&mut reader)?;
        let fixed: &Fixed = reader.record("trigger fields")?;
        let triggered_count = reader.record::<I32>("number of triggered hits")?.get();
        let triggered = reader.records("triggered hits", triggered_count)?;
        let snapshot_count = reader.record::<I32>("number of snapshot hits")?.get();
        let snapshot = reader.records("snapshot hits", snapshot_count)?;
        reader.finish()?;
        Ok(Self {
            legacy,
            header,
            trigger_counter: fixed.trigger_counter.get(),
            trigger_mask: TriggerMask(fixed.trigger_mask.get()),
            overlays: fixed.overlays.get(),
            triggered,
            snapshot,
        })
    }

    /// Returns the version of the payload; `None` for the legacy form.
    pub fn version(&self) -> Option<i16> {
        (!self.legacy).then_some(EVENT_VERSION)
    }

    /// Iterates over the snapshot hits that also occur among the triggered hits.
    ///
    /// Builds a set of the triggered hits once, 10 bytes each.
    pub fn triggered_in_snapshot(&self) -> impl Iterator<Item = &'a SnapshotHit> + use<'a> {
        let keys: HashSet<SnapshotHit> = self.triggered.iter().map(|t| *t.hit()).collect();
        self.snapshot.iter().filter(move |hit| keys.contains(hit))
    }

    /// Returns the bytes that [`Event::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let fixed = if self.legacy { 56 } else { 58 };
        fixed + size_of_val(self.triggered) + size_of_val(self.snapshot)
    }

    /// Appends the body of an `IO_EVT` message.
    pub fn encode(&self, out: &mut impl BufMut) -> Result<(), EncodeError> {
        Preamble::put(data_type::EVENT, self.encoded_len() as u64, out)?;
        if !self.legacy {
            out.put_i16_le(EVENT_VERSION);
        }
        self.header.put(out);
        out.put_slice(
            Fixed {
                trigger_counter: self.trigger_counter.into(),
                trigger_mask: self.trigger_mask.0.into(),
                overlays: self.overlays.into(),
            }
            .as_bytes(),
        );
        put_counted(self.triggered, out)?;
        put_counted(self.snapshot, out)
    }
}

/// Appends a count and so many records.
pub(super) fn put_counted<T: IntoBytes + Immutable>(
    records: &[T],
    out: &mut impl BufMut,
) -> Result<(), EncodeError> {
    let bytes = size_of_val(records) as u64;
    let count = i32::try_from(records.len()).map_err(|_| EncodeError::TooLong { bytes })?;
    out.put_i32_le(count);
    out.put_slice(records.as_bytes());
    Ok(())
}
