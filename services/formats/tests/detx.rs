//! Detector files: each version, what real files do to readers, and errors that say where.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of these tests fail as tests do"
)]

use fathom_formats::detx::{
    Detector, DetxError, DetxVersion, DetxWarning, Layout, ParsedDetx, Place,
};
use fathom_formats::km3net::{ChannelId, DetectorId, DomId};
use proptest::prelude::*;

const HEAD: &str =
    "23 V5\n 1500000000.1  9999999999.0\nUTM WGS84 32N +256500.000 +4743000.000 -2425.000\n";

fn parse(text: &str) -> ParsedDetx {
    Detector::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn error(text: &str) -> String {
    Detector::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn version_1_has_one_header_line_and_fits_module_positions() {
    let text = "7 1\n11 3 2 3\n 1 1.0 0 0 1 0 0 10.5\n 2 0 1.0 0 0 1 0 20\n 3 0 0 1.0 0 0 1 30\n";
    let ParsedDetx {
        detector,
        version,
        warnings,
    } = parse(text);
    assert_eq!(
        (version, detector.id, warnings),
        (DetxVersion::V1, DetectorId(7), vec![])
    );
    let module = detector.module(DomId(11)).unwrap();
    assert_eq!(module.place, Place { du: 3, floor: 2 });
    assert_eq!(module.position_m, [0.0; 3]);
    assert_eq!(detector.pmt(DomId(11), ChannelId(1)).unwrap().t0_ns, 20.0);
    assert_eq!(detector.pmt(DomId(11), ChannelId(3)), None);
    assert_eq!(detector.validity, None);
}

#[test]
fn version_5_with_signs_padding_and_a_base_module() {
    let text = format!(
        "{HEAD}2\n 808476701   11  0  +484.600  +564.650  +0.910 +1.0 +0.0 +0.0 +0.0 -50000.0 0 0\n\
         \t 808987107   11  1  +484.600  +564.650 +26.694 +0.998 +0.007 +0.007 +0.058 +37694.902 4 1\n\
         \t\t10057 +484.761 +564.607 +26.805 +0.803 -0.215 +0.554 +207699.045 1\n"
    );
    let detector = parse(&text).detector;
    assert_eq!(detector.validity.unwrap().from_s, 1_500_000_000.1);
    assert_eq!(detector.utm.as_ref().unwrap().z_m, -2425.0);
    assert!(detector.modules()[0].is_base());
    let module = detector.module_at(11, 1).unwrap();
    assert_eq!((module.status, module.t0_ns), (Some(4), 37694.902));
    assert!(module.pmts[0].is_disabled() && !module.is_disabled());
    assert_eq!(detector.optical_modules().count(), 1);
}

#[test]
fn quoted_newlines_in_a_comment_do_not_look_like_data() {
    let text = "# one \"quoted\" word is no beginning\n# c \"a\n808951460 15\n808951461 15\n# x\" end\n7 1\n\n#\n11 3 2 0\n";
    let detector = parse(text).detector;
    assert_eq!(detector.id, DetectorId(7));
    assert_eq!(detector.modules().len(), 1);
}

#[test]
fn unknown_floors_are_numbered_in_file_order_within_their_string() {
    let text = "1 4\n1 1 -1 0\n2 2 -1 0\n3 1 -1 0\n4 2 -1 0\n";
    let detector = parse(text).detector;
    assert_eq!(detector.place(DomId(3)), Some(Place { du: 1, floor: 2 }));
    assert_eq!(detector.place(DomId(2)), Some(Place { du: 2, floor: 1 }));
    assert_eq!(detector.max_floor(), 2);
}

#[test]
fn another_number_of_modules_than_announced_is_a_warning() {
    let warning = |announced, found| DetxWarning::ModuleCount {
        line: 1,
        announced,
        found,
    };
    assert_eq!(parse("1 3\n1 1 1 0\n2 1 2 0\n").warnings, [warning(3, 2)]);
    assert_eq!(parse("1 1\n1 1 1 0\n2 1 2 0\n").warnings, [warning(1, 2)]);
    let extra = parse("1 1\n1 1 1 0\nend of file\n");
    assert_eq!(extra.warnings, [DetxWarning::ExtraLines { line: 3 }]);
    let same = parse("1 2\n5 1 1 0\n6 1 1 0\n");
    let place = Place { du: 1, floor: 1 };
    assert_eq!(
        same.warnings,
        [DetxWarning::SamePlace {
            line: 3,
            place,
            other: DomId(5)
        }]
    );
    assert_eq!(same.detector.module_at(1, 1).unwrap().id, DomId(5));
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    assert_eq!(
        error("# nothing\n"),
        "file ends after line 1, expected detector id and version, or detector id and number of modules"
    );
    assert_eq!(error("1 v6\n"), "line 1: \"v6\", expected version v2 to v5");
    assert_eq!(error("x 1\n"), "line 1: \"x\", expected detector id");
    assert_eq!(
        error("1 v2\n0 nan\n"),
        "line 2: \"nan\", expected UTC seconds"
    );
    assert_eq!(
        error("1 1\n1 1 1\n"),
        "line 2: 3 words, expected 4: id, string, floor, number of PMTs"
    );
    assert_eq!(
        error("1 1\n1 1 -2 0\n"),
        "line 2: \"-2\", expected floor, or -1 when unknown"
    );
    assert_eq!(
        error("1 1\n1 1 1 2\n1 0 0 0 0 0 1 0\n"),
        "line 3: module 1 has 1 PMTs, its record announces 2"
    );
    assert_eq!(
        error("1 2\n1 1 1 1\n2 1 2 0\n"),
        "line 3: module 1 has 0 PMTs, its record announces 1"
    );
    assert_eq!(
        error("1 1\n1 1 1 1\n1 0 0 0 0 0 east 0\n"),
        "line 3: \"east\", expected direction of the PMT"
    );
    assert_eq!(
        error("1 2\n1 1 1 0\n1 1 2 0\n"),
        "line 3: module 1 is already described on line 2"
    );
}

#[test]
fn a_huge_number_of_pmts_is_an_error_and_reserves_nothing() {
    let result = Detector::parse(b"1 1\n1 1 1 9223372036854775807\n");
    assert!(
        matches!(result, Err(DetxError::MissingPmts { got: 0, .. })),
        "{result:?}"
    );
    assert!(Detector::parse(b"1 9223372036854775807\n1 1 1 0\n").is_ok());
}

#[test]
fn what_is_written_is_read_again_in_every_version() {
    let detector = Detector::generated(&Layout::orca(4));
    for version in DetxVersion::ALL {
        let parsed = parse(&detector.to_detx(version));
        assert_eq!(parsed.warnings, []);
        assert_eq!(parsed.version, version);
        let again = parsed.detector.to_detx(version);
        assert_eq!(again, detector.to_detx(version));
        assert_eq!(parsed.detector.pmt_count(), 4 * 18 * 31);
    }
    assert_eq!(parse(&detector.to_detx(DetxVersion::V5)).detector, detector);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([0-9+.-]{1,6}|v[1-6]|UTM|#|\"|[ \n]){0,80}") {
        let parsed = Detector::parse(text.as_bytes());
        if let Ok(parsed) = parsed {
            prop_assert!(Detector::parse(parsed.detector.to_detx(parsed.version).as_bytes()).is_ok());
        }
    }

    #[test]
    fn any_damaged_byte_gives_an_error_or_a_detector(at in 0_usize..4000, byte: u8) {
        let mut bytes = Detector::generated(&Layout::arca(1)).to_detx(DetxVersion::V5).into_bytes();
        bytes.truncate(4000);
        bytes[at] = byte;
        if let Ok(parsed) = Detector::parse(&bytes) {
            prop_assert!(parsed.detector.pmt_count() <= 4000);
        }
    }
}
