//! Panels in a grid that share their axes: points, lines, steps, bars and bands. Event displays,
//! residuals and fits are drawn with it.

use serde::{Deserialize, Serialize};

use super::{numbers, other_length};

/// Panels in rows, filled from the top left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Panels {
    /// Panels per row, at least one.
    pub columns: u32,
    /// The horizontal axis of all panels.
    pub x: Axis,
    /// The vertical axis of all panels.
    pub y: Axis,
    /// The panels. Layers of the same name share one entry in the legend.
    pub panels: Vec<Panel>,
}

/// One axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Axis {
    /// Label with its unit.
    pub label: String,
    /// How numbers become places.
    pub scale: AxisScale,
    /// First number shown; taken from the data of all panels when not given.
    pub low: Option<f64>,
    /// Last number shown; taken from the data of all panels when not given.
    pub high: Option<f64>,
    /// Distance between two ticks; chosen when not given.
    pub tick: Option<f64>,
    /// Each panel takes the range of its own data, where `low` and `high` are not given.
    pub own_range: bool,
}

/// How numbers become places on an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AxisScale {
    /// Evenly.
    #[default]
    Linear,
    /// By powers of ten.
    Log,
    /// Milliseconds since 1970 UTC, with dates at the ticks.
    Time,
}

/// One panel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Panel {
    /// Heading, such as `DU 7`.
    pub title: String,
    /// What is drawn, the first at the bottom.
    pub layers: Vec<Layer>,
    /// Faint horizontal lines at these heights, such as those of the floors.
    #[serde(with = "numbers")]
    pub guides: Vec<f64>,
}

/// One thing drawn in a panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name in the legend; none when empty.
    #[serde(default)]
    pub name: String,
    /// CSS colour.
    pub colour: String,
    /// 0 is invisible, 1 covers what is below.
    #[serde(default = "opaque")]
    pub alpha: f64,
    /// How it is drawn.
    pub shape: Shape,
    /// Horizontal coordinates; for steps and bars the edges, one more than there are heights.
    #[serde(with = "numbers")]
    pub x: Vec<f64>,
    /// Vertical coordinates or heights; NaN interrupts a line.
    #[serde(with = "numbers")]
    pub y: Vec<f64>,
    /// Area of each point in units of the usual one; all are 1 when empty. Upper ends of a band.
    #[serde(default, with = "numbers")]
    pub z: Vec<f64>,
    /// What is said of each point when it is pointed at; may be empty.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a layer is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Filled circles.
    Disc,
    /// Open circles.
    Ring,
    /// Upright crosses.
    Plus,
    /// Diagonal crosses.
    Cross,
    /// Filled squares.
    Square,
    /// A line through the points.
    Line,
    /// A dashed line through the points.
    Dashed,
    /// The outline of a histogram: `x` are edges.
    Steps,
    /// Filled bars: `x` are edges, and a NaN height leaves a gap.
    Bars,
    /// The area between `y` and `z`.
    Band,
}

fn opaque() -> f64 {
    1.0
}

impl Layer {
    /// Makes a layer without name, covering what is below.
    pub fn new(shape: Shape, colour: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        Self {
            name: String::new(),
            colour: colour.into(),
            alpha: 1.0,
            shape,
            x,
            y,
            z: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sets its name in the legend.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn fault(&self) -> Option<String> {
        let points = self.y.len();
        let of = |what: &str| format!("{what} of layer `{}`", self.name);
        let edges = match self.shape {
            Shape::Steps | Shape::Bars => points + 1,
            _ => points,
        };
        let z = self.z.len();
        let notes = self.notes.len();
        let no_points = points == 0 && self.x.is_empty();
        other_length(&of("x"), self.x.len(), edges)
            .filter(|_| !no_points)
            .or_else(|| {
                other_length(&of("z"), z, points).filter(|_| z > 0 || self.shape == Shape::Band)
            })
            .or_else(|| other_length(&of("notes"), notes, points).filter(|_| notes > 0))
    }
}

impl Panels {
    pub(super) fn fault(&self) -> Option<String> {
        if self.columns == 0 && !self.panels.is_empty() {
            return Some("panels have no columns".to_owned());
        }
        let mut layers = self.panels.iter().flat_map(|panel| &panel.layers);
        layers.find_map(Layer::fault)
    }

    pub(super) fn cost_bytes(&self) -> usize {
        let layers = self.panels.iter().flat_map(|panel| &panel.layers);
        let of = |layer: &Layer| {
            let notes: usize = layer.notes.iter().map(|note| note.len() + 24).sum();
            (layer.x.len() + layer.y.len() + layer.z.len()) * 8 + notes + 128
        };
        layers.map(of).sum::<usize>() + self.panels.len() * 64
    }
}
