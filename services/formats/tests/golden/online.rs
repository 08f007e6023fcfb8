//! `IO_OLINE`.

use fathom_formats::km3net::OnlineReco;

use super::super::{assert_same, cases};

#[test]
fn golden_online_reconstruction() {
    for case in cases("io_oline") {
        let reco = OnlineReco::decode(&case.body).unwrap();
        case.check("type", 100_001);
        case.check("trigger_counter", reco.trigger_counter.to_string());
        assert_eq!(case.check_json(&reco), 9, "{}", case.name);
        assert_eq!(case.expect["track"]["dz"], reco.track.direction[2]);
        assert_eq!(case.expect["shower"]["E"], reco.shower.energy_gev);
        let variables = serde_json::to_value(reco.variables).unwrap();
        assert_same(&case.expect["multivariables"], &variables, "multivariables");

        let mut encoded = Vec::new();
        reco.encode(&mut encoded).unwrap();
        assert_eq!(encoded, case.body, "{}", case.name);
    }
}
