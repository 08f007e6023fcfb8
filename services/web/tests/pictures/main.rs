//! Pictures as a browser gets them: decoded, and looked at pixel by pixel.
//!
//! With the environment variable `FATHOM_GALLERY` set, all pictures are kept in that folder.
#![allow(
    clippy::unwrap_used,
    reason = "a picture that cannot be read shall fail its test"
)]

mod events;
mod panels;
mod samples;
mod vectors;

use std::time::Duration;

use fathom_kernel::view::{Histogram, Image, Map, Marker, Series, View};
use fathom_kernel::{Output, Timestamp};
use fathom_web::picture::{ColourMap, Rgb, Size, draw, draw_svg};

struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn of(output: &Output, now: Timestamp) -> Self {
        let size = Size::of(&output.view);
        let file = draw(output, now, now, size);
        Self::decode(&file)
    }

    /// Keeps a picture for people, where the environment says so.
    fn keep(output: &Output, now: Timestamp) {
        let Some(folder) = std::env::var_os("FATHOM_GALLERY") else {
            return;
        };
        let size = Size::of(&output.view);
        let stale = if output.is_stale(now) { "-stale" } else { "" };
        let name = format!("{}{stale}-{}.png", output.name, size.width);
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(&path, draw(output, now, now, size)).unwrap();
        let svg = draw_svg(output, now, now, size);
        std::fs::write(path.with_extension("svg"), svg).unwrap();
    }

    fn decode(file: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self {
            width: info.width as usize,
            pixels,
        }
    }

    fn count(&self, colour: Rgb) -> usize {
        self.pixels
            .chunks_exact(3)
            .filter(|pixel| *pixel == colour.0)
            .count()
    }

    /// Returns the smallest rectangle around all pixels of a colour: left, top, right, bottom.
    fn extent(&self, colour: Rgb) -> Option<(usize, usize, usize, usize)> {
        let found = self
            .pixels
            .chunks_exact(3)
            .enumerate()
            .filter(|(_, p)| *p == colour.0);
        found
            .map(|(at, _)| (at % self.width, at / self.width))
            .fold(None, |all, (x, y)| {
                let (l, t, r, b) = all.unwrap_or((x, y, x, y));
                Some((l.min(x), t.min(y), r.max(x), b.max(y)))
            })
    }
}

/// Returns outputs of all forms, with few data and with many.
pub(crate) fn every_form() -> Vec<Output> {
    vec![
        samples::trigger_rates(true),
        samples::trigger_rates(false),
        samples::dom_rates(4),
        samples::dom_rates(115),
        samples::dom_rates(230),
        samples::pmt_rates(),
        samples::residuals(),
        samples::scalar(),
        samples::table(),
        events::zt_plot(4, 300),
        events::zt_plot(115, 3_000),
        events::time_residuals(4),
        events::time_residuals(115),
        events::rttc(4),
        events::shapes(),
        events::hit_map(72, 300, 1_000, 0.2),
        events::hit_map(2_070, 1_000, 1_000, 0.03),
        events::hit_map(72, 12, 1_000, 0.2),
    ]
}

#[test]
fn every_form_is_drawn_and_decodes() {
    for output in every_form() {
        let picture = Picture::of(&output, samples::now());
        Picture::keep(&output, samples::now());
        Picture::keep(&output, samples::now() + Duration::from_secs(600));
        let white = picture.count(Rgb::WHITE);
        assert!(
            white * 3 + 10_000 < picture.pixels.len(),
            "{} is not empty",
            output.name
        );
    }
}

#[test]
fn a_place_has_the_colour_of_its_value() {
    let mut output = samples::dom_rates(3);
    let View::Map(map) = &mut output.view else {
        panic!("a map")
    };
    map.colours.map = "plasma".to_owned();
    map.values = vec![250.0; map.x.len()];
    let picture = Picture::of(&output, samples::now());
    // 250 is the middle of 150..350: colour 128.
    let middle = ColourMap::named("plasma").table()[128];
    assert!(
        picture.count(middle) > 54 * 100,
        "54 dots, each of more than 100 pixels"
    );

    let special = |value: f64| {
        let mut output = output.clone();
        let View::Map(Map { values, .. }) = &mut output.view else {
            panic!("a map")
        };
        values[0] = value;
        Picture::of(&output, samples::now())
    };
    let black = picture.count(Rgb::BLACK);
    assert!(special(f64::NAN).count(Rgb::BLACK) > black + 100, "missing");
    let pink = Rgb([255, 20, 147]);
    assert!(
        special(351.0).count(pink) > picture.count(pink) + 100,
        "over"
    );
}

#[test]
fn an_image_has_one_pixel_per_number_with_row_0_at_the_bottom() {
    let output = samples::pmt_rates();
    let picture = Picture::of(&output, samples::now());
    // Row 200 is in high-rate veto from column 501 on; columns 600 to 619 are a hole.
    let red = Rgb([255, 0, 0]);
    let in_area = picture
        .pixels
        .chunks_exact(3)
        .enumerate()
        .filter(|(at, pixel)| *pixel == red.0 && at / picture.width > 100)
        .map(|(at, _)| (at % picture.width, at / picture.width));
    let found: Vec<_> = in_area.collect();
    assert_eq!(found.len(), 299 - 20);
    let (first, last) = (found[0], found[found.len() - 1]);
    assert_eq!(first.1, last.1, "one row of pixels");
    assert_eq!(last.0 - first.0, 298, "one pixel per column");
}

