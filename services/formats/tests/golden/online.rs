//! `IO_OLINE`.

use fathom_formats::km3net::OnlineReco;
use serde_json::Value;

use super::super::cases;

/// Returns the values of an object in order of size: no document fixes the names of the variables.
fn sorted(object: &Value) -> Vec<f64> {
    let mut values: Vec<f64> = object
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, v)| v.as_f64())
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn golden_online_reconstruction() {
    for mut case in cases("io_oline") {
        let reco = OnlineReco::decode(&case.body).unwrap();
        case.check("type", 100_001);
        case.check("trigger_counter", reco.trigger_counter.to_string());
        assert_eq!(case.expect["track"]["dz"], reco.track.direction[2]);
        assert_eq!(case.expect["shower"]["E"], reco.shower.energy_gev);
        let expected = case
            .expect
            .as_object_mut()
            .unwrap()
            .remove("multivariables");
        let found = serde_json::to_value(reco.variables).unwrap();
        assert_eq!(
            sorted(&expected.unwrap_or_default()),
            sorted(&found),
            "{}",
            case.name
        );
        assert!(case.check_json(&reco) >= 8, "{}", case.name);

        let mut encoded = Vec::new();
        reco.encode(&mut encoded).unwrap();
        let known = case.body.len() - reco.extra_bytes;
        assert_eq!(encoded[4..], case.body[4..known], "{}", case.name);
    }
}
