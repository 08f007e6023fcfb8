//! Pictures as SVG: read as XML, and compared with the PNG of the same output.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in pictures are small"
)]

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fathom_kernel::Output;
use fathom_kernel::view::{Curve, Marker, Series, Table, View};
use fathom_web::picture::{Rgb, Scale, Size, draw_svg};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::json;

use crate::{Picture, WILD, events, every_form, samples};

/// One element with its attributes and the text in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("attributes are well-formed and unique");
            let value = quick_xml::escape::unescape(&attribute.value)
                .unwrap()
                .into_owned();
            (attribute.key.as_ref().to_owned(), value)
        });
        Self {
            name: start.name().as_ref().to_owned(),
            attributes: attributes.collect(),
            text: String::new(),
        }
    }

    fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> f32 {
        self.get(name).parse().unwrap()
    }

    /// Returns the embedded PNG file.
    fn cells(&self) -> Picture {
        let data = self.get("href").strip_prefix("data:image/png;base64,");
        Picture::decode(&BASE64_STANDARD.decode(data.unwrap()).unwrap())
    }
}

/// The elements of a file in their order.
struct Svg {
    elements: Vec<Element>,
    bytes: usize,
}

impl Svg {
    fn of(output: &Output) -> Self {
        Self::sized(output, Size::of(&output.view))
    }

    fn sized(output: &Output, size: Size) -> Self {
        Self::read(&draw_svg(output, samples::now(), samples::now(), size))
    }

    fn read(file: &[u8]) -> Self {
        let text = std::str::from_utf8(file).unwrap();
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Start(start) => {
                    open.push(elements.len());
                    elements.push(Element::of(&start));
                }
                Event::Empty(start) => elements.push(Element::of(&start)),
                Event::End(_) => drop(open.pop()),
                Event::Text(text) => add(&mut elements, &open, &text),
                Event::GeneralRef(name) => {
                    let known = quick_xml::escape::resolve_predefined_entity(&name);
                    add(&mut elements, &open, known.expect("a known entity"));
                }
                Event::Eof => break,
                other => panic!("{other:?} is not expected"),
            }
        }
        assert!(open.is_empty(), "all elements are closed");
        Self {
            elements,
            bytes: file.len(),
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |e| e.name == name)
    }

    fn texts(&self) -> Vec<&str> {
        self.all("text").map(|e| e.text.as_str()).collect()
    }

    /// Returns the largest image.
    fn image(&self) -> &Element {
        let images = self.all("image");
        images
            .max_by_key(|image| image.number("width") as u32)
            .unwrap()
    }
}

/// Adds to the text of the innermost element; there is no text outside of all.
fn add(elements: &mut [Element], open: &[usize], text: &str) {
    match open.last() {
        Some(at) => elements[*at].text.push_str(text),
        None => assert_eq!(text.trim(), ""),
    }
}

#[test]
fn every_form_is_well_formed_with_its_title_as_text_and_nothing_that_runs() {
    let drawn = [
        "svg", "title", "desc", "path", "circle", "text", "image", "g", "clipPath",
    ];
    let mut partly_pixels = Vec::new();
    for output in every_form() {
        let svg = Svg::of(&output);
        let root = &svg.elements[0];
        assert_eq!(
            (root.name.as_str(), root.get("xmlns")),
            ("svg", "http://www.w3.org/2000/svg")
        );
        let title = svg.all("title").next().unwrap();
        assert_eq!(title.text, output.title);
        assert!(
            svg.texts().contains(&output.title.as_str()),
            "{}",
            output.name
        );
        if svg.all("desc").next().is_some() {
            partly_pixels.push(output.name.clone());
        }
        let mut names = HashSet::new();
        for element in &svg.elements {
            assert!(drawn.contains(&element.name.as_str()), "{element:?}");
            for (name, value) in &element.attributes {
                assert!(!name.starts_with("on"), "{element:?}");
                let inside = name != "href" || value.starts_with("data:image/png;base64,");
                assert!(inside, "{element:?}");
                assert!(name != "id" || names.insert(value), "{value} twice");
            }
        }
        let clips = svg.all("g").map(|g| g.get("clip-path"));
        for clip in clips {
            let name = clip
                .strip_prefix("url(#")
                .unwrap()
                .strip_suffix(')')
                .unwrap();
            assert!(names.contains(&name.to_owned()), "{clip}");
        }
    }
    // 115 histograms of 98 bins in each of 18 panels.
    assert_eq!(partly_pixels, ["time_residuals"]);
}

