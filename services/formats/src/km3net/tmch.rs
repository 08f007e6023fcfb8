//! `IO_MONIT`: the monitoring packet of a CLB, ten times a second from every module; big-endian.
//!
//! ```text
//!   0 "TMCH" | 4 run | 8 sequence | 12 seconds | 16 ticks | 20 dom | 24 status 4 * u32
//!  40 rates 31 * u32 | 164 veto bits | 168 flags | 172 yaw pitch roll | 184 A | 196 G | 208 H
//! 220 temperature u16 | 222 humidity u16 | 224 TDC full | 228 AES full | 232 flushes
//! 236 slice duration (240-byte form) | 240 TDC FIFO u16 | 242 AES FIFO u16 (244-byte form)
//! ```
//! The size decides which optional fields there are; the version bits contradict it in real data.

use bytes::BufMut;
use zerocopy::byteorder::big_endian::{F32, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::PayloadError;
use super::header::{TICK_NS, check_ticks};
use super::ids::{CHANNELS, ChannelId, DomId, RunNumber};
use super::reader::Reader;
use super::status::CHANNEL_BITS;

/// Hertz of one count of a rate counter: the counters cover 100 ms.
pub const HZ_PER_COUNT: u32 = 10;
/// Bytes of the shortest packet.
pub const TMCH_BYTES_MIN: usize = size_of::<TmchRecord>();

const MAGIC: [u8; 4] = *b"TMCH";

/// A monitoring packet as a view over its body.
#[derive(Debug, Clone, Copy)]
pub struct Tmch<'a> {
    record: &'a TmchRecord,
    slice_duration_us: Option<u32>,
    fifo_sizes: Option<FifoSizes>,
    extra_bytes: usize,
}

/// Sizes of the super-time FIFOs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FifoSizes {
    /// Of the TDC.
    pub tdc: u16,
    /// Of the AES.
    pub aes: u16,
}

/// The values of a monitoring packet, to make one.
#[derive(Debug, Clone, PartialEq)]
pub struct TmchFields {
    /// Run number as the module knows it.
    pub run: u32,
    /// UDP sequence number.
    pub udp_sequence_number: u32,
    /// UTC seconds since 1970.
    pub utc_seconds: u32,
    /// Units of 16 ns within the second.
    pub ticks: u32,
    /// The module, which can be a base module.
    pub dom_id: DomId,
    /// Raw status words.
    pub dom_status: [u32; 4],
    /// Hits of each channel in 100 ms.
    pub rate_counts: [u32; CHANNELS],
    /// Raw high-rate-veto bitmap.
    pub hrv: u32,
    /// Raw flags: bit 0 compass values valid, bits 1-3 structure version.
    pub flags: u32,
    /// Yaw, pitch and roll of the board, in degrees.
    pub ypr_deg: [f32; 3],
    /// Acceleration x, y, z, in g.
    pub acceleration_g: [f32; 3],
    /// Gyroscope x, y, z.
    pub gyroscope: [f32; 3],
    /// Magnetic field x, y, z, in gauss.
    pub magnetic_gauss: [f32; 3],
    /// Temperature in hundredths of a degree Celsius.
    pub temperature_raw: u16,
    /// Humidity in hundredths of a per cent.
    pub humidity_raw: u16,
    /// Counter of a full TDC FIFO.
    pub tdc_full: u32,
    /// Counter of a full AES FIFO.
    pub aes_full: u32,
    /// Counter of flushes.
    pub flush_count: u32,
    /// Slice duration, in microseconds, in packets of 240 bytes and more.
    pub slice_duration_us: Option<u32>,
    /// Super-time FIFO sizes, in packets of 244 bytes; not written without the slice duration.
    pub fifo_sizes: Option<FifoSizes>,
}

#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TmchRecord {
    magic: [u8; 4],
    run: U32,
    udp_sequence_number: U32,
    utc_seconds: U32,
    ticks: U32,
    dom: U32,
    dom_status: [U32; 4],
    rate_counts: [U32; CHANNELS],
    hrv: U32,
    flags: U32,
    ypr_deg: [F32; 3],
    acceleration_g: [F32; 3],
    gyroscope: [F32; 3],
    magnetic_gauss: [F32; 3],
    temperature_raw: U16,
    humidity_raw: U16,
    tdc_full: U32,
    aes_full: U32,
    flush_count: U32,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FifoRecord {
    tdc: U16,
    aes: U16,
}

impl<'a> Tmch<'a> {
    /// Decodes the body of an `IO_MONIT` message; bytes behind the known fields are accepted.
    pub fn decode(body: &'a [u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(body);
        let record: &TmchRecord = reader.record("monitoring packet")?;
        if record.magic != MAGIC {
            return Err(PayloadError::WrongMagic { got: record.magic });
        }
        check_ticks(record.ticks.get())?;
        let slice_duration_us = reader.record::<U32>("slice duration").ok().map(|v| v.get());
        let fifo_sizes = reader
            .record::<FifoRecord>("FIFO sizes")
            .ok()
            .map(|v| FifoSizes {
                tdc: v.tdc.get(),
                aes: v.aes.get(),
            });
        let extra_bytes = reader.left().len();
        Ok(Self {
            record,
            slice_duration_us,
            fifo_sizes,
            extra_bytes,
        })
    }