#[test]
fn an_older_picture_says_that_it_is_stale() {
    let output = samples::scalar();
    let alarm = Rgb([0xB4, 0x04, 0x26]);
    let fresh = Picture::of(&output, samples::now());
    assert_eq!(fresh.count(alarm), 0);
    let later = samples::now() + Duration::from_secs(181);
    assert!(Picture::of(&output, later).count(alarm) > 200);
}

#[test]
fn losses_are_written_in_the_colour_of_alarm() {
    let mut output = samples::residuals();
    // The picture is blue and grey otherwise.
    let reddish = |output: &Output| {
        let picture = Picture::of(output, samples::now());
        let pixels = picture.pixels.chunks_exact(3);
        pixels.filter(|p| p[0] > p[1].saturating_add(60)).count()
    };
    assert_eq!(reddish(&output), 0);
    output.losses.dropped = 17;
    assert!(reddish(&output) > 30);
}

#[test]
fn a_run_change_stands_at_its_time() {
    let mut output = samples::trigger_rates(false);
    let View::Series(series) = &mut output.view else {
        panic!("a series")
    };
    series.curves.clear();
    series.curves.push(fathom_kernel::view::Curve {
        values: vec![1.0; series.times_ms.len()],
        ..Default::default()
    });
    // Half way between first and last point.
    let middle = (series.times_ms[0] + samples::NOW_MS) / 2;
    series.marks.truncate(1);
    series.marks[0].at_ms = middle;
    series.marks[0].text.clear();
    let picture = Picture::of(&output, samples::now());
    let grid = (70 + 12, 1_600 - 56 - 12);
    let pink = picture
        .pixels
        .chunks_exact(3)
        .position(|p| p[0] > 240 && p[1] < 100 && (80..160).contains(&p[2]))
        .unwrap();
    assert_eq!(pink % picture.width, (grid.0 + grid.1) / 2);
}

pub(crate) const WILD: [f64; 8] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    0.0,
    -1.0,
    1e-308,
];

/// Changes the view of a sample, which must be of this form, and draws it.
macro_rules! draw_changed {
    ($sample:expr, $form:ident, $change:expr) => {{
        let mut output = $sample;
        let View::$form(view) = &mut output.view else {
            panic!("another form")
        };
        $change(view);
        Picture::of(&output, samples::now());
    }};
}

#[test]
fn hostile_curves_are_drawn_without_a_panic() {
    for y_log in [false, true] {
        let wild = |series: &mut Series| {
            series.times_ms = vec![i64::MIN, i64::MAX, 0, 1, -1, 5, 5, 7];
            for curve in &mut series.curves {
                curve.values = WILD.to_vec();
                curve.errors = WILD.to_vec();
                curve.marker = Marker::Cross;
            }
        };
        draw_changed!(samples::trigger_rates(y_log), Series, wild);
        let empty = |series: &mut Series| series.times_ms.clear();
        draw_changed!(samples::trigger_rates(y_log), Series, empty);
    }
}

#[test]
fn hostile_maps_histograms_and_images_are_drawn_without_a_panic() {
    for bound in WILD {
        draw_changed!(samples::dom_rates(2), Map, |map: &mut Map| {
            map.colours.low = bound;
            map.colours.log = true;
            map.x[0] = i32::MIN;
            map.x[1] = i32::MAX;
            map.values = WILD.to_vec();
        });
        draw_changed!(
            samples::residuals(),
            Histogram,
            |histogram: &mut Histogram| {
                histogram.edges[50] = bound;
                histogram.edges[0] = bound;
                histogram.counts[3] = bound;
            }
        );
    }
    let image = samples::pmt_rates();
    for bound in [f64::NAN, 0.0, f64::MAX] {
        draw_changed!(image.clone(), Image, |image: &mut Image| {
            image.rows = 0;
            image.columns_max = u32::MAX;
            image.column_s = bound;
            image.columns.truncate(3);
        });
    }
}

#[test]
fn the_smallest_and_largest_pictures_are_drawn() {
    let cases = [
        (samples::trigger_rates(true), u32::MAX, u32::MAX),
        (samples::trigger_rates(true), 0, 0),
        (samples::pmt_rates(), 0, u32::MAX),
        (samples::table(), 0, 0),
    ];
    for (output, width, height) in cases {
        let size = Size { width, height };
        let file = draw(&output, samples::now(), samples::now(), size);
        let picture = Picture::decode(&file);
        assert_eq!(picture.width, size.within_limits().width as usize);
    }
}

#[test]
fn a_title_too_long_ends_with_an_ellipsis_inside_the_picture() {
    let mut output = samples::scalar();
    output.title = "very long words ".repeat(50);
    let picture = Picture::of(&output, samples::now());
    let ink = Rgb([0x22, 0x22, 0x22]);
    assert!(picture.extent(ink).unwrap().2 < picture.width - 8);
}

#[test]
fn the_title_of_an_event_is_written_smaller_rather_than_cut() {
    let titled = |end: &str| {
        let mut output = events::zt_plot(4, 0);
        output.title.push_str(end);
        Picture::of(&output, samples::now()).pixels
    };
    // Its last letters are seen.
    assert_ne!(titled("."), titled("X"));
    let long = "x".repeat(400);
    assert_eq!(titled(&format!("{long}.")), titled(&format!("{long}X")));
}
