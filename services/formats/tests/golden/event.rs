//! `IO_EVT`, today's form and the legacy one.

use std::collections::HashSet;

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::{Event, Payload, PayloadError, SnapshotHit, TriggeredHit, Versioning};
use serde_json::json;

use super::super::{Case, cases};

fn triggered(hit: &TriggeredHit) -> serde_json::Value {
    let (dom, channel, time) = (hit.dom_id(), hit.channel(), hit.time_ns());
    json!([dom, channel, time, hit.tot_ns(), hit.trigger_mask().0])
}

fn snapshot(hit: &SnapshotHit) -> serde_json::Value {
    json!([hit.dom_id(), hit.channel(), hit.time_ns(), hit.tot_ns()])
}

fn check(case: &Case) {
    let event = Event::decode_with(&case.body, case.versioning).unwrap();
    case.check("type", 10001);
    case.check("version", event.version());
    case.check_header(&event.header);
    case.check("trigger_counter", event.trigger_counter.to_string());
    case.check("trigger_mask", event.trigger_mask.0.to_string());
    case.check("overlays", event.overlays);
    case.check("is_3dshower", event.trigger_mask.is_3d_shower());
    case.check("is_mxshower", event.trigger_mask.is_mx_shower());
    case.check("is_3dmuon", event.trigger_mask.is_3d_muon());
    case.check("is_nb", event.trigger_mask.is_nano_beacon());
    case.check("n_triggered", event.triggered.len());
    case.check("n_snapshot", event.snapshot.len());
    case.check("first_triggered", event.triggered.first().map(triggered));
    case.check("last_triggered", event.triggered.last().map(triggered));
    case.check("first_snapshot", event.snapshot.first().map(snapshot));
    case.check("last_snapshot", event.snapshot.last().map(snapshot));
    let tots = |tots: &mut dyn Iterator<Item = u8>| tots.map(u64::from).sum::<u64>();
    case.check(
        "sum_tot_triggered",
        tots(&mut event.triggered.iter().map(TriggeredHit::tot_ns)),
    );
    case.check(
        "sum_tot_snapshot",
        tots(&mut event.snapshot.iter().map(SnapshotHit::tot_ns)),
    );
    let time_ns: u64 = event
        .snapshot
        .iter()
        .map(|hit| u64::from(hit.time_ns()))
        .sum();
    case.check("sum_time_snapshot", time_ns.to_string());
    let doms: HashSet<_> = event.snapshot.iter().map(SnapshotHit::dom_id).collect();
    case.check("n_doms_snapshot", doms.len());
    case.check(
        "n_snapshot_also_triggered",
        event.triggered_in_snapshot().count(),
    );
    case.check("digest", event.digest());
    assert!(case.check_json(&event) >= 15);

    let mut encoded = Vec::new();
    event.encode(&mut encoded).unwrap();
    assert_eq!(encoded, case.body, "{}", case.name);
    assert_eq!(event.encoded_len(), case.body.len());
    let payload = Payload::decode_with(tags::IO_EVT, &case.body, case.versioning).unwrap();
    case.check("digest", payload.digest());
}

#[test]
fn golden_events() {
    cases("io_evt").iter().for_each(check);
}

#[test]
fn golden_events_are_not_taken_for_legacy_ones() {
    for case in cases("io_evt") {
        let event = Event::decode_with(&case.body, Versioning::AcceptLegacy).unwrap();
        assert_eq!(event.version(), Some(4), "{}", case.name);
    }
}

#[test]
fn golden_legacy_events() {
    for case in cases("io_evt_legacy") {
        check(&case);
        for refused in [
            Event::decode(&case.body),
            Event::decode_with(&case.body, Versioning::Current),
        ] {
            assert!(
                matches!(refused, Err(PayloadError::UnknownVersion { .. })),
                "{refused:?}"
            );
        }
    }
}
