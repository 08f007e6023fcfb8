//! The line fit against the numbers of the reference suite.

use fathom_formats::detx::Place;
use fathom_formats::km3net::{CalibratedHit, photoelectrons, slew_ns};
use fathom_monitors::{LineTrack, Selection, first_guess, fit_line, q_sum, seed_hits, select_hits};
use serde_json::Value;

use super::common::vectors;

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key}"))
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|n| n.as_f64().unwrap()).collect()
}

fn indices(list: &Value) -> Vec<usize> {
    let list = list.as_array().unwrap().iter();
    list.map(|n| usize::try_from(n.as_u64().unwrap()).unwrap())
        .collect()
}

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() <= tolerance,
        "{got}, expected {expected}"
    );
}

fn track(params: &Value) -> LineTrack {
    LineTrack {
        distance_m: number(params, "d"),
        z_m: number(params, "z"),
        up: number(params, "dz"),
        time_ns: number(params, "t0"),
    }
}

fn selection(settings: &Value) -> Selection {
    let count = |key: &str| usize::try_from(settings[key].as_u64().unwrap()).unwrap();
    Selection {
        window_ns: number(settings, "dt_ns"),
        multiplicity: count("multiplicity"),
        floors_min: count("min_hits"),
        floor_spacing_m: number(settings, "floor_distance_m"),
    }
}

/// The hits of an event with the groups of coincidences that the file says.
fn hits(event: &Value) -> Vec<CalibratedHit> {
    let small = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let byte = |value: &Value| u8::try_from(value.as_u64().unwrap()).unwrap();
    let groups = event["multiplicities"].as_array().unwrap();
    let hits = event["hits"].as_array().unwrap().iter().zip(groups);
    hits.map(|(hit, group)| CalibratedHit {
        dom_id: small(&hit["dom_id"]).into(),
        place: Place {
            du: 1,
            floor: small(&hit["floor"]),
        },
        channel: byte(&hit["channel"]).into(),
        tot_ns: byte(&hit["tot"]),
        is_triggered: hit["trig"].as_bool().unwrap(),
        multiplicity: small(&group[0]),
        group: small(&group[1]),
        time_ns: number(hit, "t"),
        position_m: [0.0, 0.0, number(hit, "z")],
        direction: [0.0, 0.0, -1.0],
    })
    .collect()
}

#[test]
fn royfit_forward_vectors() {
    let all = vectors();
    for case in all["royfit"]["forward"].as_array().unwrap() {
        let vector = |key: &str| <[f64; 3]>::try_from(numbers(&case[key])).unwrap();
        let time_ns = number(case, "track_t0");
        let (position, direction) = (vector("track_pos"), vector("track_dir"));
        let track = LineTrack::of(position, direction, time_ns).unwrap();
        let params = &case["params"];
        near(track.distance_m, number(params, "d"), 1e-9);
        near(track.z_m, number(params, "z"), 1e-9);
        near(track.up, number(params, "dz"), 1e-12);
        near(track.time_ns, number(params, "t_closest"), 1e-9);
        // The reference passes the time at the given point on as the time at the closest point.
        let track = LineTrack {
            time_ns: number(params, "t0"),
            ..track
        };
        let (paths, times) = (numbers(&case["d_gamma"]), numbers(&case["t_arrival"]));
        for ((z_m, path_m), time_ns) in numbers(&case["z"]).into_iter().zip(paths).zip(times) {
            near(track.light_path_m(z_m), path_m, 1e-9);
            near(track.arrival_ns(z_m), time_ns, 1e-9);
        }
    }
}

#[test]
fn royfit_nphes_and_slew_vectors() {
    let all = vectors();
    let section = &all["royfit"];
    let tot = |case: &Value| u8::try_from(case["tot"].as_u64().unwrap()).unwrap();
    for case in section["nphes"].as_array().unwrap() {
        near(photoelectrons(tot(case)), number(case, "npe"), 1e-12);
    }
    for case in section["slew"].as_array().unwrap() {
        assert_eq!(slew_ns(tot(case)), number(case, "ns"));
    }
    for (tot_ns, expected) in (0..=255).zip(numbers(&section["slew_table_ns"])) {
        assert_eq!(slew_ns(tot_ns), expected);
    }
}

#[test]
fn royfit_events_vectors() {
    let all = vectors();
    let section = &all["royfit"];
    let selection = selection(&section["settings"]);
    for event in section["events"].as_array().unwrap() {
        let hits = hits(event);
        let mut seeds = seed_hits(&hits, &selection);
        seeds.sort_unstable();
        assert_eq!(seeds, indices(&event["seed_hit_indices"]));
        let selected = select_hits(&hits, &selection);
        assert_eq!(selected, indices(&event["selected_hit_indices"]));
        let chosen: Vec<_> = selected.iter().map(|&n| hits[n]).collect();

        let at = &event["quality_at"];
        near(
            q_sum(&track(&at["params"]), &chosen),
            number(at, "Q_sum"),
            1e-6,
        );
        let start = first_guess(&hits).unwrap();
        assert_eq!(start, track(&event["start"]));
        near(
            q_sum(&start, &chosen),
            number(event, "Q_sum_at_start"),
            1e-6,
        );
        let best = track(&event["best"]);
        near(q_sum(&best, &chosen), number(event, "Q_sum"), 1e-6);
        let late = chosen
            .iter()
            .map(|hit| hit.time_ns - best.arrival_ns(hit.position_m[2]));
        for (late_ns, expected) in late.zip(numbers(&event["time_residuals"])) {
            near(late_ns, expected, 1e-6);
        }

        let fit = fit_line(chosen, &start, selection.floor_spacing_m).unwrap();
        assert!(
            fit.q_sum <= number(event, "Q_sum") * 1.001 + 0.01,
            "{}",
            fit.q_sum
        );
        near(
            fit.q(),
            number(event, "Q"),
            0.001 * number(event, "Q") + 0.01,
        );
    }
}
