//! Detectors from tables of the data base: which module is where, without geometry.
//!
//! A table of the stream data service is text with tabs; its first line names the columns. Of the map
//! of central logic boards DUID, FLOORID and DOMID are read, and the product id in UPI where there is
//! one, in any order and case; all others are skipped:
//!
//! ```text
//! DETOID     DUID  FLOORID  SERIALNUMBER  UPI                   DOMID
//! D_ORCA003  1     0        267           3.4.3.2/V2-2-1/2.267  808476701
//! D_ORCA003  1     1        410           3.4.3.2/V2-2-1/2.410  808432836
//! ```

use std::collections::HashMap;

use crate::km3net::{CHANNELS, DetectorId, DomId};

use super::detector::{Detector, Module, Place, Pmt};
use super::optics::{DOM_RADIUS_M, pmt_directions};

/// Columns that there must be.
const COLUMNS: [&str; 3] = ["DOMID", "DUID", "FLOORID"];
/// Column with the product ids of the boards, which need not be there.
const UPI: &str = "UPI";
/// Longest product id.
const UPI_CHARS_MAX: usize = 100;
/// Most rows: ten times the largest detector.
const ROWS_MAX: usize = 50_000;
/// Longest text of a server's refusal, and longest word, that an error repeats.
const SHOWN_MAX: usize = 80;

/// Why a table is no detector; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The server says so itself.
    #[error("line 1: the server answers {0:?}")]
    Refused(String),
    /// The first line does not name a column that is needed.
    #[error("line 1: no column {column}, expected DOMID, DUID and FLOORID")]
    Column {
        /// Its name.
        column: &'static str,
    },
    /// A line has another number of fields than the first one.
    #[error("line {line}: {got} fields, expected {expected}")]
    Fields {
        /// The line.
        line: usize,
        /// Fields found.
        got: usize,
        /// Columns.
        expected: usize,
    },
    /// A field is no number that fits.
    #[error("line {line}: {word:?}, expected a number for {column}")]
    Number {
        /// The line.
        line: usize,
        /// Its column.
        column: &'static str,
        /// The field, cut to a readable length.
        word: String,
    },
    /// Two lines have the same module.
    #[error("line {line}: module {id} is already on line {first_line}")]
    Duplicate {
        /// The line of the second one.
        line: usize,
        /// The module.
        id: DomId,
        /// The line of the first one.
        first_line: usize,
    },
    /// No modules at all.
    #[error("the table has no rows")]
    Empty,
    /// Too many modules.
    #[error("line {0}: more than {ROWS_MAX} modules")]
    TooLong(usize),
}

impl Detector {
    /// Tells whether bytes look like a table of the data base, or the refusal of one, rather than
    /// DETX.
    pub fn is_table(bytes: &[u8]) -> bool {
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
        let first = String::from_utf8_lossy(first).to_ascii_uppercase();
        first.starts_with("ERROR") || first.split('\t').any(|name| COLUMNS.contains(&name.trim()))
    }

    /// Reads a table. Positions and calibrations are those of `ground`: of the same module, else, for
    /// one that was exchanged, of the module that was at its place; modules that are new to it stand
    /// at the reference point and look as built. Floor 0 is the base module, which has no PMTs.
    ///
    /// # Errors
    /// When a line cannot be read: half a detector is worse than the former one.
    pub fn from_table(
        bytes: &[u8],
        id: DetectorId,
        ground: Option<&Self>,
    ) -> Result<Self, TableError> {
        let rows = rows(&String::from_utf8_lossy(bytes))?;
        let modules = rows.iter().map(|row| module(row.id, row.place, ground));
        let mut detector = Self::new(id, modules.collect());
        let upis = rows.into_iter().filter_map(|row| Some((row.id, row.upi?)));
        detector.upis = upis.collect();
        // The table says who is where now; when that holds it does not say.
        detector.utm = ground.and_then(|ground| ground.utm.clone());
        Ok(detector)
    }
}

/// A line of the table.
struct Row {
    id: DomId,
    place: Place,
    upi: Option<String>,
}

