//! Reads DETX files of versions 1 to 5.

use std::collections::HashMap;

use crate::km3net::{DetectorId, DomId};

use super::detector::{Detector, Module, Place, Pmt, Utm, Validity};
use super::error::{DetxError, DetxWarning};
use super::lines::{DataLines, Line};
use super::position::crossing_point;
use super::write::DetxVersion;

const HEAD_WORDS: &str = "detector id and version, or detector id and number of modules";

/// A detector read from a file, and what was odd in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedDetx {
    /// The detector.
    pub detector: Detector,
    /// Version of the file.
    pub version: DetxVersion,
    /// What the operator should know.
    pub warnings: Vec<DetxWarning>,
}

/// The lines before the first module.
struct Head {
    id: DetectorId,
    version: DetxVersion,
    validity: Option<Validity>,
    utm: Option<Utm>,
    modules: usize,
    modules_line: usize,
}

/// A module, its line and its floor as the file gives it.
struct Record {
    line: usize,
    floor: i64,
    module: Module,
}

impl Detector {
    /// Reads the bytes of a DETX file; comments may be in any encoding.
    pub fn parse(bytes: &[u8]) -> Result<ParsedDetx, DetxError> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = DataLines::new(&text);
        let head = Head::parse(&mut lines)?;
        let (mut records, mut warnings) = parse_modules(&mut lines, &head)?;
        number_unknown_floors(&mut records);
        check_ids(&records)?;
        warnings.extend(same_places(&records));
        let mut detector = Self::new(head.id, records.into_iter().map(|r| r.module).collect());
        detector.validity = head.validity;
        detector.utm = head.utm;
        Ok(ParsedDetx {
            detector,
            version: head.version,
            warnings,
        })
    }
}

impl Head {
    fn parse(lines: &mut DataLines<'_>) -> Result<Self, DetxError> {
        let first = lines.expect(HEAD_WORDS)?;
        first.check(2, HEAD_WORDS)?;
        let id = DetectorId(first.integer(0, "detector id")?);
        if !first.word(1).starts_with(['v', 'V']) {
            return Ok(Self {
                id,
                version: DetxVersion::V1,
                validity: None,
                utm: None,
                modules: first.integer(1, "number of modules, or v and a version")?,
                modules_line: first.number,
            });
        }
        let version = DetxVersion::from_word(first.word(1))
            .filter(|v| *v != DetxVersion::V1)
            .ok_or_else(|| first.wrong(1, "version v2 to v5"))?;
        let validity = parse_validity(&lines.expect("time of validity")?)?;
        let utm = parse_utm(&lines.expect("UTM reference point")?)?;
        let count = lines.expect("number of modules")?;
        count.check(1, "number of modules")?;
        Ok(Self {
            id,
            version,
            validity: Some(validity),
            utm: Some(utm),
            modules: count.integer(0, "number of modules")?,
            modules_line: count.number,
        })
    }
}

fn parse_validity(line: &Line<'_>) -> Result<Validity, DetxError> {
    line.check(2, "valid from, valid until")?;
    let [from_s, until_s] = line.floats(0, "UTC seconds")?;
    Ok(Validity { from_s, until_s })
}

fn parse_utm(line: &Line<'_>) -> Result<Utm, DetxError> {
    line.check(6, "UTM, ellipsoid, zone, easting, northing, z")?;
    if line.word(0) != "UTM" {
        return Err(line.wrong(0, "the word UTM"));
    }
    let [easting_m, northing_m, z_m] = line.floats(3, "easting, northing and z in metres")?;
    let (ellipsoid, zone) = (line.word(1).to_owned(), line.word(2).to_owned());
    Ok(Utm {
        ellipsoid,
        zone,
        easting_m,
        northing_m,
        z_m,
    })
}

/// Reads all module records; more or fewer than announced is a warning.
fn parse_modules(
    lines: &mut DataLines<'_>,
    head: &Head,
) -> Result<(Vec<Record>, Vec<DetxWarning>), DetxError> {
    let mut records = Vec::new();
    let mut warnings = Vec::new();
    while let Some(line) = lines.next() {
        let record = match parse_module(&line, head.version) {
            Err(_) if records.len() >= head.modules => {
                warnings.push(DetxWarning::ExtraLines { line: line.number });
                break;
            }
            other => other,
        };
        records.push(record?.with_pmts(lines, &line, head.version)?);
    }
    if records.len() != head.modules {
        warnings.push(DetxWarning::ModuleCount {
            line: head.modules_line,
            announced: head.modules,
            found: records.len(),
        });
    }
    Ok((records, warnings))
}

