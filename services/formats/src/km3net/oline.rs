//! `IO_OLINE`: the result of the online reconstruction; little-endian.
//!
//! ```text
//! 0 preamble | 8 detector | 12 run | 16 frame index | 20 trigger counter u64 | 28 seconds u32
//! 32 shower 84 | 116 track 84 | 200 variables 56, optional
//! fit: x y z dx dy dz energy quality time (f64) | type status ndf (i32)
//! ```

use bytes::BufMut;
use zerocopy::byteorder::little_endian::{F64, I32, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{EncodeError, PayloadError};
use super::header::{Preamble, data_type};
use super::ids::{DetectorId, RunNumber};
use super::reader::Reader;

/// Bytes of the form without variables.
pub const ONLINE_RECO_BYTES: usize = 200;

/// A reconstructed event. Small and fixed, so its values are copied out of the body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnlineReco {
    /// Detector that took the data.
    pub detector_id: DetectorId,
    /// Run in which they were taken.
    pub run: RunNumber,
    /// Number of 100 ms frames since the run start.
    pub frame_index: i32,
    /// Counter of triggers; with run and frame index it names the event.
    pub trigger_counter: u64,
    /// UTC seconds of the frame start.
    pub utc_seconds: u32,
    /// Shower fit.
    pub shower: Fit,
    /// Track fit.
    pub track: Fit,
    /// Further variables, in bodies of 256 bytes and more.
    pub variables: Option<Variables>,
    /// Bytes behind the known fields; not written.
    pub extra_bytes: usize,
}

/// A fitted shower or track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Position, in m.
    pub position_m: [f64; 3],
    /// Direction in which the particle goes.
    pub direction: [f64; 3],
    /// Energy, in GeV.
    pub energy_gev: f64,
    /// Fit quality.
    pub quality: f64,
    /// Time, in ns.
    pub time_ns: f64,
    /// Type of the fit; -1 when nothing was fitted.
    pub kind: i32,
    /// Status of the fit; -1 when nothing was fitted.
    pub status: i32,
    /// Degrees of freedom; -1 when nothing was fitted.
    pub ndf: i32,
}

/// Variables of the whole event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Variables {
    /// Centre of charge.
    pub charge_centre: f64,
    /// Total charge.
    pub charge_total: f64,
    /// Charge above the centre.
    pub charge_above: f64,
    /// Charge below the centre.
    pub charge_below: f64,
    /// Ratio of charges.
    pub charge_ratio: f64,
    /// Extension in z.
    pub delta_z: f64,
    /// Number of triggered hits.
    pub triggered_hits: u32,
    /// Number of snapshot hits.
    pub snapshot_hits: u32,
}

impl Default for Fit {
    /// What is sent when nothing was fitted.
    fn default() -> Self {
        Self {
            position_m: [0.0; 3],
            direction: [0.0; 3],
            energy_gev: 0.0,
            quality: 0.0,
            time_ns: 0.0,
            kind: -1,
            status: -1,
            ndf: -1,
        }
    }
}

impl Fit {
    /// Returns whether anything was fitted.
    pub fn is_fitted(&self) -> bool {
        self.kind != -1
    }

    /// Returns the cosine of the zenith angle under which the particle came.
    pub fn cos_zenith(&self) -> f64 {
        let [_, _, dz] = self.direction;
        -dz
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FixedRecord {
    detector_id: I32,
    run: I32,
    frame_index: I32,
    trigger_counter: U64,
    utc_seconds: U32,
    shower: FitRecord,
    track: FitRecord,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FitRecord {
    position_m: [F64; 3],
    direction: [F64; 3],
    energy_gev: F64,
    quality: F64,
    time_ns: F64,
    kind: I32,
    status: I32,
    ndf: I32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct VariablesRecord {
    charges: [F64; 5],
    delta_z: F64,
    triggered_hits: U32,
    snapshot_hits: U32,
}

impl OnlineReco {
    /// Decodes the body of an `IO_OLINE` message; bytes behind the known fields are accepted.
    pub fn decode(body: &[u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(body);
        let got = Preamble::read(&mut reader, body)?;
        if got != data_type::ONLINE_RECO {
            return Err(PayloadError::WrongType {
                expected: data_type::ONLINE_RECO,
                got,
            });
        }
        let fixed: &FixedRecord = reader.record("reconstruction")?;
        let variables = reader
            .record::<VariablesRecord>("variables")
            .ok()
            .map(Variables::from);
        Ok(Self {
            detector_id: DetectorId(fixed.detector_id.get()),
            run: RunNumber(fixed.run.get()),
            frame_index: fixed.frame_index.get(),
            trigger_counter: fixed.trigger_counter.get(),
            utc_seconds: fixed.utc_seconds.get(),
            shower: fixed.shower.into(),
            track: fixed.track.into(),
            variables,
            extra_bytes: reader.left().len(),
        })
    }

    /// Appends the body of an `IO_OLINE` message.
    pub fn encode(&self, out: &mut impl BufMut) -> Result<(), EncodeError> {
        let variables = self.variables.as_ref().map(VariablesRecord::from);
        let length = ONLINE_RECO_BYTES + variables.as_ref().map_or(0, size_of_val);
        Preamble::put(data_type::ONLINE_RECO, length as u64, out)?;
        let fixed = FixedRecord {
            detector_id: self.detector_id.0.into(),
            run: self.run.0.into(),
            frame_index: self.frame_index.into(),
            trigger_counter: self.trigger_counter.into(),
            utc_seconds: self.utc_seconds.into(),
            shower: (&self.shower).into(),
            track: (&self.track).into(),
        };
        out.put_slice(fixed.as_bytes());
        if let Some(variables) = variables {
            out.put_slice(variables.as_bytes());
        }
        Ok(())
    }
}

impl From<FitRecord> for Fit {
    fn from(record: FitRecord) -> Self {
        Self {
            position_m: record.position_m.map(F64::get),
            direction: record.direction.map(F64::get),
            energy_gev: record.energy_gev.get(),
            quality: record.quality.get(),
            time_ns: record.time_ns.get(),
            kind: record.kind.get(),
            status: record.status.get(),
            ndf: record.ndf.get(),
        }
    }
}

impl From<&Fit> for FitRecord {
    fn from(fit: &Fit) -> Self {
        Self {
            position_m: fit.position_m.map(F64::new),
            direction: fit.direction.map(F64::new),
            energy_gev: fit.energy_gev.into(),
            quality: fit.quality.into(),
            time_ns: fit.time_ns.into(),
            kind: fit.kind.into(),
            status: fit.status.into(),
            ndf: fit.ndf.into(),
        }
    }
}

impl From<&VariablesRecord> for Variables {
    fn from(record: &VariablesRecord) -> Self {
        let [
            charge_centre,
            charge_total,
            charge_above,
            charge_below,
            charge_ratio,
        ] = record.charges.map(F64::get);
        Self {
            charge_centre,
            charge_total,
            charge_above,
            charge_below,
            charge_ratio,
            delta_z: record.delta_z.get(),
            triggered_hits: record.triggered_hits.get(),
            snapshot_hits: record.snapshot_hits.get(),
        }
    }
}

impl From<&Variables> for VariablesRecord {
    fn from(v: &Variables) -> Self {
        let charges = [
            v.charge_centre,
            v.charge_total,
            v.charge_above,
            v.charge_below,
            v.charge_ratio,
        ];
        Self {
            charges: charges.map(F64::new),
            delta_z: v.delta_z.into(),
            triggered_hits: v.triggered_hits.into(),
            snapshot_hits: v.snapshot_hits.into(),
        }
    }
}
