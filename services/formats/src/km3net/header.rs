//! What DAQ payloads begin with: preamble, version and header.
//!
//! ```text
//! 0        4        8     10          14    18      22        26       30
//! | length | type   | ver | detector | run | frame | seconds | ticks  |      all little-endian
//! ```
//! `seconds` carries the White Rabbit flag in bit 31; a tick is 16 ns.

use bytes::BufMut;
use zerocopy::byteorder::little_endian::{I16, I32, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{EncodeError, PayloadError};
use super::ids::{DetectorId, RunNumber};
use super::reader::Reader;

/// Bytes of the preamble.
pub const PREAMBLE_BYTES: usize = 8;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 20;
/// Nanoseconds of one tick of the DAQ clock.
pub const TICK_NS: u32 = 16;
/// Length of the frames that the frame index counts.
pub const FRAME_NS: u64 = 100_000_000;

const WHITE_RABBIT_BIT: u32 = 1 << 31;

/// Numbers in the preamble that tell payloads apart.
pub mod data_type {
    /// Super frame inside a time slice.
    pub const SUPER_FRAME: i32 = 101;
    /// Time slice of unknown level: erroneous, or from before payloads had versions.
    pub const TIME_SLICE: i32 = 1001;
    /// Time slice, level 0.
    pub const TIME_SLICE_L0: i32 = 1002;
    /// Time slice, level 1.
    pub const TIME_SLICE_L1: i32 = 1003;
    /// Time slice, level 2.
    pub const TIME_SLICE_L2: i32 = 1004;
    /// Time slice of the supernova stream.
    pub const TIME_SLICE_SN: i32 = 1005;
    /// Summary slice.
    pub const SUMMARY_SLICE: i32 = 2001;
    /// Triggered event.
    pub const EVENT: i32 = 10001;
    /// Online reconstruction.
    pub const ONLINE_RECO: i32 = 100_001;
}

/// Which forms of a payload are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Versioning {
    /// Only the versions in use today.
    #[default]
    Current,
    /// Also events and time slices from before versions existed; today's form is tried first.
    AcceptLegacy,
}

/// Detector, run and time of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// Detector that took the data.
    pub detector_id: DetectorId,
    /// Run in which they were taken.
    pub run: RunNumber,
    /// Number of 100 ms frames since the run start.
    pub frame_index: i32,
    /// UTC seconds since 1970, bit 31 masked away; only the low 31 bits are written.
    pub utc_seconds: u32,
    /// Bit 31 of the seconds: here **0** means that the synchronisation is fine.
    pub white_rabbit: bool,
    /// Units of 16 ns within the second.
    pub ticks: u32,
}

impl Header {
    /// Returns the nanoseconds within the second; more than a second only in damaged data.
    pub fn nanoseconds(&self) -> u64 {
        u64::from(self.ticks) * u64::from(TICK_NS)
    }

    /// Returns the start of the frame in nanoseconds since 1970.
    pub fn start_ns(&self) -> u64 {
        u64::from(self.utc_seconds) * 1_000_000_000 + self.nanoseconds()
    }

    /// Returns the start of the frame in seconds since 1970, good to about 0.2 microseconds.
    pub fn start_s(&self) -> f64 {
        f64::from(self.utc_seconds) + f64::from(self.ticks) * 16e-9
    }

    /// Returns the start of the run in nanoseconds since 1970 as the frame index implies it.
    ///
    /// `None` when index and time contradict each other, as in simulated events.
    pub fn run_start_ns(&self) -> Option<u64> {
        let since = u64::try_from(self.frame_index)
            .ok()?
            .checked_mul(FRAME_NS)?;
        self.start_ns().checked_sub(since)
    }

    pub(super) fn put(&self, out: &mut impl BufMut) {
        out.put_slice(HeaderRecord::from(*self).as_bytes());
    }
}

/// The header as it stands on the wire.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct HeaderRecord {
    detector_id: I32,
    run: I32,
    frame_index: I32,
    seconds: U32,
    ticks: U32,
}