#[test]
fn the_same_output_is_the_same_file() {
    for output in every_form() {
        let file = || {
            let size = Size::of(&output.view);
            draw_svg(&output, samples::now(), samples::now(), size)
        };
        assert!(file() == file(), "{}", output.name);
    }
}

#[test]
fn markup_in_names_stays_text() {
    let wild = r#"</text><script>alert("&amp;")</script> & 'é'"#;
    let mut series = samples::trigger_rates(false);
    let View::Series(view) = &mut series.view else {
        panic!("a series")
    };
    view.y_label = wild.to_owned();
    view.marks[0].text = wild.to_owned();
    view.curves.truncate(1);
    view.curves[0].name = wild.to_owned();
    let table = Table {
        columns: vec![wild.to_owned()],
        rows: vec![vec![wild.into()]],
    };
    let table = samples::stamped(Output::new("table", "x", table));
    for (mut output, times) in [(series, 4), (table, 3)] {
        output.title = wild.to_owned();
        let svg = Svg::of(&output);
        assert_eq!(svg.all("title").next().unwrap().text, wild);
        let found = svg.texts().iter().filter(|t| t.starts_with(wild)).count();
        assert_eq!(found, times, "{:?}", svg.texts());
    }
}

/// What was too long for its column ended with an ellipsis although half of the picture was empty.
#[test]
fn a_long_text_of_a_table_goes_on_in_the_next_line_while_there_is_room() {
    let words: Vec<String> = (100..160).map(|n| format!("word{n}")).collect();
    let table = |rows: usize| {
        let row = vec![json!(1), json!(words.join(" "))];
        let columns = vec!["number".to_owned(), "text".to_owned()];
        let rows = vec![row; rows];
        Svg::of(&samples::stamped(Output::new(
            "table",
            "x",
            Table { columns, rows },
        )))
    };
    let few = table(2);
    let texts = few.texts();
    let lines: Vec<_> = texts.iter().filter(|text| text.contains("word")).collect();
    let said = lines.iter().flat_map(|line| line.split(' '));
    let said: Vec<&str> = said.collect();
    assert!(lines.len() > 2 && said[..words.len()] == words, "{texts:?}");
    let rows = (1..40).map(|n| vec![json!(n), json!("short")]).collect();
    let columns = vec!["number".to_owned(), "text".to_owned()];
    let short = Svg::of(&samples::stamped(Output::new(
        "table",
        "x",
        Table { columns, rows },
    )));
    assert!(
        short.texts().contains(&"39"),
        "all of few short rows are shown"
    );
    // As many rows as there is room for are shown before any is shown whole.
    let many = table(500);
    let texts = many.texts();
    let cut = texts
        .iter()
        .filter(|text| text.contains("word"))
        .collect::<Vec<_>>();
    assert!(
        cut.len() > 5 && cut.iter().all(|text| text.ends_with('…')),
        "{texts:?}"
    );
    let left_out = format!("… and {} more rows", 500 - cut.len());
    assert!(texts.contains(&&*left_out), "{texts:?}");
}

#[test]
fn a_control_character_in_a_title_does_not_break_the_file() {
    let mut output = samples::scalar();
    output.title = "a\u{1b}[31m\u{0}b\u{FFFF}".to_owned();
    let svg = Svg::of(&output);
    assert!(svg.texts().contains(&"a[31mb"));
}

#[test]
fn a_map_has_a_circle_per_place_in_the_colour_of_the_png() {
    for dus in [3, 115] {
        let output = samples::dom_rates(dus);
        let View::Map(map) = &output.view else {
            panic!("a map")
        };
        let scale = Scale::of(&map.colours);
        let svg = Svg::of(&output);
        let png = Picture::of(&output, samples::now());
        let circles: Vec<&Element> = svg.all("circle").collect();
        assert_eq!(circles.len(), map.values.len());
        for (circle, value) in circles.iter().zip(&map.values) {
            let Rgb([r, g, b]) = scale.colour(*value);
            assert_eq!(circle.get("fill"), format!("#{r:02x}{g:02x}{b:02x}"));
            let (x, y) = (circle.number("cx") as usize, circle.number("cy") as usize);
            let at = (y * png.width + x) * 3;
            assert_eq!(png.pixels[at..at + 3], [r, g, b], "at {x}, {y}");
        }
    }
}

