//! All fields of every payload as serde sees them, for people and for other programs.
//!
//! Fields of 64 bits are decimal strings because they do not fit into a JSON number; a float that
//! is no number or infinite is null. Names are those of the collaboration's reference values.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::digest::hex;
use super::event::Event;
use super::header::{Header, data_type};
use super::ids::ChannelId;
use super::msg::LogMessage;
use super::oline::{Fit, OnlineReco, Variables};
use super::payload::Payload;
use super::status::FrameStatus;
use super::summary::{SUMMARY_VERSION, SummaryFrame, SummarySlice};
use super::timeslice::{SuperFrame, SuperFrames, TimeSlice};
use super::tmch::Tmch;

/// A 64 bit integer as decimal string.
struct Wide(u64);

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A float, or null when it is no finite number.
fn finite(value: impl Into<f64>) -> Option<f64> {
    Some(value.into()).filter(|v| v.is_finite())
}

fn finite_all<const N: usize>(values: [f32; N]) -> impl Serialize {
    values.map(finite).to_vec()
}

fn channels(bits: u32) -> Vec<ChannelId> {
    ChannelId::of_bits(bits).collect()
}

/// Writes the fields of the common header into an open map.
fn header_fields<M: SerializeStruct>(map: &mut M, header: &Header) -> Result<(), M::Error> {
    map.serialize_field("det_id", &header.detector_id)?;
    map.serialize_field("run", &header.run)?;
    map.serialize_field("frame_index", &header.frame_index)?;
    map.serialize_field("wr_bit", &u8::from(header.white_rabbit))?;
    map.serialize_field("utc_seconds", &header.utc_seconds)?;
    map.serialize_field("ticks_16ns", &header.ticks)?;
    map.serialize_field("nanoseconds", &header.nanoseconds())
}

/// Writes the status words and what they mean into an open map.
fn status_fields<M: SerializeStruct>(map: &mut M, status: &FrameStatus) -> Result<(), M::Error> {
    map.serialize_field("daq", &status.daq_word())?;
    map.serialize_field("status", &status.status_word())?;
    map.serialize_field("fifo", &status.fifo_word())?;
    map.serialize_field("status_3", &status.status_3())?;
    map.serialize_field("status_4", &status.status_4())?;
    map.serialize_field("udp_packets_received", &status.udp_packets_received())?;
    map.serialize_field("udp_max_sequence", &status.udp_max_sequence())?;
    map.serialize_field("udp_trailer", &status.udp_trailer())?;
    map.serialize_field("white_rabbit_ok", &status.white_rabbit_ok())?;
    map.serialize_field("hrv_channels", &channels(status.hrv_bits()))?;
    map.serialize_field("fifo_channels", &channels(status.fifo_bits()))
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Header", 7)?;
        header_fields(&mut map, self)?;
        map.end()
    }
}

impl Serialize for FrameStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("FrameStatus", 11)?;
        status_fields(&mut map, self)?;
        map.end()
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Event", 21)?;
        map.serialize_field("type", &data_type::EVENT)?;
        map.serialize_field("version", &self.version())?;
        header_fields(&mut map, &self.header)?;
        map.serialize_field("trigger_counter", &Wide(self.trigger_counter))?;
        map.serialize_field("trigger_mask", &self.trigger_mask)?;
        map.serialize_field("overlays", &self.overlays)?;
        map.serialize_field("is_3dshower", &self.trigger_mask.is_3d_shower())?;
        map.serialize_field("is_mxshower", &self.trigger_mask.is_mx_shower())?;
        map.serialize_field("is_3dmuon", &self.trigger_mask.is_3d_muon())?;
        map.serialize_field("is_nb", &self.trigger_mask.is_nano_beacon())?;
        map.serialize_field("is_factory_limit", &self.trigger_mask.is_factory_limit())?;
        map.serialize_field("n_triggered", &self.triggered.len())?;
        map.serialize_field("n_snapshot", &self.snapshot.len())?;
        map.serialize_field("triggered_hits", self.triggered)?;
        map.serialize_field("snapshot_hits", self.snapshot)?;
        map.end()
    }
}

