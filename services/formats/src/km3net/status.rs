//! The status words of a DOM's frame, the same in summary slices and super frames.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ids::ChannelId;

/// The bits of the veto and FIFO words that belong to channels; bit 31 means something else.
pub const CHANNEL_BITS: u32 = 0x7fff_ffff;

const TOP_BIT: u32 = 1 << 31;

/// Readout status of one DOM in one frame, as it stands on the wire (20 bytes, little-endian).
///
/// ```text
/// daq     bits 0-15 UDP packets received, bits 16-31 highest sequence number
/// status  bits 0-30 high-rate veto of channel n, bit 31 White Rabbit fine
/// fifo    bits 0-30 FIFO almost full of channel n, bit 31 UDP trailer received
/// ```
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct FrameStatus {
    daq: U32,
    status: U32,
    fifo: U32,
    status_3: U32,
    status_4: U32,
}

impl FrameStatus {
    /// Makes the status from its raw words; the two spare ones are zero.
    pub fn from_words(daq: u32, status: u32, fifo: u32) -> Self {
        Self {
            daq: daq.into(),
            status: status.into(),
            fifo: fifo.into(),
            ..Self::default()
        }
    }

    /// Makes the status of a complete frame of `packets` UDP packets with the given channel bits.
    pub fn complete(packets: u16, hrv_bits: u32, fifo_bits: u32) -> Self {
        let last = packets.saturating_sub(1);
        Self::from_words(
            u32::from(last) << 16 | u32::from(packets),
            hrv_bits & CHANNEL_BITS | TOP_BIT,
            fifo_bits & CHANNEL_BITS | TOP_BIT,
        )
    }

    /// Returns this status with bit 31 of the status word as given.
    #[must_use]
    pub fn with_white_rabbit(self, fine: bool) -> Self {
        let flag = if fine { TOP_BIT } else { 0 };
        Self {
            status: (self.status.get() & CHANNEL_BITS | flag).into(),
            ..self
        }
    }

    /// Returns this status with the two spare words as given.
    #[must_use]
    pub fn with_spares(self, status_3: u32, status_4: u32) -> Self {
        Self {
            status_3: status_3.into(),
            status_4: status_4.into(),
            ..self
        }
    }

    /// Returns the raw DAQ word.
    pub fn daq_word(&self) -> u32 {
        self.daq.get()
    }

    /// Returns the raw status word.
    pub fn status_word(&self) -> u32 {
        self.status.get()
    }

    /// Returns the raw FIFO word.
    pub fn fifo_word(&self) -> u32 {
        self.fifo.get()
    }

    /// Returns the first spare word.
    pub fn status_3(&self) -> u32 {
        self.status_3.get()
    }

    /// Returns the second spare word.
    pub fn status_4(&self) -> u32 {
        self.status_4.get()
    }

    /// Returns the UDP packets received for the frame, the trailer not counted.
    pub fn udp_packets_received(&self) -> u32 {
        self.daq.get() & 0xffff
    }

    /// Returns the highest UDP sequence number seen.
    pub fn udp_max_sequence(&self) -> u32 {
        self.daq.get() >> 16
    }

    /// Returns whether the time synchronisation of the DOM is fine.
    pub fn white_rabbit_ok(&self) -> bool {
        self.status.get() & TOP_BIT != 0
    }

    /// Returns whether the UDP trailer was received.
    pub fn udp_trailer(&self) -> bool {
        self.fifo.get() & TOP_BIT != 0
    }

    /// Returns whether every UDP packet of the frame and its trailer arrived.
    pub fn is_complete(&self) -> bool {
        self.udp_packets_received() == self.udp_max_sequence() + 1 && self.udp_trailer()
    }

    /// Returns the high-rate-veto bits of the channels.
    pub fn hrv_bits(&self) -> u32 {
        self.status.get() & CHANNEL_BITS
    }

    /// Returns the FIFO-almost-full bits of the channels.
    pub fn fifo_bits(&self) -> u32 {
        self.fifo.get() & CHANNEL_BITS
    }

    /// Returns whether a channel is in high-rate veto.
    pub fn is_hrv(&self, channel: ChannelId) -> bool {
        channel.is_valid() && self.hrv_bits() >> channel.0 & 1 == 1
    }

    /// Returns whether a channel's FIFO was almost full.
    pub fn is_fifo_full(&self, channel: ChannelId) -> bool {
        channel.is_valid() && self.fifo_bits() >> channel.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_complete_with_all_packets_and_the_trailer() {
        assert!(FrameStatus::from_words(28 << 16 | 29, 0, TOP_BIT).is_complete());
        assert!(!FrameStatus::from_words(28 << 16 | 28, 0, TOP_BIT).is_complete());
        assert!(!FrameStatus::from_words(28 << 16 | 29, 0, 0).is_complete());
        // One came twice.
        assert!(!FrameStatus::from_words(28 << 16 | 30, 0, TOP_BIT).is_complete());
        assert!(FrameStatus::complete(29, 0, 0).is_complete());
        assert!(FrameStatus::complete(40_000, 0, 0).is_complete());
    }

    #[test]
    fn bit_31_is_no_channel() {
        let status = FrameStatus::from_words(0, TOP_BIT | 1 << 14, TOP_BIT);
        assert!(status.is_hrv(ChannelId(14)));
        assert!(!status.is_hrv(ChannelId(31)));
        assert_eq!(status.fifo_bits(), 0);
    }
}