#[test]
fn a_map_of_small_places_has_a_rectangle_for_each() {
    let mut output = samples::dom_rates(230);
    let size = Size {
        width: 1_000,
        height: 700,
    };
    let rectangles = |output: &Output| {
        let svg = Svg::sized(output, size);
        let blocks = svg
            .all("path")
            .map(|path| path.get("d").matches('z').count());
        blocks.sum::<usize>()
    };
    let all = rectangles(&output);
    let View::Map(map) = &mut output.view else {
        panic!("a map")
    };
    // The same extent with the corners only.
    let corner = |n: usize| n == 0 || n + 1 == map.x.len();
    let kept: Vec<usize> = (0..map.x.len()).filter(|n| corner(*n)).collect();
    (map.x, map.y, map.values) = (
        kept.iter().map(|n| map.x[*n]).collect(),
        kept.iter().map(|n| map.y[*n]).collect(),
        kept.iter().map(|n| map.values[*n]).collect(),
    );
    assert_eq!(all - rectangles(&output), 230 * 18 - 2);
}

#[test]
fn an_image_is_embedded_cell_by_cell_in_the_colours_of_the_png() {
    let outputs = [
        (samples::pmt_rates(), (800, 558)),
        (events::hit_map(72, 1_000, 1_000, 0.2), (1_000, 72)),
    ];
    for (output, (columns, rows)) in outputs {
        let svg = Svg::of(&output);
        let png = Picture::of(&output, samples::now());
        let image = svg.image();
        assert_eq!(image.get("image-rendering"), "pixelated");
        let cells = image.cells();
        assert_eq!(
            (cells.width, cells.pixels.len() / 3),
            (columns, columns * rows)
        );
        let wide = image.number("width") / columns as f32;
        let high = image.number("height") / rows as f32;
        let mut other = 0;
        for (at, cell) in cells.pixels.chunks_exact(3).enumerate() {
            let x = image.number("x") + ((at % columns) as f32 + 0.5) * wide;
            let y = image.number("y") + ((at / columns) as f32 + 0.5) * high;
            let at = (y as usize * png.width + x as usize) * 3;
            other += usize::from(png.pixels[at..at + 3] != *cell);
        }
        // Dashed lines at run changes are on top of the image.
        assert!(other * 100 < columns * rows, "{}: {other}", output.name);
    }
}

#[test]
fn each_hit_is_a_cell_of_its_own_also_where_the_png_has_fewer_pixels() {
    let output = events::hit_map(2_070, 1_000, 1_000, 0.03);
    let View::HitMap(map) = &output.view else {
        panic!("a hit map")
    };
    let hits: usize = map.columns.iter().map(|column| column.rows.len()).sum();
    let cells = Svg::of(&output).image().cells();
    let missing = cells.count(Scale::of(&map.colours).missing());
    assert_eq!(cells.width, 1_000);
    assert_eq!(missing, 2_070 * 1_000 - hits);
}

#[test]
fn a_curve_is_one_path_that_is_interrupted_where_values_are_missing() {
    let svg = Svg::of(&samples::trigger_rates(true));
    let tomato = svg
        .all("path")
        .filter(|path| path.get("stroke") == "#ff6347" && path.get("d").matches('L').count() > 100);
    let paths: Vec<&Element> = tomato.collect();
    // The line, and the error bars.
    assert_eq!(paths.len(), 2);
    let count = |of: char| paths[0].get("d").matches(of).count();
    assert_eq!((count('M'), count('L')), (2, 288 - 10 - 2));
    assert_eq!(paths[1].get("d").matches('M').count(), 288 - 10);
    let diamonds = svg.all("path").filter(|path| path.get("fill") == "#ff6347");
    let most = diamonds
        .map(|path| path.get("d").matches('Z').count())
        .max();
    assert_eq!(most, Some(288 - 10));
}

#[test]
fn a_text_has_the_width_of_the_png() {
    let svg = Svg::of(&samples::scalar());
    let title = svg.all("text").find(|e| e.text == "Overall trigger rate");
    let title = title.unwrap();
    let ink = Rgb([0x22, 0x22, 0x22]);
    let mut output = samples::scalar();
    let View::Scalar(scalar) = &mut output.view else {
        panic!("a number")
    };
    (scalar.value, scalar.unit) = (1.0, String::new());
    let png = Picture::of(&output, samples::now());
    let row = png.pixels.chunks_exact(png.width * 3).take(30).flatten();
    let row: Vec<u8> = row.copied().collect();
    let title_png = Picture {
        width: png.width,
        pixels: row,
    };
    let (left, _, right, _) = title_png.extent(ink).unwrap();
    let drawn = (right - left) as f32;
    let told = title.number("textLength");
    assert!((told - drawn).abs() < 6.0, "{told} against {drawn}");
}

