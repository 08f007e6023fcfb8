//! Detector files of versions 1 to 5.

use fathom_formats::detx::{Detector, DetxVersion, Module, Pmt, Utm};
use fathom_formats::km3net::sha256_hex;
use serde_json::{Value, json};

use super::super::{golden, testdata};

fn check_module(expected: &Value, module: &Module) {
    assert_eq!(expected["id"], json!(module.id));
    assert_eq!(expected["du"], module.place.du);
    assert_eq!(expected["floor"], module.place.floor);
    assert_eq!(expected["n_pmts"], module.pmts.len());
    assert_eq!(expected["status"], json!(module.status));
    // Versions without these columns have null; the values are then fitted or the neutral ones.
    for (field, found) in [
        ("pos", json!(module.position_m)),
        ("q", json!(module.orientation)),
        ("t0", json!(module.t0_ns)),
    ] {
        assert!(
            expected[field].is_null() || expected[field] == found,
            "{field} {found}"
        );
    }
    let pmt = module.pmts.first().map(
        |Pmt {
             id,
             position_m,
             direction,
             t0_ns,
             status,
         }| {
            let [x, y, z] = position_m;
            let [dx, dy, dz] = direction;
            json!({"id": id, "xyz_dxdydz_t0": [x, y, z, dx, dy, dz, t0_ns], "status": status})
        },
    );
    assert_eq!(expected["first_pmt"], json!(pmt));
}

fn check_utm(expected: &Value, utm: Option<&Utm>) {
    let Some(words) = expected.as_array() else {
        return assert_eq!(utm, None);
    };
    let number = |at: usize| words[at].as_str().unwrap().parse::<f64>().unwrap();
    let utm = utm.unwrap();
    assert_eq!(
        (&words[1], &words[2]),
        (&json!(utm.ellipsoid), &json!(utm.zone))
    );
    assert_eq!(
        [number(3), number(4), number(5)],
        [utm.easting_m, utm.northing_m, utm.z_m]
    );
}

fn check_sums(expected: &Value, detector: &Detector) {
    let pmts = || detector.modules().iter().flat_map(|m| &m.pmts);
    let sum = |of: &dyn Fn(&Pmt) -> f64| pmts().fold(0.0, |sum, pmt| sum + of(pmt));
    for (field, found) in [
        ("sum_pmt_x", sum(&|p| p.position_m[0])),
        ("sum_pmt_y", sum(&|p| p.position_m[1])),
        ("sum_pmt_z", sum(&|p| p.position_m[2])),
        ("sum_pmt_t0", sum(&|p| p.t0_ns)),
    ] {
        let wanted: f64 = expected[field].as_str().unwrap().parse().unwrap();
        assert!(
            (found - wanted).abs() <= 1e-3,
            "{field}: {found}, expected {wanted}"
        );
    }
    let marked = pmts().filter(|p| p.status.is_some_and(|s| s != 0)).count();
    assert_eq!(expected["n_pmt_status_nonzero"], marked);
}

fn check(expected: &Value, bytes: &[u8]) {
    let parsed = Detector::parse(bytes).unwrap();
    let detector = &parsed.detector;
    assert_eq!(parsed.warnings, [], "{}", expected["file"]);
    assert_eq!(expected["version"], parsed.version.number());
    assert_eq!(expected["det_id"], json!(detector.id));
    assert_eq!(
        expected["valid_from"],
        json!(detector.validity.map(|v| v.from_s))
    );
    assert_eq!(
        expected["valid_until"],
        json!(detector.validity.map(|v| v.until_s))
    );
    check_utm(&expected["utm"], detector.utm.as_ref());
    assert_eq!(expected["n_modules"], detector.modules().len());
    assert_eq!(expected["n_optical"], detector.optical_modules().count());
    let bases = detector.modules().iter().filter(|m| m.is_base()).count();
    assert_eq!(expected["n_base_modules"], bases);
    assert_eq!(expected["n_pmts"], detector.pmt_count());
    assert_eq!(expected["dus"], json!(detector.dus()));
    assert_eq!(expected["max_floor"], detector.max_floor());
    check_module(
        &expected["first_module"],
        detector.modules().first().unwrap(),
    );
    check_module(&expected["last_module"], detector.modules().last().unwrap());
    check_sums(expected, detector);
    assert_eq!(expected["digest"], detector.digest());

    let again = Detector::parse(detector.to_detx(parsed.version).as_bytes()).unwrap();
    assert_eq!(again, parsed, "{}", expected["file"]);
}

#[test]
fn golden_detector_files() {
    for expected in golden()["detx"].as_array().unwrap() {
        let Some(bytes) = testdata(expected["file"].as_str().unwrap()) else {
            continue;
        };
        assert_eq!(expected["size"], bytes.len());
        assert_eq!(expected["file_sha256"], sha256_hex(&bytes));
        check(expected, &bytes);
    }
}

#[test]
fn golden_detector_with_a_broken_comment() {
    let Some(bytes) = testdata("detx_v5_invalid_multiline_comments.detx") else {
        return;
    };
    let parsed = Detector::parse(&bytes).unwrap();
    assert_eq!(parsed.version, DetxVersion::V5);
    assert!(parsed.detector.pmt_count() > 0);
    assert_eq!(parsed.warnings, []);
}

#[test]
fn golden_detector_with_unknown_floors() {
    let name = "orca_115strings_av20min17mhorizontal_18OMs_alt9mvertical_v2.detx";
    let Some(bytes) = testdata(name) else { return };
    let detector = Detector::parse(&bytes).unwrap().detector;
    assert_eq!(detector.dus().len(), 115);
    assert_eq!(detector.max_floor(), 18);
    assert!((1..=18).all(|floor| detector.module_at(115, floor).is_some()));
}

#[test]
fn golden_fitted_positions_are_those_that_version_4_gives() {
    let Some(bytes) = testdata("detx_v4.detx") else {
        return;
    };
    let given = Detector::parse(&bytes).unwrap().detector;
    // Version 3 has no module positions, so reading it again fits them to the PMTs.
    let fitted = Detector::parse(given.to_detx(DetxVersion::V3).as_bytes());
    for (given, fitted) in given
        .modules()
        .iter()
        .zip(fitted.unwrap().detector.modules())
    {
        assert_eq!(given.id, fitted.id);
        for (given, fitted) in given.position_m.iter().zip(fitted.position_m) {
            assert!((fitted - given).abs() < 0.01, "{fitted} instead of {given}");
        }
    }
}

#[test]
fn golden_detector_files_of_all_origins_can_be_read() {
    for (name, modules, pmts) in [
        ("detx_v3_whitespace.detx", 6, 18),
        ("KM3NeT_-00000001_20171212.detx", 2070, 64_170),
        ("KM3NeT_00000133_20221025.detx", 399, 11_718),
        ("km3net_jul13_90m_r1494_corrected.detx", 2070, 64_170),
        (
            "orca_115strings_av23min20mhorizontal_18OMs_alt9mvertical_v1.detx",
            2070,
            64_170,
        ),
    ] {
        let Some(bytes) = testdata(name) else {
            return;
        };
        let parsed = Detector::parse(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let detector = &parsed.detector;
        assert_eq!(
            (detector.modules().len(), detector.pmt_count()),
            (modules, pmts),
            "{name}"
        );
        assert_eq!(parsed.warnings, [], "{name}");
    }
}
