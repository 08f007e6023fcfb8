//! The forms an output can take. Times are milliseconds since 1970 UTC; missing numbers are NaN in
//! memory and `null` in JSON.

mod hitmap;
mod panels;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use hitmap::{ColumnMark, HitColumn, HitMap};
pub use panels::{Axis, AxisScale, Layer, Panel, Panels, Shape};

/// One value of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "lowercase")]
pub enum View {
    /// Curves over time.
    Series(Series),
    /// One number per place, such as DU and floor.
    Map(Map),
    /// One column of numbers per time step.
    Image(Image),
    /// Counts per bin.
    Histogram(Histogram),
    /// One number.
    Scalar(Scalar),
    /// Rows of text and numbers.
    Table(Table),
    /// Panels of points, lines and histograms that share their axes.
    Panels(Panels),
    /// One column of counts per event.
    HitMap(HitMap),
}

/// Curves that share their time axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Label of the vertical axis, with its unit: `rate (Hz)`.
    pub y_label: String,
    /// Draw the vertical axis logarithmically at first.
    pub y_log: bool,
    /// Draw minor ticks on the time axis.
    pub x_minor_ticks: bool,
    /// Times of the points (ms).
    pub times_ms: Vec<i64>,
    /// The curves; each has one value per time.
    pub curves: Vec<Curve>,
    /// Vertical lines, such as run changes.
    pub marks: Vec<Mark>,
}

/// One curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Curve {
    /// Name in the legend.
    pub name: String,
    /// CSS colour.
    pub colour: String,
    /// Marker of the points.
    pub marker: Marker,
    /// One value per time of the series.
    #[serde(with = "numbers")]
    pub values: Vec<f64>,
    /// One standard deviation per value; empty when unknown.
    #[serde(with = "numbers")]
    pub errors: Vec<f64>,
}

/// How a point looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Marker {
    /// Line only.
    #[default]
    None,
    /// Diamond.
    Diamond,
    /// Cross.
    Cross,
    /// Triangle, point down.
    Down,
    /// Triangle, point up.
    Up,
}

/// A labelled instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When (ms).
    pub at_ms: i64,
    /// Label, such as `RUN 1234`.
    pub text: String,
}

/// How numbers become colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Colours {
    /// Name of the colour map: `cividis`, `coolwarm`, `plasma`.
    pub map: String,
    /// Value of the first colour.
    pub low: f64,
    /// Value of the last colour.
    pub high: f64,
    /// Logarithmic scale.
    #[serde(default)]
    pub log: bool,
    /// CSS colour below `low`; `None` clips.
    pub under: Option<String>,
    /// CSS colour above `high`; `None` clips.
    pub over: Option<String>,
    /// CSS colour of a missing value.
    pub missing: String,
    /// Label of the colour bar, with its unit.
    pub label: String,
}

/// One number per place on a grid; places that do not exist are not listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Label of the horizontal axis, such as `DU`.
    pub x_label: String,
    /// Label of the vertical axis, such as `Floor`.
    pub y_label: String,
    /// Horizontal coordinate of each place.
    pub x: Vec<i32>,
    /// Vertical coordinate of each place.
    pub y: Vec<i32>,
    /// What each place is called, such as its DOM id.
    pub id: Vec<u32>,
    /// The value of each place.
    #[serde(with = "numbers")]
    pub values: Vec<f64>,
    /// Further numbers per place, shown when pointed at.
    #[serde(default)]
    pub details: Vec<Detail>,
    /// How values become colours.
    pub colours: Colours,
}

/// A further number per place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Name with unit, such as `mean (kHz)`.
    pub name: String,
    /// One value per place.
    #[serde(with = "numbers")]
    pub values: Vec<f64>,
}

/// Columns of numbers over time, newest last. Columns are shared, so a new version of a long image
/// costs one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Rows per column, row 0 at the bottom.
    pub rows: u32,
    /// Width of one column (s).
    pub column_s: f64,
    /// Most columns kept; older ones are gone.
    pub columns_max: u32,
    /// Labels of rows.
    pub row_labels: Vec<RowLabel>,
    /// The columns, oldest first.
    pub columns: Vec<Arc<Column>>,
    /// How values become colours.
    pub colours: Colours,
    /// Overlay fraction above which a pixel is drawn in `overlay_colour`.
    pub overlay_threshold: f64,
    /// CSS colour of the overlay.
    pub overlay_colour: String,
    /// What the overlay means, such as `HRV`.
    pub overlay_label: String,
}

