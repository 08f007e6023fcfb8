//! Curves and tables of the trigger rates.

use fathom_kernel::view::{Curve, Mark, Marker, Series, Table};
use serde_json::json;

use super::bins::{Bin, Bins};
use super::runs::Runs;
use crate::clock::text_of_ms;

/// Colours of further triggers, from km3mon's palette.
const FURTHER_COLOURS: [&str; 8] = [
    "#006BA4", "#595959", "#5F9ED1", "#C85200", "#898989", "#A2C8EC", "#FFBC79", "#ABABAB",
];

/// What a curve shows of a bin: value and error.
pub(super) type Reading<'a> = Box<dyn Fn(&Bin) -> (f64, f64) + 'a>;

/// A curve to draw.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) colour: &'a str,
    pub(super) marker: Marker,
    pub(super) reading: Reading<'a>,
}

/// Returns colour and marker of a trigger: km3mon's for its own, the palette for further ones.
pub(super) fn look(rank: usize) -> (&'static str, Marker) {
    match rank {
        0 => ("dodgerblue", Marker::Cross),
        1 => ("orange", Marker::Down),
        2 => ("olivedrab", Marker::Up),
        _ => {
            let further = (rank - 3) % FURTHER_COLOURS.len();
            let colour = FURTHER_COLOURS.get(further).copied();
            (colour.unwrap_or("gray"), Marker::None)
        }
    }
}

/// Draws curves over the closed intervals before a time. A point stands at the end of its interval.
/// Where nobody listened the curves are interrupted and the gap is marked.
pub(super) fn series(
    (bins, runs): (&Bins, &Runs),
    data_ms: i64,
    y_label: &str,
    wanted: &[Wanted<'_>],
) -> Series {
    let mut times_ms = Vec::new();
    let mut shown: Vec<Option<&Bin>> = Vec::new();
    let mut marks = Vec::new();
    let mut expected = None;
    for (index, bin) in bins.window(data_ms) {
        if let Some(missing) = expected.filter(|&next| next < index) {
            times_ms.push(bins.end_ms(missing));
            shown.push(None);
            let text = "GAP".to_owned();
            let at_ms = bins.end_ms(missing - 1);
            marks.push(Mark { at_ms, text });
        }
        times_ms.push(bins.end_ms(index));
        shown.push(Some(bin));
        expected = Some(index + 1);
    }
    if let (Some(&first), Some(&last)) = (times_ms.first(), times_ms.last()) {
        marks.extend(runs.marks(first - bins.interval_ms, last.max(data_ms)));
    }
    marks.sort_by_key(|mark| mark.at_ms);
    Series {
        y_label: y_label.to_owned(),
        times_ms,
        curves: wanted.iter().map(|w| curve(w, &shown)).collect(),
        marks,
        ..Series::default()
    }
}

fn curve(wanted: &Wanted<'_>, shown: &[Option<&Bin>]) -> Curve {
    let readings = shown
        .iter()
        .map(|bin| bin.map_or((f64::NAN, f64::NAN), &wanted.reading));
    let (values, errors): (Vec<_>, Vec<_>) = readings.unzip();
    let has_errors = errors.iter().any(|e: &f64| e.is_finite());
    Curve {
        name: wanted.name.to_owned(),
        colour: wanted.colour.to_owned(),
        marker: wanted.marker,
        values,
        errors: if has_errors { errors } else { Vec::new() },
    }
}

/// Numbers beside the curves.
pub(super) struct Counts<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) total: &'a Bin,
    pub(super) others: [(&'a str, u64); 4],
}

/// Lists exact counts: since the start, in the newest closed interval, in the one that is open.
pub(super) fn table(bins: &Bins, data_ms: i64, counts: &Counts<'_>) -> Table {
    let empty = Bin::default();
    let last = bins.window(data_ms).next_back();
    let (last_end, last) = last.map_or((None, &empty), |(i, b)| (Some(bins.end_ms(i)), b));
    let open = bins.newest_open().map_or(&empty, |(_, bin)| bin);
    let row = |name: &str, count: &dyn Fn(&Bin) -> u64| {
        let (rate_hz, error_hz) = bins.rate_hz(last, count(last));
        let rate = last_end.map(|_| (rate_hz, error_hz));
        vec![
            json!(name),
            json!(count(counts.total)),
            json!(count(open)),
            json!(count(last)),
            json!(rate.map(|r| r.0)),
            json!(rate.map(|r| r.1)),
        ]
    };
    let mut rows = vec![row("Overall", &|bin| bin.events)];
    for (rank, name) in counts.names.iter().enumerate() {
        rows.push(row(name, &|bin| {
            bin.by_trigger.get(rank).copied().unwrap_or(0)
        }));
    }
    rows.push(row("triggered hits", &|bin| bin.triggered_hits));
    rows.push(row("snapshot hits", &|bin| bin.snapshot_hits));
    rows.push(row("overlays", &|bin| bin.overlays));
    rows.push(row("lost events", &|bin| bin.lost));
    for (name, total) in counts.others {
        let mut cells = vec![json!(name), json!(total)];
        cells.resize(6, json!(null));
        rows.push(cells);
    }
    let last_title = match last_end {
        Some(end_ms) => format!("interval until {} UTC", text_of_ms(end_ms)),
        None => "last interval".to_owned(),
    };
    let columns = [
        "",
        "total",
        "open interval",
        &last_title,
        "rate [Hz]",
        "error [Hz]",
    ];
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows,
    }
}
