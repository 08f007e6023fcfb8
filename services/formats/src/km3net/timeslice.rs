//! `IO_TSL0`, `IO_TSL1`, `IO_TSL2`, `IO_TSSN`: time slices, the hits of every DOM in one frame.
//!
//! ```text
//! 0 preamble | 8 version = 1 | 10 header | 30 N i32 | 34 N super frames
//! super frame: 0 length i32 = 56 + 6 H | 4 type i32 = 101 | 8 header | 28 dom u32
//!              32 status words 5 * u32 | 52 H i32 | 56 H hits of 6
//! ```
//! The legacy form has no version and type 1001 whatever the level.

use bytes::BufMut;
use zerocopy::byteorder::little_endian::{I32, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::controlhost::{Tag, tags};

use super::error::{EncodeError, PayloadError};
use super::header::{
    Header, HeaderRecord, Preamble, Versioning, data_type, read_header, read_version,
};
use super::hit::SliceHit;
use super::ids::{CHANNELS, DomId};
use super::reader::Reader;
use super::status::FrameStatus;

/// Version of the time slice.
pub const TIME_SLICE_VERSION: i16 = 1;
/// Hit times above this one do not occur in an intact frame, in ns.
pub const HIT_TIME_MAX_NS: u32 = 105_000_000;

const SLICE_FIXED_BYTES: usize = 34;
const FRAME_FIXED_BYTES: usize = size_of::<FrameRecord>();

/// Which hits a time slice holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum SliceLevel {
    /// All hits.
    L0,
    /// Coincidences inside a DOM.
    L1,
    /// Coincidences that also fulfil geometrical conditions.
    L2,
    /// Coincidences for the supernova search.
    SN,
}

impl SliceLevel {
    /// Returns the level that a tag stands for.
    pub fn of_tag(tag: Tag) -> Option<Self> {
        match tag {
            tags::IO_TSL0 => Some(Self::L0),
            tags::IO_TSL1 => Some(Self::L1),
            tags::IO_TSL2 => Some(Self::L2),
            tags::IO_TSSN => Some(Self::SN),
            _ => None,
        }
    }

    /// Returns the tag under which slices of this level are sent.
    pub fn tag(self) -> Tag {
        match self {
            Self::L0 => tags::IO_TSL0,
            Self::L1 => tags::IO_TSL1,
            Self::L2 => tags::IO_TSL2,
            Self::SN => tags::IO_TSSN,
        }
    }

    /// Returns the data type in the preamble.
    pub fn data_type(self) -> i32 {
        match self {
            Self::L0 => data_type::TIME_SLICE_L0,
            Self::L1 => data_type::TIME_SLICE_L1,
            Self::L2 => data_type::TIME_SLICE_L2,
            Self::SN => data_type::TIME_SLICE_SN,
        }
    }
}

/// A time slice as a view over its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSlice<'a> {
    /// Whether the payload is of the form without version.
    pub legacy: bool,
    /// Level of the slice, as asked for when decoding.
    pub level: SliceLevel,
    /// Data type in the preamble; 1001 in legacy slices.
    pub data_type: i32,
    /// Detector, run and time of the frame.
    pub header: Header,
    frames: SuperFrames<'a>,
    hits: usize,
}

/// What stands in front of the super frames: enough to count slices, at the same cost for any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceHead {
    /// Level of the slice, as asked for when decoding.
    pub level: SliceLevel,
    /// Detector, run and time of the frame.
    pub header: Header,
    /// Number of super frames as announced; they are not looked at.
    pub frames: usize,
}

