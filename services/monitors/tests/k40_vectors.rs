//! Numbers of the reference suite for the K40 calibration.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{close, vectors};
use fathom_formats::detx::pmt_directions;
use fathom_formats::km3net::{
    CHANNEL_BITS, CHANNELS, ChannelId, DomId, FrameStatus, Header, SliceHit, SuperFrame,
};
use fathom_monitors::k40::{
    Calibration, Counter, Inputs, Live, PAIRS, PairState, Table, Weighting, calibrate, cos_angles,
    expected_rate_hz, pair_index, pair_list,
};
use serde_json::Value;

fn numbers<const N: usize>(list: &Value) -> [f64; N] {
    let list: Vec<f64> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    list.try_into().unwrap()
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn directions(section: &Value) -> [[f64; 3]; CHANNELS] {
    let list = section["pmt_dirs"].as_array().unwrap();
    std::array::from_fn(|channel| numbers(&list[channel]))
}

/// The table of the section.
fn table(section: &Value) -> Table {
    let rows = section["counts"].as_array().unwrap().iter();
    let counts = rows.flat_map(|row| row.as_array().unwrap());
    let counts: Box<[u16]> = counts
        .map(|n| u16::try_from(n.as_u64().unwrap()).unwrap())
        .collect();
    let tmax_ns = u32::try_from(whole(&section["tmax"])).unwrap();
    let frames = section["livetime_s"].as_f64().unwrap() * 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "36,000"
    )]
    let frames = frames as u32;
    Table::from_parts(tmax_ns, counts, frames, None).unwrap()
}

fn calibrated(section: &Value, weighting: Weighting) -> Calibration {
    let (table, cosines) = (table(section), cos_angles(&directions(section)));
    calibrate(&inputs(section, (&table, &cosines), weighting))
}

fn inputs<'a>(
    section: &Value,
    (table, cos_angles): (&'a Table, &'a [f64; PAIRS]),
    weighting: Weighting,
) -> Inputs<'a> {
    Inputs {
        table,
        cos_angles,
        channels: CHANNEL_BITS,
        singles_hz: numbers(&section["single_rates_hz"]),
        fits_offset: false,
        fractions_ns: [0.0; CHANNELS],
        compared_ns: [0.0; CHANNELS],
        weighting,
        cos_min: -1.0,
    }
}

#[test]
fn comb_index_vectors() {
    for case in vectors()["comb_index"].as_array().unwrap() {
        let (i, j) = (whole(&case["i"]), whole(&case["j"]));
        assert_eq!(pair_index(i, j), whole(&case["index"]), "{case}");
    }
}

#[test]
fn twofold_vectors() {
    for case in vectors()["twofold"]["cases"].as_array().unwrap() {
        let times = case["times_ns"].as_array().unwrap().iter();
        let hits: Vec<SliceHit> = times
            .zip(case["channels"].as_array().unwrap())
            .map(|(time, channel)| {
                let channel = ChannelId(u8::try_from(whole(channel)).unwrap());
                SliceHit::new(channel, u32::try_from(whole(time)).unwrap(), 26)
            })
            .collect();
        let tmax_ns = u32::try_from(whole(&case["tmax"])).unwrap();
        let mut table = Table::new(tmax_ns);
        let frame = SuperFrame {
            header: Header::default(),
            dom_id: DomId(1),
            status: FrameStatus::complete(4, 0, 0),
            hits: &hits,
        };
        let live = Live::new(CHANNEL_BITS, &[0; CHANNELS]);
        Counter::new(tmax_ns)
            .count(&frame, &live, &mut table)
            .unwrap();
        let mut expected = vec![0; table.counts().len()];
        let bins = table.pair(0).len();
        for entry in case["nonzero"].as_array().unwrap() {
            let at = whole(&entry["comb"]) * bins + whole(&entry["bin"]);
            let apart_ns = whole(&entry["bin"]) as i64 - i64::from(tmax_ns);
            assert_eq!(Some(apart_ns), entry["dt_ns"].as_i64());
            expected[at] = u16::try_from(whole(&entry["count"])).unwrap();
            let pair = numbers::<2>(&entry["pair"]);
            let (i, j) = pair_list()[whole(&entry["comb"])];
            assert_eq!(pair, [f64::from(i), f64::from(j)]);
        }
        assert_eq!(table.counts(), expected, "{case}");
    }
}