/// Returns the lines in their order.
fn rows(text: &str) -> Result<Vec<Row>, TableError> {
    let mut lines = text.lines().zip(1..);
    let head = lines.next().map_or("", |(head, _)| head.trim_end());
    if head.to_ascii_uppercase().starts_with("ERROR") {
        return Err(TableError::Refused(head.chars().take(SHOWN_MAX).collect()));
    }
    let names: Vec<&str> = head.split('\t').map(str::trim).collect();
    let find = |column: &str| names.iter().position(|n| n.eq_ignore_ascii_case(column));
    let at = |column: &'static str| find(column).ok_or(TableError::Column { column });
    let [id, du, floor] = COLUMNS.map(at);
    let (id, du, floor, upi) = (id?, du?, floor?, find(UPI));
    let mut rows = Vec::new();
    let mut first_lines = HashMap::new();
    for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        if fields.len() != names.len() {
            return Err(TableError::Fields {
                line: number,
                got: fields.len(),
                expected: names.len(),
            });
        }
        if rows.len() >= ROWS_MAX {
            return Err(TableError::TooLong(number));
        }
        let read = |at: usize, column| integer(fields.get(at), column, number);
        let dom = DomId(read(id, "DOMID")?);
        if let Some(first_line) = first_lines.insert(dom, number) {
            return Err(TableError::Duplicate {
                line: number,
                id: dom,
                first_line,
            });
        }
        let place = Place {
            du: read(du, "DUID")?,
            floor: read(floor, "FLOORID")?,
        };
        rows.push(Row {
            id: dom,
            place,
            upi: product_id(upi.and_then(|at| fields.get(at).copied())),
        });
    }
    match rows.is_empty() {
        true => Err(TableError::Empty),
        false => Ok(rows),
    }
}

/// Returns a product id; an empty field is none, and neither is one that is too long to be one.
fn product_id(field: Option<&str>) -> Option<String> {
    let is_one = |upi: &&str| !upi.is_empty() && upi.chars().count() <= UPI_CHARS_MAX;
    field.filter(is_one).map(str::to_owned)
}

fn integer(word: Option<&&str>, column: &'static str, line: usize) -> Result<u32, TableError> {
    let word = word.copied().unwrap_or_default();
    word.parse().map_err(|_| TableError::Number {
        line,
        column,
        word: word.chars().take(SHOWN_MAX).collect(),
    })
}

fn module(id: DomId, place: Place, ground: Option<&Detector>) -> Module {
    let known = ground.and_then(|ground| {
        let same = ground.module(id);
        same.or_else(|| ground.module_at(place.du, place.floor))
    });
    match known {
        Some(known) => Module {
            id,
            place,
            ..known.clone()
        },
        None => Module {
            id,
            place,
            position_m: [0.0; 3],
            orientation: [1.0, 0.0, 0.0, 0.0],
            t0_ns: 0.0,
            status: None,
            pmts: match place.floor {
                0 => Vec::new(),
                _ => as_built(id),
            },
        },
    }
}

