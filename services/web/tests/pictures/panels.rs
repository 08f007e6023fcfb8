//! Panels and hit maps, pixel by pixel and with hostile values.

use std::sync::Arc;

use fathom_kernel::Output;
use fathom_kernel::view::{
    Axis, AxisScale, ColumnMark, HitColumn, HitMap, Layer, Panel, Panels, RowLabel, Shape, View,
};
use fathom_web::picture::{ColourMap, Rgb, Size, draw};

use super::{Picture, WILD, events, samples};

/// Draws an output small, which is quick.
fn small(output: &Output) {
    let size = Size {
        width: 400,
        height: 300,
    };
    let file = draw(output, samples::now(), samples::now(), size);
    assert_eq!(Picture::decode(&file).width, 400);
}

const BLUE: Rgb = Rgb([0, 0, 255]);

fn one_layer(layer: Layer, axis: Axis) -> Picture {
    let view = Panels {
        columns: 1,
        x: Axis {
            low: Some(0.0),
            high: Some(10.0),
            ..Axis::default()
        },
        y: axis,
        panels: vec![Panel {
            layers: vec![layer],
            ..Panel::default()
        }],
    };
    Picture::of(&Output::new("p", "P", view), samples::now())
}

fn upright() -> Axis {
    Axis {
        low: Some(0.0),
        high: Some(10.0),
        ..Axis::default()
    }
}

#[test]
fn a_point_lies_where_its_numbers_say_and_its_area_is_z() {
    let disc = |z| {
        let mut layer = Layer::new(Shape::Disc, "#0000ff", vec![5.0], vec![5.0]);
        layer.z = vec![z];
        one_layer(layer, upright())
    };
    let (small, large) = (disc(4.0), disc(16.0));
    let ratio = large.count(BLUE) as f64 / small.count(BLUE) as f64;
    assert!((3.2..5.2).contains(&ratio), "{ratio}");
    let square = Layer::new(Shape::Square, "#0000ff", vec![0.0, 10.0], vec![0.0, 10.0]);
    let corners = one_layer(square, upright()).extent(BLUE).unwrap();
    let centre = small.extent(BLUE).unwrap();
    let middle = |a: usize, b: usize| (a + b) / 2;
    // Clipped at the sides of the panel, so that its corners are the extent.
    assert!(middle(corners.0, corners.2).abs_diff(middle(centre.0, centre.2)) <= 1);
    assert!(middle(corners.1, corners.3).abs_diff(middle(centre.1, centre.3)) <= 1);
}

#[test]
fn half_of_a_colour_shines_through() {
    let mut layer = Layer::new(Shape::Bars, "#0000ff", vec![0.0, 10.0], vec![10.0]);
    layer.alpha = 0.5;
    let picture = one_layer(layer, upright());
    assert_eq!(picture.count(BLUE), 0);
    assert!(picture.count(Rgb([128, 128, 255])) > 100_000);
}

#[test]
fn equal_names_share_an_entry_of_the_legend() {
    let legend = |names: [&str; 2]| {
        let layer = |name| Layer::new(Shape::Bars, "#0000ff", vec![], vec![]).named(name);
        let view = Panels {
            columns: 2,
            panels: names
                .map(|name| Panel {
                    layers: vec![layer(name)],
                    ..Panel::default()
                })
                .to_vec(),
            ..Panels::default()
        };
        Picture::of(&Output::new("p", "P", view), samples::now()).count(BLUE)
    };
    assert!(legend(["a", "a"]) > 50);
    assert_eq!(legend(["a", "b"]), 2 * legend(["a", "a"]));
    assert_eq!(legend(["", ""]), 0);
}

#[test]
fn a_bar_ends_at_its_height_on_both_scales() {
    let bar = |height, axis| {
        let layer = Layer::new(Shape::Bars, "#0000ff", vec![2.0, 4.0], vec![height]);
        one_layer(layer, axis)
            .extent(BLUE)
            .map(|(_, top, _, bottom)| bottom - top)
    };
    let full = bar(10.0, upright()).unwrap() as f64;
    let half = bar(5.0, upright()).unwrap() as f64;
    assert!((half / full - 0.5).abs() < 0.01);
    let log = Axis {
        low: Some(1.0),
        high: Some(100.0),
        scale: AxisScale::Log,
        ..Axis::default()
    };
    let decade = bar(10.0, log).unwrap() as f64;
    assert!((decade / full - 0.5).abs() < 0.01);
    assert_eq!(bar(f64::NAN, upright()), None, "a gap");
}

