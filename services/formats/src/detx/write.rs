//! Versions of the DETX format, and the writer.

use std::fmt::Write;

use super::detector::{Detector, Module, Pmt, Utm, Validity};

/// Version of a DETX file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DetxVersion {
    /// One header line.
    V1,
    /// With validity and reference point.
    V2,
    /// With PMT status.
    V3,
    /// With position, orientation and t0 of modules.
    V4,
    /// With module status.
    V5,
}

impl DetxVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] = [Self::V1, Self::V2, Self::V3, Self::V4, Self::V5];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        let number: u8 = word.get(1..)?.parse().ok()?;
        Self::ALL.into_iter().find(|v| v.number() == number)
    }

    /// Returns the number of the version.
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
            Self::V5 => 5,
        }
    }

    pub(super) fn has_pmt_status(self) -> bool {
        self >= Self::V3
    }

    pub(super) fn has_module_position(self) -> bool {
        self >= Self::V4
    }

    pub(super) fn has_module_status(self) -> bool {
        self >= Self::V5
    }

    pub(super) fn module_words(self) -> usize {
        match self {
            Self::V1 | Self::V2 | Self::V3 => 4,
            Self::V4 => 12,
            Self::V5 => 13,
        }
    }

    pub(super) fn pmt_words(self) -> usize {
        if self.has_pmt_status() { 9 } else { 8 }
    }

    pub(super) fn module_line(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 | Self::V3 => "4: id, string, floor, number of PMTs",
            Self::V4 => "12: id, string, floor, x, y, z, q0, qx, qy, qz, t0, number of PMTs",
            Self::V5 => {
                "13: id, string, floor, x, y, z, q0, qx, qy, qz, t0, status, number of PMTs"
            }
        }
    }

    pub(super) fn pmt_line(self) -> &'static str {
        if self.has_pmt_status() {
            "9: PMT id, x, y, z, dx, dy, dz, t0, status"
        } else {
            "8: PMT id, x, y, z, dx, dy, dz, t0"
        }
    }
}

impl Detector {
    /// Writes the detector as DETX; numbers keep all their digits.
    ///
    /// Versions 1 to 3 have no base modules and lose what they have no column for.
    pub fn to_detx(&self, version: DetxVersion) -> String {
        let mut text = String::new();
        let modules: Vec<&Module> = match version.has_module_position() {
            true => self.modules().iter().collect(),
            false => self.optical_modules().collect(),
        };
        write_head(&mut text, self, version, modules.len())
            .and_then(|()| {
                modules
                    .iter()
                    .try_for_each(|m| write_module(&mut text, m, version))
            })
            .expect("writing into a string cannot fail");
        text
    }
}

fn write_head(
    text: &mut String,
    detector: &Detector,
    version: DetxVersion,
    modules: usize,
) -> std::fmt::Result {
    if version == DetxVersion::V1 {
        return writeln!(text, "{} {modules}", detector.id);
    }
    let validity = detector.validity.unwrap_or(Validity {
        from_s: 0.0,
        until_s: 9_999_999_999.0,
    });
    let unknown = Utm {
        ellipsoid: "WGS84".to_owned(),
        zone: "32N".to_owned(),
        easting_m: 0.0,
        northing_m: 0.0,
        z_m: 0.0,
    };
    let utm = detector.utm.as_ref().unwrap_or(&unknown);
    writeln!(text, "{} v{}", detector.id, version.number())?;
    writeln!(text, "{:?} {:?}", validity.from_s, validity.until_s)?;
    write!(text, "UTM {} {} ", utm.ellipsoid, utm.zone)?;
    writeln!(
        text,
        "{:?} {:?} {:?}",
        utm.easting_m, utm.northing_m, utm.z_m
    )?;
    writeln!(text, "{modules}")
}

fn write_module(text: &mut String, module: &Module, version: DetxVersion) -> std::fmt::Result {
    write!(
        text,
        "{} {} {}",
        module.id, module.place.du, module.place.floor
    )?;
    if version.has_module_position() {
        for value in module.position_m.iter().chain(&module.orientation) {
            write!(text, " {value:?}")?;
        }
        write!(text, " {:?}", module.t0_ns)?;
    }
    if version.has_module_status() {
        write!(text, " {}", module.status.unwrap_or(0))?;
    }
    writeln!(text, " {}", module.pmts.len())?;
    module
        .pmts
        .iter()
        .try_for_each(|pmt| write_pmt(text, pmt, version))
}

fn write_pmt(text: &mut String, pmt: &Pmt, version: DetxVersion) -> std::fmt::Result {
    write!(text, " {}", pmt.id)?;
    for value in pmt.position_m.iter().chain(&pmt.direction) {
        write!(text, " {value:?}")?;
    }
    write!(text, " {:?}", pmt.t0_ns)?;
    if version.has_pmt_status() {
        write!(text, " {}", pmt.status.unwrap_or(0))?;
    }
    writeln!(text)
}