/// Returns the PMTs of an unrotated module at the reference point.
fn as_built(id: DomId) -> Vec<Pmt> {
    let first_id = i64::from(id.0) * CHANNELS as i64;
    let directions = pmt_directions().into_iter().zip(first_id..);
    let pmt = |(direction, id): ([f64; 3], i64)| Pmt {
        id,
        position_m: direction.map(|d| d * DOM_RADIUS_M),
        direction,
        t0_ns: 0.0,
        status: None,
    };
    directions.map(pmt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detx::Layout;

    const ID: DetectorId = DetectorId(44);

    fn table(rows: &str) -> Result<Detector, TableError> {
        let text = format!("DETOID\tDUID\tFLOORID\tUPI\tDOMID\n{rows}");
        Detector::from_table(text.as_bytes(), ID, None)
    }

    #[test]
    fn modules_stand_where_the_table_says() {
        let rows = "D_X\t1\t0\t3.4/1\t808\r\nD_X\t1\t1\t3.4/2\t809\n\nD_X\t3\t2\t3.4/3\t810\n";
        let detector = table(rows).unwrap();
        assert_eq!((detector.id, detector.dus()), (ID, &[1, 3][..]));
        assert_eq!(detector.optical_modules().count(), 2);
        let place = detector.place(DomId(810)).unwrap();
        assert_eq!((place.du, place.floor), (3, 2));
        assert_eq!(detector.module(DomId(809)).unwrap().pmts.len(), CHANNELS);
        assert!(detector.module(DomId(808)).unwrap().is_base());
        assert_eq!(detector.upi(DomId(808)), Some("3.4/1"));
        assert_eq!(detector.upi(DomId(811)), None);
    }

    #[test]
    fn a_table_may_lack_product_ids() {
        let text = "DOMID\tDUID\tFLOORID\n809\t1\t1\n";
        let detector = Detector::from_table(text.as_bytes(), ID, None).unwrap();
        assert_eq!(detector.upi(DomId(809)), None);
        let long = "x".repeat(200);
        let detector = table(&format!("D_X\t1\t1\t\t809\nD_X\t1\t2\t{long}\t810\n")).unwrap();
        assert_eq!([809, 810].map(|id| detector.upi(DomId(id))), [None; 2]);
    }

    #[test]
    fn an_exchanged_module_has_the_geometry_of_its_place() {
        let ground = Detector::generated(&Layout::orca(1));
        let old = ground.module_at(1, 7).unwrap();
        let text = "domid\tduid\tfloorid\n999\t1\t7\n";
        let detector = Detector::from_table(text.as_bytes(), ID, Some(&ground)).unwrap();
        let new = detector.module(DomId(999)).unwrap();
        assert_eq!(new.position_m, old.position_m);
        assert_eq!(new.pmts, old.pmts);
        assert_eq!(detector.utm, ground.utm);
        // A module that moved keeps what was measured of it, at its new place.
        let text = format!("domid\tduid\tfloorid\n{}\t1\t8\n", old.id);
        let moved = Detector::from_table(text.as_bytes(), ID, Some(&ground)).unwrap();
        assert_eq!(moved.module_at(1, 8).unwrap().pmts, old.pmts);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("D_X\t1\t0\t3.4\n", "line 2: 4 fields, expected 5"),
            (
                "D_X\t1\tx\t3.4\t9\n",
                "line 2: \"x\", expected a number for FLOORID",
            ),
            (
                "D_X\t1\t1\t3.4\t-9\n",
                "line 2: \"-9\", expected a number for DOMID",
            ),
            (
                "D\t1\t1\tu\t9\nD\t1\t2\tu\t9\n",
                "line 3: module 9 is already on line 2",
            ),
            ("", "the table has no rows"),
        ];
        for (rows, expected) in cases {
            assert_eq!(table(rows).unwrap_err().to_string(), expected);
        }
        let read = |text: &str| Detector::from_table(text.as_bytes(), ID, None);
        let error = read("DOMID\tDUID\n1\t1\n").unwrap_err().to_string();
        assert!(error.starts_with("line 1: no column FLOORID"), "{error}");
        let refused = read("ERROR: no such detector").unwrap_err();
        assert!(matches!(refused, TableError::Refused(_)));
    }

    #[test]
    fn tables_are_told_from_detx() {
        assert!(Detector::is_table(b"DETOID\tUPI\tDOMID\n"));
        assert!(Detector::is_table(b"ERROR: no rights\n"));
        let detx = Detector::generated(&Layout::orca(1)).to_detx(crate::detx::DetxVersion::V5);
        assert!(!Detector::is_table(detx.as_bytes()));
        assert!(!Detector::is_table(b""));
        assert!(!Detector::is_table(b"\xff\xfe\t1"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_detector_or_an_error(bytes: Vec<u8>, rows: Vec<u8>) {
            let whole = [b"DOMID\tDUID\tFLOORID\n".as_slice(), &rows].concat();
            for bytes in [bytes, whole] {
                let _known = Detector::is_table(&bytes);
                if let Ok(detector) = Detector::from_table(&bytes, ID, None) {
                    proptest::prop_assert!(!detector.modules().is_empty());
                }
            }
        }
    }
}