impl Serialize for SummarySlice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SummarySlice", 11)?;
        map.serialize_field("type", &data_type::SUMMARY_SLICE)?;
        map.serialize_field("version", &SUMMARY_VERSION)?;
        header_fields(&mut map, &self.header)?;
        map.serialize_field("n_frames", &self.frames.len())?;
        map.serialize_field("frames", self.frames)?;
        map.end()
    }
}

impl Serialize for SummaryFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SummaryFrame", 15)?;
        map.serialize_field("dom_id", &self.dom_id())?;
        status_fields(&mut map, self.status())?;
        map.serialize_field("codes", self.codes())?;
        map.serialize_field("rate_hz", &self.rates_hz())?;
        map.serialize_field("dom_rate_hz", &self.dom_rate_hz())?;
        map.end()
    }
}

impl Serialize for TimeSlice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("TimeSlice", 13)?;
        map.serialize_field("type", &self.data_type)?;
        map.serialize_field("version", &self.version())?;
        map.serialize_field("level", &self.level)?;
        header_fields(&mut map, &self.header)?;
        map.serialize_field("n_frames", &self.frames().len())?;
        map.serialize_field("n_hits", &self.hit_count())?;
        map.serialize_field("frames", &self.frames())?;
        map.end()
    }
}

impl Serialize for SuperFrames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}

impl Serialize for SuperFrame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SuperFrame", 24)?;
        map.serialize_field("length", &self.encoded_len())?;
        map.serialize_field("type", &data_type::SUPER_FRAME)?;
        header_fields(&mut map, &self.header)?;
        map.serialize_field("dom_id", &self.dom_id)?;
        status_fields(&mut map, &self.status)?;
        map.serialize_field("defect", &self.defect())?;
        map.serialize_field("n_hits", &self.hits.len())?;
        map.serialize_field("hits", self.hits)?;
        map.end()
    }
}

impl Serialize for Tmch<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Tmch", 32)?;
        map.serialize_field("run", &self.run().0.cast_unsigned())?;
        map.serialize_field("udp_sequence_number", &self.udp_sequence_number())?;
        map.serialize_field("utc_seconds", &self.utc_seconds())?;
        map.serialize_field("ticks_16ns", &self.ticks())?;
        map.serialize_field("nanoseconds", &self.nanoseconds())?;
        map.serialize_field("dom_id", &self.dom_id())?;
        map.serialize_field("dom_status", &self.dom_status())?;
        map.serialize_field("white_rabbit_ok", &self.white_rabbit_ok())?;
        map.serialize_field("rate_counts", &self.rate_counts())?;
        map.serialize_field("rates_hz", &self.rates_hz())?;
        map.serialize_field("hrv", &self.hrv())?;
        map.serialize_field("hrv_channels", &channels(self.hrv()))?;
        map.serialize_field("flags", &self.flags())?;
        map.serialize_field("ahrs_valid", &u8::from(self.ahrs_valid()))?;
        map.serialize_field("version_bits", &self.version_bits())?;
        let [yaw, pitch, roll] = self.ypr_deg().map(finite);
        map.serialize_field("yaw", &yaw)?;
        map.serialize_field("pitch", &pitch)?;
        map.serialize_field("roll", &roll)?;
        map.serialize_field("A", &finite_all(self.acceleration_g()))?;
        map.serialize_field("G", &finite_all(self.gyroscope()))?;
        map.serialize_field("H", &finite_all(self.magnetic_gauss()))?;
        map.serialize_field("temp_raw", &self.temperature_raw())?;
        map.serialize_field("temperature_c", &self.temperature_c())?;
        map.serialize_field("humidity_raw", &self.humidity_raw())?;
        map.serialize_field("humidity_pct", &self.humidity_pct())?;
        map.serialize_field("tdcfull", &self.tdc_full())?;
        map.serialize_field("aesfull", &self.aes_full())?;
        map.serialize_field("flushc", &self.flush_count())?;
        map.serialize_field("slice_duration_us", &self.slice_duration_us())?;
        map.serialize_field("tdc_supertime_fifo_size", &self.fifo_sizes().map(|s| s.tdc))?;
        map.serialize_field("aes_supertime_fifo_size", &self.fifo_sizes().map(|s| s.aes))?;
        map.serialize_field("extra_bytes", &self.extra_bytes())?;
        map.end()
    }
}