fn parse_module(line: &Line<'_>, version: DetxVersion) -> Result<Record, DetxError> {
    line.check(version.module_words(), version.module_line())?;
    let mut module = Module {
        id: DomId(line.integer(0, "module id")?),
        place: Place {
            du: line.integer(1, "number of the string")?,
            floor: 0,
        },
        position_m: [0.0; 3],
        orientation: [1.0, 0.0, 0.0, 0.0],
        t0_ns: 0.0,
        status: None,
        pmts: Vec::new(),
    };
    if version.has_module_position() {
        module.position_m = line.floats(3, "module position in metres")?;
        module.orientation = line.floats(6, "quaternion of the module")?;
        module.t0_ns = line.float(10, "t0 of the module in ns")?;
    }
    if version.has_module_status() {
        module.status = Some(line.integer(11, "status bits of the module")?);
    }
    let floor = line.integer(2, "floor")?;
    if !(-1..=i64::from(u32::MAX)).contains(&floor) {
        return Err(line.wrong(2, "floor, or -1 when unknown"));
    }
    Ok(Record {
        line: line.number,
        floor,
        module,
    })
}

impl Record {
    /// Reads the PMT lines that the module line announces in its last word.
    fn with_pmts(
        mut self,
        lines: &mut DataLines<'_>,
        line: &Line<'_>,
        version: DetxVersion,
    ) -> Result<Self, DetxError> {
        let announced = line.integer(line.len() - 1, "number of PMTs")?;
        let pmts = &mut self.module.pmts;
        while pmts.len() < announced {
            let (id, got) = (self.module.id, pmts.len());
            let Some(pmt) = lines.next() else {
                let line = lines.last_number();
                return Err(DetxError::MissingPmts {
                    line,
                    id,
                    got,
                    announced,
                });
            };
            if pmt.len() != version.pmt_words() && pmt.len() == version.module_words() {
                let line = pmt.number;
                return Err(DetxError::MissingPmts {
                    line,
                    id,
                    got,
                    announced,
                });
            }
            pmts.push(parse_pmt(&pmt, version)?);
        }
        if !version.has_module_position() {
            self.module.position_m = crossing_point(&self.module.pmts);
        }
        self.module.place.floor = u32::try_from(self.floor).unwrap_or(0);
        Ok(self)
    }
}

fn parse_pmt(line: &Line<'_>, version: DetxVersion) -> Result<Pmt, DetxError> {
    line.check(version.pmt_words(), version.pmt_line())?;
    let status = match version.has_pmt_status() {
        true => Some(line.integer(8, "status bits of the PMT")?),
        false => None,
    };
    Ok(Pmt {
        id: line.integer(0, "PMT id")?,
        position_m: line.floats(1, "PMT position in metres")?,
        direction: line.floats(4, "direction of the PMT")?,
        t0_ns: line.float(7, "t0 of the PMT in ns")?,
        status,
    })
}

/// Gives modules whose floor is -1 the floors 1, 2, 3 ... of their string in file order.
fn number_unknown_floors(records: &mut [Record]) {
    let mut next: HashMap<u32, u32> = HashMap::new();
    for record in records.iter_mut().filter(|r| r.floor == -1) {
        let floor = next.entry(record.module.place.du).or_insert(0);
        *floor += 1;
        record.module.place.floor = *floor;
    }
}

fn check_ids(records: &[Record]) -> Result<(), DetxError> {
    let mut seen: HashMap<DomId, usize> = HashMap::new();
    for Record { line, module, .. } in records {
        if let Some(first_line) = seen.insert(module.id, *line) {
            return Err(DetxError::DuplicateModule {
                line: *line,
                id: module.id,
                first_line,
            });
        }
    }
    Ok(())
}

fn same_places(records: &[Record]) -> Vec<DetxWarning> {
    let mut seen: HashMap<Place, DomId> = HashMap::new();
    let mut warnings = Vec::new();
    for Record { line, module, .. } in records {
        let (line, place) = (*line, module.place);
        match seen.get(&place) {
            Some(&other) => warnings.push(DetxWarning::SamePlace { line, place, other }),
            None => {
                seen.insert(place, module.id);
            }
        }
    }
    warnings
}