#[test]
fn hostile_panels_are_drawn_without_a_panic() {
    let shapes = [
        Shape::Disc,
        Shape::Ring,
        Shape::Plus,
        Shape::Cross,
        Shape::Square,
        Shape::Line,
        Shape::Dashed,
        Shape::Steps,
        Shape::Bars,
        Shape::Band,
    ];
    let scales = [AxisScale::Linear, AxisScale::Log, AxisScale::Time];
    for (scale, bound) in scales.into_iter().flat_map(|s| WILD.map(|b| (s, b))) {
        let layer = |shape: &Shape| Layer {
            alpha: bound,
            z: WILD.iter().rev().copied().collect(),
            ..Layer::new(
                *shape,
                "no colour",
                WILD.to_vec(),
                WILD.iter().rev().copied().collect(),
            )
        };
        let axis = Axis {
            label: "x".repeat(1_000),
            scale,
            low: Some(bound),
            high: None,
            tick: Some(bound),
            own_range: bound > 0.0,
        };
        let view = Panels {
            columns: u32::MAX,
            x: axis.clone(),
            y: axis,
            panels: vec![
                Panel {
                    title: "t".repeat(1_000),
                    layers: shapes.iter().map(layer).collect(),
                    guides: WILD.to_vec(),
                },
                Panel::default(),
            ],
        };
        small(&Output::new("wild", "Wild", view));
    }
    for (columns, panels) in [(0, 0), (0, 3), (1, 3_000), (u32::MAX, 3_000)] {
        let view = Panels {
            columns,
            panels: vec![Panel::default(); panels],
            ..Panels::default()
        };
        small(&Output::new("many", "Many", view));
    }
}

#[test]
fn a_single_hit_is_seen_however_much_a_map_is_reduced() {
    let mut output = events::hit_map(2_070, 5_000, 5_000, 0.0);
    let View::HitMap(map) = &mut output.view else {
        panic!("a hit map")
    };
    map.marks.clear();
    for (column, row) in [(1_234, 777), (1_235, 778), (4_999, 2_069)] {
        let hit = HitColumn {
            rows: [row].into(),
            counts: [31].into(),
            ..map.columns[column].as_ref().clone()
        };
        map.columns[column] = Arc::new(hit);
    }
    let picture = Picture::of(&output, samples::now());
    let last = ColourMap::named("plasma").table()[255];
    let bar = Picture::of(&events::hit_map(2_070, 0, 5_000, 0.0), samples::now()).count(last);
    let seen = picture.count(last) - bar;
    assert!((2..=3).contains(&seen), "{seen}");
}

#[test]
fn the_newest_column_is_at_the_right_and_row_0_at_the_bottom() {
    let mut output = events::hit_map(10, 5, 1_000, 0.0);
    let View::HitMap(map) = &mut output.view else {
        panic!("a hit map")
    };
    map.marks.clear();
    map.row_labels.clear();
    let last = map.columns.len() - 1;
    map.columns[last] = Arc::new(HitColumn {
        rows: [0].into(),
        counts: [31].into(),
        ..map.columns[last].as_ref().clone()
    });
    map.colours.map = "coolwarm".to_owned();
    map.colours.missing = "#00ff00".to_owned();
    let picture = Picture::of(&output, samples::now());
    let green = [0, 255, 0];
    let (_, _, _, bottom) = picture.extent(Rgb(green)).unwrap();
    let lowest = &picture.pixels[bottom * picture.width * 3..][..picture.width * 3];
    let last = |colour: [u8; 3]| lowest.chunks_exact(3).rposition(|pixel| pixel == colour);
    let hot = ColourMap::named("coolwarm").table()[255].0;
    assert!(
        last(hot).unwrap() > last(green).unwrap(),
        "down in the right corner"
    );
}

#[test]
fn hostile_hit_maps_are_drawn_without_a_panic() {
    let View::HitMap(usual) = events::hit_map(18, 3, 10, 0.5).view else {
        panic!("a hit map")
    };
    let column = |number, rows: &[u16]| {
        Arc::new(HitColumn {
            number,
            at_ms: i64::MIN,
            note: String::new(),
            rows: rows.into(),
            counts: vec![u16::MAX; rows.len() / 2].into(),
        })
    };
    let columns = vec![
        column(u64::MAX, &[0, 1, u16::MAX, 3]),
        column(0, &[1, 2]),
        column(u64::MAX - 5, &[3, 4]),
    ];
    for (rows, columns_max) in [(0, 0), (0, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        for bound in WILD {
            let mut map = HitMap {
                rows,
                columns_max,
                columns: columns.clone(),
                marks: vec![ColumnMark {
                    number: u64::MAX,
                    text: "m".repeat(1_000),
                }],
                row_labels: vec![RowLabel {
                    row: u32::MAX,
                    text: "r".repeat(1_000),
                }],
                ..usual.clone()
            };
            map.colours.low = bound;
            map.colours.high = 1.0;
            small(&Output::new("wild", "Wild", map));
        }
    }
}
