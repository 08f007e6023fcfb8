//! How large pictures are.

use fathom_kernel::view::{HitMap, Image, Map, Table, View};
use serde_json::Value;

use super::canvas::Rect;
use super::panels;
use super::table::LINES_MAX;

/// Smallest and largest width and height.
const WIDTH: (u32, u32) = (240, 2_400);
const HEIGHT: (u32, u32) = (160, 1_600);

/// Width and height of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Size {
    /// Returns the size that suits a view.
    pub fn of(view: &View) -> Self {
        let (width, height) = match view {
            View::Series(_) => (1_600, 400),
            View::Map(map) => of_map(map),
            View::Image(image) => of_image(image),
            View::Histogram(_) => (960, 560),
            View::Scalar(_) => (480, 240),
            View::Panels(panels) => panels::size(panels),
            View::HitMap(map) => of_hit_map(map),
            View::Table(table) => of_table(table),
        };
        Self { width, height }.within_limits()
    }

    /// Returns a size asked for, within the limits; what is not given suits the view.
    pub fn wanted(view: &View, (width, height): (Option<u32>, Option<u32>)) -> Self {
        let natural = Self::of(view);
        Self {
            width: width.unwrap_or(natural.width),
            height: height.unwrap_or(natural.height),
        }
        .within_limits()
    }

    /// Returns the nearest size that is drawn.
    #[must_use]
    pub fn within_limits(self) -> Self {
        Self {
            width: self.width.clamp(WIDTH.0, WIDTH.1),
            height: self.height.clamp(HEIGHT.0, HEIGHT.1),
        }
    }

    /// Returns the whole picture.
    pub(super) fn bounds(self) -> Rect {
        Rect {
            left: 0.0,
            top: 0.0,
            right: self.width as f32,
            bottom: self.height as f32,
        }
    }

    /// Returns how large text and lines are, against a picture of 1600 x 400.
    pub(super) fn scale(self) -> f32 {
        ((self.width * self.height) as f32 / 640_000.0)
            .sqrt()
            .clamp(0.8, 1.6)
    }
}

/// Characters of a row that fit into one line of a table, roughly.
const ROW_CHARACTERS: usize = 120;
/// More lines than fit into any picture.
const TABLE_LINES: usize = 100;

/// Room for all rows, long ones in several lines. A higher picture has larger letters as well, so that
/// its height grows with the square of what is in it.
fn of_table(table: &Table) -> (u32, u32) {
    let characters = |cell: &Value| match cell {
        Value::String(text) => text.chars().count(),
        // Numbers are rounded.
        _ => 8,
    };
    let lines = |row: &Vec<Value>| {
        let all: usize = row.iter().map(characters).sum();
        all.div_ceil(ROW_CHARACTERS).clamp(1, LINES_MAX)
    };
    let lines: usize = table.rows.iter().take(TABLE_LINES).map(lines).sum();
    let lines = u32::try_from(lines.min(TABLE_LINES)).unwrap_or(u32::MAX);
    let height = lines.saturating_mul(22).saturating_add(130);
    (960, height.max(height.saturating_mul(height) / 667))
}

/// Large enough that neighbouring dots stay apart.
fn of_map(map: &Map) -> (u32, u32) {
    let span = |list: &[i32]| match (list.iter().min(), list.iter().max()) {
        (Some(low), Some(high)) => high.abs_diff(*low).saturating_add(1),
        _ => 1,
    };
    let (columns, rows) = (span(&map.x), span(&map.y));
    (
        columns.saturating_mul(9).saturating_add(200).max(960),
        rows.saturating_mul(12).saturating_add(180).max(660),
    )
}

/// One pixel per number where that fits, beside room for axes.
fn of_image(image: &Image) -> (u32, u32) {
    (
        image.columns_max.saturating_add(215).max(960),
        image.rows.saturating_add(140).max(520),
    )
}

/// Large enough that rows and events of a usual map stay apart.
fn of_hit_map(map: &HitMap) -> (u32, u32) {
    (
        map.columns_max.saturating_add(230).clamp(1_200, 1_600),
        map.rows.saturating_add(160).max(660),
    )
}