impl From<Header> for HeaderRecord {
    fn from(header: Header) -> Self {
        let flag = if header.white_rabbit {
            WHITE_RABBIT_BIT
        } else {
            0
        };
        Self {
            detector_id: header.detector_id.0.into(),
            run: header.run.0.into(),
            frame_index: header.frame_index.into(),
            seconds: (header.utc_seconds & !WHITE_RABBIT_BIT | flag).into(),
            ticks: header.ticks.into(),
        }
    }
}

impl From<HeaderRecord> for Header {
    fn from(record: HeaderRecord) -> Self {
        let seconds = record.seconds.get();
        Self {
            detector_id: DetectorId(record.detector_id.get()),
            run: RunNumber(record.run.get()),
            frame_index: record.frame_index.get(),
            utc_seconds: seconds & !WHITE_RABBIT_BIT,
            white_rabbit: seconds & WHITE_RABBIT_BIT != 0,
            ticks: record.ticks.get(),
        }
    }
}

/// Length and type in front of every DAQ payload.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Preamble {
    pub(super) length: I32,
    pub(super) data_type: I32,
}

impl Preamble {
    /// Reads the preamble and holds its length against the body.
    pub(super) fn read(reader: &mut Reader<'_>, body: &[u8]) -> Result<i32, PayloadError> {
        let preamble: &Self = reader.record("preamble")?;
        let declared = preamble.length.get();
        if usize::try_from(declared) != Ok(body.len()) {
            return Err(PayloadError::LengthMismatch {
                declared,
                got: body.len(),
            });
        }
        Ok(preamble.data_type.get())
    }

    /// Writes the preamble of a body of `length` bytes.
    pub(super) fn put(
        data_type: i32,
        length: u64,
        out: &mut impl BufMut,
    ) -> Result<(), EncodeError> {
        let length = i32::try_from(length).map_err(|_| EncodeError::TooLong { bytes: length })?;
        out.put_i32_le(length);
        out.put_i32_le(data_type);
        Ok(())
    }
}

/// Reads the version and refuses all but one.
pub(super) fn read_version(reader: &mut Reader<'_>, expected: i16) -> Result<(), PayloadError> {
    let got = reader.record::<I16>("version")?.get();
    if got != expected {
        return Err(PayloadError::UnknownVersion { expected, got });
    }
    Ok(())
}

/// Reads the 20-byte header.
pub(super) fn read_header(reader: &mut Reader<'_>) -> Result<Header, PayloadError> {
    let header: Header = (*reader.record::<HeaderRecord>("header")?).into();
    check_ticks(header.ticks)?;
    Ok(header)
}

/// Refuses ticks that do not fit into their second: such a time is off by up to 68 s.
pub(super) fn check_ticks(ticks: u32) -> Result<(), PayloadError> {
    match ticks < 1_000_000_000 / TICK_NS {
        true => Ok(()),
        false => Err(PayloadError::TicksBeyondSecond { ticks }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_250_that_starts_at_second_25_belongs_to_a_run_that_starts_at_second_0() {
        let header = Header {
            frame_index: 250,
            utc_seconds: 25,
            ..Header::default()
        };
        assert_eq!(header.run_start_ns(), Some(0));
        let early = Header {
            utc_seconds: 24,
            ..header
        };
        assert_eq!(early.run_start_ns(), None);
    }

    #[test]
    fn ticks_of_a_second_or_more_are_refused() {
        for (ticks, is_good) in [(62_499_999, true), (62_500_000, false), (u32::MAX, false)] {
            let mut body = Vec::new();
            let header = Header {
                ticks,
                ..Header::default()
            };
            header.put(&mut body);
            let read = read_header(&mut Reader::new(&body));
            let expected = match is_good {
                true => Ok(header),
                false => Err(PayloadError::TicksBeyondSecond { ticks }),
            };
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn the_flag_is_kept_apart_from_the_seconds() {
        let header = Header {
            utc_seconds: 5,
            white_rabbit: true,
            ..Header::default()
        };
        let record = HeaderRecord::from(header);
        assert_eq!(record.seconds.get(), 0x8000_0005);
        assert_eq!(Header::from(record), header);
    }
}
