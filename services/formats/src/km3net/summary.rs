//! `IO_SUM`: a summary slice, the rates and status of every DOM in one frame.
//!
//! ```text
//! 0 preamble | 8 version = 6 | 10 header | 30 N i32 | 34 N frames of 55
//! frame: dom u32 | status words 5 * u32 | rate codes 31 * u8
//! ```

use bytes::BufMut;
use zerocopy::byteorder::little_endian::{I32, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{EncodeError, PayloadError};
use super::event::put_counted;
use super::header::{Header, Preamble, data_type, read_header, read_version};
use super::ids::{CHANNELS, ChannelId, DomId};
use super::rate;
use super::reader::Reader;
use super::status::FrameStatus;

/// Version of the summary slice.
pub const SUMMARY_VERSION: i16 = 6;

/// A summary slice; the frames are views over the body, or over the caller's own when encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummarySlice<'a> {
    /// Detector, run and time of the frame.
    pub header: Header,
    /// One frame per DOM that sent data, in any order.
    pub frames: &'a [SummaryFrame],
}

/// Rates and status of one DOM, as they stand on the wire (55 bytes).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SummaryFrame {
    dom: U32,
    status: FrameStatus,
    codes: [u8; CHANNELS],
}

impl<'a> SummarySlice<'a> {
    /// Decodes the body of an `IO_SUM` message.
    ///
    /// The 39-byte frames of 2015, which have no version, are refused.
    pub fn decode(body: &'a [u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(body);
        let got = Preamble::read(&mut reader, body)?;
        if got != data_type::SUMMARY_SLICE {
            return Err(PayloadError::WrongType {
                expected: data_type::SUMMARY_SLICE,
                got,
            });
        }
        read_version(&mut reader, SUMMARY_VERSION)?;
        let header = read_header(&mut reader)?;
        let count = reader.record::<I32>("number of frames")?.get();
        let frames = reader.records("summary frames", count)?;
        reader.finish()?;
        Ok(Self { header, frames })
    }

    /// Returns the bytes that [`SummarySlice::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        34 + size_of_val(self.frames)
    }

    /// Appends the body of an `IO_SUM` message.
    pub fn encode(&self, out: &mut impl BufMut) -> Result<(), EncodeError> {
        Preamble::put(data_type::SUMMARY_SLICE, self.encoded_len() as u64, out)?;
        out.put_i16_le(SUMMARY_VERSION);
        self.header.put(out);
        put_counted(self.frames, out)
    }
}

impl SummaryFrame {
    /// Makes the frame of a DOM from the rate codes of its channels.
    pub fn new(dom_id: DomId, status: FrameStatus, codes: [u8; CHANNELS]) -> Self {
        Self {
            dom: dom_id.0.into(),
            status,
            codes,
        }
    }

    /// Returns the DOM.
    pub fn dom_id(&self) -> DomId {
        DomId(self.dom.get())
    }

    /// Returns the status words.
    pub fn status(&self) -> &FrameStatus {
        &self.status
    }

    /// Returns the rate codes, index = channel.
    pub fn codes(&self) -> &[u8; CHANNELS] {
        &self.codes
    }

    /// Returns the rate of a channel, in Hz; 0 for a channel that no DOM has.
    pub fn rate_hz(&self, channel: ChannelId) -> f64 {
        self.codes
            .get(usize::from(channel.0))
            .map_or(0.0, |&code| rate::rate_hz(code))
    }

    /// Returns the rates of all channels, in Hz, index = channel.
    pub fn rates_hz(&self) -> [f64; CHANNELS] {
        let table = rate::rate_table();
        self.codes.map(|code| rate::of_table(table, code))
    }

    /// Returns the sum of the rates of all channels, in Hz.
    pub fn dom_rate_hz(&self) -> f64 {
        let table = rate::rate_table();
        let rate_hz = |code: u8| rate::of_table(table, code);
        // Four sums side by side, since each addition waits for the one before, and made while looking
        // up: to write all rates into an array first takes twice as long.
        let (fours, rest) = self.codes.as_chunks::<4>();
        let mut sums = [0.0; 4];
        for four in fours {
            for (sum, code) in sums.iter_mut().zip(four) {
                *sum += rate_hz(*code);
            }
        }
        let rest: f64 = rest.iter().map(|code| rate_hz(*code)).sum();
        sums.iter().sum::<f64>() + rest
    }
}