impl Serialize for OnlineReco {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("OnlineReco", 10)?;
        map.serialize_field("type", &data_type::ONLINE_RECO)?;
        map.serialize_field("det_id", &self.detector_id)?;
        map.serialize_field("run", &self.run)?;
        map.serialize_field("frame_index", &self.frame_index)?;
        map.serialize_field("trigger_counter", &Wide(self.trigger_counter))?;
        map.serialize_field("utc_seconds", &self.utc_seconds)?;
        map.serialize_field("shower", &self.shower)?;
        map.serialize_field("track", &self.track)?;
        map.serialize_field("multivariables", &self.variables)?;
        map.serialize_field("extra_bytes", &self.extra_bytes)?;
        map.end()
    }
}

impl Serialize for Fit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Fit", 12)?;
        let [x, y, z] = self.position_m.map(finite);
        let [dx, dy, dz] = self.direction.map(finite);
        map.serialize_field("x", &x)?;
        map.serialize_field("y", &y)?;
        map.serialize_field("z", &z)?;
        map.serialize_field("dx", &dx)?;
        map.serialize_field("dy", &dy)?;
        map.serialize_field("dz", &dz)?;
        map.serialize_field("E", &finite(self.energy_gev))?;
        map.serialize_field("Q", &finite(self.quality))?;
        map.serialize_field("t", &finite(self.time_ns))?;
        map.serialize_field("type", &self.kind)?;
        map.serialize_field("status", &self.status)?;
        map.serialize_field("ndf", &self.ndf)?;
        map.end()
    }
}

impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Variables", 8)?;
        map.serialize_field("charge_centre", &finite(self.charge_centre))?;
        map.serialize_field("charge_total", &finite(self.charge_total))?;
        map.serialize_field("charge_above", &finite(self.charge_above))?;
        map.serialize_field("charge_below", &finite(self.charge_below))?;
        map.serialize_field("charge_ratio", &finite(self.charge_ratio))?;
        map.serialize_field("delta_z", &finite(self.delta_z))?;
        map.serialize_field("triggered_hits", &self.triggered_hits)?;
        map.serialize_field("snapshot_hits", &self.snapshot_hits)?;
        map.end()
    }
}

impl Serialize for LogMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("LogMessage", 3)?;
        map.serialize_field("text", self.text())?;
        map.serialize_field("source", &self.source())?;
        map.serialize_field("fields", &self.fields())?;
        map.end()
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Event(event) => event.serialize(serializer),
            Self::Summary(slice) => slice.serialize(serializer),
            Self::TimeSlice(slice) => slice.serialize(serializer),
            Self::Monitoring(packet) => packet.serialize(serializer),
            Self::Online(reco) => reco.serialize(serializer),
            Self::Arrivals(arrivals) => {
                let mut map = serializer.serialize_struct("Arrivals", 1)?;
                map.serialize_field("arrivals", arrivals)?;
                map.end()
            }
            Self::Message(message) => message.serialize(serializer),
            Self::Opaque(body) => {
                let mut map = serializer.serialize_struct("Opaque", 2)?;
                map.serialize_field("payload_len", &body.len())?;
                map.serialize_field("body_hex", &hex(body))?;
                map.end()
            }
        }
    }
}