fn dense(curves: usize, points: i64) -> Output {
    let curve = |index: usize| Curve {
        name: format!("curve {index}"),
        marker: Marker::Diamond,
        values: (0..points)
            .map(|n| samples::noise(n as usize) + index as f64)
            .collect(),
        ..Curve::default()
    };
    let series = Series {
        y_label: "rate [Hz]".to_owned(),
        times_ms: (0..points).map(|n| samples::NOW_MS + n * 1_000).collect(),
        curves: (0..curves).map(curve).collect(),
        ..Series::default()
    };
    samples::stamped(Output::new("dense", "Dense", series))
}

#[test]
fn a_layer_of_too_many_shapes_is_pixels_and_says_so() {
    let output = dense(3, 40_000);
    let svg = Svg::of(&output);
    assert!(svg.bytes < 2 << 20, "{} bytes", svg.bytes);
    let said = &svg.all("desc").next().unwrap().text;
    assert!(said.contains("100000 shapes"), "{said}");
    // It is the part of the PNG between the axes; these are text and lines as ever.
    let image = svg.image();
    let (cells, png) = (image.cells(), Picture::of(&output, samples::now()));
    let (x, y) = (image.number("x") as usize, image.number("y") as usize);
    let row = ((y + 100) * png.width + x) * 3;
    let first = 100 * cells.width * 3;
    assert_eq!(
        png.pixels[row..row + cells.width * 3],
        cells.pixels[first..first + cells.width * 3]
    );
    assert!(svg.texts().contains(&"rate [Hz]"));
}

#[test]
fn a_long_curve_without_markers_is_a_path_as_long_as_it_may_be() {
    let mut output = dense(1, 90_000);
    let View::Series(series) = &mut output.view else {
        panic!("a series")
    };
    series.curves[0].marker = Marker::None;
    let svg = Svg::of(&output);
    assert!(svg.all("desc").next().is_none());
    let lines = svg
        .all("path")
        .map(|path| path.get("d").matches('L').count());
    assert_eq!(lines.max(), Some(89_999));
}

#[test]
fn hostile_numbers_are_left_out_of_the_file() {
    let mut series = samples::trigger_rates(true);
    let View::Series(view) = &mut series.view else {
        panic!("a series")
    };
    view.times_ms = vec![i64::MIN, i64::MAX, 0, 1, -1, 5, 5, 7];
    for curve in &mut view.curves {
        curve.values = WILD.to_vec();
        curve.errors = WILD.to_vec();
    }
    let mut map = samples::dom_rates(2);
    let View::Map(view) = &mut map.view else {
        panic!("a map")
    };
    (view.x[0], view.x[1]) = (i32::MIN, i32::MAX);
    view.values = WILD.to_vec();
    let mut image = samples::pmt_rates();
    let View::Image(view) = &mut image.view else {
        panic!("an image")
    };
    (view.rows, view.columns_max) = (0, u32::MAX);
    for output in [series, map, image, events::shapes()] {
        for element in &Svg::of(&output).elements {
            let numbers = [
                "d",
                "x",
                "y",
                "cx",
                "cy",
                "r",
                "width",
                "height",
                "transform",
            ];
            for value in numbers.map(|name| element.get(name)) {
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "{element:?}"
                );
            }
        }
    }
}

#[test]
fn an_image_with_more_cells_than_are_embedded_is_drawn_by_pixel_and_says_so() {
    let output = events::hit_map(2_070, 5_000, 5_000, 0.001);
    let svg = Svg::of(&output);
    let said = &svg.all("desc").next().unwrap().text;
    assert!(said.contains("4000000 cells"), "{said}");
    let image = svg.image();
    assert!(image.cells().width <= image.number("width") as usize);
}

#[test]
fn the_smallest_and_largest_files_are_drawn() {
    let outputs = [
        samples::trigger_rates(true),
        samples::dom_rates(4),
        samples::table(),
        events::rttc(4),
    ];
    for (width, height) in [(0, 0), (u32::MAX, u32::MAX)] {
        for output in outputs.clone() {
            let size = Size { width, height };
            let svg = Svg::sized(&output, size);
            let drawn = svg.elements[0].number("width") as u32;
            assert_eq!(drawn, size.within_limits().width);
        }
    }
}
