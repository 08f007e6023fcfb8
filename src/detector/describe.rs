//! Turns bytes, of a file or of the data base, into a detector.

use std::sync::Arc;

use fathom_formats::detx::Detector;
use fathom_formats::km3net::DetectorId;

/// A detector, and what was odd in its description.
pub(crate) type Described = (Arc<Detector>, Vec<String>);

/// Reads DETX. Messages begin with the name, and with the line where there is one.
pub(crate) fn read_detx(name: &str, bytes: &[u8]) -> Result<Described, String> {
    match Detector::parse(bytes) {
        Ok(parsed) => {
            let warnings = parsed.warnings.iter();
            let warnings = warnings.map(|warning| located(name, &warning.to_string()));
            Ok((Arc::new(parsed.detector), warnings.collect()))
        }
        Err(error) => Err(located(name, &error.to_string())),
    }
}

/// Reads what the data base answers: DETX, or a table that says which module is where. A table takes
/// its geometry from `ground`, and the id of the detector too when none is given.
pub(crate) fn describe(
    name: &str,
    bytes: &[u8],
    id: Option<DetectorId>,
    ground: Option<&Detector>,
) -> Result<Described, String> {
    if !Detector::is_table(bytes) {
        return read_detx(name, bytes);
    }
    let id = id.or(ground.map(|ground| ground.id)).ok_or_else(|| {
        format!("{name}: a table has no number of the detector, expected `id` or `file` as well")
    })?;
    let detector = Detector::from_table(bytes, id, ground);
    let detector = detector.map_err(|error| located(name, &error.to_string()))?;
    Ok((Arc::new(detector), Vec::new()))
}

/// The messages begin with `line N: `; with the name in front that is a place one can jump to.
fn located(name: &str, message: &str) -> String {
    match message.strip_prefix("line ") {
        Some(rest) => format!("{name}:{rest}"),
        None => format!("{name}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::detx::{DetxVersion, Layout};

    use super::*;

    #[test]
    fn answers_are_detx_or_tables() {
        let ground = Detector::generated(&Layout::orca(1));
        let detx = ground.to_detx(DetxVersion::V5);
        let (read, _) = describe("u", detx.as_bytes(), None, None).unwrap();
        assert_eq!(*read, ground);
        let table = b"DOMID\tDUID\tFLOORID\n7\t1\t1\n";
        let (read, _) = describe("u", table, None, Some(&ground)).unwrap();
        assert_eq!((read.id, read.modules().len()), (ground.id, 1));
        let (read, _) = describe("u", table, Some(DetectorId(5)), None).unwrap();
        assert_eq!(read.id, DetectorId(5));
    }

    #[test]
    fn errors_begin_with_the_place() {
        let error = |bytes: &[u8]| describe("http://h/x", bytes, None, None).unwrap_err();
        assert!(error(b"DOMID\tDUID\tFLOORID\n7\t1\t1\n").starts_with("http://h/x: a table has"));
        assert!(error(b"ERROR no\n").starts_with("http://h/x: a table"));
        assert!(error(b"44 3\n<html>").starts_with("http://h/x:2: "));
    }
}