#[test]
fn k40_angle_and_background_vectors() {
    let section = &vectors()["k40"];
    let cosines = cos_angles(&directions(section));
    let [p1, p2, p3, p4] = numbers(&section["mc_coefficients"]);
    for cos in [-1.0_f64, -0.3, 0.0, 0.5, 1.0] {
        let expected = (p1 + p2 * cos + p3 * cos.powi(2) + p4 * cos.powi(3)).exp();
        assert!(close(expected_rate_hz(cos), expected, 1e-12), "{cos}");
    }
    let singles = numbers::<CHANNELS>(&section["single_rates_hz"]);
    let tolerance = |name: &str| section["tolerance"][name].as_f64().unwrap();
    for case in section["expected"]["angles_rad"].as_array().unwrap() {
        let pair = whole(&case["comb"]);
        let (i, j) = pair_list()[pair];
        let angle = cosines[pair].acos();
        assert!(
            (angle - case["value"].as_f64().unwrap()).abs() < tolerance("angle"),
            "{case}"
        );
        let rate_hz = expected_rate_hz(cosines[pair]);
        assert!(
            close(rate_hz, case["mc_rate_hz"].as_f64().unwrap(), 1e-8),
            "{case}"
        );
        let background_hz = singles[usize::from(i)] * singles[usize::from(j)] * 1e-9;
        let expected = case["background_hz_per_bin"].as_f64().unwrap();
        assert!(
            (background_hz - expected).abs() < tolerance("background"),
            "{case}"
        );
    }
}

#[test]
fn k40_vectors_by_the_weights_of_the_reference() {
    let section = &vectors()["k40"];
    let expected = &section["expected"];
    let tolerance = |name: &str| section["tolerance"][name].as_f64().unwrap();
    let found = calibrated(section, Weighting::Equal);
    let scale = expected["scale_factor"].as_f64().unwrap();
    assert!(close(found.scale, scale, 1e-4), "{}", found.scale);
    let mut checked = 0;
    let cosines = cos_angles(&directions(section));
    for case in expected["fits"].as_array().unwrap() {
        let comb = whole(&case["comb"]);
        let (i, j) = pair_list()[comb];
        assert_eq!(numbers(&case["pair"]), [f64::from(i), f64::from(j)]);
        let angle = case["angle_rad"].as_f64().unwrap();
        assert!((cosines[comb].acos() - angle).abs() < tolerance("angle"));
        if !case["well_determined"].as_bool().unwrap() {
            continue;
        }
        let number = |name: &str| case[name].as_f64().unwrap();
        let pair = found.pairs[comb];
        assert!((f64::from(pair.mean_ns) - number("mean_ns")).abs() < tolerance("fit_mean_ns"));
        assert!((f64::from(pair.sigma_ns) - number("sigma_ns")).abs() < tolerance("fit_sigma_ns"));
        assert!(close(
            pair.rate_hz.into(),
            number("rate_hz"),
            tolerance("fit_rate_rel")
        ));
        checked += 1;
    }
    assert_eq!(checked, 3);
    // The reference counts pairs without a fit as well, with rates of about zero.
    let good = found
        .pairs
        .iter()
        .filter(|pair| pair.state == PairState::Good);
    let share = good.count() as f64 / PAIRS as f64;
    let rms_hz = expected["rms_rates"].as_f64().unwrap();
    assert!(close(found.rms_hz[0] * share.sqrt(), rms_hz, 1e-3));
    let t0s = numbers::<CHANNELS>(&expected["t0s_ns"]);
    let sigmas = numbers::<CHANNELS>(&expected["sigmas_ns"]);
    let efficiencies = numbers::<CHANNELS>(&expected["qes"]);
    let truth = numbers::<CHANNELS>(&section["truth"]["t0"]);
    for (channel, pmt) in found.pmts.iter().enumerate() {
        assert!((pmt.t0_ns - t0s[channel]).abs() < 0.01, "{channel} {pmt:?}");
        assert!(
            (pmt.sigma_ns - sigmas[channel]).abs() < tolerance("sigma_ns"),
            "{channel}"
        );
        assert!(
            (pmt.efficiency - efficiencies[channel]).abs() < tolerance("qe"),
            "{channel}"
        );
        assert!(
            (pmt.t0_ns - truth[channel]).abs() < tolerance("truth_t0_ns"),
            "{channel}"
        );
    }
}

