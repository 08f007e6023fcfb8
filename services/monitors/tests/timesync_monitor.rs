//! Time synchronisation by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Bench, Store, cut, described_anew, flipped, frame, header, setup, slice_of};
use fathom_formats::km3net::{
    DomId, FrameStatus, Header, SliceLevel, SummaryFrame, SuperFrame, encode_time_slice,
};
use fathom_kernel::view::View;
use fathom_kernel::{Event, Setup, tags};
use fathom_monitors::{TimesyncMonitor, TimesyncMonitorConfig as Config};
use serde_json::json;

/// Tue Nov 14 22:20:00 2023.
const T0: i64 = 1_700_000_400_000;

fn ids(setup: &Setup) -> Vec<u32> {
    let detector = setup.detector.as_ref().unwrap();
    detector.optical_modules().map(|m| m.id.0).collect()
}

fn status(in_sync: bool) -> FrameStatus {
    FrameStatus::complete(4, 0b101, 0).with_white_rabbit(in_sync)
}

fn supernova_of(header: Header, received_ms: i64, doms: &[(u32, bool)]) -> Event {
    let frames: Vec<_> = doms
        .iter()
        .map(|&(id, in_sync)| SuperFrame {
            header,
            dom_id: DomId(id),
            status: status(in_sync),
            hits: &[],
        })
        .collect();
    let mut body = Vec::new();
    encode_time_slice(SliceLevel::SN, &header, &frames, &mut body).unwrap();
    frame(tags::IO_TSSN, body, received_ms)
}

fn supernova(at_ms: i64, doms: &[(u32, bool)]) -> Event {
    supernova_of(header(1, at_ms), at_ms, doms)
}

fn summary(at_ms: i64, doms: &[(u32, bool)]) -> Event {
    let frames: Vec<_> = doms
        .iter()
        .map(|&(id, in_sync)| SummaryFrame::new(DomId(id), status(in_sync), [50; 31]))
        .collect();
    slice_of(at_ms, &frames, at_ms)
}

/// All DOMs, of which these have lost their synchronisation.
fn all_but(setup: &Setup, lost: &[u32]) -> Vec<(u32, bool)> {
    let all = ids(setup).into_iter();
    all.map(|id| (id, !lost.contains(&id))).collect()
}

fn bad_rows(bench: &Bench<TimesyncMonitor>) -> Vec<Vec<serde_json::Value>> {
    match &bench.output("timesync_bad").view {
        View::Table(table) => table.rows.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_loss_is_one_alarm_with_the_text_of_the_original_and_a_recovery_ends_it() {
    let setup = setup(1);
    let doms = ids(&setup);
    let (a, b) = (doms[2], doms[6]);
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    for s in 0..60 {
        let now = T0 + 1000 * s;
        let lost: &[u32] = if (10..30).contains(&s) { &[a, b] } else { &[] };
        bench.take(&supernova(now, &all_but(&setup, lost)));
        bench.tick(now);
    }
    let expected = [
        ("time_sync_lost", "DU 1 floor 3", true),
        ("time_sync_lost", "DU 1 floor 7", true),
        ("time_sync", "all DOMs", true),
        ("time_sync_lost", "DU 1 floor 3", false),
        ("time_sync_lost", "DU 1 floor 7", false),
        ("time_sync", "all DOMs", false),
    ];
    assert_eq!(bench.alarms(), expected);
    let alarms = &bench.out.alarms;
    assert_eq!(alarms[0].at.as_millisecond(), T0 + 10_000);
    // The last affected frame is that of second 29.
    assert_eq!(alarms[3].at.as_millisecond(), T0 + 39_000);
    let valid: Vec<_> = doms.iter().filter(|id| ![a, b].contains(id)).collect();
    let valid: Vec<_> = valid.iter().map(|id| id.to_string()).collect();
    let text = format!(
        "invalid time sync for DOM ID: {a},{b} /// valid: {}",
        valid.join(",")
    );
    assert_eq!(alarms[2].text, text);
    assert!(alarms[0].text.contains(&format!("DOM {a} (DU 1 floor 3)")));
    let rows = bad_rows(&bench);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][3], json!(null), "in sync again");
    assert_eq!(rows[0][5..], [json!(20), json!(56)], "drawn in second 55");
    // The map is of the time since the last one, in which all was well.
    assert_eq!(bench.map("timesync").values[2], 0.0);
}

