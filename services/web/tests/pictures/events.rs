//! Event displays, grids of histograms and hit maps as the monitors make them.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of the samples are small"
)]

use std::sync::Arc;

use fathom_kernel::Output;
use fathom_kernel::view::{
    Axis, AxisScale, Colours, ColumnMark, HitColumn, HitMap, Layer, Panel, Panels, RowLabel, Shape,
};

use super::samples::{NOW_MS, noise, stamped};

/// A bent arrival curve with hits along it and noise around it, one panel per DU.
pub(crate) fn zt_plot(dus: usize, hits: usize) -> Output {
    let columns = (dus as f64).sqrt().ceil() as u32;
    let panel = |du: usize| {
        let (closest, curve) = (20.0 + 15.0 * du as f64, 250.0 + 40.0 * noise(du));
        let arrival = |z: f64| ((z - curve).powi(2) + closest * closest).sqrt() * 4.6 - 200.0;
        let of_du = (0..hits).filter(|n| n % dus == du);
        let (mut x, mut y, mut z) = (Vec::new(), Vec::new(), Vec::new());
        for n in of_du {
            let height = 60.0 + 36.0 * (noise(n * 3) * 18.0).floor();
            y.push(height);
            x.push(if n % 3 == 0 {
                4_000.0 * noise(n * 5) - 800.0
            } else {
                arrival(height) + 60.0 * noise(n * 7)
            });
            z.push((1.0 + 5.0 * noise(n * 11).powi(3)).floor());
        }
        let triggered: Vec<usize> = (0..x.len()).filter(|n| n % 4 == 1).collect();
        let pick = |list: &[f64]| triggered.iter().map(|n| list[*n]).collect();
        let mut discs = Layer::new(Shape::Disc, "#09A9DE", x.clone(), y.clone()).named("hits");
        discs.alpha = 0.5;
        discs.notes = z.iter().map(|m| format!("multiplicity {m}")).collect();
        discs.z = z;
        let mut plus = Layer::new(Shape::Plus, "#FF6363", pick(&x), pick(&y)).named("triggered");
        plus.alpha = 0.8;
        let heights: Vec<f64> = (0..70).map(|n| 10.0 * f64::from(n)).collect();
        let times = heights.iter().map(|z| arrival(*z)).collect();
        let model = Layer::new(Shape::Line, "orange", times, heights).named("fit");
        Panel {
            title: format!("DU {}", du + 1),
            layers: vec![discs, plus, model],
            guides: (0..18)
                .map(|floor| 60.0 + 36.0 * f64::from(floor))
                .collect(),
        }
    };
    let view = Panels {
        columns,
        x: Axis {
            label: "time after the first triggered hit [ns]".to_owned(),
            ..Axis::default()
        },
        y: Axis {
            label: "z [m]".to_owned(),
            low: Some(0.0),
            high: Some(720.0),
            tick: Some(100.0),
            ..Axis::default()
        },
        panels: (0..dus).map(panel).collect(),
    };
    let title = "z-t-Plot for DetID-133 Run 13821, FrameIndex 184021, TriggerCounter 40213, \
                 Overlays 37, Trigger: MX 3DM 3DS";
    stamped(Output::new(format!("ztplot_{dus}"), title, view))
}

/// Residuals of 18 floors, a line per DU, on a logarithmic axis with empty bins.
pub(crate) fn time_residuals(dus: usize) -> Output {
    let colours = ["#006BA4", "#FF800E", "#595959", "#C85200", "#5F9ED1"];
    let edges: Vec<f64> = (0..=100).map(|n| f64::from(n) * 10.0 - 500.0).collect();
    let layer = |floor: usize, du: usize| {
        let count = |bin: usize| {
            let x = edges[bin] + 5.0 - 20.0 * du as f64;
            let bell = 900.0 * (-x * x / 3_000.0).exp();
            (bell + 3.0 * noise(bin + 100 * du + 7 * floor)).floor()
        };
        let counts = (0..100).map(count).collect();
        let colour = colours[du % colours.len()];
        Layer::new(Shape::Steps, colour, edges.clone(), counts).named(format!("DU {}", du + 1))
    };
    let panel = |floor: usize| Panel {
        title: format!("Floor {}", floor + 1),
        layers: (0..dus).map(|du| layer(floor, du)).collect(),
        guides: Vec::new(),
    };
    let view = Panels {
        columns: 6,
        x: Axis {
            label: "time residual [ns]".to_owned(),
            ..Axis::default()
        },
        y: Axis {
            label: "hits".to_owned(),
            scale: AxisScale::Log,
            ..Axis::default()
        },
        panels: (0..18).map(panel).collect(),
    };
    stamped(Output::new(
        "time_residuals",
        "Time residuals of the last 2 h",
        view,
    ))
}