#[test]
fn k40_truth_vectors_lie_within_the_errors_of_weighted_fits() {
    let section = &vectors()["k40"];
    let found = calibrated(section, Weighting::Poisson);
    let reference = calibrated(section, Weighting::Equal);
    let truth = numbers::<CHANNELS>(&section["truth"]["t0"]);
    let (mut pulls, mut off, mut off_reference) = (0.0, 0.0, 0.0);
    for (channel, pmt) in found.pmts.iter().enumerate().skip(1) {
        let difference = pmt.t0_ns - truth[channel];
        assert!(
            difference.abs() < 4.0 * pmt.t0_error_ns,
            "{channel} {pmt:?}"
        );
        pulls += (difference / pmt.t0_error_ns).powi(2) / 30.0;
        off += difference.powi(2);
        off_reference += (reference.pmts[channel].t0_ns - truth[channel]).powi(2);
    }
    assert!((0.3..1.8).contains(&pulls), "{pulls}");
    // The weights by errors bring the offsets nearer to the truth than those of the reference.
    assert!(off < off_reference, "{off} {off_reference}");
    assert_eq!(found.count(PairState::Failed), 0);
    assert!(found.count(PairState::Good) > 350);
}

/// Without a detector file the PMTs stand as in a module of a file, but for how it is turned.
#[test]
fn k40_angle_vectors_are_those_of_the_directions_without_a_file() {
    let section = &vectors()["k40"];
    let of_file = cos_angles(&directions(section));
    let own = cos_angles(&pmt_directions());
    for (pair, (cos, expected)) in own.iter().zip(of_file).enumerate() {
        // The file has three digits.
        assert!((cos - expected).abs() < 0.002, "{pair} {cos} {expected}");
    }
}

#[test]
fn pairs_of_masked_channels_and_of_large_angles_are_dropped() {
    let section = &vectors()["k40"];
    let (table, cosines) = (table(section), cos_angles(&directions(section)));
    let all = inputs(section, (&table, &cosines), Weighting::Equal);
    let dropped = |inputs: &Inputs<'_>| {
        let pairs = calibrate(inputs).pairs;
        let states = pairs.iter().map(|pair| pair.state == PairState::Dropped);
        states.collect::<Vec<_>>()
    };
    let masked = dropped(&Inputs {
        channels: CHANNEL_BITS & !(1 << 5),
        ..all.clone()
    });
    let expected = pair_list().iter().map(|&(i, j)| i == 5 || j == 5);
    assert!(expected.eq(masked));
    let near = dropped(&Inputs {
        cos_min: 0.0,
        ..all
    });
    assert!(cosines.iter().map(|cos| *cos < 0.0).eq(near));
}

#[test]
fn two_pmts_leave_no_degree_of_freedom_and_three_leave_one() {
    let section = &vectors()["k40"];
    let (table, cosines) = (table(section), cos_angles(&directions(section)));
    let found = |channels: u32| {
        calibrate(&Inputs {
            channels,
            ..inputs(section, (&table, &cosines), Weighting::Poisson)
        })
    };
    // Neighbours, whose pairs stand out.
    let (two, three) = (found(0b11), found(0b111));
    assert_eq!(two.count(PairState::Good), 1);
    assert!(two.chi2_per_ndf.is_nan(), "{}", two.chi2_per_ndf);
    assert_eq!(three.count(PairState::Good), 3);
    assert!(three.chi2_per_ndf.is_finite());
}