/// The label of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLabel {
    /// Row, from the bottom.
    pub row: u32,
    /// Text, such as `Floor 3`.
    pub text: String,
}

/// One time step of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// End of the time step (ms).
    pub at_ms: i64,
    /// One value per row, from the bottom.
    #[serde(with = "numbers32")]
    pub values: Box<[f32]>,
    /// Overlay fraction per row in 1/255; empty when there is none.
    pub overlay: Box<[u8]>,
}

impl Image {
    /// Returns the same image with only the columns after a time (ms), for readers that have the
    /// older ones.
    #[must_use]
    pub fn newer_than(&self, at_ms: i64) -> Self {
        let from = self.columns.partition_point(|column| column.at_ms <= at_ms);
        let columns = self.columns.get(from..).unwrap_or_default().to_vec();
        Self {
            columns,
            ..self.clone_head()
        }
    }

    fn clone_head(&self) -> Self {
        Self {
            columns: Vec::new(),
            row_labels: self.row_labels.clone(),
            colours: self.colours.clone(),
            overlay_colour: self.overlay_colour.clone(),
            overlay_label: self.overlay_label.clone(),
            ..*self
        }
    }
}

/// Counts in bins of equal or unequal width.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis.
    pub y_label: String,
    /// Draw the vertical axis logarithmically at first.
    pub y_log: bool,
    /// Bin edges, one more than there are bins.
    #[serde(with = "numbers")]
    pub edges: Vec<f64>,
    /// Content per bin.
    #[serde(with = "numbers")]
    pub counts: Vec<f64>,
    /// Content below the first edge.
    pub underflow: f64,
    /// Content above the last edge.
    pub overflow: f64,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scalar {
    /// The number.
    #[serde(with = "number")]
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// Rows of cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Column headings.
    pub columns: Vec<String>,
    /// One list of cells per row.
    pub rows: Vec<Vec<serde_json::Value>>,
}

impl View {
    /// Returns roughly how much memory the value holds on to (bytes). The columns of an image are
    /// shared with its other versions; each version adds one column and its list of them.
    pub fn cost_bytes(&self) -> usize {
        match self {
            Self::Series(series) => (series.curves.len() + 1) * series.times_ms.len() * 8,
            Self::Map(map) => map.x.len() * (20 + 8 * map.details.len()),
            Self::Image(image) => image.columns.len() * 8 + image.rows as usize * 5 + 64,
            Self::Histogram(histogram) => histogram.counts.len() * 16,
            Self::Scalar(_) => 32,
            Self::Table(table) => table.rows.len() * table.columns.len() * 32,
            Self::Panels(panels) => panels.cost_bytes(),
            Self::HitMap(map) => map.cost_bytes(),
        }
    }
}

impl View {
    /// Says what does not fit together, such as a curve that is longer than its times; a view that
    /// comes from outside is shown only when nothing is wrong with it.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Series(series) => series.fault(),
            Self::Map(map) => map.fault(),
            Self::Image(image) => image.fault(),
            Self::Histogram(histogram) => histogram.fault(),
            Self::Scalar(_) => None,
            Self::Panels(panels) => panels.fault(),
            Self::HitMap(map) => map.fault(),
            Self::Table(table) => {
                let columns = table.columns.len();
                let wrong = table
                    .rows
                    .iter()
                    .map(Vec::len)
                    .find(|cells| *cells != columns)?;
                Some(format!("a row has {wrong} cells, expected {columns}"))
            }
        }
    }
}

/// Says when a list does not have the length that others prescribe.
fn other_length(name: &str, got: usize, expected: usize) -> Option<String> {
    (got != expected).then(|| format!("{name} has {got} values, expected {expected}"))
}

impl Series {
    fn fault(&self) -> Option<String> {
        if !self.times_ms.is_sorted() {
            return Some("times_ms do not ascend".to_owned());
        }
        let times = self.times_ms.len();
        self.curves.iter().find_map(|curve| {
            let errors = curve.errors.len();
            other_length(
                &format!("curve `{}`", curve.name),
                curve.values.len(),
                times,
            )
            .or_else(|| {
                let name = format!("errors of curve `{}`", curve.name);
                other_length(&name, errors, times).filter(|_| errors > 0)
            })
        })
    }
}