    /// Returns the run number; a value above 2^31 shows as negative.
    pub fn run(&self) -> RunNumber {
        RunNumber(self.record.run.get().cast_signed())
    }

    /// Returns the UDP sequence number.
    pub fn udp_sequence_number(&self) -> u32 {
        self.record.udp_sequence_number.get()
    }

    /// Returns the UTC seconds since 1970.
    pub fn utc_seconds(&self) -> u32 {
        self.record.utc_seconds.get()
    }

    /// Returns the units of 16 ns within the second.
    pub fn ticks(&self) -> u32 {
        self.record.ticks.get()
    }

    /// Returns the nanoseconds within the second.
    pub fn nanoseconds(&self) -> u64 {
        u64::from(self.ticks()) * u64::from(TICK_NS)
    }

    /// Returns the time of the packet in nanoseconds since 1970.
    pub fn time_ns(&self) -> u64 {
        u64::from(self.utc_seconds()) * 1_000_000_000 + self.nanoseconds()
    }

    /// Returns the module, which can be a base module.
    pub fn dom_id(&self) -> DomId {
        DomId(self.record.dom.get())
    }

    /// Returns the raw status words.
    pub fn dom_status(&self) -> [u32; 4] {
        self.record.dom_status.map(U32::get)
    }

    /// Returns whether the time synchronisation of the module is fine.
    pub fn white_rabbit_ok(&self) -> bool {
        let [first, ..] = self.record.dom_status;
        first.get() >> 31 == 1
    }

    /// Returns the hits of a channel in 100 ms; `None` for a channel that no DOM has.
    pub fn rate_count(&self, channel: ChannelId) -> Option<u32> {
        self.record
            .rate_counts
            .get(usize::from(channel.0))
            .map(|v| v.get())
    }

    /// Returns the hits of every channel in 100 ms.
    pub fn rate_counts(&self) -> [u32; CHANNELS] {
        self.record.rate_counts.map(U32::get)
    }

    /// Returns the rates of all channels, in Hz, index = channel.
    pub fn rates_hz(&self) -> [f64; CHANNELS] {
        self.record
            .rate_counts
            .map(|v| f64::from(v.get()) * f64::from(HZ_PER_COUNT))
    }

    /// Returns the raw high-rate-veto bitmap.
    pub fn hrv(&self) -> u32 {
        self.record.hrv.get()
    }

    /// Returns the high-rate-veto bits of the channels.
    pub fn hrv_bits(&self) -> u32 {
        self.hrv() & CHANNEL_BITS
    }

    /// Returns whether a channel is in high-rate veto.
    pub fn is_hrv(&self, channel: ChannelId) -> bool {
        channel.is_valid() && self.hrv() >> channel.0 & 1 == 1
    }

    /// Returns the raw flags.
    pub fn flags(&self) -> u32 {
        self.record.flags.get()
    }

    /// Returns whether the orientation values, temperature and humidity are valid.
    pub fn ahrs_valid(&self) -> bool {
        self.flags() & 1 == 1
    }

    /// Returns the raw structure version, bits 1-3 of the flags; the size of the packet decides.
    pub fn version_bits(&self) -> u32 {
        self.flags() >> 1 & 0b111
    }

    /// Returns yaw, pitch and roll of the board, in degrees; can be no number.
    pub fn ypr_deg(&self) -> [f32; 3] {
        self.record.ypr_deg.map(F32::get)
    }

    /// Returns the acceleration, in g; can be no number.
    pub fn acceleration_g(&self) -> [f32; 3] {
        self.record.acceleration_g.map(F32::get)
    }

    /// Returns the gyroscope values; can be no number.
    pub fn gyroscope(&self) -> [f32; 3] {
        self.record.gyroscope.map(F32::get)
    }

    /// Returns the magnetic field, in gauss; can be no number.
    pub fn magnetic_gauss(&self) -> [f32; 3] {
        self.record.magnetic_gauss.map(F32::get)
    }

    /// Returns the temperature, in degrees Celsius.
    pub fn temperature_c(&self) -> f64 {
        f64::from(self.record.temperature_raw.get()) / 100.0
    }

    /// Returns the humidity, in per cent.
    pub fn humidity_pct(&self) -> f64 {
        f64::from(self.record.humidity_raw.get()) / 100.0
    }

    /// Returns the temperature in hundredths of a degree Celsius.
    pub fn temperature_raw(&self) -> u16 {
        self.record.temperature_raw.get()
    }

    /// Returns the humidity in hundredths of a per cent.
    pub fn humidity_raw(&self) -> u16 {
        self.record.humidity_raw.get()
    }

    /// Returns the counter of a full TDC FIFO.
    pub fn tdc_full(&self) -> u32 {
        self.record.tdc_full.get()
    }

    /// Returns the counter of a full AES FIFO.
    pub fn aes_full(&self) -> u32 {
        self.record.aes_full.get()
    }

