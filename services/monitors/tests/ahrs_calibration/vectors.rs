//! The vectors of the reference.

use super::*;

fn assert_constants(found: &Constants, expected: &Value) {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{found:?} {expected}");
    let vector = |a: [f64; 3], b: &Value| a.into_iter().zip(array::<[f64; 3]>(b));
    vector(found.a_offset, &expected["Aoff"]).for_each(|(a, b)| close(a, b));
    vector(found.h_offset, &expected["Hoff"]).for_each(|(a, b)| close(a, b));
    for row in 0..3 {
        let (a, h) = (&expected["Arot"][row], &expected["Hrot"][row]);
        vector(found.a_rotation[row], a).for_each(|(a, b)| close(a, b));
        vector(found.h_rotation[row], h).for_each(|(a, b)| close(a, b));
    }
}

#[test]
fn ahrs_fit_vectors() {
    for case in vectors()["ahrs"]["fit"].as_array().unwrap() {
        let constants: Constants = array(case);
        let found = constants.orientation(array(&case["A"]), array(&case["H"]));
        let close = |value: f64, name: &str| {
            let expected = case[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-9, "{name} {value} {case}");
        };
        close(found.yaw_deg, "yaw_deg");
        close(found.pitch_deg, "pitch_deg");
        close(found.roll_deg, "roll_deg");
    }
}

#[test]
fn ahrs_xml_extraction_vectors() {
    let all = vectors();
    let cases = all["ahrs"]["xml_extraction"].as_array().unwrap();
    assert!(cases.len() >= 2);
    for case in cases {
        let xml = case["xml"].as_str().unwrap();
        let test = BoardTest::read(xml.as_bytes()).unwrap();
        assert_constants(&test.constants, case);
        assert!(xml.contains(&format!("<EndTime>{}</EndTime>", test.end_time)));
        for cut in 0..xml.len() {
            assert!(BoardTest::read(&xml.as_bytes()[..cut]).is_err());
        }
    }
}

/// The vectors through the whole monitor: packets in, curves out.
#[test]
fn ahrs_vectors_come_out_as_curves() {
    for case in vectors()["ahrs"]["fit"].as_array().unwrap() {
        let setup = setup(1);
        let id = dom(&setup, 5);
        let mut bench = Bench::<AhrsCalibration>::new(config(), &setup);
        bench.tick(T0);
        answer(&mut bench, bytes(board(id, case).as_bytes(), None));
        let reading: ([f32; 3], [f32; 3]) = (array(&case["A"]), array(&case["H"]));
        for n in 0..200 {
            bench.take(&packet(T0 + 100 * n, id, reading, true));
        }
        bench.tick(T0 + 33_000);
        for (name, signed) in [("yaw", false), ("pitch", true), ("roll", true)] {
            let expected = case[format!("{name}_deg")].as_f64().unwrap();
            let values = bench.curve(&format!("{name}_calib_du1"), "Floor 5");
            assert_eq!(values.len(), 2);
            assert!(
                apart(values[1], expected) < 0.004,
                "{name} {values:?} {case}"
            );
            let is_negative = signed && expected < -0.003 && expected > -179.9;
            assert!(!is_negative || values[1] < 0.0, "{values:?}");
        }
    }
}

#[test]
fn tmch_vectors_are_read_with_their_valid_flag() {
    let setup = setup(1);
    let mut bench = running(&setup);
    for packet in vectors()["tmch"]["packets"].as_array().unwrap() {
        let body = unhex(packet["payload_hex"].as_str().unwrap());
        bench.take(&frame(tags::IO_MONIT, body, T0));
    }
    bench.monitor.on_tick(ms(T0 + 11_000), &mut bench.out);
    assert_eq!(summary(&bench, "packets"), json!(4));
    assert!(bench.out.bad.is_empty());
}
