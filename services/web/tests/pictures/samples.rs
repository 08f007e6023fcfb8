//! Outputs as the monitors make them, for tests and benchmarks of pictures.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of the samples are small"
)]

use std::sync::Arc;

use fathom_kernel::view::{
    Colours, Column, Curve, Histogram, Image, Map, Mark, Marker, RowLabel, Scalar, Series, Table,
};
use fathom_kernel::{Losses, Output, Timestamp};
use serde_json::json;

/// 2023-11-14 22:13:20 UTC.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Returns the time of all samples.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(NOW_MS).expect("a valid time")
}

/// A repeatable number in 0..1.
pub(crate) fn noise(n: usize) -> f64 {
    let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 33) & 0xFFFF) as f64 / 65_536.0
}

pub(crate) fn stamped(output: Output) -> Output {
    let mut output = output.at(Some(now())).every(60.0);
    output.losses = Losses {
        received: 1_234_567,
        dropped: 0,
        bad: 0,
    };
    output
}

/// Trigger rates of 24 hours with two run changes.
pub(crate) fn trigger_rates(y_log: bool) -> Output {
    let points = 288;
    let curve = |name: &str, colour: &str, marker, mean: f64| {
        let value = |n| match n {
            100..110 => f64::NAN,
            200 if mean < 2.0 => 0.0,
            n => mean * (0.9 + 0.2 * noise(n + mean as usize)),
        };
        let values: Vec<f64> = (0..points).map(value).collect();
        Curve {
            name: name.to_owned(),
            colour: colour.to_owned(),
            marker,
            errors: values.iter().map(|v| (v / 300.0).sqrt()).collect(),
            values,
        }
    };
    let mark = |n: i64, run| Mark {
        at_ms: NOW_MS - n * 300_000,
        text: format!("RUN {run}"),
    };
    stamped(Output::new(
        if y_log {
            "trigger_rates"
        } else {
            "trigger_rates_lin"
        },
        "Trigger rates of detector 43",
        Series {
            y_label: "rate [Hz]".to_owned(),
            y_log,
            x_minor_ticks: true,
            times_ms: (0..points as i64)
                .map(|n| NOW_MS - (287 - n) * 300_000)
                .collect(),
            curves: vec![
                curve("Overall", "tomato", Marker::Diamond, 21.0),
                curve("3DMuon", "dodgerblue", Marker::Cross, 14.0),
                curve("MXShower", "orange", Marker::Down, 5.0),
                curve("3DShower", "olivedrab", Marker::Up, 1.3),
            ],
            marks: vec![mark(220, 13_820), mark(64, 13_821)],
        },
    ))
}

/// Rates of DOMs; some are silent, some outside the range.
pub(crate) fn dom_rates(dus: i32) -> Output {
    let places: Vec<(i32, i32)> = (1..=dus)
        .flat_map(|du| (1..=18).map(move |floor| (du, floor)))
        .collect();
    let value = |n: usize| match n % 23 {
        7 => f64::NAN,
        11 => 120.0,
        13 => 380.0,
        _ => 200.0 + 120.0 * noise(n),
    };
    stamped(Output::new(
        "dom_rates",
        "DOM rates of detector 43, from summary slices",
        Map {
            x_label: "DU".to_owned(),
            y_label: "DOM".to_owned(),
            x: places.iter().map(|place| place.0).collect(),
            y: places.iter().map(|place| place.1).collect(),
            id: (0..places.len() as u32).collect(),
            values: (0..places.len()).map(value).collect(),
            details: Vec::new(),
            colours: Colours {
                map: "coolwarm".to_owned(),
                low: 150.0,
                high: 350.0,
                log: false,
                under: Some("darkorchid".to_owned()),
                over: Some("deeppink".to_owned()),
                missing: "black".to_owned(),
                label: "rate [kHz]".to_owned(),
            },
        },
    ))
}

/// The PMT rates of one DU: 558 rows, 800 columns of 20 s with a hole.
pub(crate) fn pmt_rates() -> Output {
    let rows = 558;
    let column = |n: usize| {
        let value = |row: usize| {
            let burst = if (300..340).contains(&n) && row > 400 {
                9_000.0
            } else {
                0.0
            };
            (6_000.0 + 12.0 * row as f64 + 900.0 * noise(n * rows + row) + burst) as f32
        };
        Arc::new(Column {
            at_ms: NOW_MS - (799 - n as i64) * 20_000,
            values: (0..rows)
                .map(|row| if row == 100 { f32::NAN } else { value(row) })
                .collect(),
            overlay: (0..rows)
                .map(|row| if row == 200 && n > 500 { 255 } else { 0 })
                .collect(),
        })
    };
    let label = |floor: u32| RowLabel {
        row: (floor - 1) * 31,
        text: format!("Floor {floor}"),
    };
    stamped(Output::new(
        "pmt_rates_du1",
        "PMT rates of DU 1, 5000 to 15000 Hz, HRV threshold 0.95",
        Image {
            rows: rows as u32,
            column_s: 20.0,
            columns_max: 800,
            row_labels: (1..=18).map(label).collect(),
            columns: (0..800)
                .filter(|n| !(600..620).contains(n))
                .map(column)
                .collect(),
            colours: Colours {
                map: "cividis".to_owned(),
                low: 5_000.0,
                high: 15_000.0,
                log: false,
                under: None,
                over: None,
                missing: "white".to_owned(),
                label: "rate [Hz]".to_owned(),
            },
            overlay_threshold: 0.95,
            overlay_colour: "#ff0000".to_owned(),
            overlay_label: "HRV".to_owned(),
        },
    ))
}

/// A bell of 100 bins.
pub(crate) fn residuals() -> Output {
    let edges: Vec<f64> = (0..=100).map(|n| f64::from(n) * 10.0 - 500.0).collect();
    let bell = |x: f64| (5_000.0 * (-x * x / 8_000.0).exp()).round();
    stamped(Output::new(
        "residuals",
        "Time residuals",
        Histogram {
            x_label: "time residual [ns]".to_owned(),
            y_label: "hits".to_owned(),
            y_log: true,
            counts: edges
                .iter()
                .take(100)
                .map(|x| bell(x + 5.0) + 1.0)
                .collect(),
            edges,
            underflow: 3.0,
            overflow: 12.0,
        },
    ))
}

/// One number.
pub(crate) fn scalar() -> Output {
    let view = Scalar {
        value: 21.37,
        unit: "Hz".to_owned(),
    };
    stamped(Output::new("overall", "Overall trigger rate", view))
}

/// A few rows.
pub(crate) fn table() -> Output {
    let row = |n: i32| {
        vec![
            json!(n),
            json!(f64::from(n) * 1.234_567),
            json!("since 22:10"),
            json!(null),
        ]
    };
    stamped(Output::new(
        "inactive",
        "DOMs without data",
        Table {
            columns: ["DU", "silent [s]", "remark", "floor"]
                .map(str::to_owned)
                .to_vec(),
            rows: (1..40).map(row).collect(),
        },
    ))
}