impl SliceHead {
    /// Reads the first 34 bytes of a time slice of today's form. Length, type and version are checked,
    /// and that so many super frames could fit; the super frames themselves are not.
    pub fn decode(level: SliceLevel, body: &[u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(body);
        let header = read_head(level.data_type(), &mut reader, body, false)?.1;
        let frames = read_count(&mut reader)?;
        Ok(Self {
            level,
            header,
            frames,
        })
    }
}

/// Reads preamble, version and header; returns the data type with the header.
fn read_head(
    expected: i32,
    reader: &mut Reader<'_>,
    body: &[u8],
    legacy: bool,
) -> Result<(i32, Header), PayloadError> {
    let got = Preamble::read(reader, body)?;
    if got != expected {
        return Err(PayloadError::WrongType { expected, got });
    }
    if !legacy {
        read_version(reader, TIME_SLICE_VERSION)?;
    }
    Ok((got, read_header(reader)?))
}

/// Reads the number of super frames and holds it against the bytes that are left.
fn read_count(reader: &mut Reader<'_>) -> Result<usize, PayloadError> {
    let count_offset = reader.offset();
    let count = reader.record::<I32>("number of super frames")?.get();
    let what = "super frames";
    let number = usize::try_from(count).map_err(|_| PayloadError::NegativeCount {
        what,
        count,
        offset: count_offset,
    })?;
    let left = reader.left().len();
    let need = (number as u64).saturating_mul(FRAME_FIXED_BYTES as u64);
    if need > left as u64 {
        let offset = reader.offset();
        return Err(PayloadError::CountBeyondBody {
            what,
            count,
            offset,
            need,
            left,
        });
    }
    Ok(number)
}

/// The hits of one DOM; a view over the body, or over the caller's own when encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuperFrame<'a> {
    /// Detector, run and time; repeats the slice's in intact data.
    pub header: Header,
    /// The DOM.
    pub dom_id: DomId,
    /// Status words.
    pub status: FrameStatus,
    /// Hits, in time order within each channel when the frame is intact.
    pub hits: &'a [SliceHit],
}

/// Iterates over the super frames of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuperFrames<'a> {
    left: &'a [u8],
    offset: usize,
    count: usize,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FrameRecord {
    length: I32,
    data_type: I32,
    header: HeaderRecord,
    dom: U32,
    status: FrameStatus,
    hits: I32,
}

impl<'a> TimeSlice<'a> {
    /// Decodes the body of a time slice of today's form.
    ///
    /// Walks all super frames once, so that iterating over them later cannot fail.
    pub fn decode(level: SliceLevel, body: &'a [u8]) -> Result<Self, PayloadError> {
        Self::decode_form(level, body, false)
    }

    /// Decodes the body of a time slice of the forms asked for.
    pub fn decode_with(
        level: SliceLevel,
        body: &'a [u8],
        versioning: Versioning,
    ) -> Result<Self, PayloadError> {
        let current = Self::decode_form(level, body, false);
        match versioning {
            Versioning::Current => current,
            Versioning::AcceptLegacy => {
                current.or_else(|e| Self::decode_form(level, body, true).map_err(|_| e))
            }
        }
    }

    fn decode_form(level: SliceLevel, body: &'a [u8], legacy: bool) -> Result<Self, PayloadError> {
        let expected = if legacy {
            data_type::TIME_SLICE
        } else {
            level.data_type()
        };
        let mut reader = Reader::new(body);
        let (got, header) = read_head(expected, &mut reader, body, legacy)?;
        let (frames, hits) = SuperFrames::checked(&mut reader)?;
        reader.finish()?;
        Ok(Self {
            legacy,
            level,
            data_type: got,
            header,
            frames,
            hits,
        })
    }

    /// Returns the version of the payload; `None` for the legacy form.
    pub fn version(&self) -> Option<i16> {
        (!self.legacy).then_some(TIME_SLICE_VERSION)
    }

    /// Iterates over the super frames.
    pub fn frames(&self) -> SuperFrames<'a> {
        self.frames
    }

    /// Returns the number of hits in all super frames.
    pub fn hit_count(&self) -> usize {
        self.hits
    }
}

impl<'a> SuperFrames<'a> {
    /// Reads the count and walks over so many super frames; returns also the number of hits.
    fn checked(reader: &mut Reader<'a>) -> Result<(Self, usize), PayloadError> {
        let number = read_count(reader)?;
        let frames = Self {
            left: reader.left(),
            offset: reader.offset(),
            count: number,
        };
        let mut hits = 0;
        for _ in 0..number {
            hits += SuperFrame::read(reader)?.hits.len();
        }
        Ok((frames, hits))
    }
}

impl<'a> Iterator for SuperFrames<'a> {
    type Item = SuperFrame<'a>;