/// Round-trip times of DUs over time, each panel with its own range.
pub(crate) fn rttc(dus: usize) -> Output {
    let panel = |du: usize| {
        let centre = 1_000_000.0 + 31_234.0 * du as f64;
        let times: Vec<f64> = (0..200)
            .map(|n| (NOW_MS - (200 - n) * 10_000) as f64)
            .collect();
        let values = (0..200)
            .map(|n| centre + 40.0 * (noise(n + du * 1_000) - 0.5))
            .collect();
        let level = |shape, value: f64| {
            let ends = vec![times[0], times[199]];
            Layer::new(shape, "red", ends, vec![value; 2])
        };
        let mut band = level(Shape::Band, centre - 15.0).named("1 σ");
        band.z = vec![centre + 15.0; 2];
        band.alpha = 0.15;
        Panel {
            title: format!("DU {}", du + 1),
            layers: vec![
                band,
                level(Shape::Line, centre).named("median"),
                level(Shape::Dashed, centre + 25.0).named("limit"),
                level(Shape::Dashed, centre - 25.0),
                Layer::new(Shape::Cross, "#006BA4", times.clone(), values).named("RTTC"),
            ],
            guides: Vec::new(),
        }
    };
    let view = Panels {
        columns: 2,
        x: Axis {
            label: "UTC".to_owned(),
            scale: AxisScale::Time,
            ..Axis::default()
        },
        y: Axis {
            label: "RTTC [ps]".to_owned(),
            own_range: true,
            ..Axis::default()
        },
        panels: (0..dus).map(panel).collect(),
    };
    stamped(Output::new("rttc", "Cable round-trip times", view))
}

/// Every shape once, in one panel.
pub(crate) fn shapes() -> Output {
    let all = [
        Shape::Band,
        Shape::Bars,
        Shape::Disc,
        Shape::Ring,
        Shape::Plus,
        Shape::Cross,
        Shape::Square,
        Shape::Line,
        Shape::Dashed,
        Shape::Steps,
    ];
    let layer = |(index, shape): (usize, &Shape)| {
        let edges = matches!(shape, Shape::Bars | Shape::Steps);
        let x: Vec<f64> = (0..12 + usize::from(edges)).map(|n| n as f64).collect();
        let height = |n: usize| index as f64 + 0.4 * (n as f64).sin();
        let y: Vec<f64> = (0..12)
            .map(|n| if n == 6 { f64::NAN } else { height(n) })
            .collect();
        let mut layer = Layer::new(*shape, "", x, y.clone()).named(format!("{shape:?}"));
        match shape {
            Shape::Band => layer.z = y.iter().map(|y| y + 0.8).collect(),
            Shape::Disc | Shape::Ring => layer.z = (0..12).map(f64::from).collect(),
            _ => {}
        }
        layer.alpha = if *shape == Shape::Bars { 0.3 } else { 0.8 };
        layer
    };
    let view = Panels {
        columns: 1,
        x: Axis {
            label: "x".to_owned(),
            ..Axis::default()
        },
        y: Axis::default(),
        panels: vec![Panel {
            title: "All shapes".to_owned(),
            layers: all.iter().enumerate().map(layer).collect(),
            guides: vec![2.5, 7.5],
        }],
    };
    stamped(Output::new(
        "shapes",
        "Every shape that a layer can have",
        view,
    ))
}

/// Hits per DOM and event; `busy` is the part of DOMs with hits.
pub(crate) fn hit_map(rows: u32, events: u64, columns_max: u32, busy: f64) -> Output {
    let column = |n: u64| {
        let hit = |row: &u16| noise(usize::from(*row) * 7 + n as usize * 7_919) < busy;
        let hits: Box<[u16]> = (0..rows as u16).filter(hit).collect();
        let count = |row: &u16| 1 + (30.0 * noise(usize::from(*row) + n as usize).powi(6)) as u16;
        Arc::new(HitColumn {
            number: 12_000 + n,
            at_ms: NOW_MS - (events - n) as i64 * 200,
            note: format!("run 13821, trigger counter {n}"),
            counts: hits.iter().map(count).collect(),
            rows: hits,
        })
    };
    let label = |row: u32| RowLabel {
        row,
        text: format!("DU{}-DOM{}", row / 18 + 1, row % 18 + 1),
    };
    let mark = |number, run| ColumnMark {
        number,
        text: format!("RUN {run}"),
    };
    let view = HitMap {
        x_label: "event".to_owned(),
        rows,
        columns_max,
        row_labels: (0..rows)
            .filter(|row| matches!(row % 18, 0 | 5 | 11))
            .map(label)
            .collect(),
        columns: (0..events).map(column).collect(),
        marks: vec![
            mark(12_000 + events / 3, 13_820),
            mark(12_000 + events * 4 / 5, 13_821),
        ],
        colours: Colours {
            map: "plasma".to_owned(),
            low: 1.0,
            high: 31.0,
            log: true,
            under: None,
            over: None,
            missing: "white".to_owned(),
            label: "number of hits".to_owned(),
        },
    };
    stamped(Output::new(
        format!("triggermap_{rows}_{events}"),
        "Trigger Map",
        view,
    ))
}