#[test]
fn a_pair_that_missed_half_of_the_frames_has_twice_the_rate() {
    let section = &vectors()["k40"];
    let cosines = cos_angles(&directions(section));
    let whole = table(section);
    let mut missed = Box::new([0; PAIRS]);
    missed[0] = whole.frames() / 2;
    let counts = whole.counts().into();
    let half = Table::from_parts(10, counts, whole.frames(), Some(missed)).unwrap();
    let rate_hz = |table: &Table, pair: usize| {
        let found = calibrate(&Inputs {
            // With no background to take off all is in proportion.
            singles_hz: [0.0; CHANNELS],
            ..inputs(section, (table, &cosines), Weighting::Equal)
        });
        f64::from(found.pairs[pair].rate_hz)
    };
    let ratio = rate_hz(&half, 0) / rate_hz(&whole, 0);
    assert!(close(ratio, 2.0, 1e-3), "{ratio} {}", rate_hz(&half, 0));
    assert_eq!(rate_hz(&half, 1), rate_hz(&whole, 1));
}
#[test]
fn peaks_were_lost_when_an_unknown_background_was_far_below_where_its_fit_began() {
    let section = &vectors()["k40"];
    let (table, cosines) = (table(section), cos_angles(&directions(section)));
    for weighting in [Weighting::Equal, Weighting::Poisson] {
        let known = inputs(section, (&table, &cosines), weighting);
        let unknown = Inputs {
            singles_hz: [f64::NAN; CHANNELS],
            fits_offset: true,
            ..known
        };
        let [known, unknown] = [known, unknown].map(|inputs| calibrate(&inputs));
        let pairs = known.pairs.iter().zip(&*unknown.pairs);
        let clear = pairs.filter(|(known, _)| known.rate_hz > 0.3);
        let mut clear_pairs = 0;
        for (known, unknown) in clear {
            assert_eq!(unknown.state, PairState::Good, "{known:?} {unknown:?}");
            let off_by = (unknown.rate_hz / known.rate_hz - 1.0).abs();
            assert!(off_by < 0.2, "{known:?} {unknown:?}");
            clear_pairs += 1;
        }
        assert_eq!(clear_pairs, 260);
        for (known, unknown) in known.pmts.iter().zip(&unknown.pmts) {
            assert!((known.t0_ns - unknown.t0_ns).abs() < 0.005);
            assert!((known.efficiency / unknown.efficiency - 1.0).abs() < 0.02);
        }
    }
}

/// One count in 36 of the section, as 100 s would have given them.
fn thinned(section: &Value) -> Table {
    let whole = table(section);
    let mut state = 1_u64;
    let mut is_kept = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(36)
    };
    let kept = |count: &u16| (0..*count).map(|_| u16::from(is_kept())).sum();
    let counts = whole.counts().iter().map(kept).collect();
    Table::from_parts(10, counts, whole.frames() / 36, None).unwrap()
}

#[test]
fn one_pair_without_a_peak_gave_all_pmts_errors_of_many_nanoseconds() {
    let section = &vectors()["k40"];
    let (table, cosines) = (thinned(section), cos_angles(&directions(section)));
    let found = calibrate(&inputs(section, (&table, &cosines), Weighting::Equal));
    let truth = numbers::<CHANNELS>(&section["truth"]["t0"]);
    let mut pulls = 0.0;
    for (channel, pmt) in found.pmts.iter().enumerate().skip(1) {
        assert!(pmt.t0_error_ns < 0.5, "{channel} {pmt:?}");
        assert!(pmt.efficiency_error < 0.5, "{channel} {pmt:?}");
        pulls += ((pmt.t0_ns - truth[channel]) / pmt.t0_error_ns).powi(2) / 30.0;
    }
    // All share the error of the first one.
    assert!((0.3..4.0).contains(&pulls), "{pulls}");
}

#[test]
fn pairs_were_taken_for_clear_as_if_an_unknown_background_were_none() {
    let section = &vectors()["k40"];
    let (table, cosines) = (thinned(section), cos_angles(&directions(section)));
    let known = Inputs {
        fits_offset: true,
        ..inputs(section, (&table, &cosines), Weighting::Poisson)
    };
    let unknown = Inputs {
        singles_hz: [f64::NAN; CHANNELS],
        ..known.clone()
    };
    let [known, unknown] = [known, unknown].map(|inputs| calibrate(&inputs));
    let [known, unknown] = [known, unknown].map(|found| found.count(PairState::Weak));
    // Most pairs are weak after 100 s, whoever tells the background.
    assert!(known > 100, "{known}");
    assert!(known.abs_diff(unknown) <= known / 20, "{known} {unknown}");
}