    fn next(&mut self) -> Option<SuperFrame<'a>> {
        self.count = self.count.checked_sub(1)?;
        let mut reader = Reader::at(self.left, self.offset);
        let frame = SuperFrame::read(&mut reader).ok()?;
        self.left = reader.left();
        self.offset = reader.offset();
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for SuperFrames<'_> {}

impl<'a> SuperFrame<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, PayloadError> {
        let offset = reader.offset();
        let record: &FrameRecord = reader.record("super frame")?;
        if record.data_type.get() != data_type::SUPER_FRAME {
            return Err(PayloadError::FrameType {
                offset,
                got: record.data_type.get(),
            });
        }
        let (length, hits) = (record.length.get(), record.hits.get());
        let view: &[SliceHit] = reader.records("hits", hits)?;
        let need = (FRAME_FIXED_BYTES + size_of_val(view)) as u64;
        if u64::try_from(length) != Ok(need) {
            return Err(PayloadError::FrameLength {
                offset,
                length,
                hits,
                need,
            });
        }
        Ok(Self {
            header: record.header.into(),
            dom_id: DomId(record.dom.get()),
            status: record.status,
            hits: view,
        })
    }

    /// Returns the length of the super frame on the wire.
    pub fn encoded_len(&self) -> usize {
        FRAME_FIXED_BYTES + size_of_val(self.hits)
    }

    /// Returns what is wrong with the frame, the first thing found; `None` when it is intact.
    pub fn defect(&self) -> Option<FrameDefect> {
        if !self.status.is_complete() {
            return Some(FrameDefect::PacketsMissing);
        }
        let mut last_ns = [0_u32; CHANNELS];
        for hit in self.hits {
            let Some(last) = last_ns.get_mut(usize::from(hit.channel().0)) else {
                return Some(FrameDefect::NoSuchChannel);
            };
            if hit.time_ns() > HIT_TIME_MAX_NS {
                return Some(FrameDefect::TimeBeyondFrame);
            }
            if hit.time_ns() < *last {
                return Some(FrameDefect::TimeRunsBackwards);
            }
            *last = hit.time_ns();
        }
        None
    }

    fn put(&self, out: &mut impl BufMut) -> Result<(), EncodeError> {
        let bytes = self.encoded_len() as u64;
        let too_long = |_| EncodeError::TooLong { bytes };
        let record = FrameRecord {
            length: i32::try_from(self.encoded_len()).map_err(too_long)?.into(),
            data_type: data_type::SUPER_FRAME.into(),
            header: self.header.into(),
            dom: self.dom_id.0.into(),
            status: self.status,
            hits: i32::try_from(self.hits.len()).map_err(too_long)?.into(),
        };
        out.put_slice(record.as_bytes());
        out.put_slice(self.hits.as_bytes());
        Ok(())
    }
}

/// Why a super frame is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameDefect {
    /// UDP packets or their trailer are missing.
    PacketsMissing,
    /// A hit of a channel above 30.
    NoSuchChannel,
    /// A hit later than the frame can be long.
    TimeBeyondFrame,
    /// The times of a channel are not in order.
    TimeRunsBackwards,
}

/// Appends the body of a time slice made of the given super frames.
pub fn encode_time_slice(
    level: SliceLevel,
    header: &Header,
    frames: &[SuperFrame<'_>],
    out: &mut impl BufMut,
) -> Result<(), EncodeError> {
    let frame_bytes: usize = frames.iter().map(SuperFrame::encoded_len).sum();
    let bytes = (SLICE_FIXED_BYTES + frame_bytes) as u64;
    Preamble::put(level.data_type(), bytes, out)?;
    out.put_i16_le(TIME_SLICE_VERSION);
    header.put(out);
    out.put_i32_le(i32::try_from(frames.len()).map_err(|_| EncodeError::TooLong { bytes })?);
    frames.iter().try_for_each(|frame| frame.put(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_defective_by_its_packets_channels_and_times() {
        let complete = FrameStatus::complete(3, 0, 0);
        let defect = |status: FrameStatus, hits: &[(u8, u32)]| {
            let hit = |&(channel, time_ns): &(u8, u32)| SliceHit::new(channel.into(), time_ns, 20);
            let hits: Vec<SliceHit> = hits.iter().map(hit).collect();
            let frame = SuperFrame {
                header: Header::default(),
                dom_id: DomId(1),
                status,
                hits: &hits,
            };
            frame.defect()
        };
        let no_trailer = FrameStatus::from_words(complete.daq_word(), 0, 0);
        assert_eq!(defect(no_trailer, &[]), Some(FrameDefect::PacketsMissing));
        assert_eq!(defect(complete, &[(30, 0), (30, 105_000_000)]), None);
        let channel = defect(complete, &[(31, 0)]);
        assert_eq!(channel, Some(FrameDefect::NoSuchChannel));
        let late = defect(complete, &[(0, 105_000_001)]);
        assert_eq!(late, Some(FrameDefect::TimeBeyondFrame));
        // Times are in order channel by channel, and two hits may be in one nanosecond.
        assert_eq!(defect(complete, &[(0, 7), (1, 6), (0, 7)]), None);
        let back = defect(complete, &[(0, 7), (1, 6), (0, 6)]);
        assert_eq!(back, Some(FrameDefect::TimeRunsBackwards));
    }
}