#[test]
fn a_dom_that_flaps_is_one_alarm_and_not_one_per_frame() {
    let setup = setup(1);
    let lost = ids(&setup)[0];
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    for n in 0..300 {
        let now = T0 + 100 * n;
        bench.take(&supernova(now, &[(lost, n % 2 == 0)]));
        if n % 10 == 9 {
            bench.tick(now);
        }
    }
    assert_eq!(bench.alarms().len(), 2);
    let map = bench.map("timesync");
    assert_eq!(map.values[0], 50.0);
    assert!(map.values[1].is_nan(), "sent nothing");
}

#[test]
fn the_flag_of_a_slice_does_not_make_it_68_years_late() {
    let setup = setup(1);
    let marked = Header {
        white_rabbit: true,
        ..header(1, T0)
    };
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    bench.take(&supernova_of(marked, T0, &all_but(&setup, &[])));
    bench.tick(T0 + 1000);
    let datum = bench.output("timesync").datum.unwrap();
    assert_eq!(datum.as_millisecond(), T0);
    let cell = |row| bench.cell("timesync_summary", row, 1);
    assert_eq!(cell("slices marked as not synchronised"), json!(1));
    assert_eq!(cell("in sync"), json!(18), "frames speak for themselves");
}

#[test]
fn summary_slices_decide_only_while_no_supernova_slices_come() {
    let setup = setup(1);
    let lost = ids(&setup)[4];
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    let cell = |bench: &Bench<TimesyncMonitor>, row| bench.cell("timesync_summary", row, 1);
    for s in 0..10 {
        bench.take(&supernova(T0 + 1000 * s, &all_but(&setup, &[])));
        bench.take(&summary(T0 + 1000 * s, &all_but(&setup, &[lost])));
        bench.tick(T0 + 1000 * s);
    }
    assert!(bench.alarms().is_empty());
    assert_eq!(cell(&bench, "decided by"), json!("IO_TSSN"));
    for s in 10..30 {
        bench.take(&summary(T0 + 1000 * s, &all_but(&setup, &[lost])));
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(cell(&bench, "decided by"), json!("IO_SUM"));
    assert_eq!(bench.alarms()[0], ("time_sync_lost", "DU 1 floor 5", true));
    assert_eq!(bench.out.alarms[0].at.as_millisecond(), T0 + 20_000);
}

#[test]
fn a_restart_keeps_losses_counts_and_minutes() {
    let setup = setup(1);
    let lost = ids(&setup)[4];
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    for s in 0..130 {
        bench.take(&supernova(T0 + 1000 * s, &all_but(&setup, &[lost])));
        bench.tick(T0 + 1000 * s);
    }
    let store = Store::default();
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    bench.tick(T0 + 131_000);
    // Whoever keeps the alarms may have been restarted as well.
    assert_eq!(bench.alarms()[0], ("time_sync_lost", "DU 1 floor 5", true));
    assert!(
        bench.out.alarms[0]
            .text
            .ends_with("since 2023-11-14 22:20:00 UTC")
    );
    assert_eq!(bad_rows(&bench)[0][3], json!("2023-11-14 22:20:00"));
    assert_eq!(bad_rows(&bench)[0][5..], [json!(130), json!(130)]);
    let series = bench.series("timesync_history");
    assert_eq!(series.times_ms, [T0 + 60_000, T0 + 120_000]);
    assert_eq!(series.curves[0].values, [1.0, 1.0]);
    // One of 18 DOMs.
    assert!(common::close(
        series.curves[1].values[0],
        100.0 / 18.0,
        1e-12
    ));
    for s in 132..150 {
        bench.take(&supernova(T0 + 1000 * s, &all_but(&setup, &[])));
        bench.tick(T0 + 1000 * s);
    }
    let last = *bench.alarms().last().unwrap();
    assert_eq!(last, ("time_sync", "all DOMs", false));
}

#[test]
fn unknown_doms_are_listed_and_damaged_messages_counted() {
    let setup = setup(1);
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    bench.take(&supernova(T0, &[(77, false)]));
    bench.tick(T0 + 1000);
    let View::Table(table) = &bench.output("timesync_unknown").view else {
        panic!("no table")
    };
    assert_eq!(table.rows[0][0], json!(77));
    for intact in [supernova(T0, &[(77, false)]), summary(T0, &[(77, false)])] {
        let Event::Frame(intact) = intact else {
            panic!("no frame")
        };
        for body in cut(&intact.body) {
            bench.take(&frame(intact.tag, body, T0));
        }
        for body in flipped(&intact.body) {
            bench.take(&frame(intact.tag, body, T0));
            bench.tick(T0 + 1000);
            bench.out.outputs.clear();
        }
        assert!(bench.out.bad.len() >= intact.body.len());
    }
}

#[test]
fn a_loss_in_a_slice_far_off_the_clock_is_one_of_now() {
    let setup = setup(1);
    let lost = ids(&setup)[4];
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    bench.take(&supernova(T0, &all_but(&setup, &[])));
    bench.take(&supernova(T0 + 1000, &all_but(&setup, &[])));
    let ahead = header(1, T0 + 3_600_000);
    bench.take(&supernova_of(ahead, T0 + 2000, &[(lost, false)]));
    bench.tick(T0 + 2000);
    assert_eq!(bench.alarms()[0], ("time_sync_lost", "DU 1 floor 5", true));
    assert_eq!(bad_rows(&bench)[0][3], json!("2023-11-14 22:20:02"));
}

/// The original knows no detector: a DOM id that is not in the description, or one of a base module,
/// was in its alarm like any other.
#[test]
fn unknown_doms_that_lost_their_time_sync_raise_the_alarm_like_known_ones() {
    let setup = setup(1);
    let store = Store::default();
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    let one_good = ids(&setup)[0];
    bench.take(&supernova(T0, &[(one_good, true), (77, false), (78, true)]));
    bench.tick(T0);
    let fired = [
        ("time_sync_lost", "DOM 77", true),
        ("time_sync", "all DOMs", true),
    ];
    assert_eq!(bench.alarms(), fired);
    let text = format!("invalid time sync for DOM ID: 77 /// valid: {one_good},78");
    assert_eq!(bench.out.alarms[1].text, text);
    let row = &bad_rows(&bench)[0];
    assert_eq!((&row[0], &row[2]), (&json!(null), &json!(77)));
    // It survives a restart like the others, and ends like them.
    let mut bench = bench.restarted(Config::default(), &setup, &store);
    bench.tick(T0 + 1000);
    assert_eq!(bench.alarms(), fired);
    bench.out.alarms.clear();
    for s in 2..13 {
        let at_ms = T0 + 1000 * s;
        bench.take(&supernova(at_ms, &[(77, true)]));
        bench.tick(at_ms);
    }
    let over = fired.map(|(rule, subject, _)| (rule, subject, false));
    assert_eq!(bench.alarms(), over);
}

#[test]
fn two_thousand_lost_doms_do_not_make_an_endless_text() {
    let setup = setup(115);
    let all = ids(&setup);
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    bench.take(&supernova(T0, &all_but(&setup, &all)));
    bench.tick(T0 + 1000);
    let text = &bench.out.alarms.last().unwrap().text;
    assert!(text.ends_with("and 1870 more /// valid: "), "{text}");
    assert!(text.len() < 4000);
}

#[test]
fn a_module_that_the_detector_file_says_to_be_out_of_sync_raised_an_alarm() {
    let mut setup = setup(1);
    described_anew(&mut setup, |module| {
        module.status = Some(fathom_formats::detx::status_bits::MODULE_OUT_OF_SYNC);
    });
    let lost = ids(&setup)[0];
    let mut bench = Bench::<TimesyncMonitor>::new(Config::default(), &setup);
    for s in 0..20 {
        bench.take(&supernova(T0 + 1000 * s, &all_but(&setup, &[lost])));
        bench.tick(T0 + 1000 * s);
    }
    assert_eq!(bench.alarms(), []);
    assert_eq!(bench.map("timesync").values[0], 100.0, "it is shown");
    let row = "off, or out of sync, by the detector file";
    assert_eq!(bench.cell("timesync_summary", row, 1), json!(1));
}