impl Map {
    fn fault(&self) -> Option<String> {
        let places = self.x.len();
        let own = [
            ("y", self.y.len()),
            ("id", self.id.len()),
            ("values", self.values.len()),
        ];
        let details = self
            .details
            .iter()
            .map(|d| (d.name.as_str(), d.values.len()));
        own.into_iter()
            .chain(details)
            .find_map(|(name, length)| other_length(name, length, places))
    }
}

impl Image {
    fn fault(&self) -> Option<String> {
        if !self.columns.is_sorted_by_key(|column| column.at_ms) {
            return Some("columns do not ascend in time".to_owned());
        }
        if self.columns.len() > self.columns_max as usize {
            return Some("more columns than columns_max".to_owned());
        }
        let rows = self.rows as usize;
        self.columns.iter().find_map(|column| {
            let overlay = column.overlay.len();
            other_length("a column", column.values.len(), rows)
                .or_else(|| other_length("an overlay", overlay, rows).filter(|_| overlay > 0))
        })
    }
}

impl Histogram {
    fn fault(&self) -> Option<String> {
        let ascends =
            |pair: &[f64]| matches!(pair, [a, b] if a.is_finite() && b.is_finite() && a < b);
        if !self.edges.windows(2).all(ascends) {
            return Some("edges do not ascend".to_owned());
        }
        let bins = self.edges.len().saturating_sub(1);
        other_length("counts", self.counts.len(), bins)
    }
}

macro_rules! view_from {
    ($($form:ident),*) => {$(
        impl From<$form> for View {
            fn from(value: $form) -> Self {
                Self::$form(value)
            }
        }
    )*};
}
view_from!(Series, Map, Image, Histogram, Scalar, Table, Panels, HitMap);

/// A number whose missing value is NaN in memory and `null` in JSON.
pub mod number {
    use super::{Deserialize, Deserializer, Serializer};

    /// Writes `null` for what is not finite.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_none()
        }
    }

    /// Reads `null` as NaN.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// Numbers whose missing values are NaN in memory and `null` in JSON.
pub mod numbers {
    use super::{Deserialize, Deserializer, Serializer};

    /// Writes `null` for what is not finite.
    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&v| v.is_finite().then_some(v)))
    }

    /// Reads `null` as NaN.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}

/// The same for 32-bit numbers.
pub mod numbers32 {
    use super::{Deserialize, Deserializer, Serializer};

    /// Writes `null` for what is not finite.
    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&v| v.is_finite().then_some(v)))
    }

    /// Reads `null` as NaN.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[f32]>, D::Error> {
        let values = Vec::<Option<f32>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f32::NAN)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_number_survives_json() {
        let scalar = View::from(Scalar {
            value: f64::NAN,
            unit: "Hz".into(),
        });
        let text = serde_json::to_string(&scalar).unwrap();
        assert_eq!(text, r#"{"form":"scalar","value":null,"unit":"Hz"}"#);
        let View::Scalar(back) = serde_json::from_str(&text).unwrap() else {
            panic!("{text}")
        };
        assert!(back.value.is_nan());
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let fault = |json: serde_json::Value| {
            let view: View = serde_json::from_value(json).unwrap();
            view.fault()
        };
        let curve = |values| serde_json::json!({"form": "series", "times_ms": [1, 2], "curves": [{"name": "a", "values": values}]});
        assert_eq!(fault(curve(vec![1.0, 2.0])), None);
        assert_eq!(
            fault(curve(vec![1.0])).unwrap(),
            "curve `a` has 1 values, expected 2"
        );
        let wrong = [
            serde_json::json!({"form": "series", "times_ms": [2, 1]}),
            serde_json::json!({"form": "histogram", "edges": [0, 1, 1], "counts": [1, 2]}),
            serde_json::json!({"form": "histogram", "edges": [0, 1], "counts": [1, 2]}),
            serde_json::json!({"form": "table", "columns": ["a"], "rows": [[1, 2]]}),
        ];
        for view in wrong {
            assert!(fault(view.clone()).is_some(), "{view}");
        }
        let right = serde_json::json!({"form": "histogram", "edges": [0, 1], "counts": [1]});
        assert_eq!(fault(right), None);
    }
}