    /// Returns the counter of flushes.
    pub fn flush_count(&self) -> u32 {
        self.record.flush_count.get()
    }

    /// Returns the slice duration, in microseconds, when the packet has one.
    pub fn slice_duration_us(&self) -> Option<u32> {
        self.slice_duration_us
    }

    /// Returns the sizes of the super-time FIFOs when the packet has them.
    pub fn fifo_sizes(&self) -> Option<FifoSizes> {
        self.fifo_sizes
    }

    /// Returns the number of bytes behind the known fields.
    pub fn extra_bytes(&self) -> usize {
        self.extra_bytes
    }

    /// Copies the values out of the body.
    pub fn to_fields(&self) -> TmchFields {
        TmchFields {
            run: self.record.run.get(),
            udp_sequence_number: self.udp_sequence_number(),
            utc_seconds: self.utc_seconds(),
            ticks: self.ticks(),
            dom_id: self.dom_id(),
            dom_status: self.dom_status(),
            rate_counts: self.rate_counts(),
            hrv: self.hrv(),
            flags: self.flags(),
            ypr_deg: self.ypr_deg(),
            acceleration_g: self.acceleration_g(),
            gyroscope: self.gyroscope(),
            magnetic_gauss: self.magnetic_gauss(),
            temperature_raw: self.temperature_raw(),
            humidity_raw: self.humidity_raw(),
            tdc_full: self.tdc_full(),
            aes_full: self.aes_full(),
            flush_count: self.flush_count(),
            slice_duration_us: self.slice_duration_us,
            fifo_sizes: self.fifo_sizes,
        }
    }
}

impl Default for TmchFields {
    /// A packet of 244 bytes with the version bits that real ones have, everything else zero.
    fn default() -> Self {
        Self {
            run: 0,
            udp_sequence_number: 0,
            utc_seconds: 0,
            ticks: 0,
            dom_id: DomId(0),
            dom_status: [0; 4],
            rate_counts: [0; CHANNELS],
            hrv: 0,
            flags: 0b10,
            ypr_deg: [0.0; 3],
            acceleration_g: [0.0; 3],
            gyroscope: [0.0; 3],
            magnetic_gauss: [0.0; 3],
            temperature_raw: 0,
            humidity_raw: 0,
            tdc_full: 0,
            aes_full: 0,
            flush_count: 0,
            slice_duration_us: Some(100_000),
            fifo_sizes: Some(FifoSizes::default()),
        }
    }
}

impl TmchFields {
    /// Appends the body of an `IO_MONIT` message.
    pub fn encode(&self, out: &mut impl BufMut) {
        let record = TmchRecord {
            magic: MAGIC,
            run: self.run.into(),
            udp_sequence_number: self.udp_sequence_number.into(),
            utc_seconds: self.utc_seconds.into(),
            ticks: self.ticks.into(),
            dom: self.dom_id.0.into(),
            dom_status: self.dom_status.map(U32::new),
            rate_counts: self.rate_counts.map(U32::new),
            hrv: self.hrv.into(),
            flags: self.flags.into(),
            ypr_deg: self.ypr_deg.map(F32::new),
            acceleration_g: self.acceleration_g.map(F32::new),
            gyroscope: self.gyroscope.map(F32::new),
            magnetic_gauss: self.magnetic_gauss.map(F32::new),
            temperature_raw: self.temperature_raw.into(),
            humidity_raw: self.humidity_raw.into(),
            tdc_full: self.tdc_full.into(),
            aes_full: self.aes_full.into(),
            flush_count: self.flush_count.into(),
        };
        out.put_slice(record.as_bytes());
        let Some(duration_us) = self.slice_duration_us else {
            return;
        };
        out.put_u32(duration_us);
        let Some(sizes) = self.fifo_sizes else { return };
        out.put_u16(sizes.tdc);
        out.put_u16(sizes.aes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fields: &TmchFields) -> Vec<u8> {
        let mut body = Vec::new();
        fields.encode(&mut body);
        body
    }

    #[test]
    fn bit_31_of_the_veto_is_no_channel_and_that_of_the_status_is_the_time_sync() {
        let body = body(&TmchFields {
            hrv: 1 << 31 | 1 << 30,
            dom_status: [1 << 31, 0, 0, 0],
            flags: 0b1110,
            ..TmchFields::default()
        });
        let packet = Tmch::decode(&body).unwrap();
        assert_eq!(packet.hrv_bits(), 1 << 30);
        assert!(packet.white_rabbit_ok());
        assert_eq!(packet.version_bits(), 0b111);
        assert!(!packet.ahrs_valid());
    }

    #[test]
    fn a_packet_with_ticks_of_a_second_is_refused() {
        let of = |ticks| TmchFields {
            ticks,
            ..TmchFields::default()
        };
        assert!(Tmch::decode(&body(&of(62_499_999))).is_ok());
        let got = Tmch::decode(&body(&of(62_500_000))).unwrap_err();
        assert_eq!(got.reason(), "ticks_beyond_second");
    }
}
