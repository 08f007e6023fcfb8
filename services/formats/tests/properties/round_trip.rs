//! What is encoded is decoded again, value for value and byte for byte.

use fathom_formats::km3net::*;
use proptest::collection::vec;
use proptest::prelude::*;

use super::samples;

proptest! {
    #[test]
    fn events_survive(
        header in samples::header(),
        (trigger_counter, mask, overlays, legacy) in any::<(u64, u64, i32, bool)>(),
        triggered in vec(samples::triggered_hit(), 0..40),
        snapshot in vec(samples::snapshot_hit(), 0..80),
    ) {
        let event = Event {
            legacy,
            header,
            trigger_counter,
            trigger_mask: TriggerMask(mask),
            overlays,
            triggered: &triggered,
            snapshot: &snapshot,
        };
        let mut body = Vec::new();
        event.encode(&mut body).unwrap();
        prop_assert_eq!(body.len(), event.encoded_len());
        let versioning = if legacy { Versioning::AcceptLegacy } else { Versioning::Current };
        prop_assert_eq!(Event::decode_with(&body, versioning), Ok(event));
    }

    #[test]
    fn summary_slices_survive(
        header in samples::header(),
        frames in vec(samples::summary_frame(), 0..40),
    ) {
        let slice = SummarySlice { header, frames: &frames };
        let mut body = Vec::new();
        slice.encode(&mut body).unwrap();
        prop_assert_eq!(SummarySlice::decode(&body), Ok(slice));
    }

    #[test]
    fn time_slices_survive(
        header in samples::header(),
        level in prop::sample::select(vec![SliceLevel::L0, SliceLevel::L1, SliceLevel::L2, SliceLevel::SN]),
        contents in vec((samples::header(), any::<u32>(), samples::status(), vec(samples::slice_hit(), 0..20)), 0..12),
    ) {
        let frames: Vec<SuperFrame<'_>> = contents
            .iter()
            .map(|(header, dom, status, hits)| SuperFrame { header: *header, dom_id: DomId(*dom), status: *status, hits })
            .collect();
        let mut body = Vec::new();
        encode_time_slice(level, &header, &frames, &mut body).unwrap();
        let slice = TimeSlice::decode(level, &body).unwrap();
        prop_assert_eq!(slice.header, header);
        prop_assert_eq!(slice.hit_count(), frames.iter().map(|f| f.hits.len()).sum::<usize>());
        prop_assert_eq!(slice.frames().collect::<Vec<_>>(), frames);
    }

    #[test]
    fn monitoring_packets_survive(fields in samples::tmch(), extra in 0_usize..9) {
        let mut body = Vec::new();
        fields.encode(&mut body);
        prop_assert_eq!(Tmch::decode(&body).unwrap().to_fields(), fields.clone());
        if fields.fifo_sizes.is_some() {
            body.resize(body.len() + extra, 0xff);
            let packet = Tmch::decode(&body).unwrap();
            prop_assert_eq!(packet.extra_bytes(), extra);
            prop_assert_eq!(packet.to_fields(), fields);
        }
    }

    #[test]
    fn reconstructions_survive(reco in samples::online()) {
        let mut body = Vec::new();
        reco.encode(&mut body).unwrap();
        prop_assert_eq!(OnlineReco::decode(&body), Ok(reco));
    }

    #[test]
    fn text_survives(text in "[^\0\n\r]{0,60}") {
        let mut body = Vec::new();
        encode_message(&text, &mut body);
        let message = LogMessage::decode(&body);
        prop_assert_eq!(message.text(), text);
    }
}
