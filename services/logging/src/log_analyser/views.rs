//! Charts, trends and tables of the counts.

use fathom_formats::km3net::LogSource;
use fathom_kernel::view::{
    Axis, AxisScale, Curve, Layer, Marker, Panel, Panels, Series, Shape, Table, View,
};
use fathom_kernel::{Output, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::stats::{Day, MINUTE_MS, Stats};
use crate::archive::day_of;
use crate::index::{CLASSES, Level};

const DAY_MS: f64 = 86_400_000.0;
/// Where the bars of a day begin and how wide they are, in days.
const BAR_START: f64 = 0.25;
const BAR_WIDTH: f64 = 0.25;
/// Heights of the charts, as those of the reference suite.
const HEIGHTS: (f64, f64) = (0.1, 1e6);
const ERROR_COLOUR: &str = "red";
const WARNING_COLOUR: &str = "blue";

/// Trends by level: name of the output, heading, level.
const TRENDS: [(&str, &str, Level); 5] = [
    ("log_alerts", "Alerts in the log", Level::Alert),
    ("log_errors", "Errors in the log", Level::Error),
    ("log_warnings", "Warnings in the log", Level::Warning),
    ("log_statuses", "Status messages in the log", Level::Status),
    (
        "log_unmatched",
        "Messages that follow no convention",
        Level::None,
    ),
];
/// Colours of the classes: those of their names in the log page.
const CLASS_COLOURS: [(LogSource, &str); CLASSES.len()] = [
    (LogSource::Other, "#898989"),
    (LogSource::AcousticDataFilter, "#a87332"),
    (LogSource::DataFilter, "#138799"),
    (LogSource::DataQueue, "#674591"),
    (LogSource::DataWriter, "#FFBE05"),
];

impl Stats {
    /// Returns all outputs when a minute has passed or days were counted.
    pub(super) fn outputs_if_changed(&mut self, now: Timestamp) -> Vec<Output> {
        if !self.take_changed() {
            return Vec::new();
        }
        let today = day_of(now);
        let mut outputs = vec![
            self.output(
                "log_stats",
                "Errors and warnings per day",
                self.chart(today),
                now,
            ),
            self.output("log_today", "Messages of today", self.table(today), now),
            self.output(
                "log_days",
                "Errors and warnings of past days",
                self.days_table(),
                now,
            ),
        ];
        for (name, title, level) in TRENDS {
            outputs.push(self.output(name, title, self.trend(level), now));
        }
        outputs
    }

    /// Counts are of the present minute, whether messages come or not.
    fn output(&self, name: &str, title: &str, view: impl Into<View>, now: Timestamp) -> Output {
        Output::new(name, title, view).at(Some(now)).every(60.0)
    }

    /// Makes one panel per class that was ever seen in the days shown, sorted by name.
    #[expect(clippy::cast_precision_loss, reason = "at most 100 days")]
    fn chart(&self, today: Date) -> Panels {
        let days: Vec<_> = self
            .days
            .range(..=today)
            .rev()
            .take(self.days_shown)
            .collect();
        let days: Vec<_> = days.into_iter().rev().collect();
        let mut classes: Vec<_> = CLASSES
            .into_iter()
            .filter(|class| days.iter().any(|(_, day)| day.counts.has(*class)))
            .collect();
        classes.sort_by_key(|class| class.as_str().to_lowercase());
        let bars = |class: LogSource, level: Level, colour: &str, place: f64| {
            let (x, y) = bars_of(&days, class, level, place);
            Layer::new(Shape::Bars, colour, x, y)
        };
        let panel = |class: LogSource| Panel {
            title: class.as_str().into(),
            layers: vec![
                bars(class, Level::Error, ERROR_COLOUR, BAR_START).named("errors"),
                bars(class, Level::Warning, WARNING_COLOUR, BAR_START + BAR_WIDTH)
                    .named("warnings"),
            ],
            guides: Vec::new(),
        };
        Panels {
            columns: 2,
            x: Axis {
                label: "day [UTC]".into(),
                scale: AxisScale::Time,
                low: start_ms(today).map(|ms| ms - (self.days_shown as f64 - 1.0) * DAY_MS),
                high: start_ms(today).map(|ms| ms + DAY_MS),
                ..Axis::default()
            },
            y: Axis {
                label: "messages".into(),
                scale: AxisScale::Log,
                low: Some(HEIGHTS.0),
                high: Some(HEIGHTS.1),
                ..Axis::default()
            },
            panels: classes.into_iter().map(panel).collect(),
        }
    }

    fn trend(&self, level: Level) -> Series {
        #[expect(clippy::cast_precision_loss, reason = "messages of a minute")]
        let values = |class| {
            let counts = self
                .minutes
                .values()
                .map(|counts| counts.of(class, level) as f64);
            counts.collect()
        };
        let curve = |(class, colour): (LogSource, &str)| Curve {
            name: class.as_str().into(),
            colour: colour.into(),
            marker: Marker::None,
            values: values(class),
            errors: Vec::new(),
        };
        Series {
            y_label: "messages per minute".into(),
            times_ms: self
                .minutes
                .keys()
                .map(|minute| minute * MINUTE_MS)
                .collect(),
            curves: CLASS_COLOURS.into_iter().map(curve).collect(),
            ..Series::default()
        }
    }

    /// Compares today with the seven days before.
    fn table(&self, today: Date) -> Table {
        let day = self.days.get(&today).copied().unwrap_or_default();
        let row = |class: LogSource| {
            let count = |level| json!(day.counts.of(class, level));
            let usual = |level| json!(self.usual(today, class, level));
            vec![
                json!(class.as_str()),
                count(Level::Alert),
                count(Level::Error),
                usual(Level::Error),
                count(Level::Warning),
                usual(Level::Warning),
                count(Level::Status),
                count(Level::Other),
                count(Level::None),
            ]
        };
        let columns = [
            "class",
            "ALERT",
            "ERROR",
            "ERROR per day, mean of 7 days",
            "WARNING",
            "WARNING per day, mean of 7 days",
            "STATUS",
            "other levels",
            "unmatched",
        ];
        Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: CLASSES.map(row).to_vec(),
        }
    }

    /// Lists the days, newest first.
    fn days_table(&self) -> Table {
        let row = |(date, day): (&Date, &Day)| {
            let unmatched = CLASSES.map(|class| day.counts.of(class, Level::None));
            let counts = CLASSES.into_iter().flat_map(|class| {
                [Level::Error, Level::Warning].map(|level| json!(day.counts.of(class, level)))
            });
            let source = match (day.from_file, day.is_damaged) {
                (false, _) => "received",
                (true, false) => "file",
                (true, true) => "damaged file",
            };
            [json!(date), json!(source)]
                .into_iter()
                .chain(counts)
                .chain([json!(unmatched.iter().sum::<u64>())])
                .collect()
        };
        let classes = CLASSES
            .into_iter()
            .flat_map(|class| ["ERROR", "WARNING"].map(|level| format!("{class} {level}")));
        let columns = ["day", "counted from"]
            .map(str::to_owned)
            .into_iter()
            .chain(classes);
        Table {
            columns: columns.chain(["unmatched".to_owned()]).collect(),
            rows: self.days.iter().rev().map(row).collect(),
        }
    }
}

/// Returns the start of a day (ms).
#[expect(clippy::cast_precision_loss, reason = "times stay far below 2^53 ms")]
fn start_ms(day: Date) -> Option<f64> {
    let start = day.to_zoned(TimeZone::UTC).ok()?;
    Some(start.timestamp().as_millisecond() as f64)
}

/// Makes the edges and heights of bars, one per day, with gaps between.
fn bars_of(
    days: &[(&Date, &Day)],
    class: LogSource,
    level: Level,
    place: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut edges, mut heights) = (Vec::new(), Vec::new());
    for (date, day) in days {
        let Some(start_ms) = start_ms(**date) else {
            continue;
        };
        if !edges.is_empty() {
            heights.push(f64::NAN);
        }
        edges.push(start_ms + place * DAY_MS);
        edges.push(start_ms + (place + BAR_WIDTH) * DAY_MS);
        #[expect(clippy::cast_precision_loss, reason = "messages of a day")]
        heights.push(day.counts.of(class, level) as f64);
    }
    (edges, heights)
}
